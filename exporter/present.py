"""What the lake holds already: the event ids of units that are fetched again, and the rows that it lacks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.store import Files
    from exporter.tracking import Tracked

_log = structlog.get_logger()
_COLUMNS = ("stage_arn", "session_id", "participant_id", "event_id")


@dataclass(slots=True)
class Present:
    """Tells the event ids that the lake holds of a session's units. A session's files are read once in a run."""

    files: Files
    _sessions: dict[str, dict[str, pa.Int64Array]] = field(default_factory=dict)

    async def ids_of(self, tracked: Tracked, participant_id: str) -> pa.Int64Array | None:
        """The ids of a unit's rows in the lake; None where it has none."""
        if not tracked.holds_rows_of(participant_id):
            return None
        name = tracked.session.name
        if name not in self._sessions:
            self._sessions[name] = await self._read(tracked)
        return self._sessions[name].get(participant_id)

    def forget(self, tracked: Tracked) -> None:
        """Let go of a session that needs no more comparing."""
        self._sessions.pop(tracked.session.name, None)

    async def _read(self, tracked: Tracked) -> dict[str, pa.Int64Array]:
        parts = []
        for key in tracked.known.files:
            data = await self.files.read(key)
            if data is None:
                # Whoever removed it, its rows are what the lake lacks now.
                _log.warning("file_missing", file=key, session=tracked.session.name)
            else:
                parts.append(await asyncio.to_thread(_ids_in, data, tracked))
        return _by_participant(pa.concat_tables(parts)) if parts else {}


def lacking(
    rows: pa.RecordBatch, counts: Sequence[int], present: Mapping[int, pa.Int64Array]
) -> tuple[pa.RecordBatch, list[int]]:
    """The rows whose ids the lake lacks, and how many each unit has of them.

    ``rows`` are those of units one after another, as many of each as ``counts`` says; ``present`` gives, by a unit's
    place, the ids that the lake holds.
    """
    if not present:
        return rows, list(counts)
    ids, kept, left, start = rows.column("event_id"), [], [], 0
    for place, count in enumerate(counts):
        unit_ids = ids.slice(start, count)
        start += count
        if place in present:
            is_lacking = pc.invert(pc.is_in(unit_ids, value_set=present[place]))
        else:
            is_lacking = pa.repeat(pa.scalar(value=True), count)
        kept.append(is_lacking)
        left.append(is_lacking.true_count)
    return rows.filter(pa.concat_arrays(kept)) if kept else rows, left


def _ids_in(data: bytes, tracked: Tracked) -> pa.Table:
    session = tracked.session
    wanted = (pc.field("stage_arn") == session.stage_arn) & (pc.field("session_id") == session.session_id)
    table = pq.read_table(pa.BufferReader(data), columns=list(_COLUMNS), filters=wanted)
    return table.select(["participant_id", "event_id"])


def _by_participant(table: pa.Table) -> dict[str, pa.Int64Array]:
    grouped = table.group_by("participant_id").aggregate([("event_id", "list")])
    lists = grouped.column("event_id_list").combine_chunks()
    names = grouped.column("participant_id").to_pylist()
    return {name: lists[place].values for place, name in enumerate(names)}
