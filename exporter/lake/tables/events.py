"""The table ``events``: its columns, and how its rows are ordered.

The schema is pinned, never inferred. The field ids (``PARQUET:field_id``) are part of the format and are numbered as
Iceberg catalogs number them; a new column takes the next free number.
"""

from __future__ import annotations

import pyarrow as pa

from exporter.lake.tables.columns import flag, number, scope_columns, stage_arn, text, time, written_columns
from exporter.lake.tables.table import MICROS, NEVER, PartitionDate, RowIds, Table, TableColumn, part, text_map

#: Of the algorithm; each data file carries it.
VERSION = "1"


def _token(first_id: int) -> pa.StructType:
    """A token's type; its members take the ids from ``first_id`` on, and then what is inside them."""
    return pa.struct(
        [
            part(first_id, "capabilities", pa.list_(part(first_id + 4, "element", pa.string()))),
            part(first_id + 1, "attributes", text_map(first_id + 5)),
            part(first_id + 2, "user_id", pa.string()),
            part(first_id + 3, "expiration_time", MICROS),
        ]
    )


EVENTS = Table(
    name="events",
    row="an event",
    version=1,
    columns=(
        number(1, "event_id", "the event's identity, a hash; unique within stage, session and participant", NEVER),
        time(2, "event_time", "when it happened; many events share a second", NEVER, is_own=True),
        text(
            3, "event_name", "`JOINED`, `SUBSCRIBE_STARTED`, …; new names are kept as they come", "where AWS sent none"
        ),
        *scope_columns(4),
        stage_arn(6),
        text(7, "session_id", "the session", NEVER),
        text(8, "participant_id", "the participant whose event it is", NEVER),
        text(9, "remote_participant_id", "the publisher, on subscribe events", "on others"),
        text(10, "error_code", "of an error", "on others"),
        text(11, "destination_stage_arn", "the stage that a participant is replicated to", "on others"),
        text(12, "destination_session_id", "the session that a participant is replicated to", "on others"),
        flag(
            13,
            "replica",
            "whether the participant is a replica; on subscribe events, whether the publisher is",
            "where AWS sends nothing, which is in most rows: write `replica IS NOT TRUE`",
        ),
        TableColumn(14, "previous_token", _token(19), "the token before an exchange", "on all other events"),
        TableColumn(15, "new_token", _token(26), "the token after an exchange", "on all other events"),
        *written_columns(16),
    ),
    sort_by=("stage_arn", "session_id", "participant_id", "event_time", "event_id"),
    date=PartitionDate("event_date", ("event_time",)),
    ids=RowIds("event_id", VERSION, "ivs-export.event-id-version"),
)
