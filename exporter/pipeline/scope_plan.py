"""The scopes of a run, as far as settings and targets name them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.model import scope_of

if TYPE_CHECKING:
    from exporter.discovery.request import Request
    from exporter.model import Scope
    from exporter.settings import AccountSettings, Settings


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
    """The scopes to export: those of the stages that targets or settings name, else the accounts' regions."""
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
