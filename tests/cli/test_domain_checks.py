"""``verify --domain``: what is strange in the data is named, and only what the lake itself got wrong fails."""

from __future__ import annotations

import asyncio
import errno
import json
import re
import tempfile
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.app import main
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.stores.directory import DirectoryStore
from exporter.query.domain_checks import MEANINGS
from tests.support.runs import export
from tests.support.service import Service

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake whose sessions have events that fit together in no way."""
    service = Service()
    for name in ("st-a", "st-b"):
        session = service.add(name, events={"p1": 5, "p2": 3})
        for number, event in enumerate(session.participants["p1"].events):
            event["name"] = ("PUBLISH_STARTED", "PUBLISH_STOPPED", "PUBLISH_STOPPED", "LEFT", "NEW_NAME")[number]
    return made(tmp_path / "lake", service)


def made(lake: Path, service: Service) -> Path:
    async def make() -> None:
        store = DirectoryStore(lake)
        await open_lake(store, str(lake), LakeKind(), "r1", lambda: 0.5)
        await export(service, store, "r1")

    asyncio.run(make())
    return lake


def verified(lake: Path, capsys: pytest.CaptureFixture[str], code: int) -> dict[str, Any]:
    """The one object that it prints."""
    assert main(["verify", "--domain", "--lake", str(lake), "--json"]) == code
    [line] = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def files_of(lake: Path) -> list[Path]:
    return sorted((lake / "events").rglob("*.parquet"))


def test_what_ivs_told_is_named_and_fails_nothing(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding says what it means, how often it is met, and which sessions have most of it."""
    found = verified(lake, capsys, 0)
    assert (found["outcome"], found["problems"], found["domain_error"]) == ("complete", [], None)
    assert found["findings"]
    for finding in found["findings"]:
        assert finding["severity"] in {"warn", "info"}
        assert finding["message"] == MEANINGS[finding["name"]]
        assert 0 < len(finding["examples"]) <= finding["sessions"] <= finding["count"]
        assert finding["count"] == sum(example["count"] for example in finding["examples"])
    assert main(["verify", "--domain", "--lake", str(lake)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"checks of the domain: {len(found['findings'])} findings, of them 0 errors"
    assert any(re.fullmatch(r"(warn|info): \w+: .*; \d+ times?, in \d sessions?: st-.*", line) for line in lines)


def test_an_event_that_stands_twice_fails(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the first of the findings."""
    whole = files_of(lake)[0]
    whole.with_name("copy.parquet").write_bytes(whole.read_bytes())
    found = verified(lake, capsys, 1)
    assert found["outcome"] == "failed"
    assert [problem["kind"] for problem in found["problems"]] == ["foreign"]
    assert (found["findings"][0]["name"], found["findings"][0]["severity"]) == ("event_twice", "error")


def test_a_lake_that_can_not_be_read_still_gives_one_object(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files_of(lake)[0].write_bytes(b"PAR1")
    found = verified(lake, capsys, 1)
    assert found["problems"]
    assert found["findings"] == []
    assert "ivs-export verify" in found["domain_error"]


def test_what_verify_has_found_is_shown_where_no_question_can_be_asked(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no temporary folder: the file that is gone is named all the same."""
    files_of(lake)[0].unlink()
    monkeypatch.setattr(tempfile, "TemporaryDirectory", _full)
    found = verified(lake, capsys, 1)
    assert [problem["kind"] for problem in found["problems"]] == ["missing"]
    assert "TMPDIR" in found["domain_error"]


def _full(**_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_without_the_option_nothing_is_asked(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--lake", str(lake), "--json"]) == 0
    assert "findings" not in json.loads(capsys.readouterr().out)


def test_a_lake_without_events_has_no_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = verified(made(tmp_path, Service()), capsys, 0)
    assert (found["outcome"], found["findings"], found["domain_error"]) == ("complete", [], None)


def test_each_finding_of_the_view_has_a_meaning() -> None:
    sql = files("exporter.views").joinpath("sql", "checks.sql").read_text(encoding="utf-8")
    names = set(re.findall(r"'([a-z]+(?:_[a-z]+)+)'", sql)) - {"same_instant"}
    assert names == set(MEANINGS)
