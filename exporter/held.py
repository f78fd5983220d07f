"""What waits for its checkpoint: rows in memory, files that are staged already, and the outcomes that become true."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from exporter.tables import EVENTS, split_by_date

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pyarrow as pa

    from exporter.domain import SessionKey
    from exporter.ledger import Outcome
    from exporter.records import FileLine, SessionLine
    from exporter.tracking import Tracked

# A row takes some 60 bytes until its checkpoint; a unit's outcome and state, or a session's, some 1,000.
_ROWS_A_UNIT = 10


@dataclass(slots=True)
class Held:
    """What the next commit of one scope says.

    ``rows`` are those in memory, by their UTC date, and ``sessions`` those that they are of. ``files`` are staged, and
    ``sessions_in`` says of each, in the same order, which sessions it holds rows of. ``tracked`` are the sessions of
    which there may be news, by name. ``row_count`` counts the rows in memory.
    """

    rows: dict[date, list[pa.RecordBatch]] = field(default_factory=dict)
    sessions: dict[date, set[SessionKey]] = field(default_factory=dict)
    files: list[FileLine] = field(default_factory=list)
    sessions_in: list[set[SessionKey]] = field(default_factory=list)
    tracked: dict[str, Tracked] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    row_count: int = 0

    @property
    def weight(self) -> int:
        """How much memory it takes, in rows."""
        return self.row_count + _ROWS_A_UNIT * max(len(self.outcomes), len(self.tracked))

    def add(self, rows: pa.RecordBatch) -> None:
        """Hold some rows more."""
        for day, of_day in split_by_date(EVENTS, rows).items():
            self.rows.setdefault(day, []).append(of_day)
            self.sessions.setdefault(day, set()).update(_sessions_in(of_day))
        self.row_count += rows.num_rows

    def take_over(self, other: Held) -> None:
        """Hold the rows and files of ``other``, too."""
        for day, batches in other.rows.items():
            self.rows.setdefault(day, []).extend(batches)
            self.sessions.setdefault(day, set()).update(other.sessions[day])
        self.files += other.files
        self.sessions_in += other.sessions_in
        self.row_count += other.row_count

    def staged(self, files: Sequence[FileLine]) -> None:
        """Note that the rows in memory are in these files now, one for each date in order, and let go of them."""
        self.files += files
        self.sessions_in += [self.sessions[day] for day in sorted(self.rows)]
        self.rows, self.sessions, self.row_count = {}, {}, 0

    def lines(self) -> tuple[list[SessionLine], dict[SessionKey, list[str]]]:
        """What the record says of each session, and the keys of the new files that hold rows of it."""
        places: dict[SessionKey, list[int]] = {tracked.session.key: [] for tracked in self.tracked.values()}
        for place, sessions in enumerate(self.sessions_in):
            for session in sessions:
                places[session].append(place)
        lines = [tracked.line(tuple(places[tracked.session.key])) for tracked in self.tracked.values()]
        return lines, {session: [self.files[place].key for place in of_it] for session, of_it in places.items()}


def _sessions_in(rows: pa.RecordBatch) -> set[SessionKey]:
    """The sessions that some rows are of."""
    stages, sessions = rows.column("stage_arn"), rows.column("session_id")
    width = len(sessions.dictionary)
    pairs = pc.add(pc.multiply(stages.indices.cast("int64"), width), sessions.indices.cast("int64"))
    return {
        (stages.dictionary[pair // width].as_py(), sessions.dictionary[pair % width].as_py())
        for pair in pc.unique(pairs).to_pylist()
    }
