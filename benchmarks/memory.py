"""How much memory ``ivs-export run`` takes at its peak, by the size and the shape of what it exports.

Each world is served by an emulator, or by a server of wide events, in a process of its own, at a quota that is in
nobody's way, and exported by the real command into an empty lake. The peak is the largest resident set that the kernel
has seen of that one process.

    .venv/bin/python -m benchmarks.memory                  all worlds, some twenty-five minutes
    .venv/bin/python -m benchmarks.memory --quick          some of them in miniature: does it run at all?
    .venv/bin/python -m benchmarks.memory unit baseline    two of them
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.command import Measured, emulator, run
from benchmarks.figures import Figure, show
from benchmarks.nights import figures as figures_of_nights
from benchmarks.wide_server import Width, wide_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

_CALLS_PER_SECOND = "1000000"
_NIGHTS = "nights"
_QUICK = ("baseline", "events", "unit", "wide", _NIGHTS)
_QUICK_EVENTS = 5_000


@dataclass(frozen=True, slots=True)
class World:
    """So many ``stages``, of so many ``sessions`` each, and so on down to the ``events`` of a participant.

    Its export must stay below ``target_mib``; None for one that only shows where the others begin. ``active_share`` is
    that of the stages whose last session goes on, so that what is read may shift, and is read twice where it does.
    Where ``letters`` is not 0, each event has a text of so many, and no two are alike. Where it ``never_sleeps``, each
    stage has one session that never ends, and participants' details are asked for.
    """

    what: str
    stages: int
    sessions: int
    participants: int
    events: int
    target_mib: int | None = 200
    active_share: float = 0.0
    letters: int = 0
    never_sleeps: bool = False

    def shrunk(self, events_max: int) -> World:
        """The world with at most so many events: with fewer sessions, then participants, then events of each."""
        sizes = {"sessions": self.sessions, "participants": self.participants, "events": self.events}
        surplus = self.stages * prod(sizes.values()) / events_max
        for name, size in sizes.items():
            if surplus > 1.0:
                sizes[name] = max(1, round(size / surplus))
                surplus *= sizes[name] / size
        return replace(self, sessions=sizes["sessions"], participants=sizes["participants"], events=sizes["events"])


WORLDS = {
    "baseline": World("a region without stages: Python, the libraries, one call", 0, 0, 0, 0, None),
    "events": World("1,000,000 events of 10,000 units", 1, 100, 100, 100),
    "units": World("1,000,000 events of 100,000 units", 1, 100, 1_000, 10),
    "long-units": World("1,000,000 events of 20 units, all under way at once", 1, 20, 1, 50_000),
    "unit": World("1,000,000 events of one unit", 1, 1, 1, 1_000_000, 300),
    "active-unit": World("1,000,000 events of one unit whose session goes on", 1, 1, 1, 1_000_000, 300, 1.0),
    "small-units": World("400,000 events of 200,000 units", 1, 100, 2_000, 2),
    "wide": World("40,000 events of 400 units, 10 kB each", 1, 1, 400, 100, 300, letters=10_000),
    "wide-unit": World("1,000,000 events of one unit, 1 kB each", 1, 1, 1, 1_000_000, 300, letters=1_000),
    "one-session": World("one session of 30,000 participants", 1, 1, 30_000, 10),
    "many-sessions": World("30,000 sessions on 30 stages", 30, 1_000, 1, 10),
    "sleepless": World(
        "a stage that never sleeps, 100,000 participants with details", 1, 1, 100_000, 2, never_sleeps=True
    ),
    "twenty-million": World("20,000,000 events of 20,000 units", 1, 200, 100, 1_000),
}


def figures(*, quick: bool, names: Sequence[str] = ()) -> Iterator[Figure]:
    """The peak of each world that is named, or of all; ``nights`` is :mod:`benchmarks.nights`.

    ``quick`` takes few worlds, if none is named, and shrinks them, so that their peaks mean nothing.
    """
    for name in names or (_QUICK if quick else (*WORLDS, _NIGHTS)):
        if name == _NIGHTS:
            yield from figures_of_nights(quick=quick)
            continue
        world = WORLDS[name]
        measured = measure(world.shrunk(_QUICK_EVENTS) if quick else world)
        yield _figure(world, measured)


def measure(world: World) -> Measured:
    """Export one world into an empty lake."""
    details = ("--details",) if world.never_sleeps else ()
    options = ("--region", "us-east-1", "--calls-per-second", _CALLS_PER_SECOND, *details)
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder, _serving(world) as url:
        return run(url, Path(folder, "lake"), *options)


def _serving(world: World) -> AbstractContextManager[str]:
    """A service with the world, by its URL."""
    if world.letters:
        return wide_server(Width(world.participants, world.events, world.letters))
    sizes = {
        "stages": world.stages,
        "sessions": world.sessions,
        "participants": world.participants,
        "events": world.events,
        "active-share": world.active_share,
        "sleepless-share": float(world.never_sleeps),
        "calls-per-second": _CALLS_PER_SECOND,
    }
    return emulator(sizes)


def _figure(world: World, measured: Measured) -> Figure:
    name = f"peak memory, {world.what}"
    events = f"{measured.summary['events']['written']:,} rows, {measured.summary['files']:,} files"
    shown = f"{measured.peak_mib:.0f} MiB"
    note = f"{events}, {measured.cpu_s:.0f} s of the processor, {measured.wall_s:.0f} s"
    if world.target_mib is None:
        return Figure(name, shown, note=note)
    return Figure(name, shown, f"below {world.target_mib} MiB", measured.peak_mib < world.target_mib, note)


def main() -> None:
    """Measure the worlds that are named, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "worlds",
        nargs="*",
        metavar="WORLD",
        choices=[*WORLDS, _NIGHTS, []],
        help=f"any of {', '.join((*WORLDS, _NIGHTS))}; else all",
    )
    parser.add_argument("--quick", action="store_true", help="some of them in miniature")
    given = parser.parse_args()
    show(figures(quick=given.quick, names=given.worlds))


if __name__ == "__main__":
    main()
