"""The command doctor: what it prints, its exit codes, and this machine's own limits, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest

from exporter.doctor.check import Check, Examination, examined
from exporter.emulator import Emulator
from tests.support.command import Ended, command_line, end_of, environment_of, started, until
from tests.support.exports import options_of

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.emulator import WorldOptions

KEYS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "a-secret-key-of-nobody"}


async def doctor(emulator: Emulator, lake: Path, *options: str, limits: str = "", **variables: str) -> Ended:
    """The command beside an emulator, started by a shell that sets ``limits`` first."""
    sts = {"AWS_ENDPOINT_URL_STS": emulator.url, "AWS_SECRET_ACCESS_KEY": "emulator"}
    command = command_line("doctor", "--region", "us-east-1", "--lake", str(lake), *options)
    within = ["sh", "-c", f'{limits} && exec "$@"', "sh"] if limits else []
    return await end_of([*within, *command], environment_of(emulator.url, KEYS, sts, variables))


async def test_a_sound_place(world: WorldOptions, tmp_path: Path) -> None:
    """Exit 0, a line for each check, and the calls at the end. Nothing is logged."""
    async with Emulator(options_of(world)) as emulator:
        ended = await doctor(emulator, tmp_path / "lake")
    assert (ended.code, ended.logged) == (0, "")
    *lines, last = ended.printed.splitlines()
    assert [line.split()[:2] for line in lines][:3] == [
        ["ok", "temporary-folder"],
        ["ok", "open-files"],
        ["ok", "network"],
    ]
    assert last.startswith("15 checks: 14 ok, 1 skipped; calls: 11 of IVS, 1 of STS; ")
    assert not (tmp_path / "lake").exists()


async def test_a_place_in_which_a_run_would_fail(world: WorldOptions, tmp_path: Path) -> None:
    """64 open files, no temporary folder, a missing permission: exit 1, and one object with a remedy for each."""
    denied = "denied operation=ListParticipantEvents"
    async with Emulator(options_of(world, faults=(denied,))) as emulator:
        nowhere = {"TMPDIR": "/nowhere", "PYTHONPATH": str(no_temporary_folder(tmp_path))}
        ended = await doctor(emulator, tmp_path / "lake", "--json", limits="ulimit -n 64", **nowhere)
    checks = {check["name"]: check for check in ended.summary["checks"]}
    assert (ended.code, ended.summary["outcome"], ended.summary["exit_code"]) == (1, "failed", 1)
    assert set(ended.summary["checks"][0]) == {"name", "outcome", "detail", "remedy"}
    wrong = {name: check["outcome"] for name, check in checks.items() if check["outcome"] in {"failed", "warning"}}
    assert wrong == {"temporary-folder": "failed", "open-files": "warning", "ListParticipantEvents": "failed"}
    assert "TMPDIR" in checks["temporary-folder"]["remedy"]
    assert checks["open-files"]["detail"].startswith("64 at most: too few for many scopes")
    assert "ulimit -Hn" in checks["open-files"]["remedy"]
    assert ended.summary["calls"]["sts"] == {"GetCallerIdentity": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_leaves_nothing_behind(number: signal.Signals, world: WorldOptions, tmp_path: Path) -> None:
    """The trial of a lake is removed, too, when the doctor is stopped while a call is not answered."""
    keys = {**KEYS, "AWS_SECRET_ACCESS_KEY": "emulator"}
    async with Emulator(options_of(world, faults=("silence operation=ListStageSessions",))) as emulator:
        environment = environment_of(emulator.url, keys, {"AWS_ENDPOINT_URL_STS": emulator.url})
        command = command_line("doctor", "--region", "us-east-1", "--lake", str(tmp_path / "lake"))
        with started(command, environment) as running:
            await until(lambda: "ListStageSessions" in emulator.calls.granted and left_in(tmp_path) != [])
            running.process.send_signal(number)
            ended = await running.end()
    assert ended.code == 128 + number
    assert left_in(tmp_path) == []


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_the_policy_for_these_settings(world: WorldOptions, tmp_path: Path) -> None:
    """It is printed as JSON with the caller's account in it, and nothing is checked."""
    async with Emulator(options_of(world)) as emulator:
        ended = await doctor(emulator, tmp_path / "lake", "--policy")
        calls = dict(emulator.calls.granted)
    [statement] = json.loads(ended.printed)["Statement"]
    assert (ended.code, statement["Resource"]) == (0, "arn:aws:ivs:*:111122223333:stage/*")
    assert calls == {"GetCallerIdentity": 1}


async def test_a_check_that_fails_as_none_should_ends_no_other() -> None:
    """Its line says what happened; what needs it is skipped, and the rest is checked."""

    async def fail() -> Check:
        raise OSError(5, "Input/output error", "/mnt/lake")

    async def succeed() -> Check:
        return Check("b", "ok", "fine")

    checks = [Examination("a", fail), Examination("b", succeed), Examination("c", succeed, ("a",))]
    found = [check async for check in examined(checks)]
    assert [(check.name, check.outcome) for check in found] == [("a", "failed"), ("b", "ok"), ("c", "skipped")]
    assert "Input/output error" in found[0].detail
    assert found[0].remedy


async def test_checks_are_given_in_their_order_and_wait_for_what_they_need() -> None:
    """One that is slow holds up none but those that need it; one that never ends is failed in its time."""
    made: list[str] = []

    def check(name: str, wait_s: float = 0.0) -> Examination:
        async def examine() -> Check:
            await asyncio.sleep(wait_s)
            made.append(name)
            return Check(name, "ok", "well")

        return Examination(name, examine, within_s=0.1)

    examinations = [check("endless", 60.0), Examination("below", check("below").examine, ("endless",)), check("quick")]
    given = [(each.name, each.outcome, each.detail) async for each in examined(examinations)]
    assert made == ["quick"]
    assert given == [
        ("endless", "failed", "no end within 0.1 s: what it asks does not answer"),
        ("below", "skipped", "needs endless"),
        ("quick", "ok", "well"),
    ]


def no_temporary_folder(folder: Path) -> Path:
    """A folder with what makes Python find no place for temporary files, as on a read-only root without /tmp."""
    place = folder / "site"
    place.mkdir()
    text = "import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/nowhere']\n"
    (place / "sitecustomize.py").write_text(text)
    return place
