"""The table ``events``: its pinned schema, and how its rows are ordered.

The schema is pinned, never inferred. The field ids (``PARQUET:field_id``) are part of the format and are numbered as
Iceberg catalogs number them; a new column takes the next free number.
"""

from __future__ import annotations

import pyarrow as pa

from exporter.lake.tables.table import MICROS, OwnValues, PartitionDate, RowIds, Table, column, text_map

#: Of the algorithm; each data file carries it.
VERSION = "1"


def _token(first_id: int) -> pa.StructType:
    """A token's type; its members take the ids from ``first_id`` on, and then what is inside them."""
    return pa.struct(
        [
            column(first_id, "capabilities", pa.list_(column(first_id + 4, "element", pa.string()))),
            column(first_id + 1, "attributes", text_map(first_id + 5)),
            column(first_id + 2, "user_id", pa.string()),
            column(first_id + 3, "expiration_time", MICROS),
        ]
    )


EVENTS = Table(
    name="events",
    version=1,
    schema=pa.schema(
        [
            column(1, "event_id", pa.int64()),
            column(2, "event_time", MICROS),
            column(3, "event_name", pa.string()),
            column(4, "account_id", pa.string()),
            column(5, "region", pa.string()),
            column(6, "stage_arn", pa.string()),
            column(7, "session_id", pa.string()),
            column(8, "participant_id", pa.string()),
            column(9, "remote_participant_id", pa.string()),
            column(10, "error_code", pa.string()),
            column(11, "destination_stage_arn", pa.string()),
            column(12, "destination_session_id", pa.string()),
            column(13, "replica", pa.bool_()),
            column(14, "previous_token", _token(19)),
            column(15, "new_token", _token(26)),
            column(16, "extra", pa.string()),
            column(17, "run_id", pa.string()),
            column(18, "exported_at", MICROS),
        ]
    ),
    sort_by=("stage_arn", "session_id", "participant_id", "event_time", "event_id"),
    date=PartitionDate("event_date", ("event_time",)),
    own=OwnValues(times=("event_time",)),
    ids=RowIds("event_id", VERSION, "ivs-export.event-id-version"),
)
