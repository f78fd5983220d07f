"""The table ``participants``: its pinned schema, and how its rows are ordered."""

from __future__ import annotations

import pyarrow as pa

from exporter.lake.tables.table import MICROS, OwnValues, PartitionDate, Table, column, text_map

PARTICIPANTS = Table(
    name="participants",
    version=1,
    schema=pa.schema(
        [
            column(1, "stage_arn", pa.string()),
            column(2, "account_id", pa.string()),
            column(3, "region", pa.string()),
            column(4, "session_id", pa.string()),
            column(5, "session_start", MICROS),
            column(6, "participant_id", pa.string()),
            column(7, "user_id", pa.string()),
            column(8, "first_join_time", MICROS),
            column(9, "published", pa.bool_()),
            column(10, "recording_state", pa.string()),
            column(11, "replication_type", pa.string()),
            column(12, "replication_state", pa.string()),
            column(13, "source_stage_arn", pa.string()),
            column(14, "source_session_id", pa.string()),
            column(15, "ingest_configuration_arn", pa.string()),
            column(16, "redundant_ingest", pa.bool_()),
            column(17, "attributes", text_map(32)),
            column(18, "isp_name", pa.string()),
            column(19, "os_name", pa.string()),
            column(20, "os_version", pa.string()),
            column(21, "browser_name", pa.string()),
            column(22, "browser_version", pa.string()),
            column(23, "sdk_version", pa.string()),
            column(24, "protocol", pa.string()),
            column(25, "recording_s3_bucket", pa.string()),
            column(26, "recording_s3_prefix", pa.string()),
            column(27, "details", pa.string()),
            column(28, "is_final", pa.bool_()),
            column(29, "extra", pa.string()),
            column(30, "run_id", pa.string()),
            column(31, "exported_at", MICROS),
        ]
    ),
    sort_by=("stage_arn", "session_id", "participant_id"),
    date=PartitionDate("session_date", ("session_start", "first_join_time", "exported_at")),
    own=OwnValues(times=("first_join_time",), texts=("participant_id",)),
)
