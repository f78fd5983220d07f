"""Stages, sessions and participants beside events: night after night they are what the API has shown."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.emulator import Emulator, Size
from exporter.settings import TableSettings
from tests.support.exports import NOW_US, mostly_slow, options_of
from tests.support.oracle import expected, lake_rows, micros
from tests.support.table_laws import LISTED as OF_LISTS
from tests.support.table_rows import KEYS
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.exports import Exports

HALF_A_DAY_S = 43_200.0
DAY_US = 86_400_000_000
GRACE_US = 900_000_000
NIGHTS = 7
#: The columns of a participant by the API's names, with how a value is read.
LISTED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **OF_LISTS,
    "ingestConfigurationArn": ("ingest_configuration_arn", str),
    "redundantIngest": ("redundant_ingest", bool),
}
DETAILS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "attributes": ("attributes", dict),
    "ispName": ("isp_name", str),
    "osName": ("os_name", str),
    "osVersion": ("os_version", str),
    "browserName": ("browser_name", str),
    "browserVersion": ("browser_version", str),
    "sdkVersion": ("sdk_version", str),
    "protocol": ("protocol", str),
    "recordingS3BucketName": ("recording_s3_bucket", str),
    "recordingS3Prefix": ("recording_s3_prefix", str),
}
_NOT_KEPT = {"participantId", "state"}

Rows = list[dict[str, Any]]
Key = tuple[str, ...]


def rows_of(lake: Path, table: str) -> Rows:
    """All rows of a table, with times in microseconds since the epoch and maps as dicts."""
    rows: Rows = []
    for path in sorted(lake.glob(f"{table}/*/*.parquet")):
        read = pq.ParquetFile(path).read()
        for index, column in enumerate(read.schema):
            if pa.types.is_timestamp(column.type):
                read = read.set_column(index, column.name, read.column(index).cast(pa.int64()))
        maps = [column.name for column in read.schema if pa.types.is_map(column.type)]
        for row in read.to_pylist():
            row.update({name: None if row[name] is None else dict(row[name]) for name in maps})
            rows.append(row)
    return rows


def now_of(rows: Rows, table: str) -> dict[Key, dict[str, Any]]:
    """The row of each thing that its view ``_now`` shows."""
    in_order = sorted(rows, key=lambda row: (row.get("is_final", False), row["exported_at"]))
    return {tuple(row[name] for name in KEYS[table]): row for row in in_order}


def expected_columns(item: dict[str, Any], names: dict[str, tuple[str, Callable[[Any], Any]]]) -> dict[str, Any]:
    """The columns that an item of the API must become."""
    shown = {name: value for name, value in item.items() if value is not None and value != ""}
    return {column: read(shown[name]) if name in shown else None for name, (column, read) in names.items()}


class Nights:
    """The nights of one world, and when each thing was first seen."""

    def __init__(self, emulator: Emulator, exports: Exports, tables: TableSettings) -> None:
        self.emulator, self.exports, self.tables = emulator, exports, tables
        self.were_over: set[Key] = set()
        self.seen: set[Key] = set()

    async def night(self) -> dict[str, Any]:
        """Run once, and compare each table with the truth of the moment."""
        exported = await self.exports.run(self.emulator, tables=self.tables)
        assert exported.exit_code == 0, exported.summary["failures"]
        assert lake_rows(self.exports.lake) == expected(self.emulator.truth())
        tables = {table: rows_of(self.exports.lake, table) for table in KEYS}
        for table, rows in tables.items():
            assert len({repr({**row, "exported_at": 0}) for row in rows}) == len(rows), "a row stands twice"
            final = Counter(tuple(row[name] for name in KEYS[table]) for row in rows if row.get("is_final"))
            assert set(final.values()) <= {1}
        for table, rows in tables.items():
            own = sum(row["run_id"] == f"run{self.exports.runs}" for row in rows)
            assert exported.summary["rows"].get(table, 0) == own
        self.check_stages(tables["stages"])
        over = self.check_sessions(tables["sessions"], tables["stages"])
        self.check_participants(tables["participants"], over)
        return exported.summary

    def check_stages(self, rows: Rows) -> None:
        now = now_of(rows, "stages")
        items = dict(self.emulator.truth().stages())
        assert {key[0] for key in now} == set(items)
        for arn, item in items.items():
            row = now[arn,]
            assert (row["stage_name"], row["tags"], row["is_listed"]) == (item.get("name"), item.get("tags"), True)
        for arn in items:
            told = [(row["stage_name"], row["tags"]) for row in rows if row["stage_arn"] == arn]
            assert all(first != second for first, second in pairwise(told))

    def check_sessions(self, rows: Rows, stages: Rows) -> set[Key]:
        """Compare sessions; returns those that are over."""
        now = now_of(rows, "sessions")
        names = now_of(stages, "stages")
        over: set[Key] = set()
        truth = list(self.emulator.truth().sessions())
        assert set(now) == {(arn, session_id) for arn, session_id, *_ in truth}
        counts = Counter((row["stage_arn"], row["session_id"]) for row in rows)
        for arn, session_id, item, participants, events in truth:
            key, row = (arn, session_id), now[arn, session_id]
            start_us, end_us = micros(item["startTime"]), micros(item.get("endTime"))
            assert (row["session_start"], row["session_end"]) == (start_us, end_us)
            is_over = end_us is not None and end_us + GRACE_US <= self.emulator.clock.now_us
            assert (row["is_final"], row["is_complete"]) == (is_over, is_over)
            found = (row["participant_count"], row["event_count"], row["abandoned_count"])
            assert found == ((participants, events, 0) if is_over else (None, None, None))
            if row["run_id"] == f"run{self.exports.runs}":
                stage = names[arn,]
                assert (row["stage_name"], row["stage_tags"]) == (stage["stage_name"], stage["tags"])
            if is_over:
                over.add(key)
                if key not in self.seen:
                    self.were_over.add(key)
            self.seen.add(key)
            if key in self.were_over:
                assert counts[key] == 1
        return over

    def check_participants(self, rows: Rows, over: set[Key]) -> None:
        now = now_of(rows, "participants")
        truth = {tuple(row[:3]): row for row in self.emulator.truth().participants()}
        assert set(now) == set(truth)
        counts = Counter(tuple(row[name] for name in KEYS["participants"]) for row in rows)
        for key, told in truth.items():
            row = now[key]
            assert row["is_final"] == (key[:2] in over)
            assert row["details"] == ("fetched" if self.tables.details else "off")
            if key[:2] in self.were_over:
                assert counts[key] == 1
            if row["is_final"]:
                self.check_participant(row, told.participant, told.details)

    def check_participant(self, row: dict[str, Any], item: dict[str, Any], details: dict[str, Any]) -> None:
        shown = details if self.tables.details else item
        names = LISTED | (DETAILS if self.tables.details else {})
        wanted = expected_columns(shown, names)
        assert {name: row[name] for name in wanted} == wanted
        extra = {name: value for name, value in shown.items() if name not in names and name not in _NOT_KEPT}
        assert (None if row["extra"] is None else json.loads(row["extra"])) == (extra or None)
        if not self.tables.details:
            assert [row[column] for column, _ in DETAILS.values()] == [None] * len(DETAILS)


@pytest.mark.parametrize("seed", mostly_slow(range(20), 5))
async def test_night_after_night_the_tables_are_the_truth(seed: int, exports: Exports) -> None:
    """Sessions begin, go on over nights and end; in the end all is sealed, and nights write and ask no more."""
    world = small_world(
        seed,
        days=2.0,
        start_us=NOW_US,
        sessions=Size(1, 3, 6),
        events=Size(0, 8, 120),
        lag_s=600.0,
        hostile=seed % 4 == 3,
    )
    tables = TableSettings(details=seed % 5 == 0)
    async with Emulator(options_of(world, start_us=NOW_US + DAY_US // 2)) as emulator:
        nights = Nights(emulator, exports, tables)
        for _ in range(NIGHTS):
            summary = await nights.night()
            emulator.clock.advance(HALF_A_DAY_S)
        stages = {arn for arn, _ in emulator.truth().stages()}
        before = sorted(path for path in exports.lake.rglob("*.parquet"))
        summary = await nights.night()
        assert set(summary["calls"]) == {"ListStages", "ListStageSessions"}
        assert summary["calls"]["ListStageSessions"] >= len(stages)
        assert [path for path in sorted(exports.lake.rglob("*.parquet")) if "stages" not in path.parts] == [
            path for path in before if "stages" not in path.parts
        ]


async def test_the_tables_cost_no_call(exports: Exports, tmp_path: Path) -> None:
    """Night by night, the calls are those of a lake of events alone."""
    world = small_world(1, days=2.0, start_us=NOW_US, sessions=Size(1, 3, 6), events=Size(0, 8, 120), lag_s=600.0)
    calls: defaultdict[str, list[dict[str, int]]] = defaultdict(list)
    for name, is_on in (("with", True), ("without", False)):
        exports.lake = tmp_path / name / "lake"
        async with Emulator(options_of(world, start_us=NOW_US + DAY_US // 2)) as emulator:
            for _ in range(NIGHTS):
                tables = TableSettings(stages=is_on, sessions=is_on, participants=is_on)
                calls[name].append((await exports.run(emulator, tables=tables)).summary["calls"])
                emulator.clock.advance(HALF_A_DAY_S)
    assert calls["with"] == calls["without"]
