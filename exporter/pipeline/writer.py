"""One scope's way from fetched units to committed files, by checkpoint: normalize → stage → commit → publish.

What is held in memory is bounded twice, in bytes: raw pages until they are worth a batch, and rows until they are worth
a file. A unit with more rows than that is staged while it is read, and its files are named by the record that names the
unit.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.commit_log.named_files import NamedFiles
from exporter.commit_log.records import SessionEntry
from exporter.commit_log.rejects import Parted, part
from exporter.commit_log.state import SessionState
from exporter.errors import (
    EventUndated,
    EventUnreadable,
    FileDamaged,
    LakeError,
    LogDamaged,
    Overtaken,
    TemporaryFolderRefused,
    Vanished,
)
from exporter.lake.data_files import file_name
from exporter.lake.staging import discard, publish, stage, stage_lines
from exporter.lake.tables import REJECTS
from exporter.lake.tables.events import EVENTS
from exporter.ledger import Outcome, add_names
from exporter.model import Session
from exporter.normalize.events import Stamp
from exporter.pipeline.channel import Channel, Closed
from exporter.pipeline.checkpoint import Checkpoint
from exporter.pipeline.losses import Losses
from exporter.pipeline.new_rows import RowMaker, UnitResult
from exporter.pipeline.retired import without_retired
from exporter.text import counted, undated
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from exporter.commit_log.journal import Journal
    from exporter.commit_log.sealing import SessionProgress
    from exporter.discovery.finder import Finder
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Store
    from exporter.ledger import ScopeLedger
    from exporter.machine.clock import Clock
    from exporter.model import FetchedUnit
    from exporter.pipeline.budget import Budget, Share
    from exporter.pipeline.known_events import KnownEvents

    Delivery = tuple[SessionProgress, FetchedUnit | None]

# Small enough that the event loop is soon free again, large enough that a batch's fixed cost does not show.
_BATCH_SIZE_BYTES = 1 << 18
# Large enough that a piece's fixed cost does not show, small enough for little memory: it takes some ten times as much.
_PIECE_SIZE_BYTES = 1 << 20
_BATCH_UNITS = 1_024
# A large unit's rows are staged when they are this part of the bound, so that they come on top of little.
_LARGE_PART = 2
# A file of rejects is read as a whole to see what is kept already.
_REJECTS_SIZE_BYTES = 4 << 20


@dataclass(slots=True)
class Writer:
    """Writes what one scope's units gave. ``now_us`` is the service's time, in microseconds since the epoch.

    A unit with events that can't be given a time is given up ``give_up_days`` after its session's end. ``present``
    tells what the lake holds, and which files were found gone, by whatever step.
    """

    store: Store
    journal: Journal
    ledger: ScopeLedger
    checkpoint_s: float
    budget: Budget
    present: KnownEvents
    clock: Clock
    now_us: Callable[[], int]
    give_up_days: float
    _batch: list[tuple[SessionProgress, FetchedUnit]] = field(default_factory=list)
    _batch_size_bytes: int = 0
    _held: Checkpoint = field(default_factory=Checkpoint)
    _intake: RowMaker = field(init=False)
    _share: Share = field(init=False)
    _named: NamedFiles = field(init=False)
    _losses: Losses = field(init=False)
    _waiting: asyncio.Timeout | None = None
    _is_due: bool = False
    _stagings: int = 0

    def __post_init__(self) -> None:
        piece_size_bytes = min(_PIECE_SIZE_BYTES, self.budget.size_bytes_max)
        self._intake = RowMaker(self.present, self.budget.turns, piece_size_bytes)
        self._share = self.budget.share(self._wake)
        self._named = NamedFiles(self.store, self.journal.scope)
        self._losses = Losses(self.store, self.journal, self.ledger, self.clock, self.present)

    async def write(self, works: Channel[Delivery]) -> None:
        """Take what comes until the channel is closed: fetched units, and sessions of which there is news.

        Raises :class:`LakeError` where a checkpoint fails.
        """
        try:
            await self._write(works)
        finally:
            self._share.give_back()
            self._losses.tell()

    async def _write(self, works: Channel[Delivery]) -> None:
        due_s = self.clock.monotonic_s() + self.checkpoint_s
        while True:
            work, is_over = None, False
            try:
                async with asyncio.timeout(max(due_s - self.clock.monotonic_s(), 0.0)) as self._waiting:
                    work = await works.get()
            except Closed:
                is_over = True
            except TimeoutError:
                pass  # a checkpoint is due
            self._waiting = None
            if is_over:
                await self._checkpoint()
                return
            if work is not None:
                await self._take(*work)
            if self.clock.monotonic_s() >= due_s or self._is_due:
                await self._checkpoint()
                due_s = self.clock.monotonic_s() + self.checkpoint_s

    def _wake(self) -> None:
        """Commit soon: the rows in memory are too many, and here are the most of them."""
        self._is_due = True
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def close(self, finder: Finder, *, is_whole: bool) -> None:
        """Write the run's last record: what is no longer listed, how far the lake is complete, and the summary.

        ``is_whole`` says that the run was to take in everything that its scope lists.
        """
        await self._losses.let_go(self._held.tracked)
        self._losses.tell()
        lines = [self._vanished(*session) for session in finder.vanished]
        lines += [line for line in finder.returned if not self._losses.has_opened((line.stage_arn, line.session_id))]
        self.ledger.close()
        is_complete = is_whole and not self.ledger.listings_open and not self.ledger.listings_failed
        listed_us = self._listed_us(finder.began_us) if is_complete else None
        self.ledger.complete_until_us = self.journal.state.sealed_until_us(listed_us)
        await self.journal.commit(
            text_of(self.clock.wall_us()),
            sessions=lines,
            unlisted=finder.unlisted,
            latest_us=self.now_us(),
            complete_until_us=listed_us,
            summary=self.ledger.summary(),
        )

    def _listed_us(self, began_us: int) -> int:
        """When the run began that has listed everything: a clock may have gone back, but it came after those before.

        A time that has not come yet is obeyed in no log.
        """
        before_us = self.journal.state.complete_until_us or 0
        return max(began_us, before_us) if before_us <= self.now_us() else began_us

    def _vanished(self, stage_arn: str, session_id: str) -> SessionEntry:
        known = self.journal.state.session(stage_arn, session_id) or SessionState()
        rows = sum(unit.rows for unit in known.units.values())
        name = Session(stage_arn, session_id).name
        self.ledger.session_vanished(
            name,
            Vanished(f"no longer listed; in the lake: {counted(rows, 'row')} of {counted(len(known.units), 'unit')}"),
        )
        return SessionEntry(
            stage_arn,
            session_id,
            "vanished",
            known.started_us,
            known.ended_us,
            known.latest_end_us,
            earlier_files=tuple(known.files),
            has_rejects=known.has_rejects,
        )

    async def _take(self, tracked: SessionProgress, fetched: FetchedUnit | None) -> None:
        self._held.tracked[tracked.session.name] = tracked
        if fetched is None:
            self._share.hold(self._held.size_bytes)
            return
        if self._intake.is_large(fetched):
            await self._take_large(tracked, fetched)
            return
        self._batch.append((tracked, fetched))
        self._batch_size_bytes += fetched.size_bytes
        worth_bytes = min(_BATCH_SIZE_BYTES, self._intake.piece_size_bytes)
        if self._batch_size_bytes >= worth_bytes or len(self._batch) >= _BATCH_UNITS:
            await self._normalize()

    async def _normalize(self) -> None:
        if not self._batch:
            return
        batch, self._batch, self._batch_size_bytes = self._batch, [], 0
        taken = await self._intake.take(batch, self._stamp())
        self.ledger.note_unknown(taken.unknown_fields)
        rows, left_out = without_retired(taken.rows, [unit.tracked for unit in taken.units])
        self._held.add(rows)
        self._share.hold(self._held.size_bytes)
        for unit in taken.units:
            unit.lacked -= left_out[unit.fetched.unit]
            if isinstance(unit.error, EventUndated):
                await self._take_large(unit.tracked, unit.fetched)
            else:
                self._note(unit)

    async def _take_large(self, tracked: SessionProgress, fetched: FetchedUnit) -> None:
        """Take one unit piece by piece, apart from the others: nothing of it counts before all of it could be read."""
        apart, parted = Checkpoint(), None
        try:
            try:
                unit, unknown_fields = await self._fill(apart, tracked, fetched)
            except EventUndated:
                await self._discard(apart.files)
                apart, parted = Checkpoint(), await part(self.store, tracked, fetched)
                unit, unknown_fields = await self._fill(apart, tracked, parted.fetched)
                await self._fill_rejects(apart, tracked, parted)
        except (EventUnreadable, TemporaryFolderRefused, FileDamaged) as error:
            unit = UnitResult(tracked, fetched, error=type(error)(str(error)))  # without this frame in it
            await self._discard(apart.files)
        except LakeError:
            await self._discard(apart.files)
            raise
        else:
            self.ledger.note_unknown(unknown_fields)
            self._held.take_over(apart)
        if parted is None or unit.error is not None:
            self._note(unit)
        else:
            self._note_in_part(unit, parted)
        self._share.hold(self._held.size_bytes)

    async def _fill(
        self, apart: Checkpoint, tracked: SessionProgress, fetched: FetchedUnit
    ) -> tuple[UnitResult, Counter[str]]:
        """Put one unit's rows into ``apart``, piece by piece."""
        unit, unknown_fields, left_out = UnitResult(tracked, fetched), Counter[str](), 0
        async for piece in self._intake.pieces(tracked, fetched, self._stamp()):
            unit = piece.units[-1] if piece.units else unit
            add_names(unknown_fields, piece.unknown_fields)
            rows, retired = without_retired(piece.rows, [tracked])
            left_out += retired.total()
            apart.add(rows)
            if apart.size_bytes > self.budget.size_bytes_max // _LARGE_PART:
                await self._stage(apart)
            self._share.hold(self._held.size_bytes + apart.size_bytes)
        unit.lacked -= left_out
        return unit, unknown_fields

    async def _fill_rejects(self, apart: Checkpoint, tracked: SessionProgress, parted: Parted) -> None:
        """Put into ``apart`` those of a unit's rejects that the lake lacks."""
        async for line in parted.lines(self._stamp()):
            apart.reject(line, tracked.session.key)
            if apart.rejects_size_bytes >= min(_REJECTS_SIZE_BYTES, self.budget.size_bytes_max // _LARGE_PART):
                await self._stage_rejects(apart)
            self._share.hold(self._held.size_bytes + apart.size_bytes)

    def _stamp(self) -> Stamp:
        return Stamp(self.journal.run_id, self.clock.wall_us())

    def _note(self, unit: UnitResult) -> None:
        """Note what came of a unit: at once where it failed, else with the commit that makes it true."""
        tracked, participant_id = unit.tracked, unit.fetched.unit.participant_id
        self._held.tracked[tracked.session.name] = tracked
        if unit.error is not None:
            self.ledger.unit_failed(unit.fetched.unit.name, unit.error)
            tracked.failed(participant_id, self.now_us(), 0.0, is_refused=False)
            return
        is_known = participant_id in tracked.known.units
        self.ledger.events_fetched += unit.events
        self._held.outcomes.append(_outcome(unit.events, unit.lacked, is_known=is_known))
        tracked.fetched(participant_id, unit.fetched.began_us, unit.lacked)

    def _note_in_part(self, unit: UnitResult, parted: Parted) -> None:
        """Note a unit of which some events are rejects: it fails by name, until it is given up."""
        self.ledger.events_fetched += unit.events + parted.count
        is_given_up = unit.tracked.fetched_in_part(
            unit.fetched.unit.participant_id,
            unit.fetched.began_us,
            unit.lacked,
            parted.new_count,
            self.now_us(),
            self.give_up_days,
        )
        self._held.tracked[unit.tracked.session.name] = unit.tracked
        if is_given_up:
            self._held.outcomes.append(Outcome.ABANDONED)
            return
        message = undated(parted.count, unit.events + parted.count)
        self.ledger.unit_failed(unit.fetched.unit.name, EventUndated(f"{message}: they are kept in {REJECTS}/"))

    async def _checkpoint(self) -> None:
        """Commit all that is held: staged files, then the record, then their publication."""
        await self._normalize()
        held, self._held = self._held, Checkpoint()
        await self._losses.let_go(held.tracked)
        held.tracked = {name: tracked for name, tracked in held.tracked.items() if tracked.has_news}
        if held.tracked:
            await self._stage(held)
            await self._commit(held)
        self.ledger.units_ended(held.outcomes)
        # Whoever woke this scope meanwhile meant what is committed now.
        self._is_due = False
        self._share.hold(self._held.size_bytes)

    async def _stage(self, held: Checkpoint) -> None:
        """Move the rows that are held to staged files; where that fails, what was staged before goes with them."""
        self._stagings += 1
        name = file_name(str(self.journal.scope), self.journal.epoch, self.journal.run_id, self._stagings)
        try:
            held.staged(await stage(self.store, EVENTS, held.rows, name))
        except LakeError:
            await self._discard(held.files)
            raise
        await self._stage_rejects(held)

    async def _stage_rejects(self, held: Checkpoint) -> None:
        """Move the rejects that are held to a staged file, as `_stage` does with rows."""
        if not held.rejects:
            return
        self._stagings += 1
        name = file_name(str(self.journal.scope), self.journal.epoch, self.journal.run_id, self._stagings)
        try:
            held.rejects_staged(await stage_lines(self.store, REJECTS, held.rejects, name))
        except LakeError:
            await self._discard(held.files)
            raise

    async def _discard(self, files: Sequence[DataFile]) -> None:
        with suppress(LakeError):  # what is left is removed by the next run
            await discard(self.store, files)

    async def _commit(self, held: Checkpoint) -> None:
        """Commit what is staged, publish it, and note that it is so.

        Raises :class:`LogDamaged` where the log does not know the files that they would lie beside.
        """
        try:
            await self._named.check(held.files, self.journal.state.number)
            await self._losses.let_go(held.tracked)  # sessions were looked up in their files meanwhile
            lines, keys = held.lines()
            await self.journal.commit(
                text_of(self.clock.wall_us()),
                files=held.files,
                sessions=lines,
                schema_versions={EVENTS.name: EVENTS.version},
                latest_us=self.now_us(),
            )
        except (Overtaken, LogDamaged):
            await self._discard(held.files)
            raise
        await self._publish(held.files)
        self.ledger.published(held.files)
        for tracked, line in zip(held.tracked.values(), lines, strict=True):
            tracked.committed(line, keys[tracked.session.key])
            if tracked.is_told_sealed:
                self.ledger.sessions_sealed += 1
                self.present.forget(tracked.session.key)

    async def _publish(self, files: Sequence[DataFile]) -> None:
        if gone := await publish(self.store, files):
            raise LakeError(f"{gone[0].key} was staged and is gone: something else removes files from the lake")


def _outcome(fetched: int, lacked: int, *, is_known: bool) -> Outcome:
    if lacked:
        return Outcome.EXPORTED
    return Outcome.UNCHANGED if fetched or is_known else Outcome.EMPTY
