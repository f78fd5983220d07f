"""``ivs-export query``, as it is typed: answers, lists, errors, pipes and signals."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.actions import stoppable
from exporter.cli.invocation import Invocation
from exporter.query.database import NAMES
from tests.support import tables_lake
from tests.support.command import Ended, command_line, started, until
from tests.support.environment import bare_environment

if TYPE_CHECKING:
    from exporter.query.stop_switch import StopSwitch


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    lake = tmp_path / "my lake"
    tables_lake.write(lake)
    tables_lake.write_reopened(lake)
    return lake


def query(lake: Path, *arguments: str, **variables: str) -> Ended:
    command = command_line("query", "--lake", str(lake), *arguments)
    with started(command, bare_environment(variables)) as running:
        return running.wait()


def shell(text: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """A command line in a shell that knows the command."""
    text = text.replace("ivs-export", f"{sys.executable} -m exporter")
    return subprocess.run(
        ["/bin/sh", "-c", text], env=bare_environment(), capture_output=True, text=True, check=False, **more
    )


@pytest.mark.slow
def test_without_sql_every_table_and_view_is_listed_with_a_command_that_runs(lake: Path) -> None:
    """With the lake that was typed; none of them fails, and those of the small lake have rows but for its failures."""
    listed = query(lake)
    assert listed.code == 0
    commands = re.findall(r"^ +(ivs-export .*)$", listed.printed, re.MULTILINE)
    names = re.findall(r"^  (\w+)  ", listed.printed, re.MULTILINE)
    assert sorted(names) == sorted(NAMES)
    in_turn = shell(" && ".join(commands[::9]))
    assert in_turn.returncode == 0, in_turn.stderr
    asked = [shlex.split(command)[-1] for command in commands]
    counts = ", ".join(f"(SELECT count(*) FROM ({sql})) AS {name}" for name, sql in zip(names, asked, strict=True))
    [row] = json.loads(query(lake, "--format", "json", f"SELECT {counts}").printed)
    assert {name for name, count in row.items() if count == 0} == {"failures"}


def test_answers_in_three_formats(lake: Path) -> None:
    sql = "SELECT participant_id, user_id FROM participants_now ORDER BY participant_id LIMIT 1"
    assert (
        query(lake, sql).printed == "participant_id  user_id\n--------------  -------\np1              alice\n(1 row)\n"
    )
    assert query(lake, sql, "--format", "csv").printed == "participant_id,user_id\np1,alice\n"
    assert json.loads(query(lake, sql, "--format", "json").printed) == [{"participant_id": "p1", "user_id": "alice"}]


def test_several_views_at_once(lake: Path) -> None:
    """Their intervals are worked out once, and say what they say to one of them alone."""
    first, second = (f"(SELECT count(*) FROM {view})" for view in ("session_summary", "intervals"))
    both = query(lake, "--format", "csv", f"SELECT {first} AS a, {second} AS b").printed.splitlines()
    alone = [query(lake, "--format", "csv", f"SELECT {one} AS a").printed.splitlines()[1] for one in (first, second)]
    assert both == ["a,b", ",".join(alone)]
    assert "0" not in alone


def test_sql_may_stand_on_standard_input(lake: Path) -> None:
    answered = shell(f"echo 'SELECT 7 AS n' | ivs-export query --lake '{lake}' --format csv -")
    assert (answered.returncode, answered.stdout) == (0, "n\n7\n")
    binary = shell(f"printf '\\377' | ivs-export query --lake '{lake}' -")
    assert (binary.returncode, binary.stdout) == (2, "")
    closed = shell(f"ivs-export query --lake '{lake}' - <&-")
    assert closed.returncode == 2


def test_dates_narrow_the_views(lake: Path) -> None:
    sql = "SELECT count(*) AS n FROM session_summary"
    assert query(lake, sql, "--format", "csv").printed == "n\n2\n"
    assert query(lake, sql, "--format", "csv", "--until", "2026-11-24").printed == "n\n1\n"
    assert query(lake, sql, "--format", "csv", "--since", "2027-01-01", "--until", "2027-01-02").printed == "n\n1\n"
    assert query(lake, sql, "--since", "2027-01-01", "--until", "2027-01-01").code == 2


@pytest.mark.parametrize(
    ("sql", "code", "kind"),
    [
        ("SELEC 1", 2, "usage"),
        ("SELECT * FROM nothing", 2, "usage"),
        ("DROP VIEW events", 2, "usage"),
        ("SELECT 1; SELECT 2", 2, "usage"),
        ("COPY (SELECT 1) TO 'x.csv'", 2, "usage"),
        ("SELECT event_name::INT FROM events", 1, "query"),
    ],
)
def test_an_error_is_one_line_with_a_code(sql: str, code: int, kind: str, lake: Path) -> None:
    ended = query(lake, sql)
    assert (ended.code, ended.printed, [line["error"] for line in ended.log]) == (code, "", [kind])


def test_a_wrong_lake_and_a_missing_duckdb_say_what_to_do(lake: Path, tmp_path: Path) -> None:
    ended = query(tmp_path / "nothing", "SELECT 1")
    assert (ended.code, ended.log[0]["error"]) == (1, "lake_refused")
    for package in ("duckdb", "fsspec"):
        (tmp_path / package).mkdir()
        (tmp_path / package / f"{package}.py").write_text("raise ImportError")
        ended = query(lake, "SELECT 1", PYTHONPATH=str(tmp_path / package))
        assert ended.code == 2
        assert "pip install 'ivs-export[query]'" in ended.log[0]["message"]


def test_a_reader_that_has_seen_enough_is_no_error(lake: Path) -> None:
    """The endless answer ends with it."""
    endless = f"ivs-export query --lake '{lake}' --format csv 'SELECT * FROM range(1000000000000)'"
    ended = shell(f"{{ {endless}; echo $? >&2; }} | head -2")
    assert (ended.stdout, ended.stderr) == ("range\n0\n", "0\n")


ROWS = "SELECT * FROM range(1000000000000000)"
NO_ROW = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * 7919 = b.range + 1"


@pytest.mark.parametrize(("sql", "number"), [(ROWS, signal.SIGINT), (ROWS, signal.SIGTERM), (NO_ROW, signal.SIGINT)])
async def test_a_signal_ends_a_long_question(sql: str, number: signal.Signals, lake: Path, tmp_path: Path) -> None:
    """While rows come, and while none does, for it would take years; and the temporary folder is gone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    command = command_line("query", "--lake", str(lake), "--format", "csv", "--memory-gib", "0.05", sql)
    with started(command, bare_environment({"TMPDIR": str(folder)})) as running:
        await until(lambda: len(running.output.text) > 1_000 or bool([*folder.glob("*/*.tmp")]))
        os.kill(running.process.pid, number)
        ended = await running.end()
    assert ended.code == 128 + number
    assert not list(folder.iterdir())


def test_work_that_does_not_end_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine that is too busy for it to end in time: the process goes without it, and removes the folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(stoppable, "_END_S", 0.01)
    invocation, released = Invocation(is_json=False), threading.Event()
    signals = invocation.signals
    monkeypatch.setattr(signals, "at_once", sys.exit)

    def hang(stop: StopSwitch) -> None:
        with stop.folder() as name:
            (Path(name) / "spilled").write_text("")
            signals.received = "SIGINT"
            assert signals.graceful is not None
            signals.graceful("SIGINT")
            released.wait()

    with pytest.raises(SystemExit, match="SIGINT"):
        stoppable.stoppable(invocation, hang)
    assert not list(tmp_path.iterdir())
    released.set()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_memory_does_not_depend_on_how_long_the_answer_is(form: str, lake: Path) -> None:
    """An answer of 120 MB takes about as much as one of a tenth of that."""
    peaks = []
    for count in (300, 3_300):
        sql = f"SELECT e.*, repeat('x', 4000) AS x FROM events e, range({count})"
        with subprocess.Popen(
            command_line("query", "--lake", str(lake), "--format", form, "--memory-gib", "0.25", sql),
            env=bare_environment(),
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            while process.stdout.read(1 << 20):
                pass
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss / 1024)
    assert peaks[1] < peaks[0] + 50


@pytest.mark.skipif(sys.platform != "linux", reason="the bound is Linux's")
@pytest.mark.parametrize("length", [1_500_000_000, 300_000_000])
def test_a_huge_value_is_an_error_of_memory(length: int, lake: Path) -> None:
    """Of DuckDB's, which counts it nowhere, and of what prints it: one line and a code, and not the system's end."""
    ended = query(lake, "--format", "csv", "--memory-gib", "0.05", f"SELECT repeat('x', {length}) AS x")
    [line] = ended.log
    assert (ended.code, line["error"]) == (1, "query")
    assert "more memory than it may take" in line["message"]
