"""The table ``sessions``: its columns, and how its rows are ordered."""

from __future__ import annotations

from exporter.lake.tables.columns import flag, number, scope_columns, stage_arn, text, time, written_columns
from exporter.lake.tables.table import NEVER, PartitionDate, Table, TableColumn, text_map

SESSIONS = Table(
    name="sessions",
    row="a session, as it was at `exported_at`",
    version=1,
    columns=(
        stage_arn(1),
        *scope_columns(2),
        text(4, "session_id", "the session; unique within its stage", NEVER, is_own=True),
        time(5, "session_start", "when it began", "where AWS does not say", is_own=True),
        time(
            6,
            "session_end",
            "when it ended",
            "while it is active, and where the end that AWS gives can't be true",
            is_own=True,
        ),
        text(
            7, "stage_name", "the name of the stage when the row was written", "where it has none, or was never listed"
        ),
        TableColumn(
            8,
            "stage_tags",
            text_map(17),
            "the tags of the stage when the row was written, by key",
            "where it was never listed",
        ),
        number(9, "participant_count", "its participants", "where they were not all listed"),
        number(10, "event_count", "its events in the lake", "where they were not counted"),
        number(
            11,
            "abandoned_count",
            "participants that were abandoned: refused by AWS for `give_up_days`, or with an event that has no time",
            "where they were not counted",
        ),
        flag(12, "is_complete", "final, and nothing of it is missing", NEVER),
        flag(13, "is_final", "sealed: nothing more can come", NEVER),
        *written_columns(14),
    ),
    sort_by=("stage_arn", "session_id"),
    date=PartitionDate("session_date", ("session_start", "exported_at")),
)
