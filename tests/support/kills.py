"""The real command as a process that can be watched and killed."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tests.support.command import command_line, environment_of
from tests.support.emulated import LAG_S, REGION
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.emulated import Emulated
    from tests.support.lakes import Lake

_RUN_S_MAX = 180.0
_POLL_S = 0.001
KILLED = -9


@dataclass(frozen=True, slots=True)
class Strike:
    """When to kill: ``delay_s`` after the start, or after the ``nth`` new name of what ``sign`` lists has shown."""

    delay_s: float
    sign: Callable[[], set[str]] | None = None
    nth: int = 0


@dataclass(slots=True)
class Run:
    """One started command. ``output`` and ``log`` are the files that hold what it prints."""

    process: subprocess.Popen[bytes]
    output: Path
    log: Path

    def strike(self, strike: Strike) -> bool:
        """Kill -9 at the instant; False where the process had ended by itself."""
        if strike.sign is not None:
            self.watch(strike.sign, strike.nth)
        self._wait(strike.delay_s)
        self.process.kill()
        return self.process.wait() == KILLED

    def watch(self, sign: Callable[[], set[str]], nth: int) -> None:
        """Wait until ``nth`` new names have shown, or the process has ended."""
        old, new, latest_s = sign(), set[str](), time.monotonic() + _RUN_S_MAX
        while len(new) < nth and self.process.poll() is None and time.monotonic() < latest_s:
            new |= sign() - old
            time.sleep(_POLL_S)

    def end(self) -> int:
        """Let it come to its end, and give the exit code. Raises :class:`subprocess.TimeoutExpired`."""
        return self.process.wait(_RUN_S_MAX)

    @property
    def summary(self) -> dict[str, Any]:
        """What it printed with ``--json``."""
        summary: dict[str, Any] = json.loads(self.output.read_text().splitlines()[-1])
        return summary

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def _wait(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)


@dataclass(frozen=True, slots=True)
class Command:
    """How runs are started against one emulator and one lake; what they print is kept in ``folder``."""

    emulator: Emulated
    lake: Lake
    folder: Path

    @contextmanager
    def run(self, *options: str) -> Iterator[Run]:
        """An export, killed at the end of the block where it still goes on."""
        given = {"--region": REGION, "--calls-per-second": "5000", "--read-timeout-s": "10", "--grace-s": str(LAG_S)}
        with self._started("run", *chain.from_iterable(given.items()), *options) as run:
            yield run

    def verify(self) -> str:
        """What ``verify`` finds; an empty text where all is right."""
        with self._started("verify") as run:
            return "" if run.end() == 0 else f"{run.output.read_text()}\n{run.last_words}"

    @contextmanager
    def _started(self, name: str, *options: str) -> Iterator[Run]:
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = self.folder / f"{len(list(self.folder.iterdir())):06d}-{name}"
        output, log = stem.with_suffix(".out"), stem.with_suffix(".log")
        command = command_line(name, self.lake.address, *options)
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        own = environment_of(self.emulator.url, keys, self.lake.environment)
        with ExitStack() as files:
            out, errors = files.enter_context(output.open("wb")), files.enter_context(log.open("wb"))
            process = subprocess.Popen(command, env=own, stdout=out, stderr=errors)
        try:
            yield Run(process, output, log)
        finally:
            process.kill()
            process.wait()
