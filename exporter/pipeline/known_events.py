"""What the lake holds already of units that are fetched again, as its own files say.

A row's id says which event it is, however and whenever it was fetched.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from exporter.compute import compute
from exporter.errors import FileDamaged, TemporaryFolderRefused
from exporter.lake.arrow import pc, pq
from exporter.lake.parquet_footer import row_groups_of
from exporter.lake.parquet_values import check_values
from exporter.lake.tables.events import EVENTS
from exporter.model import Unit
from exporter.normalize.event_id import IDENTITY_COLUMNS, row_hashes
from exporter.normalize.numbering import NO_IDS, LakeRow, extra_of
from exporter.pipeline.known_ids import KnownIds, SessionIds
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from exporter.commit_log.sealing import SessionProgress
    from exporter.lake.parquet_footer import RowGroup
    from exporter.lake.store import Files
    from exporter.model import SessionKey

    #: Why it can't be said what the lake holds of a unit.
    LookupFailure = TemporaryFolderRefused | FileDamaged
    #: The ids of sessions, or why they can't be read.
    IdsOfSessions = dict[SessionKey, SessionIds | LookupFailure]

_log = Logger(__name__)
_UNIT_COLUMNS = ("stage_arn", "session_id", "participant_id")
_ID_COLUMNS = (*_UNIT_COLUMNS, "event_id")
_TEXT = pa.dictionary(pa.int32(), pa.string())
_SESSION_COLUMNS = pa.schema([("stage_arn", pa.string()), ("session_id", pa.string())])
# Texts of any length may stand in a row, and what is read becomes Python's: ten times as many take 30 MiB more.
_ROWS_AT_ONCE = 4_096


class AskedRows(NamedTuple):
    """The rows of a unit that are to be read, by their ids, and the files that may hold them."""

    ids: pa.Int64Array
    files: Sequence[str]


class KnownEvents:
    """Reads from the lake which events it holds.

    ``known`` keeps what was read of sessions, while there is room. ``gone`` are the files that were to be read and that
    are there no longer.
    """

    def __init__(self, files: Files, known: KnownIds | None = None) -> None:
        self.gone: set[str] = set()
        self._files = files
        self._known = KnownIds() if known is None else known

    async def ids(self, units: Mapping[Unit, SessionProgress]) -> dict[Unit, pa.Int64Array | LookupFailure]:
        """Read the ids of the rows that the lake holds of each unit, or why they can't be read.

        A damaged file fails the units of the sessions that it holds rows of. Raises :class:`LakeError` where the lake
        can't be read.
        """
        found: dict[Unit, pa.Int64Array | LookupFailure] = dict.fromkeys(units, NO_IDS)
        with_rows = {
            unit: progress
            for unit, progress in units.items()
            if progress.known.may_have_rows_of(unit.participant_id, EVENTS.name)
        }
        if not with_rows:
            return found
        # From here on they are this batch's own, whatever becomes of what is kept.
        sessions = await self._sessions({progress.session.key: progress for progress in with_rows.values()})
        if any(isinstance(ids, SessionIds) and ids.is_spilled for ids in sessions.values()):
            return found | await compute(_ids_of, with_rows, sessions)
        return found | _ids_of(with_rows, sessions)

    async def rows(self, asked: Mapping[Unit, AskedRows]) -> AsyncIterator[tuple[Unit, list[LakeRow] | FileDamaged]]:
        """Read rows by their ids, the rows of one unit in one file at a time; or say that a file is damaged.

        Raises :class:`LakeError` where the lake can't be read.
        """
        of_file: dict[str, list[Unit]] = {}
        for unit, wanted in asked.items():
            for key in wanted.files if len(wanted.ids) else ():
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

    async def participants(self, progress: SessionProgress) -> set[str]:
        """The participants of whom the lake holds events of a session.

        Raises :class:`FileDamaged` where a file of it can't be read, and any other :class:`LakeError`.
        """
        found: set[str] = set()
        for key in progress.known.files_of(EVENTS.name):
            if data := await self._read(key):
                found |= await compute(_participants_in, key, data, progress.session.key)
        return found

    async def counts(self, sessions: Iterable[SessionProgress]) -> dict[SessionKey, int | None]:
        """Count the events of sessions that the lake's files hold, each file once; None where one of them is damaged.

        Raises :class:`LakeError` where the lake can't be read.
        """
        counts: dict[SessionKey, int | None] = {}
        of_file: dict[str, list[SessionKey]] = {}
        for progress in sessions:
            counts[progress.session.key] = 0
            for key in progress.known.files_of(EVENTS.name):
                of_file.setdefault(key, []).append(progress.session.key)
        for key, in_file in of_file.items():
            if data := await self._read(key):
                try:
                    found = await compute(_counts_in, key, data, in_file)
                except FileDamaged:
                    counts |= dict.fromkeys(in_file)
                    continue
                for session in in_file:
                    before = counts[session]
                    counts[session] = None if before is None else before + found[session]
        return counts

    def forget(self, session: SessionKey) -> None:
        """Drop the ids of a session that needs no more comparing, or whose files have changed."""
        self._known.forget(session)

    async def _sessions(self, asked: Mapping[SessionKey, SessionProgress]) -> IdsOfSessions:
        found: IdsOfSessions = {}
        missing: dict[SessionKey, SessionProgress] = {}
        for session, progress in asked.items():
            ids = self._known.get(session)
            if ids is None:
                missing[session] = progress
            else:
                found[session] = ids
        return found | await self._load(missing)

    async def _load(self, missing: Mapping[SessionKey, SessionProgress]) -> IdsOfSessions:
        """Read the ids of some sessions, each file once; they are kept when all of them are there."""
        loading: IdsOfSessions = {session: SessionIds(self._known.file) for session in missing}
        of_file: dict[str, list[SessionKey]] = {}
        for session, progress in missing.items():
            for key in progress.known.files_of(EVENTS.name):
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
            # Its rows are what the lake lacks now; the next record says so, and one failure of the run for all.
            self.gone.add(key)
            _log.debug("file_missing", file=key)
        return data


def _ids_of(
    units: Mapping[Unit, SessionProgress], sessions: IdsOfSessions
) -> dict[Unit, pa.Int64Array | LookupFailure]:
    found: dict[Unit, pa.Int64Array | LookupFailure] = {}
    for unit, progress in units.items():
        ids = sessions[progress.session.key]
        try:
            found[unit] = ids.of(unit.participant_id) if isinstance(ids, SessionIds) else ids
        except TemporaryFolderRefused as error:
            found[unit] = error
    return found


def _add_ids(key: str, data: bytes, loading: IdsOfSessions, wanted: set[SessionKey], *, is_full: bool) -> None:
    """Add the ids that a file holds of the sessions that are ``wanted``."""
    names = pa.array({session_id for _, session_id in wanted}, pa.string())
    for batch in _batches(key, data, _ID_COLUMNS, names, _ROWS_AT_ONCE):
        grouped = batch.group_by(list(_UNIT_COLUMNS)).aggregate([("event_id", "list")])
        lists = grouped.column("event_id_list").combine_chunks()
        for unit, of_unit in zip(_units_of(grouped), lists, strict=True):
            session = (unit.stage_arn, unit.session_id)
            ids = loading.get(session)
            if isinstance(ids, SessionIds):
                try:
                    if is_full:
                        ids.spill()
                    ids.add(unit.participant_id, of_unit.values)
                except TemporaryFolderRefused as error:
                    loading[session] = error


def _rows_in(key: str, data: bytes, asked: Mapping[Unit, pa.Int64Array]) -> dict[Unit, list[LakeRow]]:
    """The rows of a file with the ids that are asked for."""
    found: dict[Unit, list[LakeRow]] = {}
    ids = pa.concat_arrays(list(asked.values()))
    sessions = pa.array({unit.session_id for unit in asked}, pa.string())
    for table in _batches(key, data, (*IDENTITY_COLUMNS, "event_id", "extra"), sessions, _ROWS_AT_ONCE):
        rows = table.filter(pc.is_in(table.column("event_id"), value_set=ids))
        for batch in rows.to_batches():
            extras = map(extra_of, batch.column("extra").to_pylist())
            lake_rows = map(LakeRow, batch.column("event_id").to_pylist(), row_hashes(batch), extras)
            for unit, row in zip(_units_of(batch), lake_rows, strict=True):
                if unit in asked:
                    found.setdefault(unit, []).append(row)
    return found


def _units_of(rows: pa.RecordBatch | pa.Table) -> Iterator[Unit]:
    """The unit of each row."""
    return map(Unit, *(rows.column(name).to_pylist() for name in _UNIT_COLUMNS))


def _participants_in(key: str, data: bytes, session: SessionKey) -> set[str]:
    """The participants of one session that a file holds rows of."""
    stage_arn, session_id = session
    found: set[str] = set()
    for table in _batches(key, data, _UNIT_COLUMNS, pa.array([session_id], pa.string()), _ROWS_AT_ONCE):
        of_stage = table.filter(pc.equal(table.column("stage_arn").cast(pa.string()), stage_arn))
        found.update(pc.unique(of_stage.column("participant_id").cast(pa.string())).to_pylist())
    return found


def _counts_in(key: str, data: bytes, sessions: Sequence[SessionKey]) -> Counter[SessionKey]:
    """The rows of some sessions that a file holds."""
    counts: Counter[SessionKey] = Counter()
    ids = pa.array([session_id for _, session_id in sessions], pa.string())
    for table in _batches(key, data, _UNIT_COLUMNS, ids, _ROWS_AT_ONCE):
        named = table.select(["stage_arn", "session_id"]).cast(_SESSION_COLUMNS)
        for row in named.group_by(["stage_arn", "session_id"]).aggregate([([], "count_all")]).to_pylist():
            counts[row["stage_arn"], row["session_id"]] += row["count_all"]
    return counts


def _batches(
    key: str, data: bytes, columns: Sequence[str], sessions: pa.StringArray, rows_max: int
) -> Iterator[pa.Table]:
    """The rows of a file that are of some sessions, by their ids, some at a time.

    Raises :class:`FileDamaged` where the file can't be read.
    """
    try:
        texts = [name for name in columns if pa.types.is_string(EVENTS.schema.field(name).type)]
        groups = [index for index, group in enumerate(row_groups_of(data)) if _may_hold(group, sessions)]
        with pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts) as file:
            _check_columns(file, columns, texts)
            for batch in file.iter_batches(rows_max, row_groups=groups, columns=list(columns)):
                check_values(EVENTS, batch)
                is_of_session = pc.is_in(batch.column("session_id").dictionary_decode(), value_set=sessions)
                yield pa.table(batch.filter(is_of_session).columns, names=batch.schema.names)
    except Exception as error:  # whatever PyArrow finds wrong with a file
        raise FileDamaged(f"{key} is damaged: {error}; `ivs-export repair` sets it aside") from error


def _check_columns(file: pq.ParquetFile, columns: Iterable[str], texts: Sequence[str]) -> None:
    # Not `file.schema`: that one and the footer hold each other, 50 KiB a file until the garbage collector comes.
    schema = file.schema_arrow
    for name in columns:
        expected = _TEXT if name in texts else EVENTS.schema.field(name).type
        if schema.get_all_field_indices(name) == [] or schema.field(name).type != expected:
            raise ValueError(f"its column {name} is missing, or of another type")


def _may_hold(group: RowGroup, sessions: pa.StringArray) -> bool:
    """Whether a row group may hold rows of some sessions, as far as its statistics say."""
    least, greatest = group.ranges.get("session_id", (None, None))
    if least is None or greatest is None:
        return True
    return any(least <= session_id.encode() <= greatest for session_id in sessions.to_pylist())


def _size_bytes_of(sessions: Iterable[SessionIds | LookupFailure]) -> int:
    return sum(ids.size_bytes for ids in sessions if isinstance(ids, SessionIds))
