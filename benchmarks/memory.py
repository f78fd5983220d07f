"""How much memory ``ivs-export run`` takes at its peak, by the shape of what it exports.

Each world is served by an emulator in a process of its own, at a quota that is in nobody's way, and exported by the
real command into an empty lake. The peak is the largest resident set that the kernel has seen of that one process.

    .venv/bin/python benchmarks/memory.py                  all worlds, some ten minutes
    .venv/bin/python benchmarks/memory.py --scale 0.01     the same at a hundredth: does it run at all?
    .venv/bin/python benchmarks/memory.py units baseline   two of them
"""
# ruff: noqa: INP001 - a script, and part of no package

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMAND = (sys.executable, "-m", "exporter")
_ROOT = Path(__file__).resolve().parent.parent
_REGION = "us-east-1"
_CALLS_PER_SECOND = "1000000"
_CONCURRENCY = "32"
_ROW = "{:<14} {:>8} {:>9} {:>9} {:>11} {:>8} {:>9} {:>9}"


@dataclass(frozen=True, slots=True)
class World:
    """So many ``stages``, of so many ``sessions`` each, and so on down to the ``events`` of a participant."""

    stages: int
    sessions: int
    participants: int
    events: int

    def scaled(self, scale: float) -> World:
        """The world with fewer sessions; with fewer participants, where that is not enough."""
        sessions = max(1, round(self.sessions * scale)) if self.sessions else 0
        rest = scale * self.sessions / sessions if sessions else 1.0
        return replace(self, sessions=sessions, participants=max(1, round(self.participants * rest)))


WORLDS = {
    "baseline": World(0, 0, 0, 0),
    "events": World(1, 100, 100, 100),
    "units": World(1, 100, 1_000, 10),
    "long-units": World(1, 100, 10, 1_000),
    "one-session": World(1, 1, 30_000, 10),
    "many-sessions": World(30, 1_000, 1, 10),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the command: its summary, its peak in MiB, and the processor's and the clock's seconds."""

    summary: dict[str, Any]
    peak_mib: float
    cpu_s: float
    wall_s: float


def main() -> None:
    """Measure the worlds that are named, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "worlds", nargs="*", metavar="WORLD", choices=[*WORLDS, []], help=f"any of {', '.join(WORLDS)}; else all"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="the share of the sessions (1.0)")
    given = parser.parse_args()
    _print_row("world", "sessions", "units", "events", "seconds", "cpu s", "files", "peak MiB")
    for name in given.worlds or WORLDS:
        measured = measure(WORLDS[name].scaled(given.scale))
        summary = measured.summary
        _print_row(
            name,
            f"{summary['sessions']['found']:,}",
            f"{summary['units']['found']:,}",
            f"{summary['events']['written']:,}",
            f"{measured.wall_s:.1f}",
            f"{measured.cpu_s:.1f}",
            f"{summary['files']:,}",
            f"{measured.peak_mib:.0f}",
        )


def measure(world: World) -> Measured:
    """Export one world into an empty lake. Raises RuntimeError where the command failed or left anything out."""
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder, _emulator(world) as url:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": folder,
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_ENDPOINT_URL_IVS_REALTIME": url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        options = ("--calls-per-second", _CALLS_PER_SECOND, "--concurrency", _CONCURRENCY, "--json")
        command = (*_COMMAND, "run", "--region", _REGION, "--lake", str(Path(folder, "lake")), *options)
        with Path(folder, "out").open("w+") as out, Path(folder, "log").open("w+") as log:
            began_s = time.monotonic()
            process = subprocess.Popen(command, env=environment, cwd=_ROOT, stdout=out, stderr=log)  # noqa: S603 - our own
            # The children's sum that `getrusage` gives would hold the emulator, too.
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.monotonic() - began_s
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            log.seek(0)
            if process.returncode:
                raise RuntimeError(f"the command ended with {process.returncode}: {log.read()[-2_000:]}")
            summary = json.loads(out.read())
    return Measured(summary, usage.ru_maxrss / _MAXRSS_A_MIB, usage.ru_utime + usage.ru_stime, wall_s)


# Kilobytes on Linux, bytes on macOS: getrusage(2).
_MAXRSS_A_MIB = 1 << (20 if sys.platform == "darwin" else 10)


@contextmanager
def _emulator(world: World) -> Iterator[str]:
    """An emulator of the world in a process of its own, by its URL."""
    sizes = {
        "stages": world.stages,
        "sessions": world.sessions,
        "participants": world.participants,
        "events": world.events,
        "active-share": 0.0,
        "calls-per-second": _CALLS_PER_SECOND,
    }
    options = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
    process = subprocess.Popen(  # noqa: S603 - our own
        (*_COMMAND, "emulate", *options), cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None, "it is a pipe"  # noqa: S101 - for the type checker
        yield next(word for word in process.stdout.readline().split() if word.startswith("http"))
    finally:
        process.terminate()
        process.communicate()


def _print_row(*cells: str) -> None:
    sys.stdout.write(_ROW.format(*cells).rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
