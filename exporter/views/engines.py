"""The engines: how each names a lake's files, quotes a text, and makes a view. Pure.

A lake's place is whatever somebody has called a folder or a bucket's prefix: quotes, line ends and what an engine takes
for a pattern may stand in it, and it stands in a statement. What an engine can't take is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from exporter.errors import UsageError
from exporter.views.columns import COLUMNS, DATE_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The dates that Athena looks for folders of, in tables that project their partitions. IVS Real-Time is as old as that;
#: and a day is ahead of others somewhere.
PROJECTED_DATES = "2023-08-01,NOW+1DAY"
_S3 = "s3://"
#: A date, as DuckDB's patterns have it: what else lies beside a table's folders is no part of the table.
_DATE = "-".join("[0-9]" * digits for digits in (4, 2, 2))


def _null(kind: str) -> str:
    return f"CAST(NULL AS {kind})"


@dataclass(frozen=True)
class Engine:
    """An engine.

    ``types`` are its names of the kinds of columns. ``table`` makes the statement of a table with files in a lake; it
    is None where a catalog has the tables.
    ``view`` is how a statement that makes a view begins, up to the view's name. ``nothing`` writes no value of a type.
    ``setting`` is a statement that a session needs before the views are asked, if it does.
    """

    name: str
    types: Mapping[str, str]
    table: Callable[[str, str], str] | None
    view: str = "CREATE OR REPLACE VIEW"
    no_rows: str = "WHERE 1 = 0"
    nothing: Callable[[str], str] = _null
    setting: str = ""

    def empty_table(self, name: str) -> str:
        """The statement of a table of which the lake has no file: no rows, with the right columns."""
        kinds = {**COLUMNS[name], DATE_KEYS[name]: "date"}
        columns = ",\n    ".join(f"{self.nothing(self.types[kind])} AS {column}" for column, kind in kinds.items())
        return f"{self.view} {name} AS\nSELECT * FROM (SELECT\n    {columns}\n) no_files\n{self.no_rows}"


def _standard(text: str) -> str:
    """A text as standard SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _escaped(text: str) -> str:
    """A text where a backslash escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _refuse(lake: str, letters: str, engine: str) -> None:
    """Raise :class:`UsageError` where a lake's place has one of the letters."""
    if found := next((letter for letter in letters if letter in lake), None):
        raise UsageError(f"{engine} can't read a lake whose place has a {found} in it")


def _duckdb_table(name: str, lake: str) -> str:
    _refuse(lake, "\\", "DuckDB")  # it takes one for a slash
    root = re.sub(r"[*?\[]", r"[\g<0>]", lake)  # and names for patterns
    key = DATE_KEYS[name]
    files = _standard(f"{root}/{name}/{key}={_DATE}/*.parquet")
    return (
        f"CREATE OR REPLACE VIEW {name} AS\n"
        f"SELECT * FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'{key}': DATE}})"
    )


def _spark_table(name: str, lake: str) -> str:
    root = lake.replace(_S3, "s3a://", 1) if lake.startswith(_S3) else lake
    path = re.sub(r"[\\*?\[\]{}]", lambda match: "\\" + match[0], root)
    columns = ", ".join(f"{column} {SPARK.types[kind]}" for column, kind in COLUMNS[name].items())
    return (
        f"CREATE OR REPLACE TEMPORARY VIEW {name} ({columns}, {DATE_KEYS[name]} DATE)\n"
        f"USING parquet OPTIONS (path {_escaped(f'{path}/{name}')}, recursiveFileLookup 'false')"
    )


def _clickhouse_table(name: str, lake: str) -> str:
    _refuse(lake, "*?{}", "ClickHouse")  # it takes names for patterns, and nothing escapes them
    source = "s3" if lake.startswith(_S3) else "file"
    files = _escaped(f"{lake}/{name}/{DATE_KEYS[name]}=????-??-??/*.parquet")
    return (
        f"CREATE OR REPLACE VIEW {name} AS\n"
        f"SELECT * FROM {source}({files}, 'Parquet') SETTINGS use_hive_partitioning = 1"
    )


def check_on_s3(lake: str) -> None:
    """Raise :class:`UsageError` for a lake that Athena can't read."""
    if not lake.startswith(_S3):
        raise UsageError("Athena reads lakes on S3 alone: --lake s3://bucket/prefix")


def _athena_table(name: str, lake: str) -> str:
    check_on_s3(lake)
    # Hive's parser reads these statements: two quotes in a row are none to it, and a backslash escapes; in the
    # template ${} stands for the date. Source: Athena User Guide, "DDL statements" and "Partition projection".
    _refuse(lake, "'\\$", "Athena")
    key = DATE_KEYS[name]
    columns = ", ".join(f"{column} {ATHENA.types[kind]}" for column, kind in COLUMNS[name].items())
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {name} ({columns})\n"
        f"PARTITIONED BY ({key} date)\n"
        "STORED AS PARQUET\n"
        f"LOCATION {_standard(f'{lake}/{name}/')}\n"
        f"TBLPROPERTIES ('projection.enabled' = 'true', 'projection.{key}.type' = 'date',\n"
        f"    'projection.{key}.format' = 'yyyy-MM-dd', 'projection.{key}.range' = '{PROJECTED_DATES}',\n"
        f"    'storage.location.template' = {_standard(f'{lake}/{name}/{key}=${{{key}}}/')})"
    )


def _datafusion_table(name: str, lake: str) -> str:
    return (
        f"CREATE EXTERNAL TABLE {name} STORED AS PARQUET PARTITIONED BY ({DATE_KEYS[name]})\n"
        f"LOCATION {_standard(f'{lake}/{name}/')}"
    )


DUCKDB = Engine(
    "duckdb",
    {
        "int": "BIGINT",
        "text": "VARCHAR",
        "bool": "BOOLEAN",
        "time": "TIMESTAMPTZ",
        "date": "DATE",
        "map": "MAP(VARCHAR, VARCHAR)",
        "token": "STRUCT(capabilities VARCHAR[], attributes MAP(VARCHAR, VARCHAR), user_id VARCHAR,"
        " expiration_time TIMESTAMPTZ)",
    },
    _duckdb_table,
)
SPARK = Engine(
    "spark",
    {
        "int": "BIGINT",
        "text": "STRING",
        "bool": "BOOLEAN",
        "time": "TIMESTAMP",
        "date": "DATE",
        "map": "MAP<STRING, STRING>",
        "token": "STRUCT<capabilities: ARRAY<STRING>, attributes: MAP<STRING, STRING>, user_id: STRING,"
        " expiration_time: TIMESTAMP>",
    },
    _spark_table,
    view="CREATE OR REPLACE TEMPORARY VIEW",
)
CLICKHOUSE = Engine(
    "clickhouse",
    {
        "int": "Nullable(Int64)",
        "text": "Nullable(String)",
        "bool": "Nullable(Bool)",
        "time": "Nullable(DateTime64(6, 'UTC'))",
        "date": "Nullable(Date32)",
        "map": "Map(String, Nullable(String))",
        "token": "Tuple(capabilities Array(Nullable(String)), attributes Map(String, Nullable(String)),"
        " user_id Nullable(String), expiration_time Nullable(DateTime64(6, 'UTC')))",
    },
    _clickhouse_table,
    nothing=lambda kind: f"defaultValueOfTypeName({_escaped(kind)})",  # no map and no tuple is null there
    setting="SET query_plan_max_optimizations_to_apply = 1000000",  # the views stand on one another, many deep
)
ATHENA = Engine(
    "athena",
    {
        "int": "bigint",
        "text": "string",
        "bool": "boolean",
        "time": "timestamp",
        "date": "date",
        "map": "map<string, string>",
        "token": "struct<capabilities: array<string>, attributes: map<string, string>, user_id: string,"
        " expiration_time: timestamp>",
    },
    _athena_table,
)
#: Athena where a catalog has the lake's tables: nothing is to be made but the views.
ATHENA_CATALOG = replace(ATHENA, name="athena_catalog", table=None)
DATAFUSION = Engine(
    "datafusion",
    {
        "int": "BIGINT",
        "text": "VARCHAR",
        "bool": "BOOLEAN",
        "time": "TIMESTAMP",
        "date": "DATE",
        "map": "VARCHAR",
        "token": "VARCHAR",
    },
    _datafusion_table,
)
#: All engines by their names. DataFusion has no use for its own but in tests: it is strict where others are lenient.
ENGINES: Mapping[str, Engine] = {engine.name: engine for engine in (DUCKDB, ATHENA, SPARK, CLICKHOUSE, DATAFUSION)}
