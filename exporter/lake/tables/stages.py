"""The table ``stages``: its pinned schema, and how its rows are ordered."""

from __future__ import annotations

import pyarrow as pa

from exporter.lake.tables.table import MICROS, PartitionDate, Table, column, text_map

STAGES = Table(
    name="stages",
    version=1,
    schema=pa.schema(
        [
            column(1, "stage_arn", pa.string()),
            column(2, "account_id", pa.string()),
            column(3, "region", pa.string()),
            column(4, "stage_name", pa.string()),
            column(5, "tags", text_map(10)),
            column(6, "is_listed", pa.bool_()),
            column(7, "extra", pa.string()),
            column(8, "run_id", pa.string()),
            column(9, "exported_at", MICROS),
        ]
    ),
    sort_by=("stage_arn",),
    date=PartitionDate("exported_date", ("exported_at",)),
)
