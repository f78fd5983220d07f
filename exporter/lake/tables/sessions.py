"""The table ``sessions``: its pinned schema, and how its rows are ordered."""

from __future__ import annotations

import pyarrow as pa

from exporter.lake.tables.table import MICROS, OwnValues, PartitionDate, Table, column, text_map

SESSIONS = Table(
    name="sessions",
    version=1,
    schema=pa.schema(
        [
            column(1, "stage_arn", pa.string()),
            column(2, "account_id", pa.string()),
            column(3, "region", pa.string()),
            column(4, "session_id", pa.string()),
            column(5, "session_start", MICROS),
            column(6, "session_end", MICROS),
            column(7, "stage_name", pa.string()),
            column(8, "stage_tags", text_map(17)),
            column(9, "participant_count", pa.int64()),
            column(10, "event_count", pa.int64()),
            column(11, "abandoned_count", pa.int64()),
            column(12, "is_complete", pa.bool_()),
            column(13, "is_final", pa.bool_()),
            column(14, "extra", pa.string()),
            column(15, "run_id", pa.string()),
            column(16, "exported_at", MICROS),
        ]
    ),
    sort_by=("stage_arn", "session_id"),
    date=PartitionDate("session_date", ("session_start", "exported_at")),
    own=OwnValues(times=("session_start", "session_end"), texts=("session_id",)),
)
