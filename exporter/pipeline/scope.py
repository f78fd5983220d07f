"""One scope under its lease: read the log, open an epoch, recover, export, and write down how it went."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exporter.commit_log.archive import Archive
from exporter.commit_log.closing import close
from exporter.commit_log.healing import to_open_again
from exporter.commit_log.journal import Journal
from exporter.commit_log.lease import Holder, Lease
from exporter.commit_log.named_files import check_has_log
from exporter.commit_log.reader import read_state
from exporter.commit_log.recovery import recover
from exporter.discovery.finder import Finder
from exporter.discovery.oddities import Oddities
from exporter.discovery.plan import ExportPlan
from exporter.discovery.unit_finder import UnitFinder
from exporter.errors import ScopeLost
from exporter.pipeline.committer import Committer
from exporter.pipeline.fan_out import Pipeline
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.writer import Writer
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.commit_log.closing import ListingReport
    from exporter.commit_log.state import ScopeState
    from exporter.discovery.cost import Estimate
    from exporter.discovery.listings import ListingPage
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.model import Scope
    from exporter.pipeline.run_context import RunContext


@dataclass(frozen=True, slots=True)
class ScopeExport:
    """The export of one scope.

    ``is_whole`` says that the stages are all those of the region. ``is_empty`` says that the region shows no stage, and
    may be the wrong one: open sessions are missed, and nothing else is believed.
    """

    context: RunContext
    scope: Scope
    caller: RetryingCaller
    ledger: ScopeLedger
    is_whole: bool
    is_empty: bool = False

    async def export(self, stages: AsyncIterator[ListingPage]) -> None:
        """Export the stages, alone in this scope.

        Raises :class:`ScopeHeld` or :class:`Overtaken` where another run has the scope, :class:`LogDamaged` where its
        log can't be built on, :class:`StopRequested` where a stop was asked for before the scope was this run's, a
        :class:`ScopeLost`, and any other :class:`LakeError`.
        """
        context = self.context
        holder = Holder(context.surroundings.process, context.run_id, self._now())
        lease = Lease(context.store, self.scope, holder, context.clock, context.surroundings.is_gone)
        await context.stop.cut(lease.acquire(wait=context.request.scopes.wait))
        try:
            journal = await self._open_journal()
            await self._export(journal, stages)
        finally:
            await lease.release()

    async def survey(self, stages: AsyncIterator[ListingPage]) -> Estimate:
        """List what an export would fetch, and estimate its cost. Nothing is fetched, and nothing is written."""
        self.ledger.is_dry = True
        state, now_us = await self._read_state(), self.context.clock.wall_us()
        entries = await to_open_again(self.context.store, self.scope, state, now_us)
        if entries is not None:  # as the run's own first record will say
            state.take_back(now_us, entries)
        oddities = Oddities(self.ledger.name)
        finder = self._finder(state, oddities)
        await self._pipeline(finder, self._known_events(), oddities).survey(
            finder.stages(stages, is_whole_region=self.is_whole, is_empty=self.is_empty)
        )
        oddities.report()
        return finder.plan.cost(str(self.scope), self.ledger.calls, self.caller.rate)

    async def _open_journal(self) -> Journal:
        """Open the log for this run: its epoch begins, and what an earlier run left is set right."""
        context = self.context
        state = await self._read_state()
        journal = Journal(context.store, self.scope, context.run_id, state, tag=context.request.tag)
        await journal.begin(self._now())
        await recover(context.store, journal, self._now())
        await self._heal(journal)
        await journal.snapshot()
        return journal

    async def _read_state(self) -> ScopeState:
        """What the log adds up to. One that is empty may be new, or lost: the files show, before any call is made."""
        state = await read_state(self.context.store, self.scope)
        if not state.number:
            await check_has_log(self.context.store, self.scope)
        return state

    async def _heal(self, journal: Journal) -> None:
        """Take back, in one record, what rests on times that lie ahead of the local clock."""
        now_us = self.context.clock.wall_us()
        entries = await to_open_again(self.context.store, self.scope, journal.state, now_us)
        if entries is not None:
            (await journal.take_back(text_of(now_us), now_us, entries)).check()

    async def _export(self, journal: Journal, stages: AsyncIterator[ListingPage]) -> None:
        known_events = self._known_events()
        oddities = Oddities(self.ledger.name)
        finder = self._finder(journal.state, oddities)
        committer = Committer(
            self.context, journal, self.ledger, known_events, self._now_us, listed_stages=finder.plan.listed_stages
        )
        writer = Writer(self.context, committer, self.ledger, known_events, self._now_us)
        pipeline = self._pipeline(finder, known_events, oddities)
        try:
            await pipeline.export(finder.stages(stages, is_whole_region=self.is_whole, is_empty=self.is_empty), writer)
        except ScopeLost:
            await self._close(journal, committer, finder.report, is_whole=False)
            raise
        finally:
            oddities.report()
        is_whole = self.is_whole and self.context.request.is_whole and not self.is_empty
        report = replace(finder.report, unlisted=()) if self.is_empty else finder.report
        await self._close(journal, committer, report, is_whole=is_whole and self.context.stop.reason is None)

    async def _close(self, journal: Journal, committer: Committer, report: ListingReport, *, is_whole: bool) -> None:
        """Write the run's last record, once the log has let go of all files that were found gone."""
        await committer.losses.let_go({})
        committer.losses.report()
        self.ledger.seconds = self.context.clock.monotonic_s() - self.ledger.began_s
        await close(journal, self.ledger, report, at=self._now(), now_us=self._now_us(), is_whole=is_whole)

    def _known_events(self) -> KnownEvents:
        """What the lake holds. A scope has one for all: a file that any of its steps finds gone is gone for each."""
        return KnownEvents(self.context.store, self.context.budget.known)

    def _finder(self, state: ScopeState, oddities: Oddities) -> Finder:
        context = self.context
        self.caller.service_time.latest_us = lambda: state.latest_us
        return Finder(
            self.caller,
            ExportPlan(state, context.request, context.settings),
            Archive(context.store, self.scope),
            self.ledger,
            now_us=self._now_us,
            excluded=frozenset(context.settings.exclude_stages),
            oddities=oddities,
        )

    def _pipeline(self, finder: Finder, known_events: KnownEvents, oddities: Oddities) -> Pipeline:
        units = UnitFinder(
            self.caller,
            finder.plan,
            self.ledger,
            now_us=self._now_us,
            participants_in_lake=known_events.participants,
            oddities=oddities,
        )
        return Pipeline(
            self.caller,
            finder,
            units,
            self.ledger,
            self.context.stop,
            give_up_days=self.context.settings.run.give_up_days,
            now_us=self._now_us,
        )

    def _now(self) -> str:
        """The local time, as records carry it."""
        return text_of(self.context.clock.wall_us())

    def _now_us(self) -> int:
        """The service's time."""
        return self.caller.service_time.now_us
