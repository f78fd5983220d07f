"""A lake is opened for questions: on a disk and on S3, all of it or some dates, and never for writing."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.own_session import own_session
from exporter.errors import ExportError, FileLost, LakeError, LakeRefused, QueryFailed, UsageError
from exporter.query.database import NAMES, open_database
from exporter.query.file_system import LakeFileSystem
from exporter.query.stop_switch import QueryStopped, StopSwitch
from exporter.settings import QuerySettings, Settings
from exporter.telemetry.logger import FIELDS
from exporter.views.statements import Dates
from tests.support import tables_lake

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from exporter.query.database import Database
    from tests.support.places import Place

KEYS = {"AWS_SECRET_ACCESS_KEY": "a-secret-that-no-error-may-show"}


def opened(address: str, dates: Dates | None = None, memory_gib: float = 2.0) -> AbstractContextManager[Database]:
    return open_database(Settings(lake=address, query=QuerySettings(memory_gib=memory_gib)), own_session, dates)


def answer(database: Database, sql: str, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = database.table(sql, values).to_pylist()
    return rows


def test_tables_and_views_have_their_names(place: Place, folder: Path) -> None:
    """All can be asked by name; rows are what the lake has, and values go in beside the text."""
    with opened(place(folder)) as database:
        for name in NAMES:
            assert (answer(database, f"FROM {name} LIMIT 1") == []) is (name == "failures"), name
        assert answer(database, "SELECT count(*) AS n FROM events") == [{"n": tables_lake.EVENTS_ALL}]
        of_one = "SELECT user_id, browser_name FROM participants_now WHERE participant_id = $name"
        assert answer(database, of_one, {"name": "p1"}) == [{"user_id": "alice", "browser_name": "Firefox"}]


def test_a_file_is_no_lake(tmp_path: Path) -> None:
    """It can be read all right, so the remedy is another."""
    (tmp_path / "lake").write_text("")
    with pytest.raises(LakeRefused, match="Not a directory: name the lake's folder"), opened(str(tmp_path / "lake")):
        pass


def test_times_are_utc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine's zone is."""
    monkeypatch.setenv("TZ", "America/New_York")
    with opened(str(folder)) as database:
        sql = "SELECT min(event_time)::VARCHAR AS text, min(event_time)::DATE = min(event_date) AS is_same FROM events"
        began = datetime.fromtimestamp(tables_lake.BEGAN_US / 1e6, UTC)
        assert answer(database, sql) == [{"text": f"{began:%Y-%m-%d %H:%M:%S}+00", "is_same": True}]


def test_tables_that_are_missing_are_empty(place: Place, folder: Path) -> None:
    """A lake of events alone, as there was before the other tables, can be asked for all of them."""
    for name in ("stages", "sessions", "participants"):
        (folder / name).rename(folder.parent / name)
    with opened(place(folder)) as database:
        assert answer(database, "SELECT count(*) AS n FROM sessions_now") == [{"n": 0}]
        assert answer(database, "SELECT count(*) AS n FROM session_summary") == [{"n": 1}]


def test_a_lake_without_files_is_empty_and_no_lake_is_none(place: Place, tmp_path: Path) -> None:
    """A run that found nothing has made a lake; where nothing is, the address is wrong."""
    empty, nothing = tmp_path / "empty", tmp_path / "nothing"
    (empty / "_log").mkdir(parents=True)
    (empty / "_log" / "lake.json").write_text("{}")
    with opened(place(empty)) as database:
        assert answer(database, "SELECT count(*) AS n FROM intervals") == [{"n": 0}]
    with pytest.raises(LakeRefused, match="holds no export: mend --lake"), opened(place(nothing)):
        pass


def test_which_sessions_a_day_has_is_worked_out_once(folder: Path) -> None:
    """When the lake is opened: no question opens the files of sessions again, of which there are some for each date."""
    day = datetime.fromtimestamp(tables_lake.BEGAN_US / 1e6, UTC).date()
    sql = "SELECT count(*) AS n FROM session_summary"
    with opened(str(folder), Dates(day, day + timedelta(days=1))) as database:
        expected = answer(database, sql)
        shutil.rmtree(folder / "sessions")
        assert answer(database, sql) == expected != [{"n": 0}]


def test_a_question_about_a_day_reads_its_files_alone(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the date in a condition, and by the dates that the views stand on."""
    [own] = (folder / "events" / "event_date=2026-11-23").iterdir()
    for day in range(1, 28):
        other = folder / "events" / f"event_date=2025-02-{day:02d}"
        other.mkdir()
        (other / "0.parquet").write_bytes(own.read_bytes())
    read: set[str] = set()
    show = LakeFileSystem.open

    def show_and_note(self: LakeFileSystem, path: str, *more: Any) -> Any:
        read.add(path)
        return show(self, path, *more)

    monkeypatch.setattr(LakeFileSystem, "open", show_and_note)
    address = place(folder)
    with opened(address) as database:
        read.clear()
        answer(database, "SELECT count(DISTINCT event_name) FROM events WHERE event_date = DATE '2026-11-23'")
        assert {path.split("/")[4] for path in read} <= {"event_date=2026-11-23", "event_date=2025-02-01"}
    with opened(address, Dates(date(2026, 11, 23), date(2026, 11, 24))) as database:
        read.clear()
        assert answer(database, "SELECT count(*) AS n FROM session_summary") == [{"n": 1}]
        days = {path.split("/")[4] for path in read if "/events/" in path}
        assert days <= {"event_date=2026-11-23", "event_date=2026-11-24", "event_date=2025-02-01"}


WRITING = [
    "CREATE TABLE t AS SELECT 1",
    "DROP VIEW events",
    "INSERT INTO events SELECT * FROM events",
    "COPY (SELECT 1) TO '{lake}/events/x.parquet'",
    "COPY (SELECT 1) TO 'lake://data/events/x.parquet'",
    "COPY (SELECT 1) TO '{aside}/x.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO 'lake://data/events/x.parquet'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{lake}/events/x.parquet'",
    "WITH x AS (COPY (SELECT 1) TO 'lake://data/events/x.parquet') SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{aside}/x.csv') SELECT * FROM x",
    "ATTACH '{aside}/x.db'",
    "EXPORT DATABASE '{aside}/all'",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = '{aside}/log')",
    "FROM system.main.\"enable_logging\" -- a remark\n (storage = 'stdout')",
    "SELECT 'ä' FROM query('FROM enable_' || 'logging()')",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "CALL enable_logging(storage = 'file', storage_path = '{aside}/log')",
    "PRAGMA enable_profiling = 'json'",
    "SET memory_limit = '100GB'",
    "SET lock_configuration = false",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PREPARE x AS COPY (SELECT 1) TO '{aside}/x.csv'",
    "SELECT 1; COPY (SELECT 1) TO '{aside}/x.csv'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_text('{aside}/secret')",
    "SELECT error(content) FROM read_text('lake://data/../aside/secret') UNION ALL SELECT error('nothing')",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "SELECT * FROM read_parquet('s3://lakes/x.parquet')",
    "SELECT * FROM '{aside}/secret'",
    "SELECT * FROM local_of_python",
]


@pytest.mark.parametrize("sql", WRITING)
def test_nothing_is_written_and_nothing_else_is_read(sql: str, folder: Path, tmp_path: Path) -> None:
    """One line says why, and no file of the lake or beside it is another than before."""
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "secret").write_text("hidden")
    local_of_python = [1]
    before = _all_files(tmp_path)
    with opened(str(folder)) as database:
        with pytest.raises(ExportError) as raised:
            answer(database, sql.replace("{lake}", str(folder).replace("'", "''")).replace("{aside}", str(aside)))
        assert "\n" not in str(raised.value)
        assert "hidden" not in str(raised.value)
        assert answer(database, "SELECT count(*) AS n FROM events") == [{"n": tables_lake.EVENTS_ALL}]
    assert _all_files(tmp_path) == before
    assert local_of_python


def _all_files(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "DESCRIBE events", "SUMMARIZE stages", "EXPLAIN FROM events", "VALUES (1)"]
)
def test_what_else_reads_is_answered(sql: str, folder: Path) -> None:
    with opened(str(folder)) as database:
        assert answer(database, sql)


def test_names_that_only_look_like_a_function_are_answered(folder: Path) -> None:
    """A text, a column, a remark."""
    sql = "SELECT 'enable_logging(' AS \"query\", (1) AS enable_logging -- query(\n"
    with opened(str(folder)) as database:
        assert answer(database, sql) == [{"query": "enable_logging(", "enable_logging": 1}]


def test_an_answer_comes_in_small_parts(folder: Path) -> None:
    """What has been taken over is beside the bound of memory, and a text may be long."""
    with opened(str(folder)) as database:
        rows = [batch.num_rows for batch in database.ask("SELECT repeat('x', 1000) FROM range(5000)").batches]
    assert sum(rows) == 5_000
    assert max(rows) <= 256


def test_what_arrow_would_change_is_text(folder: Path) -> None:
    """Else the largest whole number is -1, and a time of day loses its zone; names stay, also one that is twice."""
    sql = """SELECT 340282366920938463463374607431768211455::UHUGEINT AS "it's ""a", 1 AS b, '101'::BIT AS b,
        [TIMETZ '10:00:00+05:30'] AS c, 2::HUGEINT AS d ORDER BY 1"""
    with opened(str(folder)) as database:
        table = database.table(sql)
    assert table.column_names == ["it's \"a", "b", "b", "c", "d"]
    assert [column.to_pylist()[0] for column in table.columns] == [
        "340282366920938463463374607431768211455", 1, "101", "['10:00:00+05:30']", 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "kind", "text"),
    [
        ("", UsageError, "no statement where one is asked for"),
        ("-- a remark", UsageError, "no statement"),
        ("SELECT 1; SELECT 2", UsageError, "2 statements where one is asked for"),
        ("SELEC 1", UsageError, "syntax error at or near"),
        ("SELECT * FROM nothing", UsageError, "`ivs-export query` alone lists the tables and views"),
        ("SELECT nothing FROM events", UsageError, 'column "nothing" not found'),
        ("SELECT event_name::INT FROM events", QueryFailed, "Could not convert string"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(sql: str, kind: type[ExportError], text: str, folder: Path) -> None:
    with opened(str(folder)) as database:
        with pytest.raises(kind, match=text) as raised:
            answer(database, sql)
        assert "\n" not in str(raised.value)
        assert "LINE 1" not in str(raised.value)
        assert answer(database, "SELECT 1 AS n") == [{"n": 1}]


def test_what_does_not_fit_into_memory_goes_on_in_a_folder_or_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sort of some 200 MB within 100; a list of them that can't be cut up. The folder is gone afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    many = "(SELECT e.*, md5(n::VARCHAR) AS m FROM events e, range(300000) r(n))"
    with opened(str(folder), memory_gib=0.1) as database:
        [one] = answer(
            database,
            f"SELECT count(*) AS n FROM (SELECT *, row_number() OVER (ORDER BY m) AS k FROM {many}) WHERE k > 0",
        )
        assert one == {"n": 300_000 * tables_lake.EVENTS_ALL}
        with pytest.raises(QueryFailed, match=r"more memory than it may take.*--memory-gib"):
            answer(database, f"SELECT list(m ORDER BY m) FROM {many}")
    assert not list(tmp_path.glob("ivs-export-query-*"))


def test_a_damaged_file_and_one_that_went_away_are_named(place: Place, folder: Path) -> None:
    [path] = (folder / "events" / "event_date=2026-11-23").iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LakeError, match=r"'events/[^:]*0\.parquet.*ivs-export verify"), opened(place(folder)):
        pass


STRANGERS = (
    "_SUCCESS", "copy.parquet", "event_date=bad/copy.parquet", "event_date=2026-02-30/copy.parquet", "x=1/copy.parquet",
    "event_date=2026-11-23/deeper/copy.parquet", "event_date=__HIVE_DEFAULT_PARTITION__/copy.parquet",
)  # fmt: skip


def test_what_others_left_in_a_table_s_folder_is_passed_over(
    place: Place, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No row of it is read, whatever its folder is called, and it is named once."""
    [path] = (folder / "events" / "event_date=2026-11-23").iterdir()
    for name in STRANGERS:
        (folder / "events" / name).parent.mkdir(exist_ok=True)
        (folder / "events" / name).write_bytes(path.read_bytes())
    with opened(place(folder)) as database:
        assert answer(database, "SELECT count(*) AS n FROM events") == [{"n": tables_lake.EVENTS_ALL}]
        assert answer(database, "SELECT count(*) AS n FROM intervals") != [{"n": 0}]
    [said] = [record for record in caplog.records if record.msg == "files_passed_over"]
    assert said.__dict__[FIELDS]["count"] == len(STRANGERS) - 1  # _SUCCESS is no data file by its name


def test_a_copy_in_a_date_s_folder_is_read(folder: Path) -> None:
    """As every reader of the lake does: nothing else would show that its events stand twice."""
    [path] = (folder / "events" / "event_date=2026-11-23").iterdir()
    path.with_name("copy.parquet").write_bytes(path.read_bytes())
    with opened(str(folder)) as database:
        assert answer(database, "SELECT severity FROM checks WHERE name = 'event_twice'") == [{"severity": "error"}]


def test_a_file_that_goes_away_is_named(folder: Path) -> None:
    with opened(str(folder)) as database:
        for path in (folder / "events").rglob("*.parquet"):
            path.unlink()
        with pytest.raises(FileLost, match="went away while it was read"):
            answer(database, "SELECT count(event_name) FROM events")


def test_a_question_can_be_stopped(folder: Path) -> None:
    """Between two batches, too."""
    stop = StopSwitch()
    with open_database(Settings(lake=str(folder)), own_session, stop=stop) as database:
        endless = database.ask("SELECT * FROM range(1000000000000)")
        next(endless.batches)
        stop.turn_on()
        with pytest.raises(QueryStopped):
            next(endless.batches)
    with pytest.raises(QueryStopped), open_database(Settings(lake=str(folder)), own_session, stop=stop):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"AWS_SECRET_ACCESS_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}, "credentials are not valid"),
        ({"AWS_ENDPOINT_URL_S3": "nonsense"}, "AWS_ENDPOINT_URL_S3"),
    ],
)
def test_what_s3_refuses_is_one_line_without_a_secret(
    variables: Mapping[str, str], text: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"AWS_ENDPOINT_URL_S3": s3_endpoint, "AWS_ACCESS_KEY_ID": "lake-writer", "AWS_REGION": "us-east-1"}
    for name, value in (own | dict(variables)).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ExportError, match=text) as raised, opened("s3://lakes/any"):
        pass
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(raised.value)
    assert os.linesep not in str(raised.value)
