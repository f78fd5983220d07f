"""Rows of sessions: what is listed and what was counted, in the table's columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from exporter.lake.parquet import encode
from exporter.lake.partitions import dates_in
from exporter.lake.tables.sessions import SESSIONS
from exporter.normalize.columns import Stamp
from exporter.normalize.listed_model import ListedSession, ListedStage
from exporter.normalize.sessions import SessionCounts, SessionRow, session_rows

ARN = "arn:aws:ivs:eu-west-1:123456789012:stage/abc"
STAGE = ListedStage(ARN, "Show", {"env": "prod"}, '{"of the stage":1}')
NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
NOW_US = 1_795_428_900_000_000
STAMP = Stamp("run-1", NOW_US)


def test_each_column() -> None:
    """A row has what is listed and counted; what nobody has counted is null, and is not 0."""
    ended = ListedSession("st-1", NOW_US - 2_000_000, NOW_US - 1_000_000, None, '{"new":1}')
    rows = [
        SessionRow(STAGE, ended, SessionCounts(3, 70, 0), is_complete=True, is_final=True),
        SessionRow(ListedStage(ARN), ListedSession("st-2"), SessionCounts(), is_complete=False, is_final=False),
    ]
    batch = session_rows(rows, STAMP)
    assert batch.schema.names == SESSIONS.schema.names
    assert pq.read_table(pa.BufferReader(encode(SESSIONS, [batch]))).to_pylist() == [
        {
            "stage_arn": ARN,
            "account_id": "123456789012",
            "region": "eu-west-1",
            "session_id": "st-1",
            "session_start": NOW.replace(minute=14, second=58),
            "session_end": NOW.replace(minute=14, second=59),
            "stage_name": "Show",
            "stage_tags": [("env", "prod")],
            "participant_count": 3,
            "event_count": 70,
            "abandoned_count": 0,
            "is_complete": True,
            "is_final": True,
            "extra": '{"new":1}',
            "run_id": "run-1",
            "exported_at": NOW,
        },
        {
            **dict.fromkeys(SESSIONS.schema.names),
            "stage_arn": ARN,
            "account_id": "123456789012",
            "region": "eu-west-1",
            "session_id": "st-2",
            "is_complete": False,
            "is_final": False,
            "run_id": "run-1",
            "exported_at": NOW,
        },
    ]


def test_a_session_that_runs_over_midnight_has_one_date() -> None:
    """The start dates a row, not the end; a session without a start is dated by the export."""
    day_us = 86_400_000_000
    rows = [
        SessionRow(STAGE, ListedSession("a", -1, day_us), SessionCounts(), is_complete=False, is_final=True),
        SessionRow(STAGE, ListedSession("b", None, day_us), SessionCounts(), is_complete=False, is_final=True),
    ]
    days = [day.isoformat() for day in dates_in(SESSIONS, session_rows(rows, STAMP))]
    assert days == ["1969-12-31", "2026-11-23"]


def test_sessions_of_a_stage_share_its_tags() -> None:
    """However large a stage's tags are, they wait once for all of its sessions, and are written bounded."""
    stage = ListedStage(ARN, "Show", {f"tag-{number}": "x" * 256 for number in range(50)})
    rows = [
        SessionRow(stage, ListedSession(f"st-{number}"), SessionCounts(), is_complete=True, is_final=True)
        for number in range(5_000)
    ]
    batch = session_rows(rows, STAMP)
    assert batch.get_total_buffer_size() < 1_000_000
    opened = pq.ParquetFile(pa.BufferReader(encode(SESSIONS, [batch], group_size_bytes_max=8_000_000)))
    assert opened.num_row_groups >= 8
    read = opened.read(columns=["session_id", "stage_tags"])
    assert sorted(read.column("session_id").to_pylist()) == sorted(row.session.session_id for row in rows)
    assert all(len(tags) == 50 for tags in read.column("stage_tags").to_pylist())
