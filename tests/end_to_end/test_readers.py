"""What people read the lake with sees the same rows, the same types and the same dates."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from exporter.emulator import Emulator
from tests.support.engines import answer_of, needs_engines
from tests.support.exports import options_of
from tests.support.oracle import data_files, expected
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.exports import Exports

#: (date of the partition, event's name, event's time, attributes of the token before): what each reader is asked for.
Seen = Counter[tuple[date, str, datetime, frozenset[tuple[str, str]]]]
_COLUMNS = "event_date, event_name, event_time, previous_token"


@pytest.fixture
async def lake(exports: Exports) -> tuple[Path, Seen]:
    """A lake of several days with tokens, and what is to be seen in it."""
    async with Emulator(options_of(small_world(33, hostile=True))) as emulator:
        assert (await exports.run(emulator)).exit_code == 0
        rows = expected(emulator.truth())
    tables = [(path, pq.ParquetFile(path).read()) for path in data_files(exports.lake)]
    seen = seen_in(
        {**row, "event_date": date.fromisoformat(path.parent.name.removeprefix("event_date="))}
        for path, table in tables
        for row in table.to_pylist()
    )
    assert seen.total() == rows.total() > 1_000
    assert len(tables) > 2
    return exports.lake, seen


def seen_in(rows: Iterator[dict[str, Any]]) -> Seen:
    """What a reader's rows tell, once it is checked that their dates and times are of the types they should be."""
    seen: Seen = Counter()
    for row in rows:
        day, moment, token = row["event_date"], row["event_time"], row["previous_token"]
        assert isinstance(day, date)
        assert moment.utcoffset() == timedelta(0)
        assert moment.astimezone(UTC).date() == day
        attributes = _pairs(token["attributes"]) if token else frozenset()
        if token:
            assert isinstance(token["capabilities"], list | type(None))
            assert isinstance(token["expiration_time"], datetime | None)
        seen[day, row["event_name"], moment, attributes] += 1
    return seen


def _pairs(attributes: Any) -> frozenset[tuple[str, str]]:
    if isinstance(attributes, dict):
        return frozenset(attributes.items())
    return frozenset(tuple(each.values()) if isinstance(each, dict) else tuple(each) for each in attributes or ())


async def test_duckdb(lake: tuple[Path, Seen]) -> None:
    """DuckDB finds the partitions by itself, and every column's type."""
    path, seen = lake
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        events = f"read_parquet('{path}/events/**/*.parquet', hive_partitioning = true)"
        table = connection.sql(f"SELECT {_COLUMNS} FROM {events}").to_arrow_table()
        types = dict(row[:2] for row in connection.execute(f"DESCRIBE SELECT * FROM {events}").fetchall())
    assert seen_in(iter(table.to_pylist())) == seen
    assert types["event_date"] == "DATE"
    assert types["event_time"] == "TIMESTAMP WITH TIME ZONE"
    assert types["new_token"] == (
        "STRUCT(capabilities VARCHAR[], attributes MAP(VARCHAR, VARCHAR), user_id VARCHAR,"
        " expiration_time TIMESTAMP WITH TIME ZONE)"
    )


@pytest.mark.slow
async def test_polars(lake: tuple[Path, Seen]) -> None:
    """Polars scans the folder as a whole."""
    path, seen = lake
    frame = pl.scan_parquet(path / "events", hive_partitioning=True, try_parse_hive_dates=True)
    assert seen_in(iter(frame.select(_COLUMNS.split(", ")).collect().to_dicts())) == seen
    schema = frame.collect_schema()
    assert schema["event_time"] == pl.Datetime("us", "UTC")
    assert schema["event_date"] == pl.Date()
    one_day = frame.filter(pl.col("event_date") == min(seen)[0]).select(pl.len()).collect().item()
    assert one_day == sum(count for (day, *_), count in seen.items() if day == min(seen)[0])


@pytest.mark.slow
async def test_pyarrow(lake: tuple[Path, Seen]) -> None:
    """PyArrow's dataset has the pinned schema, and the partition's key beside it."""
    path, seen = lake
    partitioning = ds.partitioning(pa.schema([("event_date", pa.date32())]), flavor="hive")
    dataset = ds.dataset(path / "events", partitioning=partitioning)
    assert seen_in(iter(dataset.to_table(columns=_COLUMNS.split(", ")).to_pylist())) == seen
    assert dataset.schema.field("event_time").type == pa.timestamp("us", "UTC")
    assert pa.types.is_map(dataset.schema.field("new_token").type.field("attributes").type)


SPARK = """
import json, sys
import pyarrow as pa
from tests.support.spark import spark_session
lake, columns, answer = sys.argv[1:]
events = spark_session().read.parquet(f"{lake}/events")
table = events.select(*columns.split(", ")).toArrow()
with pa.ipc.new_file(answer, table.schema) as file:
    file.write_table(table)
print(json.dumps(dict(events.dtypes)))
"""


@needs_engines
@pytest.mark.spark
@pytest.mark.slow
async def test_spark(lake: tuple[Path, Seen], tmp_path: Path) -> None:
    """Spark infers the partition's key as a date, and reads structs, lists and maps."""
    path, seen = lake
    answer = tmp_path / "answer.arrow"
    types = answer_of(["-c", SPARK, str(path), _COLUMNS, str(answer)], tmp_path)
    assert types["event_date"] == "date"
    assert types["event_time"] == "timestamp"
    assert types["new_token"] == (
        "struct<capabilities:array<string>,attributes:map<string,string>,user_id:string,expiration_time:timestamp>"
    )
    assert seen_in(iter(pa.ipc.open_file(answer).read_all().to_pylist())) == seen
