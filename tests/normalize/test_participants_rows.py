"""Rows of participants: what is listed and described of them, in the table's columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.lake.parquet import encode
from exporter.lake.partitions import dates_in
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.model import Session
from exporter.normalize.columns import Stamp
from exporter.normalize.listed_model import ListedParticipant, ParticipantDetails
from exporter.normalize.participants import NoDetails, ParticipantRow, participant_rows

ARN = "arn:aws:ivs:eu-west-1:123456789012:stage/abc"
NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
NOW_US = 1_795_428_900_000_000
STAMP = Stamp("run-1", NOW_US)
SESSION = Session(ARN, "st-1", NOW_US - 2_000_000, NOW_US)
LISTED = ListedParticipant(
    participant_id="p1",
    user_id="alice",
    first_join_us=NOW_US - 1_000_000,
    published=False,
    recording_state="STOPPED",
    replication_type="SOURCE",
    replication_state="ACTIVE",
    source_stage_arn="arn:source",
    source_session_id="st-0",
    ingest_configuration_arn="arn:ingest",
    redundant_ingest=True,
    attributes={"listed": "x"},
    extra='{"a":1}',
)
DETAILS = ParticipantDetails(
    attributes={"team": "red"},
    isp_name="ISP",
    os_name="macOS",
    os_version="15.1",
    browser_name="Firefox",
    browser_version="140",
    sdk_version="1.2.3",
    protocol="WHIP",
    recording_s3_bucket="bucket",
    recording_s3_prefix="a/b",
    extra='{"b":2}',
)


def test_each_column() -> None:
    """A row has what is listed and described; without details it has what is listed, and says why."""
    rows = [
        ParticipantRow(SESSION, LISTED, DETAILS, is_final=True),
        ParticipantRow(Session(ARN, "st-2"), ListedParticipant("p0"), NoDetails.OFF, is_final=False),
    ]
    batch = participant_rows(rows, STAMP)
    assert batch.schema.names == PARTICIPANTS.schema.names
    assert pq.read_table(pa.BufferReader(encode(PARTICIPANTS, [batch]))).to_pylist() == [
        {
            "stage_arn": ARN,
            "account_id": "123456789012",
            "region": "eu-west-1",
            "session_id": "st-1",
            "session_start": NOW.replace(minute=14, second=58),
            "participant_id": "p1",
            "user_id": "alice",
            "first_join_time": NOW.replace(minute=14, second=59),
            "published": False,
            "recording_state": "STOPPED",
            "replication_type": "SOURCE",
            "replication_state": "ACTIVE",
            "source_stage_arn": "arn:source",
            "source_session_id": "st-0",
            "ingest_configuration_arn": "arn:ingest",
            "redundant_ingest": True,
            "attributes": [("team", "red")],
            "isp_name": "ISP",
            "os_name": "macOS",
            "os_version": "15.1",
            "browser_name": "Firefox",
            "browser_version": "140",
            "sdk_version": "1.2.3",
            "protocol": "WHIP",
            "recording_s3_bucket": "bucket",
            "recording_s3_prefix": "a/b",
            "details": "fetched",
            "is_final": True,
            "extra": '{"a":1,"b":2}',
            "run_id": "run-1",
            "exported_at": NOW,
        },
        {
            **dict.fromkeys(PARTICIPANTS.schema.names),
            "stage_arn": ARN,
            "account_id": "123456789012",
            "region": "eu-west-1",
            "session_id": "st-2",
            "participant_id": "p0",
            "details": "off",
            "is_final": False,
            "run_id": "run-1",
            "exported_at": NOW,
        },
    ]


@pytest.mark.parametrize("why", NoDetails)
def test_why_there_are_no_details(why: NoDetails) -> None:
    """The column says why, and the attributes that were listed stay."""
    (row,) = participant_rows([ParticipantRow(SESSION, LISTED, why, is_final=True)], STAMP).to_pylist()
    assert row["details"] == why.value
    assert (row["attributes"], row["extra"], row["isp_name"]) == ([("listed", "x")], '{"a":1}', None)


def test_the_date_of_a_row() -> None:
    """The session's start dates a row, else the first join, else the export; the row itself keeps null."""
    day_us = 86_400_000_000
    unknown = Session(ARN, "st-1")
    rows = [
        ParticipantRow(
            Session(ARN, "st-0", 0), ListedParticipant("a", first_join_us=day_us), NoDetails.OFF, is_final=True
        ),
        ParticipantRow(unknown, ListedParticipant("b", first_join_us=day_us), NoDetails.OFF, is_final=True),
        ParticipantRow(unknown, ListedParticipant("c"), NoDetails.OFF, is_final=True),
    ]
    batch = participant_rows(rows, STAMP)
    assert [day.isoformat() for day in dates_in(PARTICIPANTS, batch)] == ["1970-01-01", "1970-01-02", "2026-11-23"]
    assert [day.isoformat() for day in dates_in(PARTICIPANTS, batch.slice(2))] == ["2026-11-23"]
    assert batch.column("session_start").to_pylist()[1:] == [None, None]


def test_waiting_rows_are_small() -> None:
    """A row of a participant with ids of its own takes some hundred bytes."""
    rows = [
        ParticipantRow(
            SESSION,
            ListedParticipant(f"{number:016d}", f"user-{number:08d}", NOW_US + number, published=False),
            NoDetails.OFF,
            is_final=True,
        )
        for number in range(5_000)
    ]
    assert participant_rows(rows, STAMP).get_total_buffer_size() < 100 * len(rows)
