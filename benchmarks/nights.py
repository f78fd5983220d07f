"""How much memory a stage that never sleeps takes, night after night in one lake, and what a night costs without news.

Nothing of a session that goes on is final, so each night lists all of its participants again, and asks for all of their
events. Thirty nights with 100,000 participants in the last of them would be 1,600,000 calls where people come at one
pace. So all nights but the last are the first days of a long time, and the last one finds the rest of that time.
After it nobody comes any more, and the session goes on: the nights after that are idle.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.command import emulator, run
from benchmarks.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.command import Measured

    Night = Callable[..., Measured]

_CALLS_PER_SECOND = "1000000"
# At AWS's quota a checkpoint of 300 s has what 1,500 calls answer. The emulator answers hundreds of calls a second.
_CHECKPOINT_S = "4"
_TARGET_MIB = 200
_HOUR_US = 3_600 * 1_000_000
_DAY_US = 24 * _HOUR_US
_NO_TABLES = ("--no-stages-table", "--no-sessions-table", "--no-participants-table")


@dataclass(frozen=True, slots=True)
class SleeplessWorld:
    """One session that never ends, and to which so many ``participants`` come, evenly within so many ``days``.

    It is exported on each of the first days, and after all of them: in so many ``nights`` together.
    """

    participants: int = 100_000
    nights: int = 30
    days: int = 1_000


_WHOLE = SleeplessWorld()
_SMALL = SleeplessWorld(2_000, 3, 20)
_QUICK = SleeplessWorld(200, 3, 20)


def figures(*, quick: bool) -> Iterator[Figure]:
    """The peaks of the nights, then what an idle one costs; and in a small world, what that is without the tables.

    In so small a world as a quick one a peak means nothing.
    """
    world = _QUICK if quick else _WHOLE
    with _exported(world) as (nights, _, night):
        peaks_mib = [measured.peak_mib for measured in nights]
        name = f"{world.nights} nights of one session that goes on"
        yield Figure(f"peak memory, {name}: median", f"{median(peaks_mib):.0f} MiB")
        yield _peak(f"peak memory, the last of them, {world.participants:,} participants", peaks_mib[-1])
        yield _each_once(world, nights)
        idle = night()
        yield _peak("peak memory, an idle night after those", idle.peak_mib)
        yield _nothing_new(idle)
    small = _QUICK if quick else _SMALL
    with _exported(small) as (_, lake, night):
        before = lake.with_name("before")
        shutil.copytree(lake, before)
        yield _no_call_more(small, night(), night(*_NO_TABLES, lake=before))


@contextmanager
def _exported(world: SleeplessWorld) -> Iterator[tuple[list[Measured], Path, Night]]:
    """The world's nights, the lake, and how to have one night more."""
    options = {
        "stages": 1,
        "participants": world.participants,
        "events": 1,
        "days": world.days,
        "sleepless-share": 1.0,
        "calls-per-second": _CALLS_PER_SECOND,
    }
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder, emulator(options) as url:
        lake = Path(folder, "lake")
        night = partial(_night, url, lake=lake)
        # The days end with the full hour of the emulator's start.
        end_us = _clock(url)["now_us"] // _HOUR_US * _HOUR_US
        nights = []
        for number in range(1, world.nights):
            _clock(url, end_us - (world.days - number) * _DAY_US)
            nights.append(night())
        _clock(url, end_us + _DAY_US)
        nights.append(night())
        _clock(url, end_us + 2 * _DAY_US)
        yield nights, lake, night


def _night(url: str, *options: str, lake: Path) -> Measured:
    environment = {"IVS_EXPORT_TEST_CLOCK": url}
    pace = ("--calls-per-second", _CALLS_PER_SECOND, "--checkpoint-s", _CHECKPOINT_S)
    words = ("--region", "us-east-1", *pace, *options)
    return run(url, lake, *words, environment=environment)


def _clock(url: str, set_us: int | None = None) -> dict[str, int]:
    """The emulator's clock, after it was set where a moment is given."""
    body = None if set_us is None else json.dumps({"set_us": set_us}).encode()
    request = urllib.request.Request(  # noqa: S310 - our own emulator
        f"{url}/_emulator/clock", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
        return dict(json.load(answer))


def _peak(name: str, peak_mib: float) -> Figure:
    return Figure(name, f"{peak_mib:.0f} MiB", f"below {_TARGET_MIB} MiB", peak_mib < _TARGET_MIB)


def _each_once(world: SleeplessWorld, nights: Sequence[Measured]) -> Figure:
    """Each participant has one row: nothing of it is final, and only the first night that lists it writes one."""
    rows = sum(measured.summary["rows"].get("participants", 0) for measured in nights)
    return Figure(
        "rows of participants after all nights", f"{rows:,}", f"{world.participants:,}", rows == world.participants
    )


def _nothing_new(idle: Measured) -> Figure:
    rows = sum(idle.summary["rows"].values())
    return Figure("rows that an idle night writes", f"{rows:,}", "0", rows == 0, _told(idle.summary["calls"]))


def _no_call_more(world: SleeplessWorld, idle: Measured, without: Measured) -> Figure:
    calls, fewer = idle.summary["calls"], without.summary["calls"]
    name = f"calls of an idle night, {world.participants:,} participants, and without tables"
    return Figure(
        name, f"{sum(calls.values()):,} and {sum(fewer.values()):,}", "the same", calls == fewer, _told(calls)
    )


def _told(calls: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(calls.items()))
