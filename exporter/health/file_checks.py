"""What a data file holds, checked against what its record says of it. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from exporter.commit_log.rejects import decode_line
from exporter.errors import FileDamaged
from exporter.json_errors import UNREADABLE
from exporter.lake.data_files import DataFile
from exporter.lake.parquet_footer import row_groups_of
from exporter.lake.parquet_values import check_values
from exporter.lake.partitions import dates_in
from exporter.lake.tables import REJECTS, table_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.lake.tables.table import Table
    from exporter.model import SessionKey

UNIT = ("stage_arn", "session_id", "participant_id")
_DATE = re.compile(r"[^/]+/[^/=]+=([0-9]{4}-[0-9]{2}-[0-9]{2})/[^/]+")


def ids_of(file: DataFile, data: bytes) -> pa.Int64Array | None:
    """Check a file against its record, and return the ids of its rows; None where its table has none.

    Raises :class:`FileDamaged` where the file is not what its record says.
    """
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise FileDamaged("its checksum is not the record's: the file was changed or damaged")
    table = table_named(file.table)
    if table is None:  # no table of rows: its bytes are all that can be compared
        return None
    rows = read_rows(table, data, [*table.date_columns, *([] if table.id_column is None else [table.id_column])])
    if rows.num_rows != file.rows:
        raise FileDamaged(f"it has {rows.num_rows} rows, and its record says {file.rows}")
    strange = [day for day in dates_in(table, rows) if day.isoformat() != file.date]
    if strange:
        raise FileDamaged(f"it holds rows of {strange[0].isoformat()}, and lies in {file.date}")
    return None if table.id_column is None else rows.column(table.id_column).combine_chunks()


def line_of(key: str, data: bytes) -> tuple[DataFile, list[SessionKey]]:
    """What a record would say of a visible file, and the sessions that it holds rows of.

    Raises :class:`FileDamaged` where it is no file of a table, or lies in another date than its rows are of.
    """
    if key.startswith(f"{REJECTS}/"):
        digest = hashlib.sha256(data).hexdigest()
        return DataFile(REJECTS, key, "", 0, len(data), digest, ()), _sessions_of_rejects(data)
    table, dated = table_of(key), _DATE.fullmatch(key)
    if dated is None:
        raise FileDamaged("it lies in no date's folder")
    rows = read_rows(table, data)
    line = DataFile(table.name, key, dated[1], rows.num_rows, len(data), hashlib.sha256(data).hexdigest(), ())
    ids_of(line, data)
    return line, sessions_in(rows)


def sessions_in(rows: pa.Table) -> list[SessionKey]:
    """The sessions that some rows are of, in order."""
    if not set(UNIT[:2]) <= set(rows.column_names):
        return []
    pairs = rows.group_by(list(UNIT[:2])).aggregate([]).to_pylist()
    return sorted((pair["stage_arn"], pair["session_id"]) for pair in pairs)


def _sessions_of_rejects(data: bytes) -> list[SessionKey]:
    try:
        lines = [decode_line(line) for line in data.splitlines()]
    except UNREADABLE as error:
        raise FileDamaged(f"it is no file of rejects that can be read: {error}") from error
    return sorted({(line.stage_arn, line.session_id) for line in lines})


def table_of(key: str) -> Table:
    """The table whose folder a key lies in. Raises :class:`FileDamaged` where there is none."""
    table = table_named(key.partition("/")[0])
    if table is None:
        raise FileDamaged(f"{key} lies in no table's folder")
    return table


def read_rows(table: Table, data: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a file of the table. Raises :class:`FileDamaged` where it is no Parquet file with those columns."""
    try:
        row_groups_of(data)  # PyArrow ends the process where a footer lacks parts
        rows = pq.read_table(pa.BufferReader(data), columns=None if columns is None else list(columns))
        rows = rows.select(table.schema.names if columns is None else list(columns))
        check_values(table, rows)
    except Exception as error:  # whatever PyArrow makes of a file that may hold anything
        raise FileDamaged(f"it is no Parquet file of {table.name} that can be read: {error}") from error
    return rows


def repeated(ids: Iterable[pa.Int64Array]) -> pa.Int64Array:
    """The ids that stand more than once in one of the arrays, or in several."""
    every = pa.chunked_array(list(ids), pa.int64())
    if pc.count_distinct(every).as_py() == len(every):
        return pa.array([], pa.int64())
    counted = pa.table({"id": every}).group_by("id").aggregate([([], "count_all")])
    return counted.filter(pc.greater(counted.column("count_all"), 1)).column("id").combine_chunks()


def repeats_by_unit(rows: pa.Table, id_column: str) -> list[tuple[str, int]]:
    """The units that hold an id more than once, and the count of their ids that do.

    Equal ids of two units are no fault.
    """
    counted = rows.group_by([*UNIT, id_column]).aggregate([([], "count_all")])
    twice = counted.filter(pc.greater(counted.column("count_all"), 1))
    units = twice.group_by(list(UNIT)).aggregate([([], "count_all")]).to_pylist()
    return sorted(("/".join(unit[name] for name in UNIT), unit["count_all"]) for unit in units)
