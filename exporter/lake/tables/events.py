"""The lake's tables: their names, their pinned schemas and how their rows are ordered.

Schemas are pinned, never inferred. The field ids (``PARQUET:field_id``) are part of the format and are numbered as
Iceberg catalogs number them; a new column takes the next free number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from exporter.normalize.event_id import VERSION
from exporter.timestamps import MICROS

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_FIELD_ID = b"PARQUET:field_id"


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    ``schema`` is that of every file, with its field ids. Rows are sorted by ``sort_by``; the UTC date of
    ``time_column`` is the partition's key ``date_key``, which is not in the file. ``version`` counts the changes to the
    schema; ``metadata`` stands in each file beside it.
    """

    name: str
    version: int
    schema: pa.Schema
    sort_by: tuple[str, ...]
    time_column: str
    date_key: str
    metadata: tuple[tuple[str, str], ...] = ()


def _field(field_id: int, name: str, kind: pa.DataType, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable, {_FIELD_ID: str(field_id)})


def _token(first_id: int) -> pa.StructType:
    """A token's type; its members take the ids from ``first_id`` on, and then what is inside them."""
    element, key, value = (first_id + 4, first_id + 5, first_id + 6)
    return pa.struct(
        [
            _field(first_id, "capabilities", pa.list_(_field(element, "element", pa.string()))),
            _field(
                first_id + 1,
                "attributes",
                pa.map_(_field(key, "key", pa.string(), nullable=False), _field(value, "value", pa.string())),
            ),
            _field(first_id + 2, "user_id", pa.string()),
            _field(first_id + 3, "expiration_time", MICROS),
        ]
    )


EVENTS = Table(
    name="events",
    version=1,
    schema=pa.schema(
        [
            _field(1, "event_id", pa.int64()),
            _field(2, "event_time", MICROS),
            _field(3, "event_name", pa.string()),
            _field(4, "account_id", pa.string()),
            _field(5, "region", pa.string()),
            _field(6, "stage_arn", pa.string()),
            _field(7, "session_id", pa.string()),
            _field(8, "participant_id", pa.string()),
            _field(9, "remote_participant_id", pa.string()),
            _field(10, "error_code", pa.string()),
            _field(11, "destination_stage_arn", pa.string()),
            _field(12, "destination_session_id", pa.string()),
            _field(13, "replica", pa.bool_()),
            _field(14, "previous_token", _token(19)),
            _field(15, "new_token", _token(26)),
            _field(16, "extra", pa.string()),
            _field(17, "run_id", pa.string()),
            _field(18, "exported_at", MICROS),
        ]
    ),
    sort_by=("stage_arn", "session_id", "participant_id", "event_time", "event_id"),
    time_column="event_time",
    date_key="event_date",
    metadata=(("ivs-export.event-id-version", VERSION),),
)


#: All tables of the lake. What is said of a lake is said of each of them.
TABLES = (EVENTS,)
#: The folder of files with events that have no place in a table, and what a record calls the table that these are of.
REJECTS = "_rejects"
#: The folders of all files that records name.
FOLDERS = (*(table.name for table in TABLES), REJECTS)


def dates_in(table: Table, rows: pa.RecordBatch | pa.Table) -> list[date]:
    """The UTC dates that the rows are of, in order. No time may be null."""
    times_us = rows.column(table.time_column).cast(pa.int64())
    if not len(times_us):
        return []
    bounds = pc.min_max(times_us).as_py()
    first, last = (bounds["min"] // _DAY_US, bounds["max"] // _DAY_US)
    if first == last:
        return [_EPOCH + timedelta(days=first)]
    # From the first day on, for Arrow's division would round what is before the epoch up.
    days = pc.unique(pc.divide(pc.subtract(times_us, first * _DAY_US), _DAY_US))
    return [_EPOCH + timedelta(days=first + day) for day in sorted(days.to_pylist())]


def of_date(table: Table, rows: pa.RecordBatch, day: date) -> pa.RecordBatch:
    """Those of the rows that are of a UTC date, in their order."""
    times_us = rows.column(table.time_column).cast(pa.int64())
    start_us = (day - _EPOCH).days * _DAY_US
    is_of_day = pc.and_(pc.greater_equal(times_us, start_us), pc.less(times_us, start_us + _DAY_US))
    return rows if is_of_day.true_count == rows.num_rows else rows.filter(is_of_day)
