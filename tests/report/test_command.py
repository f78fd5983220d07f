"""``ivs-export report``: from a lake to a page, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from exporter.cli import exit_codes
from exporter.cli.actions import report
from exporter.cli.app import main
from exporter.emulator import Emulator, Size
from exporter.errors import ExportError
from exporter.report.writing import write_page
from tests.support import tables_lake
from tests.support.exports import ACCOUNT, Exports, options_of
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.places import Place


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole export of a few sessions, one of them with more viewers than have lanes."""
    folder = tmp_path_factory.mktemp("report") / "lake"
    world = small_world(7, stages=2, sessions=Size.fixed(2), participants=Size(20, 40, 90), events=Size(2, 9, 30))

    async def make(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")
        async with Emulator(options_of(world)) as emulator:
            await Exports(monkeypatch, folder).run(emulator)

    with pytest.MonkeyPatch.context() as monkeypatch:
        asyncio.run(make(monkeypatch))
    return folder


def answers(question: str) -> list[Any]:
    """The answer of DuckDB to a question of the test's own."""
    with duckdb.connect() as database:
        return database.execute(question).fetchall()


def shown(page: Path) -> str:
    """The text of a page, without its elements."""
    return re.sub("<[^>]*>", "", page.read_text().partition("<body>")[2])


def test_a_page_shows_what_the_lake_holds(lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Counted by hand from the events: people, their joins' peak, errors, and the largest session's lanes."""
    out = tmp_path / "report.html"
    assert main(["report", "--lake", str(lake), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    events = f"'{lake}/events/**/*.parquet'"
    [(sessions, people, errors)] = answers(
        f"""SELECT count(DISTINCT session_id), count(DISTINCT (session_id, participant_id)),
            count(*) FILTER (event_name LIKE '%ERROR') FROM {events}"""
    )
    largest = answers(
        f"""SELECT session_id, count(DISTINCT participant_id) AS people,
            count(DISTINCT participant_id) FILTER (event_name = 'PUBLISH_STARTED') AS publishers
            FROM {events} GROUP BY ALL ORDER BY people DESC, session_id LIMIT 3"""
    )
    assert said["sessions"] == sessions
    assert [each["session_id"] for each in said["shown"]] == [session_id for session_id, *_ in largest]
    assert said["bytes"] == out.stat().st_size
    assert said["complete_until"] is not None
    text = shown(out)
    assert f"Sessions{sessions}" in text
    assert f"People{people}" in text
    assert f"{errors} failures, most often" in text
    for _, count, publishers in largest:
        others = count - publishers
        few = f"{others} others" if others <= 40 else f"40 of {others} others"
        assert f"{publishers} publisher{'' if publishers == 1 else 's'} and {few}" in text


def test_sessions_and_days_can_be_chosen(lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A session by its id, and a range without any."""
    out = tmp_path / "report.html"
    [(smallest,)] = answers(
        f"SELECT session_id FROM '{lake}/events/**/*.parquet' GROUP BY ALL ORDER BY count(*), 1 LIMIT 1"
    )
    assert main(["report", "--lake", str(lake), "--out", str(out), "--session", smallest]) == 0
    assert "1 in detail" in capsys.readouterr().out
    assert f"Session {smallest}" in shown(out)
    nothing = ["--since", "2021-01-01", "--until", "2021-02-01"]
    assert main(["report", "--lake", str(lake), "--out", str(out), *nothing]) == 0
    assert "No session is here" in shown(out)
    assert "from 2021-01-01, before 2021-02-01" in shown(out)


def test_a_signal_leaves_no_half_of_a_page(tmp_path: Path) -> None:
    """One that comes while the page is written waits for its end: the page is there, and nothing beside it."""
    out = tmp_path / "report.html"
    code = (
        "import os, signal, sys; from pathlib import Path; from exporter.cli.invocation import Invocation;"
        "from exporter.cli.actions.stoppable import uninterrupted; from exporter.report.writing import write_page;"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGTERM)\n"
        "invocation = Invocation(is_json=False); invocation.signals.install()\n"
        "with uninterrupted(invocation): write_page(Path(sys.argv[1]), 'a page')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    assert ended.returncode == exit_codes.SIGNALS["SIGTERM"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert out.read_text() == "a page"


def test_a_lake_without_a_log_is_shown_and_says_so(tmp_path: Path) -> None:
    """What older exporters and other programs have left: shown, and nothing is claimed of it."""
    tables_lake.write(tmp_path / "lake")
    out = tmp_path / "report.html"
    assert main(["report", "--lake", str(tmp_path / "lake"), "--out", str(out)]) == 0
    text = shown(out)
    assert "Nothing says how complete this lake is" in text
    assert "st-active" in text


@pytest.mark.slow
@pytest.mark.xdist_group("seaweedfs-lakes")
def test_a_lake_on_s3_has_the_same_page(
    lake: Path, place_on_s3: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for its address, and the moment at which it is made."""
    address, said, pages = place_on_s3(lake), [], []
    for number, where in enumerate((str(lake), address)):
        out = tmp_path / f"{number}.html"
        assert main(["report", "--lake", where, "--out", str(out), "--json"]) == 0
        said.append(json.loads(capsys.readouterr().out))
        without_moments = re.sub(r"(as of|on) \d+ \w+ \d+, \d\d:\d\d UTC", r"\1 a moment", shown(out))
        pages.append(
            re.sub(
                r"(\d[\d,]* (s|min|h|d|second|minute|hour|day)s?\b ?)+",
                "a while ",
                without_moments.replace(where, "the lake"),
            )
        )
    assert pages[0] == pages[1]
    assert "the lake" in pages[1]
    assert said[1]["lake"] == address
    for each in said:
        for name in ("lake", "out", "bytes"):
            del each[name]
    assert said[0] == said[1]


def damaged(lake: Path, folder: Path, what: str) -> Path:
    """A copy of the lake with a log that is not whole."""
    copied = folder / "damaged"
    shutil.copytree(lake, copied)
    records = sorted((copied / "_log").glob("*/records/*.json"))
    if what == "altered":
        records[0].write_bytes(records[0].read_bytes().replace(b'"at":"20', b'"at":"21'))
    elif what == "log gone":
        shutil.rmtree(records[0].parents[1])
    elif what == "file gone":
        min((copied / "events").rglob("*.parquet")).unlink()
    else:
        records[1 if what == "record gone" else -1].unlink()
        if what == "last records gone":
            for record in records[-3:-1]:
                record.unlink()
    return copied


@pytest.mark.parametrize("what", ["altered", "record gone", "last records gone", "log gone", "file gone"])
def test_a_damaged_log_is_said_first_and_in_the_code(
    what: str, lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing on the page claims to be complete, whatever the sessions' rows say; the page is there all the same."""
    out, copied = tmp_path / "report.html", damaged(lake, tmp_path, what)
    assert main(["report", "--lake", str(copied), "--out", str(out), "--json"]) == 1
    said, kind = json.loads(capsys.readouterr().out), "file_lost" if what == "file gone" else "log_damaged"
    assert said["complete_until"] is None
    assert [(each["account_id"], each["error"]["error"]) for each in said["damaged"]] == [(ACCOUNT, kind)]
    text = shown(out)
    first = text.index("Not known to be complete: 1 log can't be relied on")
    assert first < text.index("All sessions")
    assert "ivs-export verify" in text[first:]
    assert 'class="good"' not in out.read_text()
    assert "0 complete" in text
    assert "nothing of" not in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "{folder}"], "is a folder: name a file in it"),
        (["--out", "{folder}/none/report.html"], "there is no folder"),
        (["--out", "/dev/null"], "is no file"),
        (["--out", "{folder}/a\x00b"], "embedded null"),
        (["--out", "{folder}/r.html", "--session", "st-none"], "no such session"),
        (["--out", "{folder}/r.html", "--since", "yesterday"], "Invalid value for '--since'"),
        (["--out", "{folder}/r.html", "--since", "2026-11-02", "--until", "2026-11-02"], "is not after --since"),
        ([], "Missing option '--out'"),
    ],
)
def test_what_is_wrong_is_one_line(
    options: list[str], said: str, lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong target, session or date ends the command with exit 2, and leaves nothing."""
    typed = [option.replace("{folder}", str(tmp_path)) for option in options]
    assert main(["report", "--lake", str(lake), *typed]) == 2
    error = capsys.readouterr().err
    assert said in json.loads(error)["message"]
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the bound is Linux's")
def test_what_takes_too_much_memory_is_one_line(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a lake holds is not known before it is read: the process has a bound, as a query's has."""
    monkeypatch.setattr(report, "lake_facts", lambda _: bytearray(2 << 30))
    assert main(["report", "--lake", str(lake), "--memory-gib", "0.05", "--out", str(tmp_path / "r.html")]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "more memory than it may take" in json.loads(line)["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_page_is_replaced_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full leaves the earlier page, and no other file; a link stays one; the mode is the usual one."""
    out, link = tmp_path / "report.html", tmp_path / "link.html"
    link.symlink_to(out)
    write_page(link, "first")
    assert link.is_symlink()
    assert out.read_text() == "first"
    assert stat.S_IMODE(out.stat().st_mode) == 0o666 & ~_umask()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match=r"can't be written: No space left on device"):
        write_page(out, "second")
    assert out.read_text() == "first"
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "link.html"}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
