"""What AWS adds to lists or changes in them, and texts that nobody should trust: kept, counted, read by engines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

from exporter.emulator import Emulator
from exporter.settings import TableSettings
from tests.support.exports import options_of
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.exports import Exports

STAGES = {"arn": "stage_arn", "name": "stage_name", "tags": "tags"}
SESSIONS = {"sessionId": "session_id", "startTime": "session_start", "endTime": "session_end"}
LISTED = {
    "participantId": "participant_id",
    "userId": "user_id",
    "firstJoinTime": "first_join_time",
    "published": "published",
    "recordingState": "recording_state",
    "replicationType": "replication_type",
    "replicationState": "replication_state",
    "sourceStageArn": "source_stage_arn",
    "sourceSessionId": "source_session_id",
    "ingestConfigurationArn": "ingest_configuration_arn",
    "redundantIngest": "redundant_ingest",
}
DETAILS = {
    "attributes": "attributes",
    "ispName": "isp_name",
    "osName": "os_name",
    "osVersion": "os_version",
    "browserName": "browser_name",
    "browserVersion": "browser_version",
    "sdkVersion": "sdk_version",
    "protocol": "protocol",
    "recordingS3BucketName": "recording_s3_bucket",
    "recordingS3Prefix": "recording_s3_prefix",
}
#: What the tables leave out on purpose.
LEFT_OUT = {"state", "activeSessionId"}
#: What DuckDB and Polars make of a table, as rows.
Rows = list[dict[str, Any]]


def by_duckdb(lake: Path, table: str) -> Rows:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql(f"SELECT * FROM read_parquet('{lake}/{table}/**/*.parquet')")
        return list(found.to_arrow_table().to_pylist())


def by_polars(lake: Path, table: str) -> Rows:
    return list(pl.read_parquet(f"{lake}/{table}/**/*.parquet").to_arrow().to_pylist())


def by_key(rows: Rows) -> dict[tuple[str, ...], dict[str, Any]]:
    names = ("stage_arn", "session_id", "participant_id")
    return {tuple(row[name] for name in names if name in row): row for row in rows}


def as_utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def as_map(value: Any) -> dict[str, str]:
    pairs = [tuple(pair.values()) if isinstance(pair, dict) else pair for pair in value or []]
    return dict(pairs)


def missed(item: Mapping[str, Any], columns: Mapping[str, str], row: Mapping[str, Any]) -> Iterator[str]:
    """The members of an item that stand neither in their column nor in extra."""
    extra = json.loads(row["extra"] or "{}")
    for name, value in item.items():
        if name not in LEFT_OUT and value not in (None, "", {}):
            held, kept = row.get(columns.get(name, "")), extra.get(name)
            if not is_held(value, held, kept):
                yield f"{name}: {value!r} is neither in {held!r} nor in {kept!r}"


def is_held(value: Any, held: Any, kept: Any) -> bool:
    """Whether a column, or extra, or of a map the two together, have a value."""
    if isinstance(held, datetime) and isinstance(value, str):
        return as_utc(value) == held.astimezone(UTC)
    if isinstance(value, dict) and isinstance(held, list):
        return {**as_map(held), **(kept or {})} == value
    return value in (held, kept) or (isinstance(kept, list) and value in kept)


@pytest.mark.parametrize("hostile", [False, True], ids=["plain", "hostile"])
async def test_nothing_of_a_list_is_lost(exports: Exports, *, hostile: bool) -> None:
    """Whatever a list shows stands in a column or in extra, for each engine; and each unknown name is counted."""
    world = small_world(5, stages=6, hostile=hostile)
    operations = ("ListStages", "ListStageSessions", "ListParticipants", "GetParticipant")
    faults = [f"{kind} operation={name} p=0.4" for kind in ("unknown_fields", "wrong_types") for name in operations]
    async with Emulator(options_of(world, faults=tuple(faults))) as emulator:
        exported = await exports.run(emulator, tables=TableSettings(details=True))
        truth = emulator.truth()
        stages, sessions, people = list(truth.stages()), list(truth.sessions()), list(truth.participants())
    unknown = exported.summary["unknown_fields"]
    assert set(unknown) >= {"observedBy"}
    for read in (by_duckdb, by_polars):
        rows = {name: by_key(read(exports.lake, name)) for name in ("stages", "sessions", "participants")}
        assert rows["participants"].keys() == {one[:3] for one in people}
        pairs = [(one.stage, STAGES, rows["stages"][one[:1]]) for one in stages]
        pairs += [(one.session, SESSIONS, rows["sessions"][one[:2]]) for one in sessions]
        for one in people:
            own = {name: value for name, value in one.details.items() if name not in LISTED}
            row = rows["participants"][one[:3]]
            pairs += [(one.participant, LISTED, row), (own, DETAILS, row)]
            assert row["details"] == "fetched"
        assert [text for item, columns, row in pairs for text in missed(item, columns, row)] == []
