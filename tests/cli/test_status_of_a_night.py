from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.app import main
from exporter.commit_log.commits import RunEnd
from exporter.commit_log.journal import Journal
from exporter.commit_log.lease import Holder, Lease
from exporter.commit_log.process import Process, is_gone, this_process
from exporter.commit_log.state import ScopeState
from exporter.lake.stores.directory import DirectoryStore
from exporter.ledger import ScopeLedger
from exporter.machine.clock import system_clock
from exporter.model import Outcome, Scope

if TYPE_CHECKING:
    from pathlib import Path

AT = "2026-11-26T01:00:00Z"
ACCOUNT = "111122223333"
PLACES = ("ap-south-1", "eu-west-1", "us-east-1")


async def begun(lake: Path, place: str, tag: str | None, run_id: str = "run-1", *, is_held: bool = False) -> Journal:
    """A run that has begun in a region, and holds it or was killed."""
    store, scope = DirectoryStore(lake), Scope(ACCOUNT, place)
    state = ScopeState()
    journal = Journal(store, scope, run_id, state, tag=tag)
    await journal.begin(AT)
    if is_held:
        lease = Lease(store, scope, Holder(this_process(), run_id, AT), system_clock(), is_gone)
        await lease.acquire(wait=False)
        await lease._stop_renewing()  # noqa: SLF001 - as a process that is busy
    return journal


def summary_of(place: str, outcome: Outcome) -> dict[str, Any]:
    ledger = ScopeLedger(place, ACCOUNT)
    ledger.unit_found()
    ledger.unit_ended(outcome)
    ledger.close()
    return ledger.summary()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Of one night: a region that is done, one that is being done, and one whose run was killed; and another night."""

    async def make() -> None:
        done = await begun(tmp_path, PLACES[0], "night 7")
        (await done.commit("2026-11-26T01:02:05Z", end=RunEnd(summary_of(PLACES[0], Outcome.EXPORTED), None))).check()
        await begun(tmp_path, PLACES[1], "night 7", is_held=True)
        await begun(tmp_path, PLACES[2], "night 7")
        await begun(tmp_path, "us-west-2", "night 8")

    asyncio.run(make())
    return tmp_path


def night(lake: Path, tag: str, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main(["status", "--lake", str(lake), "--tag", tag, "--json", *more]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_night_is_shown_as_one(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each region's runs, whatever became of them, add up; a region that is configured and had no run is named."""
    monkeypatch.setenv("IVS_EXPORT_REGIONS", "ap-south-1,eu-west-1,us-east-1,us-west-2")
    found = night(lake, "night 7", capsys)
    states = {scope["region"]: scope["runs"][0]["state"] for scope in found["scopes"]}
    assert states == dict(zip(PLACES, ("ended", "running", "cut short"), strict=True))
    assert (found["outcome"], found["units"]["exported"], found["more_to_do"]) == ("partial", 1, True)
    assert [failure["error"] for failure in found["failures"]] == ["cut_short", "deferred"]
    assert found["without_run"] == ["base/us-west-2"]
    assert main(["status", "--lake", str(lake), "--tag", "night 7"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("night 7: partial; the runs took 2 min 5 s together\n")
    for text in (f"{ACCOUNT}-us-east-1: failed; run-1 cut short", "3, in 3 runs", "no run     of base/us-west-2"):
        assert text in shown


def test_a_night_that_a_monitor_looks_at(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --max-age-h the night is shown, and the exit code is 3 where what is configured is not complete."""
    asked = ("--tag", "night 7", "--region", "us-east-1", "--max-age-h", "26", "--json")
    assert main(["status", "--lake", str(lake), *asked]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["coverage"]["is_current"], len(found["scopes"])) == (False, 3)


@pytest.mark.parametrize(
    ("hours", "code", "words"), [("inf", 2, "inf"), ("nan", 2, "nan"), ("1e300", 3, "not complete")]
)
def test_ages_beyond_all_times(
    hours: str, code: int, words: str, lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is no number of hours is refused; any other is, however long ago it lies."""
    assert main(["status", "--lake", str(lake), "--region", "us-east-1", "--max-age-h", hours]) == code
    printed = capsys.readouterr()
    assert words in printed.out + printed.err
    assert "bug" not in printed.err


def test_a_tag_that_no_run_has(lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no error of the lake's; where there is no lake, that is said."""
    assert night(lake, "night 9", capsys)["scopes"] == []
    assert main(["status", "--lake", str(tmp_path / "none"), "--tag", "night 7", "--json"]) == 1


async def closed_with(lake: Path, summary: dict[str, Any]) -> None:
    """A run of a region of its own, whose closing record has this summary."""
    journal = await begun(lake, "sa-east-1", "night 7")
    (await journal.commit(AT, end=RunEnd(summary, None))).check()


@pytest.mark.parametrize(
    ("summary", "outcome"),
    [
        ({"units": ["a"], "failures": 5}, "unknown"),
        ({"outcome": "partial", "failures": [{"error": "refused", "message": "no"}]}, "partial"),
        ({"outcome": "complete", "units": {"found": 1}, "from a newer program": {}}, "complete"),
    ],
)
def test_the_status_of_a_run_whose_summary_has_another_form(
    summary: dict[str, Any], outcome: str, lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can't be read of a summary hides nothing else: the run, the region and all others are shown."""
    asyncio.run(closed_with(lake, summary))
    assert main(["status", "--lake", str(lake)]) == 0
    shown = capsys.readouterr().out
    assert f"{ACCOUNT} in sa-east-1\n" in shown
    assert f"run-1  {outcome:<9}  0 events written" in shown
    assert main(["status", "--lake", str(lake), "--json"]) == 0
    found = {scope["region"]: scope["runs"][0] for scope in json.loads(capsys.readouterr().out)["scopes"]}
    assert (found["sa-east-1"]["outcome"], found["sa-east-1"]["summary"]) == (outcome, summary)


def test_a_summary_that_is_none(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A closing record of any other form is its region's failure; the others are shown."""
    asyncio.run(closed_with(lake, {"units": ["a"], "failures": 5}))
    assert main(["status", "--lake", str(lake), "--tag", "night 7", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["failures"][0]["message"].startswith(f"the summary in record 2 of {ACCOUNT}-sa-east-1 is damaged: ")
    assert len(found["scopes"]) == 4


def test_a_holder_elsewhere_is_not_seen_as_gone(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run on another machine that renews its lease goes on, for all that is seen from here."""

    async def hold() -> None:
        scope, elsewhere = Scope(ACCOUNT, PLACES[2]), Process("another", "", "", 1, "")
        holder = Holder(elsewhere, "run-1", AT)
        lease = Lease(DirectoryStore(lake), scope, holder, system_clock(), lambda _: None)
        await lease.acquire(wait=False)
        await lease._stop_renewing()  # noqa: SLF001 - as a process that is busy

    asyncio.run(hold())
    assert [scope["runs"][0]["state"] for scope in night(lake, "night 7", capsys)["scopes"]] == [
        "ended",
        "running",
        "running",
    ]
