"""The command as a process that is stopped for so long that another run takes its scope."""

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

SESSION = {"sessionId": "st-0000000000001", "startTime": "2026-11-22T10:00:00Z", "endTime": "2026-11-22T11:00:00Z"}
EVENTS = [{"name": name, "eventTime": "2026-11-22T10:00:00Z"} for name in ("JOINED", "LEFT")]


def world() -> FixedWorld:
    """Two participants of one session."""
    participants = [{"participantId": name, "events": EVENTS} for name in ("a", "z")]
    return FixedWorld([{"arn": stage_of("one"), "sessions": [{**SESSION, "participants": participants}]}])


@pytest.mark.slow
async def test_a_stopped_process_that_is_overtaken_exits_4(tmp_path: Path) -> None:
    """It is stopped with events in its hands and its lease is taken away; another run does everything; it goes on.

    It ends as held by another run, has written nothing, and leaves no file.
    """
    lake = tmp_path / "lake"
    emulator = Emulator(options_of(faults=("silence participant=z",)), {(ACCOUNT, REGION): world()})
    async with emulator, export_running(emulator, lake, "--concurrency", "1", "--read-timeout-s", "3") as sleeper:
        await until(lambda: any(key[3] == "z" for key in emulator.calls.asked))
        sleeper.process.send_signal(signal.SIGSTOP)
        for lease in lake.glob("_log/*/lease/*.json"):
            lease.unlink()
        emulator.faults.clear()
        async with export_running(emulator, lake) as other:
            ended = await other.end()
            assert (ended.code, ended.summary["outcome"]) == (0, "complete")
        sleeper.process.send_signal(signal.SIGCONT)
        ended = await sleeper.end()
        assert ended.code == 4
        [failure] = ended.summary["failures"]
        assert failure["error"] == "overtaken"
        assert (ended.summary["events"]["written"], ended.summary["files"]) == (0, 0)
        assert lake_rows(lake) == expected(emulator.truth())
    assert not [path for path in (lake / "_staged").rglob("*") if path.is_file()]
    assert not list(lake.glob("_log/*/lease/*"))
