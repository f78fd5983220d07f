"""One scope under its lease: read the log, open an epoch, recover, export, and write down how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.commit_log.archive import Archive
from exporter.commit_log.healing import to_open_again
from exporter.commit_log.journal import Journal
from exporter.commit_log.lease import Holder, Lease
from exporter.commit_log.named_files import check_has_log
from exporter.commit_log.reader import read_state
from exporter.commit_log.recovery import recover
from exporter.discovery.cost import Estimate, estimate
from exporter.discovery.finder import Finder
from exporter.errors import ScopeLost
from exporter.pipeline.fan_out import Pipeline
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.writer import Writer
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.commit_log.process import Process
    from exporter.commit_log.state import ScopeState
    from exporter.discovery.listings import ListingPage
    from exporter.discovery.request import Request
    from exporter.ivs.retry import RetryingCaller
    from exporter.ivs.service_time import ServiceTime
    from exporter.lake.store import Store
    from exporter.ledger import ScopeLedger
    from exporter.machine.clock import Clock
    from exporter.model import Scope
    from exporter.pipeline.budget import Budget
    from exporter.pipeline.stop import Stop
    from exporter.settings import RunSettings


@dataclass(frozen=True, slots=True)
class ScopeExport:
    """What the export of one scope stands on.

    ``service_time`` is told by the ``caller``'s answers. ``budget`` bounds the rows that wait in memory. ``is_whole``
    says that the stages are all those of the region; those that are ``excluded`` are passed over. ``process`` is the
    one that the lease names, and ``is_gone`` says of another whether it has ended, None where that can't be seen.
    ``is_empty`` says that the region shows no stage, and may be the wrong one: open sessions are missed, and nothing
    else is believed.
    """

    scope: Scope
    store: Store
    caller: RetryingCaller
    settings: RunSettings
    request: Request
    ledger: ScopeLedger
    stop: Stop
    run_id: str
    budget: Budget
    is_whole: bool
    service_time: ServiceTime
    clock: Clock
    process: Process
    is_gone: Callable[[Process], bool | None]
    excluded: frozenset[str] = frozenset()
    is_empty: bool = False

    async def export(self, stages: AsyncIterator[ListingPage]) -> None:
        """Export the stages, alone in this scope.

        Raises :class:`ScopeHeld` or :class:`Overtaken` where another run has the scope, :class:`LogDamaged` where its
        log can't be built on, a :class:`ScopeLost`, and any other :class:`LakeError`.
        """
        holder = Holder(self.process, self.run_id, text_of(self.clock.wall_us()))
        lease = Lease(self.store, self.scope, holder, self.clock, self.is_gone)
        if not await self.stop.cut(lease.acquire(wait=self.request.wait)):
            return
        try:
            state = await self._state()
            journal = Journal(self.store, self.scope, self.run_id, state, tag=self.request.tag)
            await journal.begin(text_of(self.clock.wall_us()))
            await recover(self.store, journal, text_of(self.clock.wall_us()))
            await self._heal(journal)
            await journal.snapshot()
            await self._export(journal, stages)
        finally:
            await lease.release()

    async def _state(self) -> ScopeState:
        """What the log adds up to. One that is empty may be new, or lost: the files tell, before any call is made."""
        state = await read_state(self.store, self.scope)
        if not state.number:
            await check_has_log(self.store, self.scope)
        return state

    async def _heal(self, journal: Journal) -> None:
        """Take back, in one record, what rests on times that lie ahead of the local clock."""
        now_us = self.clock.wall_us()
        lines = await to_open_again(self.store, self.scope, journal.state, now_us)
        if lines is not None:
            await journal.commit(text_of(now_us), sessions=lines, void_after_us=now_us)

    async def survey(self, stages: AsyncIterator[ListingPage]) -> Estimate:
        """List what an export would fetch, and say what it would cost. Nothing is fetched, and nothing is written."""
        self.ledger.is_dry = True
        state, now_us = await self._state(), self.clock.wall_us()
        lines = await to_open_again(self.store, self.scope, state, now_us)
        if lines is not None:  # as the run's own first record will say
            state.take_back(now_us, lines)
        finder = self._finder(state, self._present())
        pipeline = self._pipeline(finder)
        units = await pipeline.survey(finder.stages(stages, is_whole_region=self.is_whole))
        return estimate(str(self.scope), units, self.ledger.calls, state.last, self.caller.rate)

    async def _export(self, journal: Journal, stages: AsyncIterator[ListingPage]) -> None:
        present = self._present()
        finder = self._finder(journal.state, present)
        pipeline = self._pipeline(finder)
        writer = Writer(
            self.store,
            journal,
            self.ledger,
            self.settings.checkpoint_s,
            self.budget,
            present,
            self.clock,
            self._now_us,
            self.settings.give_up_days,
        )
        try:
            await pipeline.export(finder.stages(stages, is_whole_region=self.is_whole), writer)
        except ScopeLost:
            await writer.close(finder, is_whole=False)
            raise
        if self.is_empty:
            finder.unlisted.clear()
        is_whole = self.is_whole and self.request.is_whole and not self.is_empty
        await writer.close(finder, is_whole=is_whole and self.stop.reason is None)

    def _present(self) -> KnownEvents:
        """What the lake holds. A scope has one for all: a file that any of its steps finds gone is gone for each."""
        return KnownEvents(self.store, self.budget.known)

    def _finder(self, state: ScopeState, present: KnownEvents) -> Finder:
        self.service_time.latest_us = lambda: state.latest_us
        archive = Archive(self.store, self.scope)
        return Finder(
            self.caller,
            self.request,
            self.settings,
            state,
            archive,
            self.ledger,
            self._now_us,
            present.participants,
            self.excluded,
        )

    def _pipeline(self, finder: Finder) -> Pipeline:
        return Pipeline(self.caller, finder, self.ledger, self.stop, self.settings.give_up_days, self._now_us)

    def _now_us(self) -> int:
        return self.service_time.now_us
