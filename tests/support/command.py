"""The real command as a process of its own: how it is started, watched and ended, and what it printed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from tests.support.environment import bare_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from exporter.emulator import Emulator

_WAIT_S = 60.0
_END_S = 180.0
_CHUNK_BYTES = 1 << 16


def command_line(name: str, *options: str) -> list[str]:
    """``ivs-export`` with one of its commands."""
    return [sys.executable, "-m", "exporter", name, *options]


def environment_of(emulator_url: str, *more: Mapping[str, str]) -> dict[str, str]:
    """What a command beside an emulator sees: nothing of the user's but the way to programs."""
    beside = {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_IVS_REALTIME": emulator_url,
        "IVS_EXPORT_TEST_CLOCK": emulator_url,
    }
    return bare_environment(beside, *more)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its code, and what it printed to standard output and to its log."""

    code: int
    printed: str
    logged: str

    @property
    def summary(self) -> dict[str, Any]:
        """The one object that ``--json`` prints."""
        [line] = self.printed.splitlines()
        summary: dict[str, Any] = json.loads(line)
        return summary

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return [json.loads(line) for line in self.logged.splitlines()]

    @property
    def failed(self) -> dict[str | None, str]:
        """The kind of each failure, by the name of what failed."""
        return {
            unit: failure["error"]
            for failure in self.summary["failures"]
            for unit in failure["units"] or [failure["unit"]]
        }


class Printed:
    """What a process has written to a stream so far; a thread reads on, so that the process never waits for that."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._read = bytearray()
        self._thread = threading.Thread(target=self._read_on, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return self._read.decode(errors="replace")

    def wait(self, wait_s: float) -> bool:
        """Wait for the end of the stream, and return whether it came."""
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _read_on(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), _CHUNK_BYTES):
                self._read += chunk


@dataclass(frozen=True, slots=True)
class Running:
    """A command at work. Its log and its output hold none of the ``secrets`` and no traceback."""

    process: subprocess.Popen[bytes]
    output: Printed
    log: Printed
    secrets: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def wait(self, wait_s: float = _END_S) -> Ended:
        """Block until it has come to its end. Raises :class:`subprocess.TimeoutExpired`."""
        for printed in (self.output, self.log):
            if not printed.wait(wait_s):
                raise subprocess.TimeoutExpired(self.process.args, wait_s)
        ended = Ended(self.process.wait(wait_s), self.output.text, self.log.text)
        for text in ("Traceback", *self.secrets):
            assert text not in ended.printed + ended.logged, ended.logged
        return ended

    async def end(self) -> Ended:
        """The same, while the event loop goes round."""
        return await asyncio.to_thread(self.wait)


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None, secrets: tuple[str, ...] = ()
) -> Iterator[Running]:
    """Start a command, which does not outlive the block; in a session of its own it can ask nobody for a password."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield Running(process, Printed(process.stdout), Printed(process.stderr), secrets)
    finally:
        process.kill()
        process.wait()


async def end_of(command: Sequence[str], environment: Mapping[str, str], *, secrets: tuple[str, ...] = ()) -> Ended:
    """A command from its start to its end."""
    with started(command, environment, secrets=secrets) as running:
        return await running.end()


@asynccontextmanager
async def export_running(emulator: Emulator, lake: Path, *options: str) -> AsyncIterator[Running]:
    """``ivs-export run`` of the emulator's first account into a lake, at a pace that is no hindrance."""
    fast = ("--region", "us-east-1", "--calls-per-second", "5000")
    command = command_line("run", "--lake", str(lake), "--json", *fast, *options)
    keys = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}
    with started(command, environment_of(emulator.url, keys)) as running:
        yield running


async def until(is_so: Callable[[], bool], wait_s: float = _WAIT_S) -> None:
    """Wait until something is so, and no longer than ``wait_s``."""
    async with asyncio.timeout(wait_s):
        while not is_so():  # noqa: ASYNC110 - what it waits for is another process's doing
            await asyncio.sleep(0.01)
