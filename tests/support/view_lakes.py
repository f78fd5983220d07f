"""Lakes for the views, of rows as they are told, and the views of a lake on DuckDB."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from exporter.lake.parquet import encode
from exporter.lake.partitions import dates_in, of_date
from exporter.lake.tables import TABLES, table_named
from exporter.views.statements import statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from exporter.views.statements import Dates

ACCOUNT, REGION = "123456789012", "eu-west-1"
ARN = f"arn:aws:ivs:{REGION}:{ACCOUNT}:stage/abcdefghijkl"
#: 23:00 UTC, so that an hour is all that is left of the first day.
BEGAN = datetime(2026, 11, 23, 23, tzinfo=UTC)
Row = dict[str, Any]


def at(second: float) -> datetime:
    """A moment after `BEGAN`."""
    return BEGAN + timedelta(seconds=second)


def event(session: str, participant: str, second: float, name: str | None, **more: Any) -> Row:
    """An event, ``second`` seconds after `BEGAN`."""
    return {"session_id": session, "participant_id": participant, "event_time": at(second), "event_name": name, **more}


def session(name: str, end_s: float | None, **more: Any) -> Row:
    """A session that began at `BEGAN`."""
    end = None if end_s is None else at(end_s)
    is_over = end is not None
    return {
        "session_id": name, "session_start": BEGAN, "session_end": end, "is_final": is_over, "is_complete": is_over,
        **more,
    }  # fmt: skip


def write(lake: Path, tables: Mapping[str, Sequence[Row]], *, seen_s: float = 1_000_000.0, parts: int = 1) -> None:
    """Write rows, each with the keys that it does not name itself; the rows of a date into ``parts`` files."""
    for name, rows in tables.items():
        table = table_named(name)
        assert table is not None
        common = {
            "stage_arn": ARN, "account_id": ACCOUNT, "region": REGION, "run_id": "r1", "exported_at": at(seen_s),
        }  # fmt: skip
        made = [{"event_id": number, **common, **row} for number, row in enumerate(rows)]
        columns = {
            field.name: pa.array([row.get(field.name) for row in made], field.type, from_pandas=False)
            for field in table.schema
        }
        for part in range(parts):
            batch = pa.record_batch(list(columns.values()), schema=table.schema)
            batch = batch.take(pa.array(range(part, batch.num_rows, parts), pa.int64()))
            for day in dates_in(table, batch):
                folder = lake / table.name / f"{table.date_key}={day}"
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{len(list(folder.iterdir()))}.parquet"
                path.write_bytes(encode(table, [of_date(table, batch, day)]))


def tables_in(lake: Path) -> set[str]:
    """The tables that have a folder."""
    return {table.name for table in TABLES if (lake / table.name).is_dir()}


@contextmanager
def on_duckdb(lake: Path, dates: Dates | None = None, zone: str = "UTC") -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views of a lake, in a time zone."""
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        for statement in statements("duckdb", str(lake), dates, tables_in(lake)):
            connection.execute(statement)
        yield connection


def rows_of(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    """A query's rows, by the names of their columns."""
    found = connection.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
