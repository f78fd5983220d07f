"""The commands that look at a lake, and the plan of a run."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.cli.app import main
from exporter.commit_log.journal import Journal
from exporter.commit_log.state import ScopeState
from exporter.emulator import Emulator, EmulatorOptions, QuotaOptions, ServiceOptions
from exporter.health.problems import Problem, ProblemKind
from exporter.lake.identity import LakeIdentity
from exporter.lake.stores.directory import DirectoryStore
from exporter.model import Scope
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An emulator in a thread of its own, found by the variables that AWS's tools read."""
    ready, ended = threading.Event(), asyncio.Event()
    found: list[Any] = []

    async def serve() -> None:
        quick = ServiceOptions(QuotaOptions(calls_per_second=1000, burst=1000))
        async with Emulator(EmulatorOptions(service=quick)) as emulator:
            found.extend([emulator.url, asyncio.get_running_loop()])
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", found[0])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("IVS_EXPORT_QUOTA__CALLS_PER_SECOND", "900")
    yield
    found[1].call_soon_threadsafe(ended.set)
    thread.join(20)


def last_object(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.usefixtures("emulated")
def test_a_lake_is_planned_made_shown_and_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan's units are those that the run then finds; status and verify tell of the same rows."""
    lake = str(tmp_path / "lake")
    assert main(["run", "--lake", lake, "--dry-run", "--json"]) == 0
    (plan,) = last_object(capsys)["plan"]
    assert not (tmp_path / "lake").exists()
    assert main(["run", "--lake", lake, "--tag", "one night", "--json"]) == 0
    summary = last_object(capsys)
    assert (summary["tag"], summary["lake"], summary["exit_code"]) == ("one night", lake, 0)
    assert _tags(tmp_path / "lake") == {"begin": {"one night"}, "commit": {"one night", None}}
    assert plan["units"] == summary["units"]["found"]
    assert plan["calls"]["ListParticipants"] == summary["calls"]["ListParticipants"]
    assert main(["status", "--lake", lake, "--json"]) == 0
    (scope,) = last_object(capsys)["scopes"]
    assert scope["events"] == summary["events"]["written"]
    assert scope["complete_until"] == summary["scopes"][0]["complete_until"]
    assert scope["runs"][0]["run_id"] == summary["run_id"]
    assert 0.0 < scope["runs"][0]["summary"]["seconds"] <= summary["seconds"]
    assert main(["status", "--lake", lake, "--tag", "one night", "--json"]) == 0
    night = last_object(capsys)
    for name in ("outcome", "units", "sessions", "events", "rows", "files", "bytes", "calls", "failures", "more_to_do"):
        assert night[name] == summary[name]
    assert main(["verify", "--lake", lake, "--json"]) == 0
    assert last_object(capsys)["events"] == summary["events"]["written"]


def _tags(lake: Path) -> dict[str, set[str | None]]:
    """The tags that the log's records carry, by their kind."""
    tags: dict[str, set[str | None]] = {}
    for path in lake.glob("_log/*/records/*.json"):
        record = json.loads(path.read_bytes())
        tags.setdefault(record["kind"], set()).add(record["tag"])
        assert record["kind"] == "begin" or (record["summary"] is None) is (record["tag"] is None)
    return tags


@pytest.mark.usefixtures("emulated")
def test_people_get_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json each of the three prints some lines that a person can read."""
    lake = str(tmp_path / "lake")
    assert main(["run", "--lake", lake, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "at the quota" in out
    assert "ListParticipantEvents was not called" in out
    assert main(["run", "--lake", lake]) == 0
    capsys.readouterr()
    assert main(["status", "--lake", lake]) == 0
    assert "complete until" in capsys.readouterr().out
    assert main(["verify", "--lake", lake]) == 0
    assert "no problems" in capsys.readouterr().out


@pytest.mark.usefixtures("emulated")
def test_a_damaged_lake_fails_verification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is gone is named, and the exit code is 1."""
    lake = tmp_path / "lake"
    assert main(["run", "--lake", str(lake), "--json"]) == 0
    capsys.readouterr()
    file = min(lake.rglob("*.parquet"))
    file.unlink()
    assert main(["verify", "--lake", str(lake), "--json"]) == 1
    report = last_object(capsys)
    assert report["outcome"] == "failed"
    [problem] = report["problems"]
    assert (problem["file"], problem["kind"]) == (file.relative_to(lake).as_posix(), "missing")
    assert "ivs-export repair" in problem["remedy"]
    assert f"--accept-missing {file.parent.name}" in problem["remedy"]


@pytest.mark.usefixtures("emulated")
def test_a_directory_is_not_mended_as_s3_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that can't be read is one problem, not "1 problems", and what to do about it is a directory's."""
    lake = tmp_path / "lake"
    assert main(["run", "--lake", str(lake), "--json"]) == 0
    capsys.readouterr()
    file = min(lake.rglob("*.parquet"))
    file.unlink()
    file.mkdir()
    assert main(["verify", "--lake", str(lake)]) == 1
    out = capsys.readouterr().out
    assert "a directory stands where a file should be: move it" in out
    assert "let it be read, and verify again" in out
    assert "1 problem in " in out
    assert "s3" not in out.lower()


@pytest.mark.parametrize(
    ("message", "is_s3"), [("it can't be read: s3://lake: InvalidObjectState", True), ("it can't be read: no", False)]
)
def test_what_can_not_be_read_is_mended_where_it_lies(message: str, *, is_s3: bool) -> None:
    """Permissions and archives of S3's are named for a lake on S3 alone."""
    assert ("s3:GetObject" in Problem(ProblemKind.UNREADABLE, "events/a.parquet", message).remedy) == is_s3


@pytest.mark.parametrize(("count", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files"), (1_204, "1,204 files")])
def test_a_count_of_one_is_singular(count: int, said: str) -> None:
    """Nouns agree with their counts."""
    assert counted(count, "file") == said


@pytest.mark.usefixtures("emulated")
def test_a_lake_is_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is gone: the plan says what would be done, the repair does it, and the next run brings the rows."""
    lake = tmp_path / "lake"
    assert main(["run", "--lake", str(lake), "--json"]) == 0
    written = last_object(capsys)["events"]["written"]
    file = min(lake.rglob("*.parquet"))
    file.unlink()
    before = sorted(lake.rglob("*"))
    assert main(["repair", "--lake", str(lake), "--dry-run", "--json"]) == 1
    report = last_object(capsys)
    [would] = report["repaired"]
    assert (report["dry_run"], would["file"]) == (True, file.relative_to(lake).as_posix())
    assert sorted(lake.rglob("*")) == before
    assert main(["repair", "--lake", str(lake)]) == 0
    assert "1 repaired, 0 problems left" in capsys.readouterr().out
    assert main(["verify", "--lake", str(lake), "--json"]) == 0
    assert last_object(capsys)["events"] < written
    assert main(["run", "--lake", str(lake), "--json"]) == 0
    capsys.readouterr()
    assert main(["verify", "--lake", str(lake), "--json"]) == 0
    assert last_object(capsys)["events"] >= written
    assert main(["repair", "--lake", str(lake), "--json"]) == 0
    assert last_object(capsys)["repaired"] == []


@pytest.mark.usefixtures("emulated")
def test_a_partition_that_was_removed_on_purpose_is_forgiven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A partition removed on purpose is no problem any more, and a refetch does not bring it back."""
    lake = tmp_path / "lake"
    assert main(["run", "--lake", str(lake), "--json"]) == 0
    partition = min((lake / "events").iterdir())
    files = sorted(path.relative_to(lake).as_posix() for path in partition.iterdir())
    shutil.rmtree(partition)
    capsys.readouterr()
    assert main(["verify", "--lake", str(lake), "--json", "--accept-missing", partition.name]) == 0
    assert last_object(capsys)["accepted"] == files
    assert main(["verify", "--lake", str(lake), "--accept-missing", partition.name]) == 0
    assert f"{partition.name}: no file that a log names is missing there" in capsys.readouterr().out
    assert main(["run", "--lake", str(lake), "--refetch", "--json"]) == 0
    assert not partition.exists()
    capsys.readouterr()
    assert main(["verify", "--lake", str(lake), "--json"]) == 0
    assert main(["verify", "--lake", str(lake), "--accept-missing", "event_date=soon"]) == 2


def test_a_lake_whose_runs_all_failed_is_called_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log is there, and no file: that is not complete."""
    lake = tmp_path / "lake"
    (lake / "_log").mkdir(parents=True)
    (lake / "_log" / "lake.json").write_bytes(msgspec.json.encode(LakeIdentity("1", "run")))
    journal = Journal(DirectoryStore(lake), Scope("111122223333", "us-east-1"), "r1", ScopeState())
    asyncio.run(journal.begin("2026-11-23T12:00:00Z"))
    assert main(["verify", "--lake", str(lake), "--json"]) == 0
    assert last_object(capsys)["outcome"] == "empty"
    assert main(["verify", "--lake", str(lake)]) == 0
    assert "the lake is empty" in capsys.readouterr().out


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize("body", [None, b"{", b'{"format": "another", "id": "1", "made_by": "run"}'])
def test_the_lake_s_own_file_is_verified_and_made_anew(
    body: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gone, garbled or another program's: no run goes on; verify names it, a repair sets it aside and makes another."""
    lake = tmp_path / "lake"
    options = ["--lake", str(lake), "--json"]
    assert main(["run", *options]) == 0
    own = lake / "_log" / "lake.json"
    own.unlink()
    if body is not None:
        own.write_bytes(body)
    assert main(["run", *options]) == 1
    capsys.readouterr()
    assert main(["verify", *options]) == 1
    [problem] = last_object(capsys)["problems"]
    assert (problem["file"], problem["kind"]) == ("_log/lake.json", "identity")
    assert "ivs-export repair" in problem["remedy"]
    assert "repair" not in problem["message"]
    assert main(["repair", "--dry-run", *options]) == 1
    assert last_object(capsys)["repaired"] == [{"file": "_log/lake.json", "done": "would make it anew"}]
    assert main(["repair", *options]) == 0
    assert (lake / "_damaged" / "_log" / "lake.json").exists() is (body is not None)
    for command in ("verify", "run"):
        assert main([command, *options]) == 0


@pytest.mark.usefixtures("emulated")
def test_status_shows_the_scopes_beside_a_damaged_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of two is damaged: exit 3, and both are there; all are: exit 1."""
    lake = tmp_path / "lake"
    assert main(["run", "--lake", str(lake), "--json"]) == 0
    sound = next((lake / "_log").glob("*-us-east-1"))
    other = lake / "_log" / sound.name.replace("us-east-1", "eu-west-1") / "records" / "000000000002.json"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"{}")
    capsys.readouterr()
    assert main(["status", "--lake", str(lake), "--json"]) == 3
    errors = {scope["region"]: scope["error"] for scope in last_object(capsys)["scopes"]}
    assert errors["us-east-1"] is None
    assert errors["eu-west-1"]["error"] == "log_damaged"
    assert main(["status", "--lake", str(lake)]) == 3
    out = capsys.readouterr().out
    assert "complete until" in out
    assert "111122223333 in eu-west-1\n  not known       " in out
    assert "\N{REPLACEMENT CHARACTER}" not in out
    (sound / "records" / "000000000001.json").unlink()
    assert main(["status", "--lake", str(lake), "--json"]) == 1


@pytest.mark.parametrize("gone", ["_log/111122223333-us-east-1", "_log"])
@pytest.mark.usefixtures("emulated")
def test_status_misses_the_log_of_files_that_are_there(
    gone: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lake whose log was deleted is neither one without a scope nor none at all."""
    lake = tmp_path / "lake"
    assert main(["run", "--lake", str(lake), "--json"]) == 0
    shutil.rmtree(lake / gone)
    capsys.readouterr()
    assert main(["status", "--lake", str(lake)]) == 1
    error = capsys.readouterr().err
    assert "the lake has no commit log of 111122223333-us-east-1, and files of it are there" in error
    assert "`ivs-export repair`" in error


@pytest.mark.usefixtures("emulated")
def test_a_lake_whose_run_found_nothing_is_a_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No scope yet: nothing is wrong with it, and each command names it."""
    lake = str(tmp_path / "lake")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")  # where the emulator has no stage
    assert main(["run", "--lake", lake, "--json"]) == 0
    capsys.readouterr()
    assert main(["status", "--lake", lake, "--json"]) == 0
    status = last_object(capsys)
    assert (status["lake"], status["scopes"]) == (lake, [])
    for command in ("verify", "repair"):
        assert main([command, "--lake", lake, "--json"]) == 0
        out = last_object(capsys)
        assert (out["lake"], out["scopes"], out["problems"]) == (lake, 0, [])
    assert main(["status", "--lake", lake]) == 0
    assert capsys.readouterr().out == f"{lake}: no scope yet\n"
    assert main(["verify", "--lake", lake]) == 0
    assert "no scope yet" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "verify", "repair"])
def test_a_place_without_an_export_is_no_lake(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped lake is an error, not an empty one that is all right; and nothing is made there."""
    assert main([command, "--lake", str(tmp_path / "lake")]) == 1
    assert "holds no export" in capsys.readouterr().err
    assert not (tmp_path / "lake").exists()
