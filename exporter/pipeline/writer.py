"""One scope's way from fetched units to committed files, by checkpoint: normalize → stage → commit → publish.

What waits in memory is bounded twice, in bytes: raw pages until they are worth a batch, and rows until they are worth a
file. A unit with more rows than that is staged while it is read, and its files are named by the record that names the
unit.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from exporter.errors import EventUndated
from exporter.lake.tables import REJECTS
from exporter.lake.tables.events import EVENTS
from exporter.model import Outcome
from exporter.normalize.columns import Stamp
from exporter.pipeline.channel import Channel, Closed
from exporter.pipeline.checkpoint import Checkpoint
from exporter.pipeline.delivery import (
    ParticipantAwaited,
    ParticipantDescribed,
    ParticipantsListed,
    SessionNews,
    StageListed,
    UnitFetched,
    size_bytes_of,
)
from exporter.pipeline.listed_rows import ListedRows
from exporter.pipeline.lone_units import LoneUnits
from exporter.pipeline.new_rows import EventRowMaker
from exporter.pipeline.retired import without_retired
from exporter.text import undated

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.commit_log.rejects import Parted
    from exporter.commit_log.sealing import SessionProgress
    from exporter.ledger import ScopeLedger
    from exporter.model import FetchedUnit, Unit
    from exporter.pipeline.committer import Committer
    from exporter.pipeline.delivery import Delivery
    from exporter.pipeline.known_events import KnownEvents
    from exporter.pipeline.new_rows import UnitResult
    from exporter.pipeline.run_context import RunContext

# Small enough that the event loop is soon free again, large enough that a batch's fixed cost does not show.
_BATCH_SIZE_BYTES = 1 << 18
# Large enough that a piece's fixed cost does not show, small enough for little memory: it takes some ten times as much.
_PIECE_SIZE_BYTES = 1 << 20
_BATCH_UNITS = 1_024
# Details are asked for before events are, at the same pace: those of the last units are on their way at a checkpoint.
# It waits for them, unless more units than this have come meanwhile: these wait in memory, too.
_DETAILS_WAIT_S = 5.0
_LATER_SIZE_BYTES_MAX = 1 << 20
# The rows of a unit that is taken alone are staged when they are this part of the bound.
_LONE_PART = 2


class Writer:
    """Writes what one scope's units gave. ``now_us`` is the service's clock, in microseconds since the epoch.

    A unit with events without a readable time is abandoned ``give_up_days`` after its session's end.

    The mutable state: the batch of units that are not normalized yet, the checkpoint that is being filled, the units
    whose events it has and not their rows, and whether a commit is due.
    """

    def __init__(
        self,
        context: RunContext,
        committer: Committer,
        ledger: ScopeLedger,
        known_events: KnownEvents,
        now_us: Callable[[], int],
    ) -> None:
        self._committer = committer
        self._ledger = ledger
        self._clock = context.clock
        self._now_us = now_us
        self._stop = context.stop
        self._run_id = context.run_id
        self._checkpoint_s = context.settings.run.checkpoint_s
        self._give_up_days = context.settings.run.give_up_days
        self._share = context.budget.share(self._wake)
        size_bytes_max = context.budget.size_bytes_max
        piece_size_bytes = min(_PIECE_SIZE_BYTES, size_bytes_max)
        self._row_maker = EventRowMaker(known_events, context.budget.turns, piece_size_bytes, context.privacy)
        self._lone_units = LoneUnits(
            context.store, self._row_maker, committer, size_bytes_max // _LONE_PART, self._use_with
        )
        self._listed = ListedRows(context.settings.tables, context.privacy, self._stamp, ledger)
        self._taken: set[Unit] = set()
        self._batch: list[tuple[SessionProgress, FetchedUnit]] = []
        self._batch_size_bytes = 0
        self._checkpoint = Checkpoint()
        self._waiting: asyncio.Timeout | None = None
        self._is_due = False

    async def write(self, deliveries: Channel[Delivery]) -> None:
        """Take what is delivered until the channel is closed, and commit all of it.

        Raises :class:`LakeError` where a checkpoint fails.
        """
        try:
            await self._write(deliveries)
        finally:
            self._share.give_back()
            self._committer.losses.report()

    async def _write(self, deliveries: Channel[Delivery]) -> None:
        due_s = self._clock.monotonic_s() + self._checkpoint_s
        with suppress(Closed):
            while True:
                delivery = await self._next(deliveries, due_s)
                if delivery is not None:
                    await self._take(delivery)
                if self._clock.monotonic_s() >= due_s or self._is_due:
                    later = await self._await_details(deliveries)
                    await self._commit()
                    due_s = self._clock.monotonic_s() + self._checkpoint_s
                    for unit in later:
                        await self._take(unit)
        await self._commit(is_last=True)

    async def _next(self, deliveries: Channel[Delivery], due_s: float) -> Delivery | None:
        """The next delivery; None where a checkpoint is due before it comes. Raises :class:`Closed` after the last."""
        try:
            async with asyncio.timeout(max(due_s - self._clock.monotonic_s(), 0.0)) as self._waiting:
                return await deliveries.get()
        except TimeoutError:
            return None
        finally:
            self._waiting = None

    async def _await_details(self, deliveries: Channel[Delivery]) -> list[UnitFetched]:
        """Wait a little for details of participants whose events are about to be committed.

        Returns the units that came meanwhile: they belong to the next checkpoint. Many of them end the wait.
        """
        later: list[UnitFetched] = []
        left_bytes = _LATER_SIZE_BYTES_MAX
        with suppress(Closed, TimeoutError):
            async with asyncio.timeout(_DETAILS_WAIT_S):
                while self._waits_for_details() and left_bytes > 0:
                    delivery = await deliveries.get()
                    if isinstance(delivery, UnitFetched):
                        later.append(delivery)
                        left_bytes -= size_bytes_of(delivery)
                    else:
                        await self._take(delivery)
        return later

    def _waits_for_details(self) -> bool:
        return self._listed.waits_for(chain(self._taken, (fetched.unit for _, fetched in self._batch)))

    def _wake(self) -> None:
        """Commit soon: the rows of all scopes take too much memory, and this scope has the most of them."""
        self._is_due = True
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def _take(self, delivery: Delivery) -> None:
        match delivery:
            case UnitFetched(progress, fetched):
                await self._take_unit(progress, fetched)
                return  # it is in no buffer before its batch is normalized, which reports what that takes
            case StageListed():
                self._listed.take_stage(delivery, self._checkpoint)
            case ParticipantsListed():
                self._listed.take_participants(delivery, self._checkpoint)
            case ParticipantAwaited(progress, participant_id):
                self._listed.await_participant(progress, participant_id)
            case ParticipantDescribed():
                self._listed.take_details(delivery, self._checkpoint)
            case SessionNews(progress):
                self._checkpoint.work_on(progress)
        self._use_with(0)

    async def _take_unit(self, progress: SessionProgress, fetched: FetchedUnit) -> None:
        self._checkpoint.work_on(progress)
        if self._row_maker.is_large(fetched):
            await self._take_alone(progress, fetched)
            return
        self._batch.append((progress, fetched))
        self._batch_size_bytes += fetched.size_bytes
        worth_bytes = min(_BATCH_SIZE_BYTES, self._row_maker.piece_size_bytes)
        if self._batch_size_bytes >= worth_bytes or len(self._batch) >= _BATCH_UNITS:
            await self._normalize()

    async def _normalize(self) -> None:
        """Make the rows of the batch, and buffer those that the lake lacks."""
        if not self._batch:
            return
        batch, self._batch, self._batch_size_bytes = self._batch, [], 0
        new = await self._row_maker.take(batch, self._stamp())
        self._ledger.note_unknown(new.unknown_fields)
        rows, left_out = without_retired(EVENTS, new.rows, [unit.progress for unit in new.units])
        self._checkpoint.add(EVENTS, rows)
        self._use_with(0)
        for unit in new.units:
            unit.lacked -= left_out[unit.fetched.unit]
            if isinstance(unit.error, EventUndated):
                await self._take_alone(unit.progress, unit.fetched)
            else:
                self._note(unit)

    async def _take_alone(self, progress: SessionProgress, fetched: FetchedUnit) -> None:
        """Take one unit by itself: nothing of it counts before all of it could be read."""
        lone = await self._lone_units.take(progress, fetched, self._stamp())
        if lone.result.error is None:
            self._ledger.note_unknown(lone.unknown_fields)
            self._checkpoint.take_over(lone.checkpoint)
        if lone.parted is None:
            self._note(lone.result)
        else:
            self._note_in_part(lone.result, lone.parted)
        self._use_with(0)

    def _stamp(self) -> Stamp:
        return Stamp(self._run_id, self._clock.wall_us())

    def _note(self, unit: UnitResult) -> None:
        """Note what came of a unit: at once where it failed, else with the commit that makes it true."""
        progress, fetched = unit.progress, unit.fetched
        participant_id = fetched.unit.participant_id
        self._take_events_of(fetched.unit)
        self._checkpoint.work_on(progress)
        if unit.error is not None:
            self._ledger.unit_failed(fetched.unit.name, unit.error, was_fetched=True)
            progress.failed(participant_id, self._now_us(), 0.0, is_refused=False)
            return
        is_known = participant_id in progress.known.units
        self._ledger.events_fetched += unit.events
        self._checkpoint.outcomes.append(_outcome(unit.events, unit.lacked, is_known=is_known))
        progress.fetched(participant_id, fetched.began_us, unit.lacked)

    def _note_in_part(self, unit: UnitResult, parted: Parted) -> None:
        """Note a unit of which some events are rejects: it fails by name, until it is abandoned."""
        self._take_events_of(unit.fetched.unit)
        self._checkpoint.work_on(unit.progress)
        self._ledger.events_fetched += unit.events + parted.count
        is_abandoned = unit.progress.fetched_in_part(
            unit.fetched.unit.participant_id,
            unit.fetched.began_us,
            rows=unit.lacked,
            rejects=parted.new_count,
            now_us=self._now_us(),
            give_up_days=self._give_up_days,
        )
        if is_abandoned:
            self._checkpoint.outcomes.append(Outcome.ABANDONED)
            return
        message = undated(parted.count, unit.events + parted.count)
        error = EventUndated(f"{message}: they are kept in {REJECTS}/")
        self._ledger.unit_failed(unit.fetched.unit.name, error, was_fetched=True)

    def _take_events_of(self, unit: Unit) -> None:
        if self._listed.holds_row_of(unit):
            self._taken.add(unit)

    async def _commit(self, *, is_last: bool = False) -> None:
        """Commit all that was taken so far."""
        await self._normalize()
        is_stopped = self._stop.reason is not None
        self._listed.flush(self._checkpoint, self._taken, is_last=is_last, is_stopped=is_stopped)
        self._taken = set()
        checkpoint, self._checkpoint = self._checkpoint, Checkpoint()
        await self._committer.commit(checkpoint)
        self._ledger.units_committed(checkpoint.outcomes)
        # A scope that was woken meanwhile was woken for what is committed now.
        self._is_due = False
        self._use_with(0)

    def _use_with(self, alone_size_bytes: int) -> None:
        """Report to the budget what the buffered rows take, with those of a unit that is taken alone."""
        self._share.use(self._checkpoint.size_bytes + self._listed.size_bytes + alone_size_bytes)


def _outcome(fetched: int, lacked: int, *, is_known: bool) -> Outcome:
    if lacked:
        return Outcome.EXPORTED
    return Outcome.UNCHANGED if fetched or is_known else Outcome.EMPTY
