"""Programs that read Iceberg find in a catalog's tables the rows that lie in the lake, and those of last night."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

from exporter.lake.tables import TABLES
from tests.catalog import reader_rows
from tests.support.catalogs import catalog_lakes, plain_rows, two_days
from tests.support.engines import answer_of, needs_engines
from tests.support.runs import export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyiceberg.table import Table as IcebergTable

    from tests.catalog.reader_rows import Tables
    from tests.support.catalogs import CatalogLake

    Rows = list[dict[str, Any]]

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Nights:
    """A lake of two nights, each published; where its tables are, and what readers must find, by a name each."""

    lake: CatalogLake
    tables: Tables
    expected: dict[str, Rows]

    def opened(self, table: str) -> IcebergTable:
        return self.lake.reader().load_table((self.lake.database, table))


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """One for all readers, who change nothing."""
    with catalog_lakes("sql", tmp_path_factory.mktemp("readers")) as lakes:
        yield asyncio.run(published(next(lakes)))


async def published(lake: CatalogLake) -> Nights:
    """Two nights, the second of one more session."""
    service = two_days()
    async with lake.store() as store:
        await export(service, store, "r1")
        await lake.publish(store)
        first = await plain_rows(store, "events")
        service.add("st-new", events={"p9": 4})
        await export(service, store, "r2")
        await lake.publish(store)
        expected = {table.name: await plain_rows(store, table.name) for table in TABLES}
    expected |= {"by_id": first, "by_time": first}
    expected["one_day"] = [row for row in expected["events"] if row["event_time"] < MIDNIGHT]
    assert 0 < len(expected["one_day"]) < len(expected["events"])
    assert 0 < len(first) < len(expected["events"])
    tables = {table.name: lake.reader().load_table((lake.database, table.name)) for table in TABLES}
    before = tables["events"].snapshots()[0]
    metadata = {name: table.metadata_location for name, table in tables.items()}
    return Nights(
        lake, {"metadata": metadata, "snapshot_id": before.snapshot_id, "snapshot_ms": before.timestamp_ms}, expected
    )


@needs_engines
@pytest.mark.slow
@pytest.mark.parametrize("engine", reader_rows.ENGINES)
def test_engines(engine: str, nights: Nights, tmp_path: Path) -> None:
    """DuckDB's iceberg_scan and ClickHouse's icebergLocal, each with the description that the catalog names."""
    (tmp_path / "tables.json").write_text(json.dumps(nights.tables))
    answers = tmp_path / "answers"
    answers.mkdir()
    beside = Path(nights.lake.address).parent  # ClickHouse reads what lies below the folder that it runs in
    answer_of([reader_rows.__file__, engine, str(tmp_path / "tables.json"), str(answers)], beside)
    shown = without_empty if engine == "clickhouse" else plain
    found = {path.stem: pa.ipc.open_file(path).read_all().to_pylist() for path in answers.iterdir()}
    check(found, nights.expected, shown)


README = """
import json, sys
import duckdb
from tests.catalog.reader_rows import load_iceberg
with duckdb.connect() as connection:
    load_iceberg(connection)
    print(json.dumps([connection.execute(query).fetchall() for query in sys.argv[1:]]))
"""


@needs_engines
@pytest.mark.slow
def test_the_readmes_lines_for_duckdb(nights: Nights, tmp_path: Path) -> None:
    """With a description, as of last night, and without a catalog; what fetches the extension is left out."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [block] = [text for text in re.findall(r"```sql\n(.*?)```", readme, re.DOTALL) if "iceberg_scan" in text]
    block = re.sub(r"'[^']*\.metadata\.json'", f"'{nights.tables['metadata']['events']}'", block)
    block = block.replace("'lake/", f"'{nights.lake.address}/")
    block = re.sub(r"TIMESTAMP '[^']*'", f"epoch_ms({nights.tables['snapshot_ms']})::TIMESTAMP", block)
    now, before, plain_files = answer_of(["-c", README, *block.splitlines()[1:]], tmp_path)
    assert now == plain_files
    assert sum(count for _, count in now) == len(nights.expected["events"])
    assert before == [[len(nights.expected["by_time"])]]


def test_polars(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars plans by PyIceberg, and reads the files by itself."""
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")  # else it warns that its own planner is not installed
    events = nights.opened("events")
    before = events.snapshot_as_of_timestamp(nights.tables["snapshot_ms"])
    assert before is not None
    frames = {table.name: pl.scan_iceberg(nights.opened(table.name), reader_override="native") for table in TABLES}
    frames["by_id"] = pl.scan_iceberg(events, snapshot_id=nights.tables["snapshot_id"], reader_override="native")
    frames["by_time"] = pl.scan_iceberg(events, snapshot_id=before.snapshot_id, reader_override="native")
    frames["one_day"] = frames["events"].filter(pl.col("event_time") < MIDNIGHT)
    check({name: frame.collect().to_arrow().to_pylist() for name, frame in frames.items()}, nights.expected)


def test_pyarrow(nights: Nights) -> None:
    """PyIceberg gives PyArrow's tables; a part of the rows is asked for by a filter, whose other files stay closed."""
    events = nights.opened("events")
    before = events.snapshot_as_of_timestamp(nights.tables["snapshot_ms"])
    assert before is not None
    scans = {table.name: nights.opened(table.name).scan() for table in TABLES}
    scans["by_id"] = events.scan(snapshot_id=nights.tables["snapshot_id"])
    scans["by_time"] = events.scan(snapshot_id=before.snapshot_id)
    scans["one_day"] = events.scan(row_filter=f"event_time < '{MIDNIGHT.isoformat()}'")
    check({name: scan.to_arrow().to_pylist() for name, scan in scans.items()}, nights.expected)
    assert len(list(scans["one_day"].plan_files())) < len(list(scans["events"].plan_files()))


def check(found: dict[str, Rows], expected: dict[str, Rows], shown: Callable[[Any], Any] | None = None) -> None:
    """All that is expected was found, and nothing else, whatever the order of the rows."""
    assert found.keys() == expected.keys()
    for name, rows in expected.items():
        assert texts(found[name], shown or plain) == texts(rows, shown or plain), name


def texts(rows: Rows, shown: Callable[[Any], Any]) -> list[str]:
    return sorted(repr(shown(row)) for row in rows)


def plain(value: Any) -> Any:
    """A value as it is compared: times in UTC, a map's pairs in an order."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list) and all(isinstance(inner, tuple) for inner in value):
        return sorted(value)
    return value


def without_empty(value: Any) -> Any:
    """The same without what ClickHouse can't tell apart: it has no struct, list or map that is null, but empty ones."""
    if isinstance(value, dict):
        inner = {name: without_empty(one) for name, one in value.items()}
        return inner if any(one is not None for one in inner.values()) else None
    return None if value == [] else plain(value)
