"""The statements: whatever a lake is called, whichever tables it has, and only the dates that are asked for."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from exporter.errors import UsageError
from exporter.lake.tables import TABLES
from exporter.views.columns import COLUMNS, DATE_KEYS
from exporter.views.engines import ENGINES
from exporter.views.statements import VIEWS, Dates, reads_intervals_again, script, statements
from tests.support.view_lakes import event, on_duckdb, rows_of, session, write

if TYPE_CHECKING:
    from pathlib import Path

DAY_S = 86_400
HOSTILE = "it's; DROP TABLE x --\n[a]$(c)`d`\" %s"
#: Some engines can't be told of these.
PATTERNS = " {b} {{events}} *?"


def one_session(lake: Path) -> None:
    write(lake, {"events": [event("st-1", "p", 0, "JOINED"), event("st-1", "p", 9, "LEFT")]})


def test_columns_are_those_of_the_tables() -> None:
    """Names, order, kinds, and the key of the folders."""
    kinds = {"string": "text", "bool": "bool", "int64": "int", "timestamp[us, tz=UTC]": "time"}
    for table in TABLES:
        found = {
            field.name: kinds.get(str(field.type), "map" if str(field.type).startswith("map") else "token")
            for field in table.schema
        }
        assert list(COLUMNS[table.name].items()) == list(found.items())
        assert DATE_KEYS[table.name] == table.date_key
    assert set(COLUMNS) == {table.name for table in TABLES}


def test_every_view_has_the_same_text_on_every_engine() -> None:
    """Only what they stand on is each engine's own."""
    for dates in (None, Dates(date(2026, 1, 1), date(2026, 1, 2))):
        texts = {
            name: {made.partition(" AS\n")[2] for made in statements(name, "s3://b/p", dates) if of_view(made) in VIEWS}
            for name in ENGINES
        }
        assert all(texts[name] == texts["duckdb"] for name in ENGINES)
        assert len(texts["duckdb"]) == len(VIEWS)
        of_catalog = statements("athena", "s3://b/p", dates, database="ivs")
        assert {made.partition(" AS\n")[2] for made in of_catalog if of_view(made) in VIEWS} == texts["duckdb"]


@pytest.mark.parametrize("dates", [None, Dates(date(2026, 1, 1), date(2026, 1, 2))])
def test_a_catalogs_tables_are_read_as_they_are(dates: Dates | None) -> None:
    """None is made, each is read once, in its database; Iceberg's have no columns of dates: times are compared."""
    made = statements("athena", "s3://b/p", dates, database="ivs")
    own = statements("athena", "s3://b/p", dates)
    assert [of_view(statement) for statement in made] == [of_view(statement) for statement in own][len(TABLES) :]
    base = [statement for statement in made if '"ivs".' in statement]
    assert sorted(re.findall(r'"ivs"\.(\w+)', script(base))) == sorted(table.name for table in TABLES)
    assert not re.search(r"\b(?:event|session|exported)_date\b", script(base))
    assert not re.search(r"FROM (?:events|stages|sessions|participants)\b", script(made))
    assert script(made).count("range_dates)") == (0 if dates is None else 4)
    with pytest.raises(UsageError, match="S3"):
        statements("athena", "/lake", database="ivs")


def test_what_reads_intervals_again() -> None:
    """Each view whose text names them counts, as often as it does, in any letters; nothing else does."""
    texts = {of_view(made): made for made in statements("athena", "s3://b/p")}
    for name in VIEWS:
        asked = f'SELECT * FROM {name.upper()} a join\n"{name}" b USING (session_id)'
        named = re.findall("(interval|viewing)_facts", texts[name])
        assert reads_intervals_again(asked) == bool(named), name
        assert reads_intervals_again(f"SELECT * FROM {name}") == (len(named) > 1), name
    assert reads_intervals_again("SELECT 1 FROM (SELECT * FROM checks) UNION ALL SELECT 2 FROM watch_time")
    assert not reads_intervals_again("SELECT count(*) AS intervals FROM intervals ORDER BY kind, intervals")
    assert not reads_intervals_again("SELECT * FROM watch_time JOIN sessions_now USING (session_id)")


def of_view(statement: str) -> str:
    match = re.match(r"CREATE OR REPLACE (?:TEMPORARY )?VIEW (\w+) ", statement)
    return match[1] if match else ""


def test_a_lake_of_any_name(tmp_path: Path) -> None:
    """Quotes, line ends and patterns in a path stay a path: what would fit the pattern, too, is not read."""
    lake = tmp_path / (HOSTILE + PATTERNS)
    one_session(lake)
    one_session(tmp_path / (HOSTILE + PATTERNS).replace("[a]", "a").replace("*", "x"))
    with on_duckdb(lake) as connection:
        assert connection.execute("SELECT count(*) FROM intervals").fetchall() == [(1,)]


def test_a_path_is_one_text_of_the_statement() -> None:
    """The statements are as many, nothing else is changed by it, and read by the engine's rule it is the path."""
    for name in ENGINES:
        path = re.sub(r"['$]", "", HOSTILE) if name == "athena" else HOSTILE
        plain, hostile = (statements(name, f"s3://b/{at}") for at in ("p", path))
        assert [made for made in plain if "s3" not in made] == [made for made in hostile if "s3" not in made]
        of_tables = [made for made in hostile if not made.startswith("SET")][: len(COLUMNS)]
        for made in of_tables:
            is_escaped = name in {"spark", "clickhouse"}
            literal = re.compile(r"'((?:[^'\\]|\\.)*)'" if is_escaped else r"'((?:[^']|'')*)'", re.DOTALL)
            texts = [
                re.sub(r"\\(.)", r"\1", text) if is_escaped else text.replace("''", "'")
                for text in literal.findall(made)
            ]
            assert any(path in re.sub(r"\\(.)", r"\1", text.replace("[[]", "[")) for text in texts), made
            assert "DROP" not in literal.sub("", made)


def test_a_path_that_an_engine_can_not_be_told_is_refused() -> None:
    """It would be read as a pattern, or as another path."""
    with pytest.raises(UsageError, match=r"DuckDB can't read a lake whose place has a \\ in it"):
        statements("duckdb", "/a\\b")
    for letter in "*?{}":
        with pytest.raises(UsageError, match="ClickHouse"):
            statements("clickhouse", f"/a{letter}b")
    for letter in "'\\$":
        with pytest.raises(UsageError, match="Athena"):
            statements("athena", f"s3://b/a{letter}b")


@pytest.mark.parametrize("tables", [(), ("events",), ("stages", "sessions", "participants")])
def test_tables_may_be_missing(tables: tuple[str, ...], tmp_path: Path) -> None:
    """A view of a table that has no file is empty, with the same columns."""
    people = [{"session_id": "st-1", "session_start": None, "participant_id": "p", "first_join_time": None}]
    rows = {
        "events": [event("st-1", "p", 0, "JOINED")],
        "stages": [{"stage_name": "lobby", "is_listed": True}],
        "sessions": [session("st-1", 100)],
        "participants": people,
    }
    write(tmp_path / "all", rows)
    write(tmp_path / "some", {name: rows[name] for name in tables})
    with on_duckdb(tmp_path / "all") as whole, on_duckdb(tmp_path / "some") as part:
        for name in (*VIEWS, *COLUMNS):
            kinds = [(column[0], str(column[1])) for column in whole.execute(f"SELECT * FROM {name}").description or ()]
            found = part.execute(f"SELECT * FROM {name}")
            assert [(column[0], str(column[1])) for column in found.description or ()] == kinds, name
            if name in COLUMNS:
                rows_there = part.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
                assert bool(rows_there) is (name in tables)


def test_no_engine_of_that_name() -> None:
    """It is named, with those that there are; and Athena reads S3 alone."""
    with pytest.raises(UsageError, match="duckdb, athena, spark, clickhouse"):
        statements("oracle", "/lake")
    with pytest.raises(UsageError, match="S3"):
        statements("athena", "/lake")


def year(lake: Path) -> None:
    """A session a day, that of the tenth day over midnight and one of three days around the twentieth."""
    events, sessions = [], []
    for day in range(60):
        hours = 3 if day == 10 else 0.9
        begin_s, end_s = day * DAY_S, day * DAY_S + hours * 3_600
        if day == 20:
            end_s = begin_s + 2.5 * DAY_S
        name = f"st-{day:03}"
        events += [event(name, "p", begin_s, "JOINED"), event(name, "p", end_s - 60, "LEFT")]
        sessions.append(session(name, end_s, session_start=events[-2]["event_time"]))
    people = [
        {"session_id": row["session_id"], "session_start": row["session_start"], "participant_id": "p",
         "first_join_time": row["session_start"]}
        for row in sessions
    ]  # fmt: skip
    write(lake, {"events": events, "sessions": sessions, "participants": people})


def files_read(connection: duckdb.DuckDBPyConnection, query: str) -> set[tuple[str, str]]:
    """Of each scan that leaves files out, how many it opens of how many."""
    plan = connection.execute(f"EXPLAIN ANALYZE {query}").fetchall()[0][1]
    return set(re.findall(r"Scanning Files: *(\d+)/(\d+)", plan))


@pytest.mark.parametrize(
    ("day", "sessions", "partitions"),
    [(30, {"st-030"}, 3), (11, {"st-010", "st-011"}, 3), (22, {"st-020", "st-022"}, 4)],
)
def test_a_day_reads_the_dates_of_its_sessions(day: int, sessions: set[str], partitions: int, tmp_path: Path) -> None:
    """Three partitions in the ordinary case, else all from the earliest start on; no interval is cut."""
    year(tmp_path)
    first = date(2026, 11, 23) + timedelta(days=day)
    dates = Dates(first, first + timedelta(days=1))
    with on_duckdb(tmp_path) as whole, on_duckdb(tmp_path, dates) as part:
        found = rows_of(part, "SELECT * FROM intervals ORDER BY session_id")
        assert {row["session_id"] for row in found} == sessions
        names = ", ".join(f"'{name}'" for name in sorted(sessions))
        assert found == rows_of(whole, f"SELECT * FROM intervals WHERE session_id IN ({names}) ORDER BY session_id")
        query = f"SELECT * FROM participant_hours WHERE day = DATE '{first}'"
        assert rows_of(part, "SELECT * FROM participant_hours") == rows_of(whole, query)
        for name in ("base_events", "base_participants"):
            scans = files_read(part, f"SELECT * FROM {name}")
            assert {int(read) for read, _ in scans} == {partitions}, scans


def test_what_comes_after_the_end_is_of_its_own_day(tmp_path: Path) -> None:
    """A session that ended just before midnight, and somebody who left just after; another that had nobody left."""
    rows = [
        event("st-1", "p", 0, "JOINED"), event("st-1", "p", 3_700, "LEFT"),
        event("st-2", "p", 0, "JOINED"), event("st-2", "p", 3_500, "LEFT"),
    ]  # fmt: skip
    write(tmp_path, {"events": rows, "sessions": [session("st-1", 3_590), session("st-2", 3_590)]})
    second = date(2026, 11, 24)
    query = f"SELECT * FROM participant_hours WHERE day = DATE '{second}'"
    with on_duckdb(tmp_path) as whole, on_duckdb(tmp_path, Dates(second, second + timedelta(days=1))) as part:
        assert rows_of(part, "SELECT * FROM participant_hours") == rows_of(whole, query) != []
        assert rows_of(part, "SELECT session_id FROM session_summary") == [{"session_id": "st-1"}]


def test_a_range_without_a_table_of_sessions(tmp_path: Path) -> None:
    """A session without a row is there with its events of the range and of the days around it."""
    write(tmp_path, {"events": [
        event("st-1", "p", 0, "JOINED"), event("st-1", "p", 2 * 3_600, "LEFT"),
        event("st-2", "p", 10 * DAY_S, "JOINED"),
    ]})  # fmt: skip
    with on_duckdb(tmp_path, Dates(date(2026, 11, 24), date(2026, 11, 25))) as connection:
        found = rows_of(connection, "SELECT session_id, end_reason FROM intervals")
    assert found == [{"session_id": "st-1", "end_reason": "stopped"}]


def test_the_script_runs_as_it_is_printed(tmp_path: Path) -> None:
    """Also twice, and with what ended which interval kept."""
    one_session(tmp_path)
    with duckdb.connect() as connection:
        for stored in (False, False):
            connection.execute(script(statements("duckdb", str(tmp_path), None, {"events"}, stored=stored)))
            assert connection.execute("SELECT count(*) FROM intervals").fetchall() == [(1,)]
    with duckdb.connect() as connection:
        connection.execute(script(statements("duckdb", str(tmp_path), None, {"events"}, stored=True)))
        assert connection.execute("SELECT count(*) FROM intervals").fetchall() == [(1,)]
