"""What the lake holds already of units that are fetched again, and the rows that it lacks.

The lake's own files tell: a row's id says which event it is, however and whenever it was fetched.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from exporter.errors import LakeError
from exporter.threads import compute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.domain import SessionKey
    from exporter.store import Files
    from exporter.tracking import Tracked

_log = structlog.get_logger()
_IDS_MAX = 2_000_000
_NO_IDS = pa.array([], pa.int64())

Ids = dict[str, pa.Int64Array]


@dataclass(slots=True)
class Present:
    """Reads from the lake which events it holds. What was read of a session is kept, up to some millions of ids."""

    files: Files
    _sessions: OrderedDict[SessionKey, Ids] = field(default_factory=OrderedDict)

    async def mask(self, units: Sequence[tuple[Tracked, str]], counts: Sequence[int], ids: pa.Int64Array) -> list[bool]:
        """Whether the lake holds each of the rows, which are those of ``units``, (session, participant), in order."""
        asked = [tracked for tracked, participant_id in units if tracked.holds_rows_of(participant_id)]
        if not asked:
            return [False] * len(ids)
        await self._load(asked)
        held: list[pa.BooleanArray] = []
        start = 0
        for (tracked, participant_id), count in zip(units, counts, strict=True):
            known = self._ids_of(tracked, participant_id)
            held.append(pc.is_in(ids.slice(start, count), value_set=known))
            start += count
        mask: list[bool] = pa.concat_arrays(held).to_pylist()
        return mask

    async def extras(self, sessions: Iterable[Tracked], ids: Sequence[int]) -> dict[int, str | None]:
        """By id, what the lake's rows with these ids have in their column ``extra``."""
        keys = dict.fromkeys(key for tracked in sessions for key in tracked.known.files)
        wanted = pc.field("event_id").isin(list(ids))
        found: dict[int, str | None] = {}
        for key in keys:
            table = await self._read(key, ["event_id", "extra"], wanted)
            found |= dict(zip(table.column("event_id").to_pylist(), table.column("extra").to_pylist(), strict=True))
        return found

    def forget(self, tracked: Tracked) -> None:
        """Let go of a session that needs no more comparing."""
        self._sessions.pop(tracked.session.key, None)

    def _ids_of(self, tracked: Tracked, participant_id: str) -> pa.Int64Array:
        if not tracked.holds_rows_of(participant_id):
            return _NO_IDS
        return self._sessions[tracked.session.key].get(participant_id, _NO_IDS)

    async def _load(self, asked: Iterable[Tracked]) -> None:
        """Read what is missing of some sessions, each file once."""
        missing = {tracked.session.key: tracked for tracked in asked if tracked.session.key not in self._sessions}
        of_file: dict[str, list[SessionKey]] = {}
        for session, tracked in missing.items():
            for key in tracked.known.files:
                of_file.setdefault(key, []).append(session)
        parts: dict[SessionKey, list[pa.Table]] = {session: [] for session in missing}
        for key, sessions in of_file.items():
            wanted = pc.field("session_id").isin([session_id for _, session_id in sessions])
            columns = ["stage_arn", "session_id", "participant_id", "event_id"]
            table = await self._read(key, columns, wanted)
            for stage_arn, session_id in sessions:
                of_session = (pc.field("stage_arn") == stage_arn) & (pc.field("session_id") == session_id)
                parts[stage_arn, session_id].append(table.filter(of_session).select(["participant_id", "event_id"]))
        for session, tables in parts.items():
            self._sessions[session] = _by_participant(pa.concat_tables(tables)) if tables else {}
        self._shrink(keep=len(missing))

    def _shrink(self, keep: int) -> None:
        """Let go of what was read first, but for the ``keep`` last sessions, while it is too much."""
        sizes = [sum(map(len, ids.values())) for ids in self._sessions.values()]
        total = sum(sizes)
        for size in sizes[: max(0, len(sizes) - keep)]:
            if total <= _IDS_MAX:
                return
            self._sessions.popitem(last=False)
            total -= size

    async def _read(self, key: str, columns: list[str], wanted: Any) -> pa.Table:  # noqa: ANN401 - an Arrow expression
        data = await self.files.read(key)
        if data is None:
            # Whoever removed it, its rows are what the lake lacks now.
            _log.warning("file_missing", file=key)
            return pa.table({name: pa.array([], pa.string()) for name in columns}).cast(_schema(columns))
        try:
            return await compute(pq.read_table, pa.BufferReader(data), columns=columns, filters=wanted)
        except pa.ArrowException as error:
            raise LakeError(f"{key} is damaged: {error}; `ivs-export verify` tells what else is") from error


def align(
    rows: pa.RecordBatch, equals: Sequence[Sequence[int]], held: Sequence[bool], extras: Mapping[int, str | None]
) -> pa.RecordBatch:
    """The rows, of equal events those first that the lake holds; the ids stay where they are.

    Of k equal events where the lake holds j, those numbered j to k - 1 are added: it must be those whose other fields
    the lake lacks. ``equals`` are the places of equal events; ``held`` says of each row whether the lake holds its id,
    and ``extras`` what the lake's row has in ``extra``, which is all that an identity leaves out.
    """
    order = list(range(rows.num_rows))
    ids = rows.column("event_id")
    for places in equals:
        theirs = Counter(extras[ids[place].as_py()] for place in places if held[place] and ids[place].as_py() in extras)
        if theirs:
            known: list[int] = []
            lacked: list[int] = []
            for place in places:
                extra = rows.column("extra")[place].as_py()
                (known if theirs[extra] > 0 else lacked).append(place)
                theirs[extra] -= 1
            for place, source in zip(places, known + lacked, strict=True):
                order[place] = source
    moved = rows.take(pa.array(order, pa.int64()))
    return moved.set_column(rows.schema.get_field_index("event_id"), "event_id", ids)


def partly_held(equals: Sequence[Sequence[int]], held: Sequence[bool]) -> list[Sequence[int]]:
    """Those groups of equal events of which the lake holds some, and not all."""
    return [places for places in equals if 0 < sum(held[place] for place in places) < len(places)]


def lacking(rows: pa.RecordBatch, counts: Sequence[int], held: Sequence[bool]) -> tuple[pa.RecordBatch, list[int]]:
    """The rows that the lake lacks, and how many each unit has of them; ``counts`` are those of all its rows."""
    if not any(held):
        return rows, list(counts)
    of_unit = chain.from_iterable(map(repeat, range(len(counts)), counts))
    left = Counter(unit for unit, is_held in zip(of_unit, held, strict=True) if not is_held)
    return rows.filter(pa.array([not each for each in held])), [left[unit] for unit in range(len(counts))]


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.int64() if name == "event_id" else pa.string()) for name in columns])


def _by_participant(table: pa.Table) -> Ids:
    grouped = table.group_by("participant_id").aggregate([("event_id", "list")])
    lists = grouped.column("event_id_list").combine_chunks()
    names = grouped.column("participant_id").to_pylist()
    return {name: lists[place].values for place, name in enumerate(names)}
