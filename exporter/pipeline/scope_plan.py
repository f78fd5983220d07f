"""The scopes of a run, as far as settings and targets name them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.errors import CredentialsLost, UsageError
from exporter.model import scope_of

if TYPE_CHECKING:
    from exporter.discovery.request import Request
    from exporter.model import Scope
    from exporter.settings import AccountSettings, Settings

_NOT_NAMED = "--account {account_id}: nothing that the list, the stages or [[accounts]] name is of that account"


@dataclass(frozen=True, slots=True)
class ScopePlan:
    """One scope of a run, as far as it is known before anything was asked.

    Without ``stage_arns`` it is a whole region, and without an ``account_id`` its stages show its account. ``account``
    has the role to read it with; None: the run's own credentials.
    """

    region: str
    account_id: str | None = None
    stage_arns: tuple[str, ...] = ()
    account: AccountSettings | None = None


def plan_scopes(settings: Settings, request: Request) -> list[ScopePlan]:
    """The scopes to export: those that settings and targets name, of the account and of the shard that were asked for.

    A region that is read with the run's own credentials has no account yet: its stages show it. Raises
    :class:`UsageError` where nothing that is named can be of the account.
    """
    plans, choice = _named_scopes(settings, request), request.scopes
    if choice.account_id is not None:
        plans = [plan for plan in plans if plan.account_id in {None, choice.account_id}]
        if not plans:
            raise UsageError(_NOT_NAMED.format(account_id=choice.account_id))
    if choice.sharded is not None:
        plans = [plan for plan in plans if choice.sharded.has(plan.region, plan.account_id)]
    return plans


def check_account(request: Request, account_id: str | None) -> None:
    """Raise :class:`CredentialsLost` where a region turns out to be of another account than was asked for."""
    asked = request.scopes.account_id
    if asked is not None and account_id not in {None, asked}:
        raise CredentialsLost(
            f"the credentials are of account {account_id}, and --account asks for {asked}: use a profile of that"
            " account, or name its role in [[accounts]]"
        )


def _named_scopes(settings: Settings, request: Request) -> list[ScopePlan]:
    """Those of the stages that targets or settings name, else the accounts' regions."""
    stage_arns = set(settings.stages)
    if request.targets is not None:
        stage_arns = {arn for scope in request.targets.scopes() for arn in request.targets.stages(scope)}
    if not stage_arns and settings.accounts:
        return [
            ScopePlan(region, account.account_id, account=account)
            for account in settings.accounts
            for region in account.regions or settings.regions
        ]
    if not stage_arns:
        return [ScopePlan(region) for region in settings.regions]
    by_scope: dict[Scope, list[str]] = {}
    for arn in sorted(stage_arns):
        if scope := scope_of(arn):
            by_scope.setdefault(scope, []).append(arn)
    return [
        ScopePlan(scope.region, scope.account_id, tuple(by_scope[scope]), settings.account(scope.account_id))
        for scope in sorted(by_scope)
    ]
