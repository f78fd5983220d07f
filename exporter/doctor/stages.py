"""Where the stages are: the regions of the run, and all others."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from exporter.doctor.check import Check, remedy_of
from exporter.doctor.way import name_of, named
from exporter.errors import ApiError, CredentialsLost, Refused
from exporter.ivs.operations import MAX_RESULTS, Operation
from exporter.model import REGIONS, scope_of
from exporter.normalize.listed import decode_stages
from exporter.pipeline.empty_regions import regions_with_stages
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.doctor.way import WayToAws
    from exporter.ivs.retry import RetryingCaller
    from exporter.pipeline.scope_plan import ScopePlan
    from exporter.settings import AccountSettings

NAME = "ListStages"
#: The number of accounts of which the regions are looked through that no scope of the run is in: it is a hint.
_ACCOUNTS_LOOKED_FOR = 3


@dataclass(slots=True)
class ScopeStages:
    """One scope of the run: what calls it, and the ``arns`` of its stages, of the first page or as settings name them.

    ``error`` is why there is no list. ``has_more`` says that the first page is not all. ``is_named`` says that settings
    name the stages, so that no list of them is asked for.
    """

    plan: ScopePlan
    caller: RetryingCaller
    arns: list[str] = field(default_factory=list)
    has_more: bool = False
    is_named: bool = False
    error: ApiError | None = None

    @property
    def name(self) -> str:
        """What the scope is called."""
        return name_of(self.plan)

    @property
    def account_id(self) -> str | None:
        """The account whose stages these are; None where nothing shows it."""
        scope = scope_of(self.arns[0]) if self.arns else None
        return self.plan.account_id if scope is None else scope.account_id


class StagesFound:
    """What was found out about stages: the ``scopes`` of the run whose role could be assumed."""

    def __init__(self, way: WayToAws) -> None:
        self._way = way
        self.scopes: list[ScopeStages] = []

    async def check(self) -> Check:
        """Ask each scope of the run for the first page of its stages, and each other region whether it has any.

        Scopes whose role can't be assumed are left out.
        """
        way = self._way
        listed = await asyncio.gather(*(self._listed(plan) for plan in way.scopes))
        self.scopes = [scope for scope in listed if scope is not None]
        if not self.scopes:
            return Check(NAME, "skipped", "needs roles")
        way.is_accepted = any(_is_accepted(scope) for scope in self.scopes)
        asked = [scope for scope in self.scopes if not scope.is_named]
        if not asked:
            return Check(NAME, "ok", f"not asked: settings name {counted(len(way.settings.stages), 'stage')}")
        if errors := [scope.error for scope in asked if scope.error is not None]:
            return Check(NAME, "failed", _texts_of(errors), _remedy(errors[0]))
        return self._judged(asked, await self._elsewhere())

    def _judged(self, asked: list[ScopeStages], elsewhere: Mapping[str, str | None]) -> Check:
        empty = [scope for scope in asked if not scope.arns]
        have = sorted({scope.plan.region for scope in asked if scope.arns} | set(elsewhere))
        counts = named(f"{scope.name} {_count(scope)}" for scope in asked)
        if not empty:
            also = f"; also some in {named(sorted(elsewhere))}, which the run does not ask" if elsewhere else ""
            return Check(NAME, "ok", counts + also)
        account = self._way.caller.account_id if self._way.caller else None
        who = f" (account {account})" if account and not self._way.settings.accounts else ""
        detail = f"no stage in {named(scope.name for scope in empty)}{who}"
        if not have:
            return Check(
                NAME, "warning", f"{detail}, nor in any other region", "is it the right account? mend the profile"
            )
        remedy = f"set regions to {named(have)}, or mend the profile" if elsewhere else "leave it out of regions"
        return Check(NAME, "warning", f"{detail}; there are some in {named(have)}", f"{remedy}, if that is not meant")

    async def _listed(self, plan: ScopePlan) -> ScopeStages | None:
        way = self._way
        try:
            caller = await way.caller_of(plan.account, plan.region)
        except CredentialsLost:
            if plan.account is None:
                raise
            return None
        scope = ScopeStages(plan, caller, list(plan.stage_arns), is_named=bool(plan.stage_arns))
        if scope.is_named:
            return scope
        try:
            page = await caller.call(Operation.LIST_STAGES, {"maxResults": MAX_RESULTS})
            excluded = way.settings.exclude_stages
            scope.arns = [stage.arn for stage in decode_stages(page.items).items if stage.arn not in excluded]
            scope.has_more = page.next_token is not None
        except ApiError as error:
            scope.error = error
        return scope

    async def _elsewhere(self) -> dict[str, str | None]:
        """The regions with stages that no scope of the run is in; what can't be asked is passed over."""
        way = self._way
        own: dict[AccountSettings | None, set[str]] = defaultdict(set)
        for plan in way.scopes:
            own[plan.account].add(plan.region)
        found: dict[str, str | None] = {}
        for account, regions in list(own.items())[:_ACCOUNTS_LOOKED_FOR]:
            ledger = way.ledger("elsewhere", account)
            found |= await regions_with_stages(sorted(set(REGIONS) - regions), partial(way.client_of, account), ledger)
        return found


def _is_accepted(scope: ScopeStages) -> bool:
    """Whether a signed call was taken for what it is, whatever came of it."""
    error = scope.error
    return not scope.is_named and (error is None or (isinstance(error, Refused) and error.is_aws))


def _count(scope: ScopeStages) -> str:
    return f"{len(scope.arns):,}{' or more' if scope.has_more else ''}"


def _texts_of(errors: Iterable[ApiError]) -> str:
    return named(dict.fromkeys(map(str, errors)), 3)


def _remedy(error: ApiError) -> str:
    is_denied = isinstance(error, Refused) and not error.is_for_good
    return "allow ivs:ListStages, as `ivs-export doctor --policy` prints it" if is_denied else remedy_of(error)
