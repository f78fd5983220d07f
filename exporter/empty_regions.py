"""A region without a stage: whose sessions are missed there, and which other regions have stages.

It may be empty. A wrong region, or a wrong profile, looks the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from exporter.api.operations import Operation
from exporter.errors import ExportError
from exporter.log_reader import read_state, scopes_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from exporter.api.client import Client
    from exporter.domain import Scope
    from exporter.ledger import ScopeLedger
    from exporter.store import Records

# It is a hint, not worth a second try, and the run has done all else.
_WAIT_S = 10.0
_NO_ITEMS = b"[]"


async def sessions_open_in(records: Records, region: str, account_id: str | None) -> dict[Scope, int]:
    """The scopes that the lake has in a region, of one account or of all, each with the count of its open sessions.

    Raises :class:`LakeError` where a log can't be read.
    """
    scopes = [scope for scope in await scopes_in(records) if scope.region == region]
    return {
        scope: sum(map(len, (await read_state(records, scope)).open.values()))
        for scope in scopes
        if account_id in (None, scope.account_id)
    }


async def regions_with_stages(
    regions: Iterable[str], client_of: Callable[[str], Awaitable[Client]], ledger: ScopeLedger
) -> set[str]:
    """Those of ``regions`` that show a stage, each asked once, all at the same time, within ten seconds.

    ``client_of`` gives the way to a region. The calls are counted in ``ledger``. A region that can't be asked is passed
    over, whatever the reason: nothing that a run was to do depends on it.
    """

    async def ask(region: str) -> str | None:
        try:
            client = await client_of(region)
            ledger.calls[Operation.LIST_STAGES] += 1
            page = await client.ask(Operation.LIST_STAGES, {"maxResults": 1})
        except ExportError:
            return None
        return region if page.items.replace(b" ", b"") != _NO_ITEMS else None

    asking = [asyncio.create_task(ask(region)) for region in regions]
    if not asking:
        return set()
    done, late = await asyncio.wait(asking, timeout=_WAIT_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {region for task in done if (region := task.result()) is not None}
