"""The table ``participants``: its columns, and how its rows are ordered."""

from __future__ import annotations

from exporter.lake.tables.columns import flag, scope_columns, stage_arn, text, time, written_columns
from exporter.lake.tables.table import NEVER, PartitionDate, Table, TableColumn, text_map

PARTICIPANTS = Table(
    name="participants",
    row="a participant of a session, as it was at `exported_at`",
    version=1,
    columns=(
        stage_arn(1),
        *scope_columns(2),
        text(4, "session_id", "the session", NEVER),
        time(5, "session_start", "when the session began", "where AWS does not say"),
        text(
            6,
            "participant_id",
            "the participant; the same id can be another person's in another session",
            NEVER,
            is_own=True,
        ),
        text(
            7,
            "user_id",
            "what the application calls the user, or its hash",
            "where the token has none, or where it is dropped",
        ),
        time(8, "first_join_time", "when it first joined", "where it never has", is_own=True),
        flag(9, "published", "whether it has ever published", "where AWS does not say"),
        text(10, "recording_state", "of its own recording: `DISABLED`, `STOPPED`, …", "where AWS does not say"),
        text(11, "replication_type", "`SOURCE`, `REPLICA` or `NONE`", "where AWS does not say"),
        text(12, "replication_state", "of its replication: `ACTIVE` or `STOPPED`", "where AWS does not say"),
        text(13, "source_stage_arn", "the stage that it is replicated from", "where it is no replica"),
        text(14, "source_session_id", "the session that it is replicated from", "where it is no replica"),
        text(15, "ingest_configuration_arn", "of a participant that publishes by RTMP or WHIP", "of any other"),
        flag(16, "redundant_ingest", "whether it publishes by RTMP or WHIP with redundant ingest", "of any other"),
        TableColumn(
            17,
            "attributes",
            text_map(32),
            "what the application has written into the token",
            "without details, or where they are dropped",
        ),
        text(18, "isp_name", "the provider of its network", "without details"),
        text(19, "os_name", "its operating system", "without details"),
        text(20, "os_version", "the version of its operating system", "without details"),
        text(21, "browser_name", "its browser", "without details"),
        text(22, "browser_version", "the version of its browser", "without details"),
        text(23, "sdk_version", "the version of the IVS library that it uses", "without details"),
        text(24, "protocol", "`UNKNOWN`, `WHIP`, `RTMP` or `RTMPS`", "without details"),
        text(25, "recording_s3_bucket", "the bucket of its recording", "without details, or without a recording"),
        text(
            26,
            "recording_s3_prefix",
            "the prefix of its recording's objects",
            "without details, or without a recording",
        ),
        text(
            27,
            "details",
            "`fetched`; or why the details are null: `off`, `denied`, `not_found` (forgotten by AWS), `failed`",
            NEVER,
        ),
        flag(28, "is_final", "listed by an answer from after the session's end and the grace time", NEVER),
        *written_columns(29),
    ),
    sort_by=("stage_arn", "session_id", "participant_id"),
    date=PartitionDate("session_date", ("session_start", "first_join_time", "exported_at")),
)
