"""A region without a stage: whose sessions are missed there, and which other regions have stages.

It may be empty. A wrong region, or a wrong profile, looks the same. The account that was asked is the role's; else that
of the stages which the same credentials show in the run's other regions; else, where the lake has scopes of the region,
the one that STS names.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING

from exporter.commit_log.layout import record_key
from exporter.commit_log.once import Once
from exporter.commit_log.reader import read_state, scopes_in
from exporter.errors import ExportError, LogDamaged, Vanished
from exporter.ivs.operations import Operation
from exporter.model import scope_of
from exporter.telemetry.logger import Logger
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.empty_listings import RegionOfAccount
    from exporter.ivs.client import Client
    from exporter.ledger import ScopeLedger
    from exporter.model import Scope
    from exporter.pipeline.scope_plan import ScopePlan
    from exporter.pipeline.stop import Stop
    from exporter.pipeline.surroundings import Services
    from exporter.settings import AccountSettings

    #: Keeps in the lake that a region is empty.
    NoteEmpty = Callable[[RegionOfAccount], Awaitable[None]]

# How long other regions are asked whether they have stages: a hint, not worth a second try.
_WAIT_S = 10.0
_NO_ITEMS = b"[]"
_ARN = re.compile(rb'"arn"\s*:\s*"([\x21-\x7e]{1,128}?)"')
_NOT_SHOWN = (
    "ListStages in {region} shows no stage, and the lake has {open} of {scope}: {asked}, so nothing is written of them:"
    " mend the profile or the region, or name each account's role in [[accounts]]"
)
_FIRST_RECORD = 1
_log = Logger(__name__)


class AccountsShown:
    """Which account the stages of each region show, for the regions that show none.

    Each plan is settled once, whatever becomes of it: who asks waits for the others with the same credentials.
    """

    def __init__(self, plans: Iterable[ScopePlan]) -> None:
        self._open: dict[AccountSettings | None, set[ScopePlan]] = {}
        for plan in plans:
            self._open.setdefault(plan.account, set()).add(plan)
        self._shown: dict[AccountSettings | None, set[str]] = {account: set() for account in self._open}
        self._settled = {account: asyncio.Event() for account in self._open}

    def settle(self, plan: ScopePlan, account_id: str | None = None) -> None:
        """Note the account that AWS's list of a plan's stages shows; None where there was no such list, or no stage."""
        if account_id is not None:
            self._shown[plan.account].add(account_id)
        self._open[plan.account].discard(plan)
        if not self._open[plan.account]:
            self._settled[plan.account].set()

    def is_shown(self, account_id: str) -> bool:
        """Whether stages of an account were shown so far."""
        return any(account_id in shown for shown in self._shown.values())

    async def account_of(self, plan: ScopePlan) -> str | None:
        """The account that the plan's credentials are of, once its neighbours are settled; None where none shows it."""
        self.settle(plan)
        if plan.account is not None:
            return plan.account.account_id
        await self._settled[plan.account].wait()
        shown = self._shown[plan.account]
        return next(iter(shown)) if len(shown) == 1 else None


class EmptyRegions:
    """What a run makes of its regions without a stage: whose each is, and what of the lake is missed there.

    The lake's scopes are listed once in a run, and STS is asked once, where anything hangs on it. A scope is missed
    only where the account that was asked is its own: an empty region of one account says nothing of another's, where
    both are at home in the lake. An account that is new to it, and shows no stage, may be a wrong profile: what may be
    missed is named, and nothing is written. Stages that are ``excluded`` are not missed. ``note`` keeps in the lake
    that a region is empty, where it knows of no stage there; None: nothing is to be kept.

    The mutable state: the empty regions so far of which nobody is sure whose they are.
    """

    def __init__(
        self,
        plans: Iterable[ScopePlan],
        services: Services,
        stop: Stop,
        excluded: AbstractSet[str],
        note: NoteEmpty | None = None,
    ) -> None:
        self._shown = AccountsShown(plans)
        self._store = services.store
        self._stop = stop
        self._excluded = excluded
        self._note = note
        self._scopes = Once(partial(scopes_in, services.store))
        self._own_account = Once(services.own_account or _nobody)
        self._unsure: list[tuple[ScopePlan, ScopeLedger]] = []

    def settle(self, plan: ScopePlan) -> None:
        """Note that a plan shows no account any more, whatever became of it."""
        self._shown.settle(plan)

    async def note_account(self, plan: ScopePlan, scope: Scope) -> None:
        """Let regions without stages know whose credentials these are, and warn where the lake knows only others.

        The profile may be a wrong one. Raises :class:`LakeError` where the lake can't be read.
        """
        is_listed = not plan.stage_arns
        self._shown.settle(plan, scope.account_id if is_listed else None)
        if is_listed and plan.account is None:
            known = await self._store.read(record_key(str(scope), _FIRST_RECORD))
            if known is None:
                warn_of_accounts(scope.region, scope.account_id, await self._scopes.get())

    async def missed(self, plan: ScopePlan, ledger: ScopeLedger) -> Scope | None:
        """The lake's scope in an empty region of the account that was asked: its open sessions are missed.

        None where the lake has none of that account; and where nobody knows yet which account was asked, or that one
        is new to the lake, for `name_unsure`. Raises :class:`LakeError` where the lake can't be read.
        """
        ledger.account_id = await self._stop.cut(self._shown.account_of(plan))
        scopes = await self._scopes_of(plan.region)
        if scopes and ledger.account_id is None:
            ledger.account_id = await self._stop.cut(self._own_account.get())
        if not scopes:
            await self._keep(plan)
            return None
        if ledger.account_id is None:
            self._unsure.append((plan, ledger))
            return None
        own = _of_account(scopes, ledger.account_id)
        if own is None and plan.account is not None:
            await self._keep(plan)
        elif own is None:
            if await self._is_known(ledger.account_id):
                warn_of_accounts(plan.region, ledger.account_id, scopes)
            else:
                self._unsure.append((plan, ledger))
        return own

    async def _keep(self, plan: ScopePlan) -> None:
        """Keep in the lake that the plan's region is empty, where anything is to be kept."""
        if self._note is not None:
            await self._note((None if plan.account is None else plan.account.account_id, plan.region))

    async def name_unsure(self) -> None:
        """Name what may be missed where nobody knew which account was asked, and write nothing of it.

        Call it when all else is done: the regions that were looked at last may have shown the account. Raises
        :class:`LakeError` where the lake can't be read; a damaged log is its region's failure.
        """
        for plan, ledger in self._unsure if self._stop.reason is None else ():
            scopes = await self._scopes_of(plan.region)
            own = None if ledger.account_id is None else _of_account(scopes, ledger.account_id)
            if ledger.account_id is not None and own is None and await self._is_known(ledger.account_id):
                warn_of_accounts(plan.region, ledger.account_id, scopes)
                continue
            try:
                await self._name_open(scopes if own is None else [own], ledger)
            except LogDamaged as error:
                ledger.lose(error, is_damaged=True)

    async def _is_known(self, account_id: str) -> bool:
        """Whether an account is one of the lake's or shows stages in this run: else its profile may be a wrong one."""
        return self._shown.is_shown(account_id) or any(
            scope.account_id == account_id for scope in await self._scopes.get()
        )

    async def _name_open(self, scopes: Sequence[Scope], ledger: ScopeLedger) -> None:
        """Let the open sessions of a scope fail by name; of several scopes, those that have any: none is blamed."""
        asked = "nothing shows which account was asked"
        if ledger.account_id is not None:
            asked = f"the credentials are of account {ledger.account_id}"
        for scope in scopes:
            missed = await self._open_sessions(scope)
            missed_error = Vanished(
                _NOT_SHOWN.format(
                    region=scope.region, open=counted(len(missed), "open session"), scope=scope, asked=asked
                )
            )
            if len(scopes) > 1 and missed:
                ledger.fail(str(scope), missed_error)
            elif missed:
                for name in missed:
                    ledger.session_vanished(name, missed_error)

    async def _open_sessions(self, scope: Scope) -> list[str]:
        state = await read_state(self._store, scope)
        return [
            f"{stage_arn}/{session_id}"
            for stage_arn in sorted(state.open.keys() - self._excluded)
            for session_id in sorted(state.open[stage_arn])
        ]

    async def _scopes_of(self, region: str) -> list[Scope]:
        return [scope for scope in await self._scopes.get() if scope.region == region]


async def _nobody() -> None:
    """Name no account, where STS can't be asked."""


def _of_account(scopes: Iterable[Scope], account_id: str) -> Scope | None:
    return next((scope for scope in scopes if scope.account_id == account_id), None)


def warn_of_accounts(region: str, account_id: str, scopes: Iterable[Scope]) -> None:
    """Warn where a lake's ``scopes`` in a region are all of other accounts than the one that was asked."""
    others = sorted(scope.account_id for scope in scopes if scope.region == region)
    if others and account_id not in others:
        _log.warning(
            "another account",
            region=region,
            account_id=account_id,
            in_lake=others,
            reason=(
                f"the lake has scopes of account {', '.join(others)} in {region}, and this run's credentials are of"
                f" account {account_id}: if that is not meant, mend the profile"
            ),
        )


async def regions_with_stages(
    regions: Iterable[str], client_of: Callable[[str], Awaitable[Client]], ledger: ScopeLedger
) -> dict[str, str | None]:
    """Those of ``regions`` that show a stage, with its account, each asked once, all at the same time, in ten seconds.

    ``client_of`` gives the way to a region. The calls are counted in ``ledger``. A region that can't be asked is passed
    over, whatever the reason: nothing that a run was to do depends on it.
    """

    async def ask(region: str) -> tuple[str, str | None] | None:
        try:
            client = await client_of(region)
            ledger.calls[Operation.LIST_STAGES] += 1
            page = await client.ask(Operation.LIST_STAGES, {"maxResults": 1})
        except ExportError:
            return None
        if page.items.replace(b" ", b"") == _NO_ITEMS:
            return None
        shown = _ARN.search(page.items)
        scope = scope_of(shown[1].decode()) if shown else None
        return region, scope.account_id if scope else None

    asking = [asyncio.create_task(ask(region)) for region in regions]
    if not asking:
        return {}
    done, late = await asyncio.wait(asking, timeout=_WAIT_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return dict(found for task in done if (found := task.result()) is not None)
