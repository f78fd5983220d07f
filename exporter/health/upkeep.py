"""Work on a scope's log beside exporting: under its lease, in an epoch of its own, after recovery."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.commit_log.commits import RunEnd
from exporter.commit_log.journal import Journal
from exporter.commit_log.lease import Holder, Lease
from exporter.commit_log.reader import read_state
from exporter.commit_log.recovery import recover
from exporter.ledger import ScopeLedger
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from exporter.commit_log.process import Process
    from exporter.commit_log.state import ScopeState
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from exporter.model import Scope


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Who works on a lake. ``run_id`` stands in the records and the names of the files that are written.

    ``process`` is the one that leases name, and ``is_gone`` says of another whether it has ended, None where that can't
    be seen from here. ``ensure_lake`` is called before anything is written: it makes the lake's file where that is
    missing, and raises where nothing may be written.
    """

    store: Store
    run_id: str
    clock: Clock
    process: Process
    is_gone: Callable[[Process], bool | None]
    ensure_lake: Callable[[], Awaitable[None]] | None = None

    @asynccontextmanager
    async def journal(
        self,
        scope: Scope,
        read: Callable[[Store, Scope], Awaitable[ScopeState]] = read_state,
        *,
        is_repair: bool = False,
    ) -> AsyncIterator[Journal]:
        """Hold a scope, and its journal in a new epoch, which is closed by a record of its own.

        ``read`` gives the scope's state. Raises :class:`ScopeHeld`, :class:`Overtaken` and :class:`LogDamaged` as an
        export does, and any other :class:`LakeError`.
        """
        if self.ensure_lake is not None:
            await self.ensure_lake()
        lease = Lease(self.store, scope, Holder(self.process, self.run_id, self.now()), self.clock, self.is_gone)
        await lease.acquire(wait=False)
        try:
            journal = Journal(self.store, scope, self.run_id, await read(self.store, scope))
            await journal.begin(self.now())
            await recover(self.store, journal, self.now(), is_repair=is_repair)
            yield journal
            ledger = ScopeLedger(scope.region, scope.account_id)
            ledger.close()
            own = {"command": "repair" if is_repair else "verify --accept-missing", "outcome": "complete"}
            (await journal.commit(self.now(), end=RunEnd({**ledger.summary(), **own}))).check()
        finally:
            await lease.release()

    def now(self) -> str:
        """The local time, as records carry it."""
        return text_of(self.clock.wall_us())
