"""What waits for its checkpoint: rows in memory, files that are staged already, and the outcomes that become true."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from exporter.lake.partitions import dates_in, of_date
from exporter.lake.tables.events import EVENTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pyarrow as pa

    from exporter.commit_log.records import SessionEntry
    from exporter.commit_log.sealing import SessionProgress
    from exporter.lake.data_files import DataFile
    from exporter.ledger import Outcome
    from exporter.model import SessionKey

# What is in memory beside the bytes of columns: of a batch (eighteen columns, their dictionaries and buffers), of a
# date that it has rows of, of a unit's outcome and state, or of a session's.
_BATCH_SIZE_BYTES = 16 << 10
_DATE_SIZE_BYTES = 500
_UNIT_SIZE_BYTES = 600
_LINE_SIZE_BYTES = 50


@dataclass(slots=True)
class Checkpoint:
    """What the next commit of one scope says.

    ``rows`` are the batches in memory, under each UTC date that they have rows of, and ``sessions`` those that these
    rows are of. ``files`` are staged, and ``sessions_in`` says of each, in the same order, which sessions it holds rows
    of. ``tracked`` are the sessions of which there may be news, by name. ``rows_size_bytes`` is what the batches take.
    ``rejects`` are lines of JSON in memory, ``rejects_of`` the sessions that they are of.
    """

    rows: dict[date, list[pa.RecordBatch]] = field(default_factory=dict)
    sessions: dict[date, set[SessionKey]] = field(default_factory=dict)
    files: list[DataFile] = field(default_factory=list)
    sessions_in: list[set[SessionKey]] = field(default_factory=list)
    tracked: dict[str, SessionProgress] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    rows_size_bytes: int = 0
    rejects: list[bytes] = field(default_factory=list)
    rejects_of: set[SessionKey] = field(default_factory=set)
    rejects_size_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        """How much memory it takes, about."""
        units_size_bytes = _UNIT_SIZE_BYTES * max(len(self.outcomes), len(self.tracked))
        return self.rows_size_bytes + self.rejects_size_bytes + units_size_bytes

    def add(self, rows: pa.RecordBatch) -> None:
        """Hold some rows more."""
        days = dates_in(EVENTS, rows)
        for day in days:
            self.rows.setdefault(day, []).append(rows)
            self.sessions.setdefault(day, set()).update(_sessions_in(rows, day, is_all=len(days) == 1))
        if days:
            self.rows_size_bytes += rows.nbytes + _BATCH_SIZE_BYTES + _DATE_SIZE_BYTES * len(days)

    def reject(self, line: bytes, session: SessionKey) -> None:
        """Hold one reject more."""
        self.rejects.append(line)
        self.rejects_of.add(session)
        self.rejects_size_bytes += len(line) + _LINE_SIZE_BYTES

    def rejects_staged(self, file: DataFile) -> None:
        """Note that the rejects in memory are in this file now, and let go of them."""
        self.files.append(file)
        self.sessions_in.append(self.rejects_of)
        self.rejects, self.rejects_of, self.rejects_size_bytes = [], set(), 0

    def take_over(self, other: Checkpoint) -> None:
        """Hold the rows and files of ``other``, too."""
        for day, batches in other.rows.items():
            self.rows.setdefault(day, []).extend(batches)
            self.sessions.setdefault(day, set()).update(other.sessions[day])
        self.files += other.files
        self.sessions_in += other.sessions_in
        self.rows_size_bytes += other.rows_size_bytes
        self.rejects += other.rejects
        self.rejects_of |= other.rejects_of
        self.rejects_size_bytes += other.rejects_size_bytes

    def staged(self, files: Sequence[DataFile]) -> None:
        """Note that the rows in memory are in these files now, one for each date in order, and let go of them."""
        self.files += files
        self.sessions_in += [self.sessions[day] for day in sorted(self.rows)]
        self.rows, self.sessions, self.rows_size_bytes = {}, {}, 0

    def lines(self) -> tuple[list[SessionEntry], dict[SessionKey, list[str]]]:
        """What the record says of each session, and the keys of the new files that hold rows of it."""
        places: dict[SessionKey, list[int]] = {tracked.session.key: [] for tracked in self.tracked.values()}
        for place, sessions in enumerate(self.sessions_in):
            for session in sessions:
                places[session].append(place)
        lines = [tracked.line(tuple(places[tracked.session.key])) for tracked in self.tracked.values()]
        return lines, {session: [self.files[place].key for place in of_it] for session, of_it in places.items()}


def _sessions_in(rows: pa.RecordBatch, day: date, *, is_all: bool) -> set[SessionKey]:
    """The sessions that the rows of a date are of."""
    named = rows.select([EVENTS.time_column, "stage_arn", "session_id"])
    if not is_all:
        named = of_date(EVENTS, named, day)
    stages, sessions = named.column("stage_arn"), named.column("session_id")
    width = len(sessions.dictionary)
    pairs = pc.add(pc.multiply(stages.indices.cast("int64"), width), sessions.indices.cast("int64"))
    return {
        (stages.dictionary[pair // width].as_py(), sessions.dictionary[pair % width].as_py())
        for pair in pc.unique(pairs).to_pylist()
    }
