"""What an engine reads of a catalog's tables, as Arrow files: a program for the environment of the engines.

    python tests/catalog/reader_rows.py ENGINE TABLES ANSWERS

``TABLES`` is a JSON file of :class:`Tables`. The answers are files in the folder ``ANSWERS``; the engine's version is
printed as JSON. It stands on the standard library, the engine and PyArrow alone.
"""

from __future__ import annotations

import importlib.resources
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answers = Iterator[tuple[str, pa.Table]]


class Tables(TypedDict):
    """Each table's newest description, and a snapshot of ``events`` before the newest one, by its id and its time."""

    metadata: dict[str, str]
    snapshot_id: int
    snapshot_ms: int


def on_duckdb(tables: Tables) -> Answers:
    """DuckDB, with its extension from a package: nothing is fetched."""
    import duckdb  # noqa: PLC0415 - only one of the engines is asked

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        load_iceberg(connection)
        connection.execute("SET TimeZone = 'UTC'")

        def ask(source: str, condition: str = "true") -> pa.Table:
            return connection.sql(f"SELECT * FROM iceberg_scan({source}) WHERE {condition}").arrow().read_all()

        sources = {name: f"'{path}'" for name, path in tables["metadata"].items()}
        events, at = sources["events"], f"epoch_ms({tables['snapshot_ms']})"
        yield from ((name, ask(source)) for name, source in sources.items())
        yield "by_id", ask(f"{events}, snapshot_from_id = {tables['snapshot_id']}")
        yield "by_time", ask(f"{events}, snapshot_from_timestamp = {at}::TIMESTAMP")
        yield "one_day", ask(events, "event_time < TIMESTAMPTZ '2026-11-23 00:00:00+00'")


def load_iceberg(connection: Any) -> None:
    """Load DuckDB's extension for Iceberg, and what it stands on."""
    for name in ("avro", "iceberg"):
        folder = importlib.resources.files(f"duckdb_extension_{name}")
        [extension] = Path(str(folder)).glob(f"extensions/*/{name}.duckdb_extension")
        connection.execute(f"LOAD '{extension}'")


def on_clickhouse(tables: Tables) -> Answers:
    """ClickHouse, as chDB; a table is its folder, and the description in it is named."""
    from chdb.session import Session  # noqa: PLC0415 - the same

    with tempfile.TemporaryDirectory() as folder:
        session = Session(folder)

        def ask(path: str, rest: str = "") -> pa.Table:
            place, _, file = path.removeprefix("file://").partition("/metadata/")
            source = f"icebergLocal('{place}', SETTINGS iceberg_metadata_file_path = 'metadata/{file}')"
            return pa.ipc.open_file(session.query(f"SELECT * FROM {source} {rest}", "Arrow").bytes()).read_all()

        events = tables["metadata"]["events"]
        yield from ((name, ask(path)) for name, path in tables["metadata"].items())
        yield "by_id", ask(events, f"SETTINGS iceberg_snapshot_id = {tables['snapshot_id']}")
        yield "by_time", ask(events, f"SETTINGS iceberg_timestamp_ms = {tables['snapshot_ms']}")
        yield "one_day", ask(events, "WHERE event_time < toDateTime64('2026-11-23 00:00:00', 6, 'UTC')")


ENGINES: dict[str, Callable[[Tables], Answers]] = {"duckdb": on_duckdb, "clickhouse": on_clickhouse}


def main(engine: str, tables: str, answers: str) -> None:
    asked: Any = json.loads(Path(tables).read_text())
    for name, table in ENGINES[engine](asked):
        with pa.ipc.new_file(f"{answers}/{name}.arrow", table.schema) as file:
            file.write_table(table)
    print(json.dumps(engine))  # noqa: T201 - what the caller waits for


if __name__ == "__main__":
    main(*sys.argv[1:])
