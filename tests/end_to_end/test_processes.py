"""The command as a process: signals, a deadline, kill -9, and two of them at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from exporter.emulator import Emulator, FixedWorld
from tests.support.command import export_running, until
from tests.support.exports import ACCOUNT, REGION, options_of, stage_of
from tests.support.oracle import expected, lake_rows

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

#: One request at a time, so that whatever was answered before the last question was taken in whole.
IN_TURN = ("--concurrency", "1")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def silent_at_the_end() -> Emulator:
    """Participants a, b and z of one session; the events of z are never answered, as long as the fault stands."""
    events = [{"name": name, "eventTime": "2026-11-22T10:00:00Z"} for name in ("JOINED", "LEFT")]
    participants = [{"participantId": name, "events": events} for name in ("a", "b", "z")]
    session = {"sessionId": "st-0000000000001", "startTime": "2026-11-22T10:00:00Z", "endTime": "2026-11-22T11:00:00Z"}
    stage = {"arn": stage_of("one"), "sessions": [{**session, "participants": participants}]}
    return Emulator(options_of(faults=("silence participant=z",)), {(ACCOUNT, REGION): FixedWorld([stage])})


def is_asked_for_z(emulator: Emulator) -> bool:
    return any(key[3] == "z" for key in emulator.calls.asked)


async def complete(emulator: Emulator, lake: Path) -> None:
    """Let another run do the rest."""
    emulator.faults.clear()
    async with export_running(emulator, lake) as command:
        ended = await command.end()
        assert (ended.code, ended.summary["outcome"]) == (0, "complete")
    assert lake_rows(lake) == expected(emulator.truth())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_in_mid_run(number: int, code: int, lake: Path) -> None:
    """What was fetched whole is committed, the call in flight is cancelled, and the next run does the rest."""
    async with silent_at_the_end() as emulator:
        async with export_running(emulator, lake, *IN_TURN) as command:
            await until(lambda: is_asked_for_z(emulator))
            command.process.send_signal(number)
            ended = await command.end()
            assert ended.code == code
        assert ended.summary["outcome"] == "partial"
        assert ended.summary["units"].items() >= {"found": 3, "exported": 2, "deferred": 1}.items()
        assert {row[4] for row in lake_rows(lake)} == {"a", "b"}
        await complete(emulator, lake)


async def test_a_deadline(lake: Path) -> None:
    """A run that reaches its deadline ends in part: what it could not do is deferred, and the next run does it."""
    async with silent_at_the_end() as emulator:
        async with export_running(emulator, lake, *IN_TURN, "--deadline-s", "2") as command:
            ended = await command.end()
            assert ended.code == 3
        assert ended.summary["outcome"] == "partial"
        assert not any(row[4] == "z" for row in lake_rows(lake))
        await complete(emulator, lake)


@pytest.mark.parametrize("checkpoint_s", ["0.05", "300"])
async def test_kill_9_in_mid_run(checkpoint_s: str, lake: Path) -> None:
    """A run that is killed, before or after a checkpoint, leaves nothing that the next one can't put right."""
    async with silent_at_the_end() as emulator:
        async with export_running(emulator, lake, *IN_TURN, "--checkpoint-s", checkpoint_s) as command:
            await until(lambda: is_asked_for_z(emulator))
            if checkpoint_s == "0.05":
                await until(lambda: lake_rows(lake).total() == 4)
            command.process.kill()
            await command.end()
        await complete(emulator, lake)


async def test_two_runs_at_once(lake: Path) -> None:
    """The second ends at once and names the holder, or waits for it; each event is in the lake once."""
    async with silent_at_the_end() as emulator, export_running(emulator, lake, "--read-timeout-s", "3") as first:
        await until(lambda: is_asked_for_z(emulator))
        async with export_running(emulator, lake) as second:
            ended = await second.end()
            assert ended.code == 4
        [failure] = ended.summary["failures"]
        assert failure["error"] == "held"
        assert f"process {first.process.pid} on " in failure["message"]
        async with export_running(emulator, lake, "--wait") as third:
            emulator.faults.clear()
            held, waited = await first.end(), await third.end()
            assert (held.code, waited.code) == (0, 0)
        assert (held.summary["events"]["written"], waited.summary["events"]["written"]) == (6, 0)
        assert lake_rows(lake) == expected(emulator.truth())
