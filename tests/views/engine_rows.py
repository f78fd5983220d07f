"""The rows of all views on one engine, as text that is the same wherever they are: a program for another environment.

    python tests/views/engine_rows.py ENGINE LAKE TIME_ZONE [SINCE UNTIL]

prints a JSON object: each view's columns, and its rows in an order of their own. It stands on the standard library, the
engine, PyArrow, ``exporter.views`` and ``tests.support.spark`` alone.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from exporter.views.statements import TABLES, VIEWS, Dates, statements

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(value: Any) -> Any:
    """A value as it is compared: times in microseconds, maps by their keys, an empty map as none."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime):
        since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
        return f"{since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds} us"
    if isinstance(value, date):
        return str(value)
    if isinstance(value, dict):
        return sorted([plain(key), plain(one)] for key, one in value.items()) or None
    if isinstance(value, list):
        return sorted([plain(key), plain(one)] for key, one in value) or None
    return int(value) if isinstance(value, bool) else value


def answer(ask: Callable[[str], pa.Table], view: str) -> dict[str, Any]:
    """The columns and the rows of a view, by way of what gives a query's answer."""
    table = ask(f"SELECT * FROM {view}")
    rows = [[plain(value) for value in row.values()] for row in table.to_pylist()]
    return {"columns": table.column_names, "rows": sorted(rows, key=json.dumps)}


def answers(ask: Callable[[str], pa.Table]) -> dict[str, Any]:
    """The columns and the rows of each view."""
    return {view: answer(ask, view) for view in VIEWS}


def names_of(made: list[str]) -> list[str]:
    """The views that statements make, each after those that it stands on."""
    found = (re.match(r"CREATE OR REPLACE (?:TEMPORARY )?VIEW (\w+)", statement) for statement in made)
    return [match[1] for match in found if match]


def on_duckdb(made: list[str], zone: str) -> dict[str, Any]:
    """DuckDB, of whichever version."""
    import duckdb  # noqa: PLC0415 - only one of the engines is there

    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        for statement in made:
            connection.execute(statement)
        return answers(lambda query: connection.sql(query).arrow().read_all())


def on_clickhouse(made: list[str], zone: str) -> dict[str, Any]:
    """ClickHouse, as chDB.

    One view is asked as users ask it, through all that it stands on. Then each is worked out once, on the rows of those
    below it.
    """
    from chdb.session import Session  # noqa: PLC0415 - the same

    with tempfile.TemporaryDirectory() as folder:
        session = Session(folder)

        def ask(query: str) -> pa.Table:
            return pa.ipc.open_file(session.query(query, "Arrow").bytes()).read_all()

        session.query(f"SET session_timezone = '{zone}'")
        for statement in made:
            session.query(statement)
        through_all = answer(ask, "checks")
        for view in names_of(made):
            session.query(f"CREATE TABLE kept ENGINE = Memory AS SELECT * FROM {view}")
            session.query(f"DROP VIEW {view}")
            session.query(f"RENAME TABLE kept TO {view}")
        return {**answers(ask), "checks": through_all}


def on_datafusion(made: list[str], zone: str) -> dict[str, Any]:
    """DataFusion, in Python."""
    import datafusion  # noqa: PLC0415 - the same

    context = datafusion.SessionContext(datafusion.SessionConfig({"datafusion.execution.time_zone": zone}))
    for statement in made:
        context.sql(statement).collect()
    return answers(lambda query: context.sql(query).to_arrow_table())


def on_spark(made: list[str], zone: str) -> dict[str, Any]:
    """Spark, in one process.

    Each view is worked out when it is made, on the rows of those that it stands on: Spark would plan these anew for
    each view, which takes it minutes.
    """
    from tests.support.spark import spark_session  # noqa: PLC0415 - the same

    session = spark_session(zone)
    try:
        for statement in made:
            session.sql(statement)
            for view in names_of([statement]):
                session.table(view).localCheckpoint().createOrReplaceTempView(view)
        return answers(lambda query: session.sql(query).toArrow())
    finally:
        session.stop()


def athena_errors(made: list[str], _zone: str) -> dict[str, Any]:
    """What a grammar of Trino's finds wrong with Athena's statements but for those of tables, which are Hive's."""
    import trino_sql_validator  # noqa: PLC0415 - the same

    results = {
        statement.partition("\n")[0]: trino_sql_validator.validate(statement, jinja="reject")
        for statement in made
        if not statement.startswith("CREATE EXTERNAL TABLE")
    }
    return {name: [str(result.error), str(result.warnings)] for name, result in results.items()}


ENGINES = {
    "duckdb": on_duckdb,
    "clickhouse": on_clickhouse,
    "datafusion": on_datafusion,
    "spark": on_spark,
    "athena": athena_errors,
    "athena_catalog": athena_errors,
}

if __name__ == "__main__":
    name, lake, zone, *days = sys.argv[1:]
    there = {table for table in TABLES if "://" in lake or Path(lake, table).is_dir()}
    engine, _, of_catalog = name.partition("_")
    database = "ivs" if of_catalog else None
    made = statements(engine, lake, Dates(*map(date.fromisoformat, days)), there, database=database)
    print(json.dumps(ENGINES[name](made, zone)))  # noqa: T201 - what it is for
