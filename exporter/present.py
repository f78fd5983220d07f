"""What the lake holds already: the event ids of units that are fetched again, and the rows that it lacks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.store import Files
    from exporter.tracking import Tracked

Others = str
_NO_IDS = pa.array([], pa.int64())
_log = structlog.get_logger()
# An id says nothing of these: what has no column, and the order of what stands inside tokens.
_OTHERS = ("extra", "previous_token", "new_token")
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

    async def align(
        self,
        units: Sequence[Tracked],
        counts: Sequence[int],
        rows: pa.RecordBatch,
        equals: Sequence[Sequence[int]],
        present: Mapping[int, pa.Int64Array],
    ) -> pa.RecordBatch:
        """The rows, of equal events those first that the lake holds; the ids stay where they are.

        The rows are those of ``units`` one after another, as many of each as ``counts`` says; ``equals`` are the places
        of equal events, and ``present`` gives, by a unit's place, the ids that the lake holds.
        """
        ids = rows.column("event_id")
        order: dict[int, int] = {}
        of_unit = list(chain.from_iterable(map(repeat, range(len(units)), counts))) if equals and present else []
        for places in equals if of_unit else ():
            held = present.get(of_unit[places[0]], _NO_IDS)
            known = held.filter(pc.is_in(held, value_set=ids.take(pa.array(places))))
            if 0 < len(known) < len(places):
                theirs = await self._others_of(units[of_unit[places[0]]], known.to_pylist())
                first = known_first(others_in(rows.take(pa.array(places))), theirs)
                order |= {place: places[source] for place, source in zip(places, first, strict=True)}
        if not order:
            return rows
        moved = rows.take(pa.array([order.get(place, place) for place in range(rows.num_rows)], pa.int64()))
        return moved.set_column(0, rows.schema.field(0), ids)

    async def _others_of(self, tracked: Tracked, ids: Sequence[int]) -> list[Others]:
        """What the lake's rows with these ids hold beside their identity."""
        found: list[Others] = []
        for key in tracked.known.files:
            if (data := await self.files.read(key)) is not None:
                found += await asyncio.to_thread(_others_in, data, ids)
        return found


def known_first(others: Sequence[Others], theirs: Sequence[Others]) -> list[int]:
    """The places of equal events in such an order that those which the lake holds already come first.

    Of k equal events where the lake holds j, those numbered j to k - 1 are added: it must be those whose other fields
    the lake lacks. ``others`` are the other fields of the k, ``theirs`` of the j. What the lake holds and nobody tells
    of any more counts for whichever comes first.
    """
    left = list(theirs)
    known: list[int] = []
    lacked: list[int] = []
    for place, each in enumerate(others):
        if each in left:
            left.remove(each)
            known.append(place)
        else:
            lacked.append(place)
    return known + lacked


def others_in(rows: pa.RecordBatch | pa.Table) -> list[Others]:
    """What the rows hold beside their identity, in a form that can be compared."""
    columns = [rows.column(name).to_pylist() for name in _OTHERS]
    return [repr(each) for each in zip(*columns, strict=True)]


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


def _others_in(data: bytes, ids: Sequence[int]) -> list[Others]:
    wanted = pc.field("event_id").isin(list(ids))
    return others_in(pq.read_table(pa.BufferReader(data), columns=list(_OTHERS), filters=wanted))


def _by_participant(table: pa.Table) -> dict[str, pa.Int64Array]:
    grouped = table.group_by("participant_id").aggregate([("event_id", "list")])
    lists = grouped.column("event_id_list").combine_chunks()
    names = grouped.column("participant_id").to_pylist()
    return {name: lists[place].values for place, name in enumerate(names)}
