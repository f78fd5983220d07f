from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A program whose run has two units: one is done, the other never ends. ``manner`` says how it takes being stopped.
PROGRAM = """
import asyncio, sys, time
from exporter.cli import signals
from exporter.cli.app import main
from exporter.ledger import ScopeLedger
from exporter.model import Outcome

manner = sys.argv.pop(1)
signals.GRACE_S = 0.2 if manner == "stubborn" else signals.GRACE_S

async def export(settings, request, ledger, stop):
    scope = ScopeLedger("eu-west-1", "123456789012")
    scope.unit_found()
    scope.unit_found()
    scope.unit_ended(Outcome.EXPORTED)
    ledger.scopes = [scope]
    print("ready", file=sys.stderr, flush=True)
    await stop.asked.wait()
    print("asked", file=sys.stderr, flush=True)
    if manner == "blocking":
        time.sleep(600)
    if manner != "graceful":
        await asyncio.sleep(600)
    scope.close()

sys.exit(main(export=export))
"""
RUN = ["run", "--region", "eu-west-1", "--log-level", "error", "--json"]


#: The program as it is started by its name, which gets so many signals before it imports its commands.
IMPORTED_LATE = """
import os, signal, sys
from exporter.__main__ import main

class Signalled:
    def find_spec(self, name, *_):
        if name == "exporter.cli.app":
            for _ in range(count):
                signal.raise_signal(signal.SIGTERM)

count = int(sys.argv.pop(1))
sys.meta_path.insert(0, Signalled())
sys.exit(main())
"""


@contextmanager
def started(manner: str, arguments: list[str], program: str = PROGRAM) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program, manner, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def last_object(process: subprocess.Popen[str]) -> Any:
    out, _ = process.communicate(timeout=30)
    [line] = out.splitlines()
    return json.loads(line)


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    assert process.stderr is not None
    assert process.stderr.readline() == f"{line}\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_ends_gracefully(number: int, code: int) -> None:
    """The run is asked to stop, ends by itself, and its object says what became of every unit."""
    with started("graceful", RUN) as process:
        wait_for(process, "ready")
        process.send_signal(number)
        printed = last_object(process)
        assert process.returncode == code
    assert printed["outcome"] == "partial"
    assert (printed["units"]["exported"], printed["units"]["deferred"]) == (1, 1)
    assert (printed["stopped_by"], printed["exit_code"], printed["more_to_do"]) == (
        signal.Signals(number).name,
        code,
        True,
    )


@pytest.mark.parametrize("manner", ["hanging", "blocking"])
def test_second_signal_ends_at_once(manner: str) -> None:
    """A run that does not end, not even letting go of its loop, is ended by another signal, and its object is whole."""
    with started(manner, RUN) as process:
        wait_for(process, "ready")
        process.send_signal(signal.SIGTERM)
        wait_for(process, "asked")
        process.send_signal(signal.SIGINT)
        printed = last_object(process)
        assert process.returncode == 143
    assert printed["units"]["found"] == sum(printed["units"].values()) - printed["units"]["found"] == 2


def test_time_ends_what_does_not_stop() -> None:
    """Where no second signal comes, the time that a stop may take ends the process all the same."""
    with started("stubborn", RUN) as process:
        wait_for(process, "ready")
        process.send_signal(signal.SIGINT)
        assert last_object(process)["units"]["deferred"] == 1
        assert process.returncode == 130


def test_signal_before_the_run_ends_at_once() -> None:
    """While a list of targets is still being read there is nothing to commit; code and object are there, too."""
    with started("graceful", ["run", "--targets", "-", "--json", "--log-level", "info"]) as process:
        assert process.stdin is not None
        process.stdin.write("stage_arn" + "\n" * 1_000_000)  # more than a pipe holds, so that it is being read
        process.send_signal(signal.SIGTERM)
        printed = last_object(process)
        assert process.returncode == 143
    assert printed["outcome"] == "failed"
    message = "stopped at once by SIGTERM"
    assert printed["failures"] == [{"error": "stopped", "message": message, "count": 1, "units": [], "unit": None}]
    assert (printed["stopped_by"], printed["exit_code"]) == ("SIGTERM", 143)


@pytest.mark.parametrize("count", [1, 2])
def test_signal_during_the_imports_is_answered_when_they_are_done(count: int) -> None:
    """The first waits until the object can be printed; a second does not wait, and only the code is left."""
    with started(str(count), RUN, program=IMPORTED_LATE) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (143, "")
    assert [json.loads(line)["stopped_by"] for line in out.splitlines()] == ["SIGTERM"] * (count == 1)


def test_nohup_is_obeyed() -> None:
    """A SIGHUP that the parent process had ignored stays so; a SIGTERM ends the run as ever."""
    ignoring = PROGRAM.replace("manner = ", "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\nmanner = ", 1)
    with started("graceful", RUN, program=ignoring) as process:
        wait_for(process, "ready")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert last_object(process)["stopped_by"] == "SIGTERM"
        assert process.returncode == 143


@pytest.mark.parametrize("is_json", [True, False])
def test_a_terminal_that_is_gone_ends_the_run_gracefully(is_json: bool, tmp_path: Path) -> None:
    """A dropped connection takes the terminal away: what was fetched is committed all the same, with exit 129."""
    ours, theirs = os.openpty()
    done = tmp_path / "done"
    program = PROGRAM.replace("    scope.close()\n", f"    scope.close(); open({str(done)!r}, 'w').close()\n")
    program = program.replace('    print("asked", file=sys.stderr, flush=True)\n', "")
    arguments = [*RUN[:-1], "--log-level", "info", *(["--json"] if is_json else [])]
    command = [sys.executable, "-c", TERMINAL + program, "graceful", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        try:
            seen = b""
            while b"ready\r\n" not in seen:
                seen += os.read(ours, 4096)
            os.close(ours)
            assert process.wait(30) == 129
        finally:
            process.kill()
    assert done.exists()


#: Makes standard input's terminal the one that sends SIGHUP when it goes.
TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
