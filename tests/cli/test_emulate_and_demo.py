from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import exporter
from exporter.cli import exit_codes
from exporter.cli.actions import demo, demo_queries
from exporter.cli.app import main
from exporter.cli.invocation import Invocation
from exporter.emulator import (
    ClockOptions,
    Emulator,
    EmulatorOptions,
    QuotaOptions,
    ServiceOptions,
    Size,
    WorldOptions,
    WorldShape,
    WorldTimes,
)
from exporter.errors import UsageError
from exporter.query.stop_switch import QueryStopped, StopSwitch
from exporter.timestamps import read_us
from tests.support import tables_lake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(exporter.__file__).parents[1]


@pytest.fixture
def small_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo of a few units, in an environment that would break any other run."""
    options = demo.emulator_options(1_790_000_000.0)
    size = Size.fixed(2)
    times = WorldTimes(options.world.times.start_us, days=1.0)
    world = WorldOptions(shape=WorldShape(2, sessions=size, participants=size, events=Size.fixed(8)), times=times)
    small = EmulatorOptions(world, options.accounts, service=ServiceOptions(QuotaOptions(1000.0, 1000)))
    monkeypatch.setattr(demo, "emulator_options", lambda _: small)
    hostile = {
        "AWS_PROFILE": "missing",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_SESSION_TOKEN": "no",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "IVS_EXPORT_LAEK": "no",
        "IVS_EXPORT_CONFIG": "/missing.toml",
    }
    monkeypatch.setattr(os, "environ", {**os.environ, **hostile})


@pytest.mark.usefixtures("small_day")
def test_demo_exports_a_day_and_asks_it_twice_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No variable of the user's counts, the answers are there, and a second demo has the same rows again.

    Its folder's name holds what DuckDB takes for patterns.
    """
    lake = tmp_path / "q*[c]?"
    outputs = []
    for _ in range(2):
        assert main(["demo", "--lake", str(lake)]) == exit_codes.OK
        outputs.append(capfd.readouterr().out)
    answers = [output.partition("The largest sessions")[2] for output in outputs]
    assert answers[0] == answers[1]
    for part in (
        ": complete, in ",
        "At AWS's 5 calls a second",
        "FROM session_summary",
        "participants present",
        "█",
        "who watched longest",
        "AWS_PROFILE",
    ):
        assert part in outputs[0]
    more = re.findall(r"^    (ivs-export query .*)$", answers[0], re.MULTILINE)
    assert len(more) == 3
    for name in ("IVS_EXPORT_LAEK", "IVS_EXPORT_CONFIG"):
        monkeypatch.delenv(name)
    for command in more:
        _, *arguments = shlex.split(command)
        assert main(arguments) == exit_codes.OK
        assert "row" in capfd.readouterr().out


@pytest.mark.usefixtures("small_day")
def test_a_demos_lake_takes_no_real_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run into it is wrong usage, refused before anything is written; so is a dry run. The next demo goes on."""
    lake = tmp_path / "lake"
    assert main(["demo", "--lake", str(lake)]) == exit_codes.OK
    assert json.loads((lake / "_log/lake.json").read_text())["made_by"] == "demo"
    before = {path for path in lake.rglob("*") if path.is_file()}
    for name in ("IVS_EXPORT_LAEK", "IVS_EXPORT_CONFIG"):
        monkeypatch.delenv(name)
    for options in ([], ["--dry-run"]):
        capfd.readouterr()
        assert main(["run", "--lake", str(lake), "--region", "us-east-1", "--json", *options]) == exit_codes.USAGE
        assert "made by `ivs-export demo` and holds made-up data: set another `lake`" in capfd.readouterr().err
    assert {path for path in lake.rglob("*") if path.is_file()} == before
    assert main(["demo", "--lake", str(lake)]) == exit_codes.OK


@pytest.mark.usefixtures("small_day")
def test_demo_without_duckdb_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The export works without the optional extra, and one line says what is missing."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert main(["demo", "--lake", str(tmp_path / "lake")]) == exit_codes.OK
    assert "pip install 'ivs-export[query]'" in capfd.readouterr().out


def make(lake: Path, files: Mapping[str, str]) -> set[Path]:
    for name, text in files.items():
        path = lake / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {path for path in lake.rglob("*") if path.is_file()}


MARKER = {"_made_by_ivs-export_demo": ""}


@pytest.mark.parametrize(
    "files",
    [
        {"thesis.txt": "x"},
        {"events/event_date=2026-11-23/x.parquet": "x"},
        {"_log/123456789012-eu-west-1/x.json": "x", "events/x.parquet": "x", **MARKER},
        {"_log/lake.json": '{"id":"x","made_by":"run"}', "events/x.parquet": "x", **MARKER},
        {"_log/lake.json": "?", "events/x.parquet": "x", **MARKER},
    ],
)
def test_demo_touches_nothing_of_others(files: Mapping[str, str], tmp_path: Path) -> None:
    """A folder with files, another's lake, and a demo's lake that is not surely a demo's alone stay as they are."""
    before = make(tmp_path, files)
    with pytest.raises(UsageError, match="holds something that is no demo's"):
        demo.clear(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


def test_demo_removes_its_own_lake_alone(tmp_path: Path) -> None:
    """Of an earlier demo's folder the lake is removed, and what somebody else put beside it is not."""
    make(
        tmp_path,
        {
            "events/x.parquet": "",
            "_log/111122223333-us-east-1/x": "",
            "_iceberg/x": "",
            "_damaged/x": "",
            "notes.txt": "mine",
            **MARKER,
        },
    )
    demo.clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*MARKER, "notes.txt"]
    demo.clear(tmp_path / "new" / "lake")
    assert (tmp_path / "new" / "lake").is_dir()


def test_demo_follows_no_link_out_of_its_lake(tmp_path: Path) -> None:
    """Where a folder of the lake is a link, what it leads to is somebody else's: it stays, and the line says why."""
    make(tmp_path, {"theirs/x.parquet": "x", "lake/notes.txt": "mine", **{f"lake/{name}": "" for name in MARKER}})
    (tmp_path / "lake" / "events").symlink_to(tmp_path / "theirs")
    with pytest.raises(UsageError, match=r"can't be used for a lake: .*symbolic link"):
        demo.clear(tmp_path / "lake")
    assert (tmp_path / "theirs" / "x.parquet").exists()


def test_demo_refuses_what_is_no_folder(tmp_path: Path) -> None:
    """A file where the lake should be is an error that says so."""
    (tmp_path / "lake").write_text("")
    with pytest.raises(UsageError, match="can't be used for a lake: Not a directory"):
        demo.clear(tmp_path / "lake")


@pytest.mark.parametrize("now_s", [1_790_000_000.0, 1_790_035_199.9])
def test_demo_day_is_a_whole_one_before_now(now_s: float) -> None:
    """The emulated day has a midnight in UTC in it, over which sessions go on, and is over."""
    options = demo.emulator_options(now_s)
    start_us = options.world.times.start_us
    assert start_us is not None
    midnight_us = -(-start_us // 86_400_000_000) * 86_400_000_000
    assert start_us < midnight_us < start_us + 86_400_000_000
    assert now_s - start_us / 1_000_000 >= 86_400 + 6 * 3_600
    moment = replace(options, clock=ClockOptions(is_frozen=True, start_us=int(now_s * 1_000_000)))
    listed = [row.session for row in Emulator(moment).truth().sessions()]
    times_us = [(read_us(session["startTime"]) or 0, read_us(session["endTime"]) or 0) for session in listed]
    assert sum(began_us < midnight_us < ended_us for began_us, ended_us in times_us) >= 3


def test_demo_shows_the_most_of_each_quarter() -> None:
    """A quarter begins with what the one before left, and one in which nothing changed has that."""
    minute_us = 60_000_000
    minutes = [(14 * minute_us, 3, 2), (50 * minute_us, 3, 1), (59 * minute_us, 1, 0), (61 * minute_us, 1, 0)]
    assert [(at_us // minute_us, most) for at_us, most in demo_queries.most_by_quarter(minutes)] == [
        (0, 3),
        (15, 2),
        (30, 2),
        (45, 3),
        (60, 1),
    ]


def test_demo_shows_who_watched_longest(tmp_path: Path) -> None:
    """Each viewer by the application's own id, with a browser and hours; who was listed twice counts once."""
    lake = tmp_path / "it's [a] lake"
    tables_lake.write(lake)
    tables_lake.write_reopened(lake)
    answers = demo_queries.first_answers(lake)
    table = answers.partition("who watched longest")[2].partition("-----\n")[2]
    assert [line.split() for line in table.splitlines()[:2]] == [
        ["bob", "Safari", "1.833"],  # with a replica until the session's end
        ["alice", "Firefox", "1.75"],
    ]
    assert "lobby" in answers
    assert shlex.quote(str(lake)) in answers


def test_a_signal_ends_the_demos_questions_as_any_query(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are asked where a signal can end them, so that nothing is left of a query's temporary folder."""
    asked: list[Callable[[StopSwitch], str]] = []
    monkeypatch.setattr(demo, "stoppable", lambda _, work: asked.append(work))
    monkeypatch.setattr(demo, "write_report", lambda *_: SimpleNamespace(line=""))
    demo._answers(Invocation(is_json=False), tmp_path)  # noqa: SLF001 - what the demo does after its export
    stop = StopSwitch()
    stop.turn_on()
    [ask] = asked
    with pytest.raises(QueryStopped):
        ask(stop)


def test_demo_mixes_no_two_devices_of_a_person() -> None:
    """Who came by a browser and by an app has both, and not the browser on the app's system; details may be unknown."""
    with closing(duckdb.connect()) as database:
        database.execute(
            "CREATE TABLE participant_summary (user_id TEXT, browser_name TEXT, os_name TEXT, watch_s DOUBLE)"
        )
        database.execute(
            "INSERT INTO participant_summary VALUES ('ann', 'Edge', 'Windows', 3600), ('ann', NULL, 'iOS', 3600),"
            " ('ben', NULL, NULL, 3600)"
        )
        [(ann, devices, hours), ben] = database.sql(demo_queries.WATCHED).fetchall()
    assert (ann, devices, hours) == ("ann", "Edge, iOS app", 2.0)
    assert ben == ("ben", None, 1.0)


SEEDED = ["--stages", "1", "--sessions", "1", "--participants", "2", "--active-share", "0", "--events", "9"]
WRITTEN = """\
[[stages]]
arn = "arn:aws:ivs:eu-west-1:444455556666:stage/AbCdEfGh"
[[stages.sessions]]
sessionId = "st-0123456789abc"
startTime = 2026-11-23T10:00:00Z
endTime = 2026-11-23T11:00:00Z
participants = [{participantId = "p", events = [{name = "JOINED", eventTime = 2026-11-23T10:00:00Z}]}]
"""


@pytest.mark.parametrize(("world", "events"), [(SEEDED, 18), (["--world", "world.toml"], 1)], ids=["seeded", "written"])
def test_emulator_serves_a_run_until_it_is_stopped(world: list[str], events: int, tmp_path: Path) -> None:
    """What ``emulate`` prints is all that a run needs, and Ctrl-C ends it with its code."""
    (tmp_path / "world.toml").write_text(WRITTEN)
    command = [sys.executable, "-m", "exporter", "emulate", *world, "--calls-per-second", "500"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as emulator:
        try:
            assert emulator.stdout is not None
            lines = [emulator.stdout.readline() for _ in range(5)]
            exports = dict(re.findall(r"([A-Z_]+)=(\S+)", "".join(lines)))
            run = [sys.executable, "-m", "exporter", *lines[-1].split()[1:], "--json"]
            ran = subprocess.run(
                run, cwd=tmp_path, env=os.environ | exports, capture_output=True, text=True, check=False
            )
            emulator.send_signal(signal.SIGINT)
            assert emulator.wait(30) == 130
        finally:
            emulator.kill()
    assert "--calls-per-second 500" in lines[-1]
    summary: Any = json.loads(ran.stdout)
    assert (ran.returncode, summary["outcome"], summary["events"]["written"]) == (0, "complete", events)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--sessions", "5:1:2"],
        ["--paging", "x"],
        ["--unknown", "x"],
        ["--region", "mars"],
        ["--fault", "x"],
        ["--days", "nan"],
        ["--port", "70000"],
        ["--account", "1"],
        ["--calls-per-second", "0"],
        ["--stages", "-1"],
        ["--world", "missing.toml"],
        ["--world", "/dev/null"],
        ["--world", "world.toml", "--seed", "1"],
        ["--world", "world.toml", "--region", "eu-west-1"],
    ],
    ids=" ".join,
)
def test_wrong_options_of_the_emulator_are_refused(wrong: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """A world that can't be is refused in one line."""
    assert main(["emulate", *wrong]) == exit_codes.USAGE
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
