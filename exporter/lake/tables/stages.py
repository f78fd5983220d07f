"""The table ``stages``: its columns, and how its rows are ordered."""

from __future__ import annotations

from exporter.lake.tables.columns import flag, scope_columns, stage_arn, text, written_columns
from exporter.lake.tables.table import NEVER, PartitionDate, Table, TableColumn, text_map

STAGES = Table(
    name="stages",
    row="a stage, as it was at `exported_at`",
    version=1,
    columns=(
        stage_arn(1),
        *scope_columns(2),
        text(4, "stage_name", "its name now; it can change", "where it has none, or was never listed"),
        TableColumn(5, "tags", text_map(10), "its tags now, by key", "where it was never listed"),
        flag(6, "is_listed", "whether ListStages has it; false in the row that a stage gets when it is gone", NEVER),
        *written_columns(7),
    ),
    sort_by=("stage_arn",),
    date=PartitionDate("exported_date", ("exported_at",)),
)
