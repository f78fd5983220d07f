"""How well a run keeps to the API's quota: the share of its slots that it uses, and of its calls that are throttled.

The real command exports from the real emulator, whose own record of the calls is what is measured, from the first call
for events to the last. Worlds have units of one page, so many that the run takes as long as is said. The quota is 5
calls a second with a burst of 5 where nothing else is said.

    .venv/bin/python -m benchmarks.pace            some seven minutes
    .venv/bin/python -m benchmarks.pace --quick    does it run at all?
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.command import emulator, run
from benchmarks.figures import Figure, show
from benchmarks.record import DETAILS, EVENTS, REGION, await_call, draw, events_seen, seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.record import Seen

    Measurement = Callable[[], list[Figure]]

_QUOTA = 5.0
_LATENCIES_S = (0.005, 0.2, 1.0, 2.0)
_UNITS_A_SESSION = 25
# Longer than the pace's own period of half a minute, by far.
_KNOWN_S = 90.0
_ADAPTING_S = 180.0
_QUICK = 0.04
_FOUND_S_MAX = 30.0
# A rate is back when so many seconds together have this share of it.
_WINDOW_S = 5
_BACK = 0.95
_STANDSTILL_S_MAX = 2
_RESERVE = 0.2
_DETAILS_TIME_MAX = 1.02


def figures(*, quick: bool) -> Iterator[Figure]:
    """The true limit known, at four latencies; then with details; then a wrong limit, another user, a reserve for one.

    In so short a time as a quick one, bursts and the first throttles are most of it, so there is no verdict.
    """
    for figure in _measured(_QUICK if quick else 1.0):
        yield replace(figure, is_met=None) if quick else figure


def _measured(scale: float) -> Iterator[Figure]:
    yield from _side_by_side([partial(_known, latency_s, _KNOWN_S * scale) for latency_s in _LATENCIES_S])
    yield from _with_details(_KNOWN_S * scale)
    yield from _side_by_side(
        [
            partial(_told_too_much, _QUOTA, 3.0, _ADAPTING_S * scale),
            partial(_told_too_much, 50.0, 30.0, _ADAPTING_S * scale),
            partial(_beside_another, _ADAPTING_S * scale),
            partial(_with_a_reserve, _ADAPTING_S * scale),
        ]
    )


def _known(latency_s: float, seconds: float) -> list[Figure]:
    """The share of the slots that is used where the quota is what the run was told."""
    with _world(_QUOTA * seconds, latency_s=latency_s) as (url, lake):
        run(url, lake, "--region", REGION)
        seen = events_seen(url)
    name = f"answers after {latency_s * 1_000:g} ms"
    return [
        _used(f"slots used, {name}", seen.granted / seen.slots, 0.99),
        _throttled(f"throttled, {name}", seen, 0.001),
    ]


def _with_details(seconds: float) -> Iterator[Figure]:
    """A run that asks for each participant's details, too, and one that does not, at the same time."""
    with ThreadPoolExecutor(2) as aside:
        with_them, without = aside.map(partial(_known_details, seconds), ("--details", "--no-details"))
    (took_s, operations), (took_without_s, _) = with_them, without
    for operation in (EVENTS, DETAILS):
        own = operations[operation]
        yield _used(f"slots of {operation} used, with details", own.granted / own.slots, 0.99)
        yield _throttled(f"throttled of {operation}, with details", own, 0.001)
    ratio = took_s / took_without_s
    yield Figure(
        "time of a run with details, of one without",
        f"{ratio:.3f} ({took_s:.1f} s, {took_without_s:.1f} s)",
        f"at most {_DETAILS_TIME_MAX:g}",
        ratio <= _DETAILS_TIME_MAX,
        f"{operations[EVENTS].calls:,} calls for events, {operations[DETAILS].calls:,} for details",
    )


def _known_details(seconds: float, option: str) -> tuple[float, dict[str, Seen]]:
    """The seconds of a run with one more option, and its calls by operation."""
    with _world(_QUOTA * seconds) as (url, lake):
        took_s = run(url, lake, "--region", REGION, option).wall_s
        return took_s, seen(url)


def _told_too_much(told: float, true: float, seconds: float) -> list[Figure]:
    """A run that is told more calls a second than there are."""
    with _world(true * seconds, calls_per_second=true) as (url, lake):
        run(url, lake, "--region", REGION, "--calls-per-second", str(told))
        seen = events_seen(url)
    name = f"told {told:g}/s where {true:g}/s is true"
    return [
        _used(f"slots used, {name}", seen.granted / seen.slots, 0.95),
        _throttled(f"throttled, {name}", seen, 0.02),
        _never_still(name, seen),
    ]


def _beside_another(seconds: float) -> list[Figure]:
    """Another client draws 2 calls a second in the middle third of a run."""
    third_s = seconds / 3.0
    with _world(_QUOTA * seconds - 2.0 * third_s) as (url, lake), ThreadPoolExecutor(1) as aside:
        running = aside.submit(run, url, lake, "--region", REGION)
        await_call(url, EVENTS)
        time.sleep(third_s)
        drawn = draw(url, 2.0, third_s)
        stopped_s = events_seen(url).last_s
        running.result()
        seen = events_seen(url)
    name = "beside a user of 2/s for a third"
    found_s = _found_after_s(seen, stopped_s)
    return [
        _used(f"used of what is left, {name}", (seen.granted - drawn.granted) / (seen.slots - drawn.granted), 0.95),
        _throttled(f"throttled, {name}", seen, 0.02, others=drawn.granted + drawn.throttled, theirs=drawn.throttled),
        _never_still(name, seen),
        Figure(
            "freed capacity is found again after",
            "not found" if found_s is None else f"{found_s:.0f} s",
            f"at most {_FOUND_S_MAX:g} s",
            found_s is not None and found_s <= _FOUND_S_MAX,
        ),
    ]


def _with_a_reserve(seconds: float) -> list[Figure]:
    """A run that leaves a fifth to others, and one who asks for no more than that."""
    with _world(_QUOTA * (1.0 - _RESERVE) * seconds) as (url, lake), ThreadPoolExecutor(1) as aside:
        running = aside.submit(run, url, lake, "--region", REGION, "--reserve", str(_RESERVE))
        await_call(url, EVENTS)
        drawn = draw(url, _QUOTA * _RESERVE, seconds * 0.95)
        running.result()
        seen = events_seen(url)
    rate = (seen.granted - drawn.granted - 1) / (seen.last_s - seen.first_s)
    share = drawn.throttled / (drawn.granted + drawn.throttled)
    return [
        Figure(
            f"share of the quota used with a reserve of {_RESERVE:.0%}",
            f"{rate / _QUOTA:.1%}",
            "79% to 80.5%",
            0.79 <= rate / _QUOTA <= 0.805,  # noqa: PLR2004 - the target's own
        ),
        Figure("throttled of one who asks for the reserve", f"{share:.2%}", "at most 1%", share <= 0.01),  # noqa: PLR2004 - the same
    ]


def _used(name: str, share: float, least: float) -> Figure:
    return Figure(name, f"{share:.2%}", f"at least {least:.0%}", share >= least)


def _throttled(name: str, seen: Seen, most: float, *, others: int = 0, theirs: int = 0) -> Figure:
    """The throttled share of the run's own calls: without ``others``, of which ``theirs`` were throttled."""
    throttled, calls = seen.throttled - theirs, seen.calls - others
    return Figure(
        name, f"{throttled / calls:.2%} ({throttled} of {calls:,})", f"at most {most:.1%}", throttled <= most * calls
    )


def _never_still(name: str, seen: Seen) -> Figure:
    still_s = seen.standstill_s
    return Figure(
        f"longest standstill, {name}", f"{still_s} s", f"at most {_STANDSTILL_S_MAX} s", still_s <= _STANDSTILL_S_MAX
    )


def _found_after_s(seen: Seen, stopped_s: float) -> float | None:
    """How long after the other client stopped the whole quota was used again; None where it never was."""
    for second in range(int(stopped_s) + 1, int(seen.last_s) - _WINDOW_S + 1):
        if seen.granted_from(second, _WINDOW_S) >= _BACK * _QUOTA * _WINDOW_S:
            return second - stopped_s
    return None


@contextmanager
def _world(calls: float, *, calls_per_second: float = _QUOTA, latency_s: float = 0.005) -> Iterator[tuple[str, Path]]:
    """An emulator whose events take so many calls, by its URL, and a place for a lake."""
    options = {
        "stages": 1,
        "sessions": max(1, round(calls / _UNITS_A_SESSION)),
        "participants": _UNITS_A_SESSION,
        "events": 2,
        "active-share": 0.0,
        "calls-per-second": calls_per_second,
        "fault": [f"slow seconds={latency_s}"],
    }
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder, emulator(options) as url:
        yield url, Path(folder, "lake")


def _side_by_side(measurements: Iterable[Measurement]) -> Iterator[Figure]:
    """Measure all at once, each with an emulator of its own: at this pace they idle."""
    with ThreadPoolExecutor() as pool:
        for measuring in [pool.submit(measurement) for measurement in measurements]:
            yield from measuring.result()


if __name__ == "__main__":
    show(figures(quick="--quick" in sys.argv))
