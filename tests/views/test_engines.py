"""The views give the same rows on every engine, in any time zone, whichever file is read first."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from exporter.views.statements import VIEWS
from tests.support import tables_lake
from tests.support.engines import PYTHON, answer_of, needs_engines
from tests.support.view_lakes import at, event, session, write

PROGRAM = Path(__file__).with_name("engine_rows.py")
DAY_S = 86_400
ALL_BUT_EVENTS = ("stages", "sessions", "participants")


def fill(lake: Path) -> None:
    """All that the views tell apart, in several files of a date; two sessions of each kind of end."""
    tables_lake.write(lake)
    tables_lake.write_reopened(lake)
    events = []
    for number, name in enumerate(("st-a", "st-b", "st-c")):
        events += [
            event(name, "pub", number, "JOINED"),
            event(name, "pub", number + 1.25, "PUBLISH_STARTED"),
            event(name, "pub", 3 * DAY_S + 0.000001, "LEFT"),
            event(name, "view", 5, "SUBSCRIBE_STARTED", remote_participant_id="pub"),
            event(name, "view", 5.5, "JOINED"),
            event(name, "view", 60, "SUBSCRIBE_STARTED", remote_participant_id="rep", replica=True),
            event(name, "view", 90, "SUBSCRIBE_ERROR", error_code="X", remote_participant_id="nobody"),
            event(name, "view", 95, "PUBLISH_ERROR"),
            event(name, "view", 2 * DAY_S, "SUBSCRIBE_STOPPED", remote_participant_id="pub"),
            event(name, "rep", 0, "JOINED", replica=True),
            event(name, "rep", 600, "LEFT", replica=True),
            event(name, "rep", 600, "JOINED"),
            event(name, "rep", 700, "REPLICATION_STARTED", destination_session_id="st-else"),
            event(name, "rep", 700, None),
            event(name, "gone", 800, "LEFT"),
            event(name, "odd", 900, "NEW_NAME", error_code="1"),
            event(name, "odd", 900, "JOINED"),
            event(name, "odd", 150 * 366 * DAY_S, "LEFT"),  # all that ClickHouse can say
        ]
        events += [event(name, f"many{one}", 40 + one * 7, "JOINED") for one in range(9)]
        events += [event(name, f"many{one}", 300 + one, "LEFT") for one in range(7)]
    rows = [session("st-a", 9 * DAY_S, stage_tags={"b": "2", "a": "1"}), session("st-b", None)]
    people = [
        {"session_id": "st-a", "session_start": at(0), "participant_id": name, "user_id": f"user of '{name}'\n",
         "attributes": {"plan": "gold"}, "replication_type": kind, "published": name == "pub", "is_final": False}
        for name, kind in (("pub", "SOURCE"), ("view", None), ("rep", "REPLICA"), ("silent", "NONE"))
    ]  # fmt: skip
    write(lake, {"events": [*events, dict(events[0], event_id=0)], "sessions": rows, "participants": people}, parts=3)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small lake, whose path has a quote in it."""
    folder = tmp_path_factory.mktemp("engines") / "some'lake"
    fill(folder)
    return folder


def rows_on(engine: str, lake: Path, zone: str, python: str | Path = sys.executable, *days: str) -> dict[str, Any]:
    """What the program prints in an environment, of a range of days where two are named."""
    found: dict[str, Any] = answer_of(
        [str(PROGRAM), engine, str(lake), zone, *days], lake.parent, python=python, zone=zone
    )
    return found


@pytest.fixture(scope="module")
def rows(lake: Path) -> dict[str, Any]:
    """The rows on the newest DuckDB."""
    return rows_on("duckdb", lake, "UTC")


def check_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare two engines' answers view by view, so that the first that differs is named."""
    for view in VIEWS:
        assert found[view] == expected[view], view


def test_each_view_has_rows(rows: dict[str, Any]) -> None:
    """Else the others show nothing."""
    assert {name for name, answer in rows.items() if answer["rows"]} == set(VIEWS)
    reasons = {row[rows["intervals"]["columns"].index("end_reason")] for row in rows["intervals"]["rows"]}
    assert reasons == {"stopped", "left", "restarted", "session_end", "open"}


def test_in_any_zone_and_any_order_of_files(lake: Path, rows: dict[str, Any]) -> None:
    """A file's name says which is read first."""
    assert rows_on("duckdb", lake, "America/New_York") == rows
    for folder in [path for path in lake.rglob("*=*") if path.is_dir()]:
        for number, path in enumerate(sorted(folder.iterdir())):
            path.rename(folder / f"{1_000 - number}.parquet")
    assert rows_on("duckdb", lake, "Asia/Kathmandu") == rows


@needs_engines
@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "zone"),
    [("duckdb", "America/New_York"), ("clickhouse", "Asia/Kathmandu"), ("datafusion", "+05:45")],
)
def test_other_engines(engine: str, zone: str, lake: Path, rows: dict[str, Any]) -> None:
    """Row for row; DuckDB is the oldest that is supported."""
    check_same(rows_on(engine, lake, zone, PYTHON), rows)


@needs_engines
@pytest.mark.slow
def test_a_day_of_a_lake_without_all_tables(tmp_path: Path) -> None:
    """A table that has no file is empty also on the engine that knows no null map; dates are the same range."""
    engine = "clickhouse"
    fill(tmp_path)
    for table in ALL_BUT_EVENTS:
        shutil.rmtree(tmp_path / table)
    days = ("2026-11-24", "2026-11-25")
    expected = rows_on("duckdb", tmp_path, "UTC", sys.executable, *days)
    assert expected["session_summary"]["rows"]
    check_same(rows_on(engine, tmp_path, "UTC", PYTHON, *days), expected)


@needs_engines
@pytest.mark.spark
@pytest.mark.slow
def test_spark(lake: Path, rows: dict[str, Any]) -> None:
    """Row for row."""
    check_same(rows_on("spark", lake, "America/New_York", PYTHON), rows)


@needs_engines
@pytest.mark.slow
@pytest.mark.parametrize("days", [(), ("2026-11-24", "2026-11-25")])
@pytest.mark.parametrize("engine", ["athena", "athena_catalog"])
def test_athenas_statements_are_trinos(engine: str, days: tuple[str, ...], lake: Path) -> None:
    """A grammar of Trino's reads all of them, over the files and over a catalog's tables."""
    found = answer_of([str(PROGRAM), engine, "s3://bucket/prefix", "UTC", *days], lake.parent)
    assert len(found) > len(VIEWS)
    assert {name: said for name, said in found.items() if said != ["None", "()"]} == {}
