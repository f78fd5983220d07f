"""The real command as a process that can be watched and killed."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from tests.support.command import command_line, environment_of, started
from tests.support.emulated import LAG_S, REGION
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.command import Running
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


@dataclass(frozen=True, slots=True)
class Run:
    """One started command."""

    running: Running

    @property
    def code(self) -> int | None:
        """Its exit code, None while it goes on."""
        return self.running.process.poll()

    def strike(self, strike: Strike) -> bool:
        """Kill -9 at the instant; False where the process had ended by itself."""
        if strike.sign is not None:
            self.watch(strike.sign, strike.nth)
        with suppress(subprocess.TimeoutExpired):
            self.running.process.wait(strike.delay_s)
        self.running.process.kill()
        return self.running.process.wait() == KILLED

    def watch(self, sign: Callable[[], set[str]], nth: int) -> None:
        """Wait until ``nth`` new names have shown, or the process has ended."""
        old, new, latest_s = sign(), set[str](), time.monotonic() + _RUN_S_MAX
        while len(new) < nth and not self.running.is_over and time.monotonic() < latest_s:
            new |= sign() - old
            time.sleep(_POLL_S)

    def end(self) -> int:
        """Let it come to its end, and return the exit code. Raises :class:`subprocess.TimeoutExpired`."""
        return self.running.wait(_RUN_S_MAX).code

    @property
    def summary(self) -> dict[str, Any]:
        """What it printed with ``--json``."""
        return self.running.wait(_RUN_S_MAX).summary

    @property
    def log_end(self) -> str:
        """The end of its log."""
        return self.running.log.text[-3000:]


@dataclass(frozen=True, slots=True)
class Command:
    """How runs are started against one emulator and one lake; what they print is kept in ``folder``."""

    emulator: Emulated
    lake: Lake
    folder: Path

    @contextmanager
    def run(self, *options: str) -> Iterator[Run]:
        """An export, killed at the end of the block where it still goes on."""
        own = {"--region": REGION, "--calls-per-second": "5000", "--read-timeout-s": "10", "--grace-s": str(LAG_S)}
        with self._started("run", *chain.from_iterable(own.items()), *options) as run:
            yield run

    def verify(self) -> str:
        """What ``verify`` finds; an empty text where all is right."""
        with self._started("verify") as run:
            return "" if run.end() == 0 else f"{run.running.output.text}\n{run.log_end}"

    @contextmanager
    def _started(self, name: str, *options: str) -> Iterator[Run]:
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = self.folder / f"{len(list(self.folder.iterdir())):06d}-{name}"
        command = command_line(name, "--lake", self.lake.address, "--json", *options)
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        stem.with_suffix(".out").touch()
        try:
            with started(command, environment_of(self.emulator.url, keys, self.lake.environment)) as running:
                yield Run(running)
        finally:
            stem.with_suffix(".out").write_text(running.output.text)
            stem.with_suffix(".log").write_text(running.log.text)
