"""The page on queries: each snippet runs, on a lake in which some things have two rows, and answers as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES
from tests.support import tables_lake
from tests.support.engines import answer_of, needs_engines
from tests.support.environment import bare_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.lake.tables.table import Table

PAGE = (Path(__file__).parents[2] / "docs" / "querying.md").read_text()


def snippets(section: str, kind: str) -> list[str]:
    """The snippets of a section of the page."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(autouse=True)
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lake in the working folder, as the page has it."""
    monkeypatch.chdir(tmp_path)
    tables_lake.write(tmp_path / "lake")


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the page's views."""
    with duckdb.connect() as connection:
        for sql in snippets("DuckDB", "sql")[:1]:
            connection.execute(sql)
        yield connection


def run_python(section: str) -> dict[str, Any]:
    """What a section's snippet has defined."""
    (code,) = snippets(section, "python")
    names: dict[str, Any] = {}
    exec(compile(code, section, "exec"), names)  # noqa: S102 - the page's own
    return names


def answers_elsewhere(section: str, before: str = "", **asked: str) -> dict[str, Any]:
    """What these expressions give after a section's snippet, in the environment of the engines."""
    (code,) = snippets(section, "python")
    answers = ", ".join(f"{name!r}: {expression}" for name, expression in asked.items())
    found: dict[str, Any] = answer_of(
        ["-c", f"{before}\n{code}\nimport json\nprint(json.dumps({{{answers}}}))"], Path.cwd()
    )
    return found


def counted(values: Iterable[str]) -> tuple[set[str], int]:
    listed = list(values)
    return set(listed), len(listed)


FINAL = (tables_lake.FINAL, len(tables_lake.FINAL))
ALL = (tables_lake.ALL, len(tables_lake.ALL))


def test_the_command_answers() -> None:
    """Each line of the section runs as it stands, on a lake without a log."""
    [text] = snippets("ivs-export query", "sh")
    programs = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in text.splitlines():
        ran = subprocess.run(
            ["/bin/sh", "-euc", line], env=bare_environment(programs), capture_output=True, text=True, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, ""), line
        assert ran.stdout, line


def test_duckdb(database: duckdb.DuckDBPyConnection) -> None:
    """One row for what is over, one for each thing that is known, and the five who watched longest."""
    _, over, now, watched, day, _ = snippets("DuckDB", "sql")
    rows = database.sql(over).to_arrow_table().select(["stage_name", "session_id", "event_count"]).to_pylist()
    assert sorted(tuple(row.values()) for row in rows) == [("lobby", "st-over", 8), ("lobby", "st-over", 9)]
    database.execute(now)
    assert database.execute("SELECT event_count FROM sessions_now WHERE is_final").fetchall() == [(9,)]
    assert database.execute("SELECT stage_name FROM stages_now").fetchall() == [("lobby",)]
    tables_lake.write_reopened(Path("lake"))
    names = database.execute("SELECT participant_id FROM participants_now").fetchall()
    assert counted(name for (name,) in names) == ALL
    of_p1 = "SELECT is_final, browser_name FROM participants_now WHERE participant_id = 'p1'"
    assert database.execute(of_p1).fetchall() == [(True, "Firefox")]
    replaced = watched.replace("FROM participants JOIN", "FROM participants_now JOIN")
    assert database.execute(replaced).fetchall() == tables_lake.WATCHED
    events = database.execute(day.replace("2026-11-23", _first_day(database))).fetchall()
    assert sum(count for _, count in events) == 5


def _first_day(database: duckdb.DuckDBPyConnection) -> str:
    return str(database.execute("SELECT min(event_date) FROM events").fetchall()[0][0])


def test_duckdb_shows_times_in_utc(database: duckdb.DuckDBPyConnection) -> None:
    """The first statement says so, wherever the machine stands."""
    text = database.execute("SELECT min(event_time)::VARCHAR FROM events").fetchall()[0][0]
    assert text.endswith("23:00:00+00")


def test_duckdb_on_s3_can_be_parsed() -> None:
    """The statements need an account."""
    with duckdb.connect() as connection:
        assert len(connection.extract_statements(snippets("DuckDB", "sql")[-1])) == 6


def test_polars() -> None:
    """The rules of the page hold."""
    found = run_python("Polars")
    assert counted(found["final"]["participant_id"]) == FINAL
    assert counted(found["now"]["participant_id"]) == ALL
    assert len(found["own"]) == tables_lake.EVENTS_OWN
    assert found["events"].collect().height == tables_lake.EVENTS_ALL


@needs_engines
def test_pandas() -> None:
    """The rules of the page hold, and times are in UTC."""
    found = answers_elsewhere(
        "pandas",
        final="list(final['participant_id'])",
        now="list(now['participant_id'])",
        own="len(own)",
        events="len(events)",
        zone="str(events['event_time'].dt.tz)",
    )
    assert counted(found["final"]) == FINAL
    assert counted(found["now"]) == ALL
    assert (found["own"], found["events"]) == (tables_lake.EVENTS_OWN, tables_lake.EVENTS_ALL)
    assert found["zone"] == "UTC"


def test_pyarrow() -> None:
    """The rules of the page hold, and dates are dates."""
    found = run_python("PyArrow")
    assert counted(found["final"]["participant_id"].to_pylist()) == FINAL
    assert found["own"].num_rows == tables_lake.EVENTS_OWN
    assert str(found["own"].schema.field("event_date").type) == "date32[day]"


@needs_engines
@pytest.mark.spark
@pytest.mark.slow
def test_spark() -> None:
    """The rules of the page hold."""
    found = answers_elsewhere(
        "Spark",
        before="from tests.support.spark import spark_session\nspark_session()",
        final="final['participant_id'].to_pylist()",
        now="now['participant_id'].to_pylist()",
        own="own.num_rows",
    )
    assert counted(found["final"]) == FINAL
    assert counted(found["now"]) == ALL
    assert found["own"] == tables_lake.EVENTS_OWN


@pytest.mark.parametrize(("table", "index"), [(EVENTS, 0), (STAGES, 1), (SESSIONS, 2), (PARTICIPANTS, 3)])
def test_athenas_tables_have_the_schemas_columns(table: Table, index: int) -> None:
    """Names, order, folder and partition key are the tables' own."""
    statement = snippets("Athena", "sql")[index]
    body = statement[statement.index("(") + 1 : statement.index("PARTITIONED")]
    while "<" in body:
        body = re.sub(r"<[^<>]*>", "", body)
    columns = body.replace(")", "").split(",")
    assert [column.split()[0] for column in columns] == table.schema.names
    kinds = {"string": "string", "bool": "boolean", "int64": "bigint", "timestamp[us, tz=UTC]": "timestamp"}
    assert [column.split()[1] for column in columns] == [
        kinds.get(str(field.type), str(field.type).partition("<")[0]) for field in table.schema
    ]
    assert f"PARTITIONED BY ({table.date_key} date)" in statement
    assert f"s3://my-lake/ivs/{table.name}/{table.date_key}=${{{table.date_key}}}/" in statement


def test_athenas_query_answers_on_another_engine(database: duckdb.DuckDBPyConnection) -> None:
    """It is standard SQL."""
    database.execute("CREATE VIEW ivs_participants AS FROM participants")
    rows = database.sql(snippets("Athena", "sql")[4]).to_arrow_table()
    assert counted(rows["participant_id"].to_pylist()) == ALL
