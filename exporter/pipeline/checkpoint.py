"""What waits for the next commit: buffered rows, files that are staged already, and the outcomes that become true."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.session_rows import lacks_row
from exporter.lake.arrow import pc
from exporter.lake.partitions import dates_in, of_date

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import pyarrow as pa

    from exporter.commit_log.records import SessionEntry, StageEntry
    from exporter.commit_log.sealing import SessionProgress
    from exporter.lake.data_files import DataFile
    from exporter.lake.tables.table import Table
    from exporter.model import Outcome, SessionKey
    from exporter.pipeline.session_decisions import SessionDecisions
    from exporter.settings import TableSettings

# What is in memory beside the bytes of columns: of a batch (eighteen columns, their dictionaries and buffers), of a
# date that it has rows of, of a unit's outcome and state, or of a session's.
_BATCH_SIZE_BYTES = 16 << 10
_DATE_SIZE_BYTES = 500
_UNIT_SIZE_BYTES = 600
_LINE_SIZE_BYTES = 50


class _Buffer:
    """The buffered rows of one table, under each UTC date, and the sessions that each date's rows are of."""

    def __init__(self) -> None:
        self.rows: dict[date, list[pa.RecordBatch]] = {}
        self.sessions: dict[date, set[SessionKey]] = {}
        self.size_bytes = 0

    def add(self, table: Table, rows: pa.RecordBatch) -> None:
        days = dates_in(table, rows)
        for day in days:
            self.rows.setdefault(day, []).append(rows)
            self.sessions.setdefault(day, set()).update(_sessions_in(table, rows, day, is_all=len(days) == 1))
        if days:
            self.size_bytes += rows.nbytes + _BATCH_SIZE_BYTES + _DATE_SIZE_BYTES * len(days)

    def take_over(self, other: _Buffer) -> None:
        for day, batches in other.rows.items():
            self.rows.setdefault(day, []).extend(batches)
            self.sessions.setdefault(day, set()).update(other.sessions[day])
        self.size_bytes += other.size_bytes


class Checkpoint:
    """What the next commit of one scope says.

    The mutable state: the buffered rows by table and date; ``rejects``, lines of JSON; the ``files`` that are staged;
    ``sessions``, those at work of which there may be news, by name; ``stages``, those with a new row; and the
    ``outcomes`` of units that become true with the commit.
    """

    def __init__(self) -> None:
        self.files: list[DataFile] = []
        self.sessions: dict[str, SessionProgress] = {}
        self.stages: list[StageEntry] = []
        self.outcomes: list[Outcome] = []
        self.rejects: list[bytes] = []
        self.rejects_size_bytes = 0
        self._buffers: dict[str, _Buffer] = {}
        self._sessions_in_rejects: set[SessionKey] = set()
        # Of each of the files, in the same order: the sessions that it holds rows of.
        self._sessions_in_files: list[set[SessionKey]] = []

    @property
    def size_bytes(self) -> int:
        """How much memory it takes, about."""
        rows_size_bytes = sum(buffer.size_bytes for buffer in self._buffers.values())
        units_size_bytes = _UNIT_SIZE_BYTES * max(len(self.outcomes), len(self.sessions))
        return rows_size_bytes + self.rejects_size_bytes + units_size_bytes

    def rows_of(self, table: Table) -> Mapping[date, Sequence[pa.RecordBatch]]:
        """The buffered batches of a table, under each UTC date that they have rows of."""
        return self._buffers[table.name].rows if table.name in self._buffers else {}

    def work_on(self, progress: SessionProgress) -> None:
        """Note that there may be news of a session."""
        self.sessions[progress.session.name] = progress

    def add(self, table: Table, rows: pa.RecordBatch) -> None:
        """Buffer more rows of a table."""
        self._buffers.setdefault(table.name, _Buffer()).add(table, rows)

    def reject(self, line: bytes, session: SessionKey) -> None:
        """Buffer one more reject."""
        self.rejects.append(line)
        self._sessions_in_rejects.add(session)
        self.rejects_size_bytes += len(line) + _LINE_SIZE_BYTES

    def staged(self, table: Table, files: Sequence[DataFile]) -> None:
        """Note that the buffered rows of a table are in these files now, one for each date in order; drop the rows."""
        buffer = self._buffers.pop(table.name)
        self.files += files
        self._sessions_in_files += [buffer.sessions[day] for day in sorted(buffer.rows)]

    def unstaged(self, files: Sequence[DataFile]) -> None:
        """Take back that the last files that were staged are part of the commit."""
        count = len(self.files) - len(files)
        del self.files[count:], self._sessions_in_files[count:]

    def rejects_staged(self, file: DataFile) -> None:
        """Note that the buffered rejects are in this file now; drop them."""
        self.files.append(file)
        self._sessions_in_files.append(self._sessions_in_rejects)
        self.rejects, self._sessions_in_rejects, self.rejects_size_bytes = [], set(), 0

    def take_over(self, other: Checkpoint) -> None:
        """Add the rows, rejects and files of ``other``."""
        for name, buffer in other._buffers.items():
            self._buffers.setdefault(name, _Buffer()).take_over(buffer)
        self.files += other.files
        self._sessions_in_files += other._sessions_in_files
        self.rejects += other.rejects
        self._sessions_in_rejects |= other._sessions_in_rejects
        self.rejects_size_bytes += other.rejects_size_bytes

    def drop_sessions_without_news(self, tables: TableSettings) -> None:
        """Keep only the sessions of which the commit has something to say."""
        self.sessions = {
            name: progress
            for name, progress in self.sessions.items()
            if progress.has_news or (tables.sessions and lacks_row(progress))
        }

    def committing(self, decisions: SessionDecisions) -> tuple[list[SessionEntry], dict[SessionKey, list[str]]]:
        """Note that the record is being made; return what it says of each session, and which new files hold its rows.

        These are named by their keys.
        """
        indices: dict[SessionKey, list[int]] = {progress.session.key: [] for progress in self.sessions.values()}
        for index, sessions in enumerate(self._sessions_in_files):
            for session in sessions:
                indices[session].append(index)
        entries = [
            progress.committing(
                tuple(indices[progress.session.key]), decisions.tables[name], is_sealed=name in decisions.sealed
            )
            for name, progress in self.sessions.items()
        ]
        return entries, {session: [self.files[index].key for index in own] for session, own in indices.items()}


def _sessions_in(table: Table, rows: pa.RecordBatch, day: date, *, is_all: bool) -> set[SessionKey]:
    """The sessions that the rows of a date are of. ``is_all`` says that all rows are of that date."""
    if "session_id" not in table.schema.names:
        return set()
    named = rows.select([*table.date_columns, "stage_arn", "session_id"])
    if not is_all:
        named = of_date(table, named, day)
    stages, sessions = named.column("stage_arn"), named.column("session_id")
    width = len(sessions.dictionary)
    pairs = pc.add(pc.multiply(stages.indices.cast("int64"), width), sessions.indices.cast("int64"))
    return {
        (stages.dictionary[pair // width].as_py(), sessions.dictionary[pair % width].as_py())
        for pair in pc.unique(pairs).to_pylist()
    }
