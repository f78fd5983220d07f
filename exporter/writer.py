"""One scope's way from fetched units to committed files, by checkpoint: normalize → stage → commit → publish.

What is held in memory is bounded twice: raw pages until they are worth a batch, and rows until they are worth a file.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from exporter.channel import Channel, Closed
from exporter.domain import Session
from exporter.errors import LakeError, Overtaken, Vanished
from exporter.intake import Intake, UnitTaken
from exporter.ledger import Outcome
from exporter.normalize import Stamp
from exporter.present import Present
from exporter.publish import publish
from exporter.records import SessionLine
from exporter.recovery import file_name
from exporter.stage import discard, stage
from exporter.state import SessionState
from exporter.tables import EVENTS, split_by_date
from exporter.times import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    import pyarrow as pa

    from exporter.budget import Budget, Share
    from exporter.commit import Journal
    from exporter.domain import Fetched, SessionKey
    from exporter.finding import Finder
    from exporter.ledger import ScopeLedger
    from exporter.records import FileLine
    from exporter.store import Store
    from exporter.tracking import Tracked

    Work = tuple[Tracked, Fetched | None]

# Small enough for little memory, large enough that a batch's fixed cost does not show.
_BATCH_SIZE_BYTES = 1 << 20
_BATCH_UNITS = 4_096
# A row takes some 60 bytes until its checkpoint; a unit's outcome and state, or a session's, some 1,000.
_ROWS_A_UNIT = 10
# The least that an event takes on its way here: a name, a participant, a time.
_EVENT_SIZE_BYTES_MIN = 80


@dataclass(slots=True)
class _Held:
    """What waits for its checkpoint: rows by date, the sessions that they are of, and the outcomes that become true."""

    rows: dict[date, list[pa.RecordBatch]] = field(default_factory=dict)
    sessions: dict[date, set[SessionKey]] = field(default_factory=dict)
    tracked: dict[str, Tracked] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    count: int = 0

    def add(self, day: date, rows: pa.RecordBatch) -> None:
        self.rows.setdefault(day, []).append(rows)
        self.sessions.setdefault(day, set()).update(_sessions_in(rows))
        self.count += rows.num_rows

    @property
    def weight(self) -> int:
        """How much memory it takes, in rows."""
        return self.count + _ROWS_A_UNIT * max(len(self.outcomes), len(self.tracked))


@dataclass(slots=True)
class Writer:
    """Writes what one scope's units gave.

    ``clock`` is a monotonic clock in seconds; ``wall_us`` is the local time and ``now_us`` the service's, both in
    microseconds since the epoch.
    """

    store: Store
    journal: Journal
    ledger: ScopeLedger
    checkpoint_s: float
    budget: Budget
    clock: Callable[[], float]
    wall_us: Callable[[], int]
    now_us: Callable[[], int]
    _batch: list[tuple[Tracked, Fetched]] = field(default_factory=list)
    _batch_size_bytes: int = 0
    _held: _Held = field(default_factory=_Held)
    _intake: Intake = field(init=False)
    _share: Share = field(init=False)
    _waiting: asyncio.Timeout | None = None
    _is_due: bool = False
    _checkpoints: int = 0

    def __post_init__(self) -> None:
        self._intake = Intake(Present(self.store))
        self._share = self.budget.share(self._wake)

    async def write(self, works: Channel[Work]) -> None:
        """Take what comes until the channel is closed: fetched units, and sessions of which there is news.

        Raises :class:`LakeError` where a checkpoint fails.
        """
        due_s = self.clock() + self.checkpoint_s
        while True:
            work, is_over = None, False
            try:
                async with asyncio.timeout(max(due_s - self.clock(), 0.0)) as self._waiting:
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
            if self.clock() >= due_s or self._is_due:
                await self._checkpoint()
                due_s = self.clock() + self.checkpoint_s

    def _wake(self) -> None:
        """Commit soon: the rows in memory are too many, and here are the most of them."""
        self._is_due = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def close(self, finder: Finder, *, is_whole: bool) -> None:
        """Write the run's last record: what is no longer listed, how far the lake is complete, and the summary.

        ``is_whole`` says that the run was to take in everything that its scope lists.
        """
        lines = [self._vanished(*session) for session in finder.vanished] + finder.returned
        self.ledger.close()
        is_complete = is_whole and not self.ledger.listings_open and not self.ledger.listings_failed
        # A clock may have gone back, but this run came after those before it.
        listed_us = max(finder.began_us, self.journal.state.complete_until_us or 0) if is_complete else None
        self.ledger.complete_until_us = self.journal.state.sealed_until_us(listed_us)
        await self.journal.commit(
            text_of(self.wall_us()),
            sessions=lines,
            unlisted=finder.unlisted,
            latest_us=self.now_us(),
            complete_until_us=listed_us,
            summary=self.ledger.summary(),
        )

    def _vanished(self, stage_arn: str, session_id: str) -> SessionLine:
        known = self.journal.state.session(stage_arn, session_id) or SessionState()
        rows = sum(unit.rows for unit in known.units.values())
        name = Session(stage_arn, session_id).name
        self.ledger.sessions_vanished += 1
        self.ledger.fail(name, Vanished(f"no longer listed; {rows} rows of {len(known.units)} units are in the lake"))
        return SessionLine(
            stage_arn, session_id, "vanished", known.started_us, known.ended_us, earlier_files=tuple(known.files)
        )

    async def _take(self, tracked: Tracked, fetched: Fetched | None) -> None:
        self._held.tracked[tracked.session.name] = tracked
        if fetched is None:
            self._share.hold(self._held.weight)
            return
        if self._intake.is_large(fetched):
            await self._normalize()
        self._batch.append((tracked, fetched))
        self._batch_size_bytes += fetched.size_bytes
        most_bytes = min(_BATCH_SIZE_BYTES, self.budget.rows_max * _EVENT_SIZE_BYTES_MIN)
        if self._batch_size_bytes >= most_bytes or len(self._batch) >= _BATCH_UNITS:
            await self._normalize()

    async def _normalize(self) -> None:
        if not self._batch:
            return
        batch, self._batch, self._batch_size_bytes = self._batch, [], 0
        taken = await self._intake.take(batch, Stamp(self.journal.run_id, self.wall_us()))
        self.ledger.unknown_fields.update(taken.unknown_fields)
        for unit in taken.units:
            self._note(unit)
        for rows in taken.rows:
            for day, of_day in split_by_date(EVENTS, rows).items():
                self._held.add(day, of_day)
        self._share.hold(self._held.weight)

    def _note(self, unit: UnitTaken) -> None:
        """Note what came of a unit: at once where it failed, else with the commit that makes it true."""
        tracked, participant_id = unit.tracked, unit.fetched.unit.participant_id
        self._held.tracked[tracked.session.name] = tracked
        if unit.error is not None:
            self.ledger.outcomes[Outcome.FAILED] += 1
            self.ledger.fail(unit.fetched.unit.name, unit.error)
            tracked.failed(participant_id, self.now_us(), None)
            return
        is_known = participant_id in tracked.known.units
        self.ledger.events_fetched += unit.events
        self._held.outcomes.append(_outcome(unit.events, unit.lacked, is_known=is_known))
        tracked.fetched(participant_id, unit.fetched.began_us, unit.lacked)

    async def _checkpoint(self) -> None:
        """Commit all that is held: staged files, then the record, then their publication."""
        await self._normalize()
        held, self._held, self._is_due = self._held, _Held(), False
        held.tracked = {name: tracked for name, tracked in held.tracked.items() if tracked.has_news}
        if not held.tracked and not held.rows:
            self.ledger.outcomes.update(held.outcomes)
            self._share.hold(self._held.weight)
            return
        self._checkpoints += 1
        name = file_name(str(self.journal.scope), self.journal.epoch, self.journal.run_id, self._checkpoints)
        files = await stage(self.store, EVENTS, held.rows, name)
        lines, keys = _lines(held, files)
        await self._commit(files, lines)
        await self._publish(files)
        self.ledger.outcomes.update(held.outcomes)
        self.ledger.events_written += held.count
        self._share.hold(self._held.weight)
        for tracked, line in zip(held.tracked.values(), lines, strict=True):
            tracked.committed(line, keys[tracked.session.key])
            if tracked.is_told_sealed:
                self.ledger.sessions_sealed += 1
                self._intake.present.forget(tracked)

    async def _commit(self, files: Sequence[FileLine], lines: Sequence[SessionLine]) -> None:
        try:
            await self.journal.commit(
                text_of(self.wall_us()),
                files=files,
                sessions=lines,
                schema_versions={EVENTS.name: EVENTS.version},
                latest_us=self.now_us(),
            )
        except Overtaken:
            with suppress(LakeError):  # what is left is removed by the next run
                await discard(self.store, files)
            raise

    async def _publish(self, files: Sequence[FileLine]) -> None:
        self.ledger.files += len(files)
        self.ledger.size_bytes += sum(file.size_bytes for file in files)
        if gone := await publish(self.store, files):
            raise LakeError(f"{gone[0].key} was staged and is gone: something else removes files from the lake")


def _lines(held: _Held, files: Sequence[FileLine]) -> tuple[list[SessionLine], dict[SessionKey, list[str]]]:
    """What the record says of each session, and the keys of the new files that hold rows of it."""
    places: dict[SessionKey, list[int]] = {tracked.session.key: [] for tracked in held.tracked.values()}
    for place, day in enumerate(sorted(held.rows)):
        for session in held.sessions[day]:
            places[session].append(place)
    lines = [tracked.line(tuple(places[tracked.session.key])) for tracked in held.tracked.values()]
    return lines, {session: [files[place].key for place in of_it] for session, of_it in places.items()}


def _outcome(fetched: int, lacked: int, *, is_known: bool) -> Outcome:
    if lacked:
        return Outcome.EXPORTED
    return Outcome.UNCHANGED if fetched or is_known else Outcome.EMPTY


def _sessions_in(rows: pa.RecordBatch) -> set[SessionKey]:
    """The sessions that some rows are of."""
    stages, sessions = rows.column("stage_arn"), rows.column("session_id")
    width = len(sessions.dictionary)
    pairs = pc.add(pc.multiply(stages.indices.cast("int64"), width), sessions.indices.cast("int64"))
    return {
        (stages.dictionary[pair // width].as_py(), sessions.dictionary[pair % width].as_py())
        for pair in pc.unique(pairs).to_pylist()
    }
