"""How much memory ``ivs-export run`` takes at its peak, by the shape of what it exports.

Each world is served by an emulator in a process of its own, at a quota that is in nobody's way, and exported by the
real command into an empty lake. The peak is the largest resident set that the kernel has seen of that one process.

    .venv/bin/python -m benchmarks.memory                  all worlds, some ten minutes
    .venv/bin/python -m benchmarks.memory --scale 0.01     the same at a hundredth: does it run at all?
    .venv/bin/python -m benchmarks.memory units baseline   two of them
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.command import Measured, emulator, run

_CALLS_PER_SECOND = "1000000"
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
    """Export one world into an empty lake."""
    sizes = {
        "stages": world.stages,
        "sessions": world.sessions,
        "participants": world.participants,
        "events": world.events,
        "active-share": 0.0,
        "calls-per-second": _CALLS_PER_SECOND,
    }
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder, emulator(sizes) as url:
        options = ("--region", "us-east-1", "--calls-per-second", _CALLS_PER_SECOND)
        return run(url, Path(folder, "lake"), *options)


def _print_row(*cells: str) -> None:
    sys.stdout.write(_ROW.format(*cells).rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
