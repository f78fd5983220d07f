"""A region without a stage: whose sessions are missed there, and which other regions have stages.

It may be empty. A wrong region, or a wrong profile, looks the same. The account that was asked is the role's; else that
of the stages which the same credentials show in the run's other regions.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import structlog

from exporter.commit_log.reader import read_state, scopes_in
from exporter.commit_log.records import record_key
from exporter.errors import ExportError, Vanished
from exporter.ivs.operations import Operation
from exporter.model import scope_of
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from exporter.ivs.client import Client
    from exporter.lake.store import Records
    from exporter.ledger import ScopeLedger
    from exporter.model import Scope
    from exporter.pipeline.scope_plan import ScopePlan
    from exporter.settings import AccountSettings

# It is a hint, not worth a second try, and the run has done all else.
_WAIT_S = 10.0
_NO_ITEMS = b"[]"
_ARN = re.compile(rb'"arn"\s*:\s*"([\x21-\x7e]{1,128}?)"')
_NOT_SHOWN = (
    "ListStages in {region} shows no stage, and the lake has {open} of this account there: {asked}: mend the profile or"
    " the region, or name each account's role in [[accounts]]"
)
_FIRST_RECORD = 1
_log = structlog.get_logger(__name__)


class AccountsShown:
    """Which account the stages of each region show, for the regions that show none.

    Each part is settled once, whatever becomes of it: who asks waits for the others with the same credentials.
    """

    def __init__(self, parts: Iterable[ScopePlan]) -> None:
        self._open: dict[AccountSettings | None, set[ScopePlan]] = {}
        for part in parts:
            self._open.setdefault(part.account, set()).add(part)
        self._shown: dict[AccountSettings | None, set[str]] = {account: set() for account in self._open}
        self._settled = {account: asyncio.Event() for account in self._open}

    def settle(self, part: ScopePlan, account_id: str | None = None) -> None:
        """Note the account that AWS's list of a part's stages shows; None where there was no such list, or no stage."""
        if account_id is not None:
            self._shown[part.account].add(account_id)
        self._open[part.account].discard(part)
        if not self._open[part.account]:
            self._settled[part.account].set()

    async def account_of(self, part: ScopePlan) -> str | None:
        """The account that the part's credentials are of, once its neighbours are settled; None where none tells."""
        self.settle(part)
        if part.account is not None:
            return part.account.account_id
        await self._settled[part.account].wait()
        shown = self._shown[part.account]
        return next(iter(shown)) if len(shown) == 1 else None


async def warn_of_other_accounts(records: Records, scope: Scope) -> None:
    """Warn where a scope is new to a lake that has scopes of others in its region: the profile may be a wrong one.

    Raises :class:`LakeError` where the lake can't be read.
    """
    if await records.read(record_key(str(scope), _FIRST_RECORD)) is None:
        warn_of_accounts(scope.region, scope.account_id, await scopes_in(records))


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


async def name_others(records: Records, region: str, scopes: Sequence[Scope], ledger: ScopeLedger) -> None:
    """Let those of a lake's ``scopes`` in an empty region fail by name that have open sessions nobody looked for.

    Raises :class:`LakeError` for a damaged log.
    """
    asked = "which account was asked can't be told"
    if ledger.account_id is not None:
        warn_of_accounts(region, ledger.account_id, scopes)
        asked = f"the credentials are of account {ledger.account_id}"
    for scope in scopes:
        if count := sum(map(len, (await read_state(records, scope)).open.values())):
            missed = counted(count, "open session")
            ledger.fail(str(scope), Vanished(_NOT_SHOWN.format(region=region, open=missed, asked=asked)))


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
