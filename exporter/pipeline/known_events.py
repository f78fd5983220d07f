"""What the lake holds already of units that are fetched again.

The lake's own files tell: a row's id says which event it is, however and whenever it was fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import structlog

from exporter.compute import compute
from exporter.errors import FileDamaged, TemporaryFolderRefused
from exporter.lake.parquet_footer import row_groups_of
from exporter.lake.parquet_values import check_values
from exporter.lake.tables.events import EVENTS
from exporter.model import Unit
from exporter.normalize.event_id import ROW_COLUMNS, row_hashes
from exporter.normalize.numbering import NO_IDS, LakeRow, extra_of
from exporter.pipeline.known_ids import KnownIds, SessionIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from exporter.commit_log.sealing import SessionProgress
    from exporter.lake.parquet_footer import RowGroup
    from exporter.lake.store import Files
    from exporter.model import SessionKey

    #: Why what the lake holds of a unit can't be had.
    NotHad = TemporaryFolderRefused | FileDamaged
    #: The ids of sessions, or why they can't be had.
    Sessions = dict[SessionKey, SessionIds | NotHad]

_log = structlog.get_logger()
_ID_COLUMNS = ("stage_arn", "session_id", "participant_id", "event_id")
_IDS_AT_ONCE = 65_536
# Texts of any length may stand in a row.
_ROWS_AT_ONCE = 4_096


class AskedRows(NamedTuple):
    """Rows of a unit that are asked for, by their ids, and the files of its session."""

    ids: pa.Int64Array
    files: Sequence[str]


class KnownEvents:
    """Reads from the lake which events it holds. ``known`` keeps what was read of sessions, while there is room.

    ``gone`` are the files that were to be read and that are there no longer.
    """

    def __init__(self, files: Files, known: KnownIds | None = None) -> None:
        self.gone: set[str] = set()
        self._files = files
        self._known = KnownIds() if known is None else known

    async def ids(self, units: Sequence[tuple[SessionProgress, str]]) -> list[pa.Int64Array | NotHad]:
        """The ids of the rows that the lake holds of each unit, (session, participant); or why they can't be had.

        A damaged file fails the units of the sessions that it holds rows of. Raises :class:`LakeError` where the lake
        can't be read.
        """
        asked = [tracked for tracked, participant_id in units if tracked.holds_rows_of(participant_id)]
        if not asked:
            return [NO_IDS] * len(units)
        # From here on they are this batch's own, whatever becomes of what is kept.
        sessions = await self._sessions({tracked.session.key: tracked for tracked in asked})
        if any(isinstance(ids, SessionIds) and ids.is_spilled for ids in sessions.values()):
            return await compute(_ids_of, units, sessions)
        return _ids_of(units, sessions)

    async def rows(self, asked: Mapping[Unit, AskedRows]) -> AsyncIterator[tuple[Unit, list[LakeRow] | FileDamaged]]:
        """What the rows that are asked for say of themselves, a file and a unit at a time; or that a file is damaged.

        Raises :class:`LakeError` where the lake can't be read.
        """
        of_file: dict[str, list[Unit]] = {}
        for unit, each in asked.items():
            for key in each.files if len(each.ids) else ():
                of_file.setdefault(key, []).append(unit)
        for key, units in of_file.items():
            if data := await self._read(key):
                try:
                    found = await compute(_rows_in, key, data, {unit: asked[unit].ids for unit in units})
                except FileDamaged as error:
                    for unit in units:
                        yield unit, error
                else:
                    for unit, rows in found.items():
                        yield unit, rows

    async def participants(self, tracked: SessionProgress) -> set[str]:
        """The participants of whom the lake holds events of a session.

        Raises :class:`FileDamaged` where a file of it can't be read, and any other :class:`LakeError`.
        """
        found: set[str] = set()
        for key in tracked.event_files:
            if data := await self._read(key):
                found |= await compute(_participants_in, key, data, tracked.session.key)
        return found

    def forget(self, session: SessionKey) -> None:
        """Let go of a session that needs no more comparing, or whose files are others now."""
        self._known.forget(session)

    async def _sessions(self, asked: Mapping[SessionKey, SessionProgress]) -> Sessions:
        found: Sessions = {}
        missing: dict[SessionKey, SessionProgress] = {}
        for session, tracked in asked.items():
            ids = self._known.get(session)
            if ids is None:
                missing[session] = tracked
            else:
                found[session] = ids
        return found | await self._load(missing)

    async def _load(self, missing: Mapping[SessionKey, SessionProgress]) -> Sessions:
        """Read the ids of some sessions, each file once; they are kept when all of them are there."""
        loading: Sessions = {session: SessionIds(self._known.file) for session in missing}
        of_file: dict[str, list[SessionKey]] = {}
        for session, tracked in missing.items():
            for key in tracked.event_files:
                of_file.setdefault(key, []).append(session)
        size_bytes = 0
        try:
            for key, sessions in of_file.items():
                if data := await self._read(key):
                    try:
                        await compute(_add_ids, key, data, loading, set(sessions), is_full=self._known.is_full)
                    except FileDamaged as error:
                        loading |= dict.fromkeys(sessions, error)
                    grown = _size_bytes_of(loading.values()) - size_bytes
                    size_bytes += grown
                    self._known.loading_size_bytes += grown
        finally:
            self._known.loading_size_bytes -= size_bytes
        for session, ids in loading.items():
            if isinstance(ids, SessionIds):
                self._known.keep(session, ids)
        return loading

    async def _read(self, key: str) -> bytes | None:
        data = await self._files.read(key)
        if data is None:
            # Whoever removed it, its rows are what the lake lacks now, and the next record says so.
            self.gone.add(key)
            _log.warning("file_missing", file=key)
        return data


def _ids_of(units: Iterable[tuple[SessionProgress, str]], sessions: Sessions) -> list[pa.Int64Array | NotHad]:
    found: list[pa.Int64Array | NotHad] = []
    for tracked, participant_id in units:
        ids = sessions[tracked.session.key] if tracked.holds_rows_of(participant_id) else None
        try:
            found.append(ids.of(participant_id) if isinstance(ids, SessionIds) else ids or NO_IDS)
        except TemporaryFolderRefused as error:
            found.append(error)
    return found


def _add_ids(key: str, data: bytes, loading: Sessions, wanted: set[SessionKey], *, is_full: bool) -> None:
    """Add the ids that a file holds of the sessions that are ``wanted``."""
    names = pa.array({session_id for _, session_id in wanted}, pa.string())
    for batch in _batches(key, data, _ID_COLUMNS, names, _IDS_AT_ONCE):
        grouped = batch.group_by(list(_ID_COLUMNS[:3])).aggregate([("event_id", "list")])
        lists = grouped.column("event_id_list").combine_chunks()
        columns = (grouped.column(name).to_pylist() for name in _ID_COLUMNS[:3])
        for place, (stage_arn, session_id, participant_id) in enumerate(zip(*columns, strict=True)):
            ids = loading.get((stage_arn, session_id))
            if isinstance(ids, SessionIds):
                try:
                    if is_full:
                        ids.spill()
                    ids.add(participant_id, lists[place].values)
                except TemporaryFolderRefused as error:
                    loading[stage_arn, session_id] = error


def _rows_in(key: str, data: bytes, asked: Mapping[Unit, pa.Int64Array]) -> dict[Unit, list[LakeRow]]:
    """The rows of a file with the ids that are asked for."""
    found: dict[Unit, list[LakeRow]] = {}
    ids = pa.concat_arrays(list(asked.values()))
    sessions = pa.array({unit.session_id for unit in asked}, pa.string())
    for table in _batches(key, data, (*ROW_COLUMNS, "event_id", "extra"), sessions, _ROWS_AT_ONCE):
        rows = table.filter(pc.is_in(table.column("event_id"), value_set=ids))
        for batch in rows.to_batches():
            extras = map(extra_of, batch.column("extra").to_pylist())
            told = map(LakeRow, batch.column("event_id").to_pylist(), row_hashes(batch), extras)
            units = map(Unit, *(batch.column(name).to_pylist() for name in _ID_COLUMNS[:3]))
            for unit, row in zip(units, told, strict=True):
                if unit in asked:
                    found.setdefault(unit, []).append(row)
    return found


def _participants_in(key: str, data: bytes, session: SessionKey) -> set[str]:
    """The participants of one session that a file holds rows of."""
    stage_arn, session_id = session
    found: set[str] = set()
    for table in _batches(key, data, _ID_COLUMNS[:3], pa.array([session_id], pa.string()), _IDS_AT_ONCE):
        of_stage = table.filter(pc.equal(table.column("stage_arn").cast(pa.string()), stage_arn))
        found.update(pc.unique(of_stage.column("participant_id").cast(pa.string())).to_pylist())
    return found


def _batches(
    key: str, data: bytes, columns: Sequence[str], sessions: pa.StringArray, rows_max: int
) -> Iterator[pa.Table]:
    """The rows of a file that are of some sessions, by their ids, some at a time.

    Raises :class:`FileDamaged` where the file can't be read.
    """
    try:
        texts = [name for name in columns if pa.types.is_string(EVENTS.schema.field(name).type)]
        groups = [place for place, group in enumerate(row_groups_of(data)) if _may_hold(group, sessions)]
        with pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts) as file:
            _check_columns(file, columns)
            for batch in file.iter_batches(rows_max, row_groups=groups, columns=list(columns)):
                check_values(EVENTS, batch)
                is_of_session = pc.is_in(batch.column("session_id").dictionary_decode(), value_set=sessions)
                yield pa.table(batch.filter(is_of_session).columns, names=batch.schema.names)
    except Exception as error:  # whatever PyArrow finds wrong with a file
        raise FileDamaged(f"{key} is damaged: {error}; `ivs-export repair` sets it aside") from error


def _check_columns(file: pq.ParquetFile, columns: Iterable[str]) -> None:
    schema = file.schema.to_arrow_schema()
    for name in columns:
        if schema.get_all_field_indices(name) == [] or schema.field(name).type != EVENTS.schema.field(name).type:
            raise ValueError(f"its column {name} is missing, or of another type")


def _may_hold(group: RowGroup, sessions: pa.StringArray) -> bool:
    """Whether a row group may hold rows of some sessions, as far as its statistics tell."""
    least, greatest = group.ranges.get("session_id", (None, None))
    if least is None or greatest is None:
        return True
    return any(least <= session_id.encode() <= greatest for session_id in sessions.to_pylist())


def _size_bytes_of(sessions: Iterable[SessionIds | NotHad]) -> int:
    return sum(ids.size_bytes for ids in sessions if isinstance(ids, SessionIds))
