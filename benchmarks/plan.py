"""What a run costs in calls and minutes: nothing beyond what there is to fetch, and what its plan said before.

The real command exports from the real emulator, at 5 calls a second where nothing else is said. The calls are those of
the emulator's own record; a run's time is counted from its first call to the end of its process.

    .venv/bin/python -m benchmarks.plan            some three minutes
    .venv/bin/python -m benchmarks.plan --quick    does it run at all?
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.command import emulator, run
from benchmarks.figures import Figure, show
from benchmarks.record import REGION, await_call, events_by_unit, hits, pages_seen, seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    World = dict[str, object]

_QUOTA = 5.0
_PAGE = 100
_QUICK = 0.05
# Of a run's calls or minutes, by how much its plan may be wrong.
_PLAN_ERROR_MAX = 0.05
_OVERLAP_MAX = 1.05
_OVERLAP_EXTRA_S = 2.0
# The start of a process takes a second or two of the processor, which is not what is measured.
_APART_S = 3.0
_LONG_LATENCY_S = 0.5
_LONG_PAGES = 120
# Every way in which a call is tried again, and real throttles on top: the run is told more than there is.
_FAULTS = ("server_error every=13", "cut every=17", "bad_json p=0.02", "throttle every=100")
_FAULTY_QUOTA = 15.0
_FAULTY_TOLD = "20"


def figures(*, quick: bool) -> Iterator[Figure]:
    """Calls that were needed and calls that were made; time that was needed and taken; plans, and what came of them.

    In so short a time as a quick one, the start of a process is most of it, so there is no verdict.
    """
    scale = _QUICK if quick else 1.0
    sessions = max(1, round(14 * scale))
    many = max(1, round(350 * scale))
    works = [
        partial(_plan, "sessions of one", {"sessions": many, "participants": 1, "events": 10}),
        partial(_plan_after_a_run, {"sessions": max(1, round(20 * scale)), "participants": 5, "events": 250}),
        partial(_plan, "units of one page", {"sessions": sessions, "participants": 25, "events": 10}),
        partial(_overlap, "bound by events", {"sessions": sessions, "participants": 25, "events": 10}),
        partial(_overlap, "bound by lists", {"sessions": many, "participants": 1, "events": 10}),
        partial(_overlap, "one long unit", _long_unit(max(2, round(_LONG_PAGES * scale))), _LONG_LATENCY_S),
        partial(_with_every_retry, {"sessions": sessions, "participants": 25, "events": 250}),
        partial(_without_waste, {"sessions": sessions, "participants": 25, "events": "1:120:2000"}),
    ]
    for figure in _side_by_side(works, 0.0 if quick else _APART_S):
        yield replace(figure, is_met=None) if quick else figure


def _side_by_side(works: Sequence[Callable[[], list[Figure]]], apart_s: float) -> Iterator[Figure]:
    """Measure all at once, each with an emulator of its own; what begins disturbs those that began for a moment."""
    measuring: list[Future[list[Figure]]] = []
    with ThreadPoolExecutor(len(works)) as pool:
        for work in works:
            measuring.append(pool.submit(work))
            time.sleep(apart_s)
        for measured in measuring:
            yield from measured.result()


def _without_waste(world: World) -> list[Figure]:
    """Each page is asked for once, and none that is not there."""
    with _emulated(world | {"calls-per-second": 1_000}) as (url, lake):
        run(url, lake, "--region", REGION, "--calls-per-second", "1000")
        asked = {
            page: times.asked for page, times in pages_seen(url).items() if page.operation == "ListParticipantEvents"
        }
        there = {
            (*unit, offset)
            for unit, events in events_by_unit(url).items()
            for offset in range(0, max(events, 1), _PAGE)
        }
    named = {(page.stage, page.session, page.participant, page.offset) for page in asked}
    return [
        _none("pages asked for twice", sum(times - 1 for times in asked.values()), len(asked)),
        _none("pages asked for behind the last", len(named - there), len(asked)),
        _none("pages left out", len(there - named), len(asked)),
    ]


def _with_every_retry(world: World) -> list[Figure]:
    """What the run says of its calls, retries and throttles is what the emulator saw."""
    with _emulated(world | {"calls-per-second": _FAULTY_QUOTA, "fault": list(_FAULTS)}) as (url, lake):
        summary = run(url, lake, "--region", REGION, "--calls-per-second", _FAULTY_TOLD).summary
        buckets, pages = seen(url), pages_seen(url)
        throttles = sum(bucket.throttled for bucket in buckets.values()) + hits(url, "throttle")
    calls = {operation: bucket.calls for operation, bucket in buckets.items()}
    retries = sum(calls.values()) - len(pages)
    return [
        _same(
            "calls, told and seen, with faults",
            sum(summary["calls"].values()),
            sum(calls.values()),
            is_same=summary["calls"] == calls,
        ),
        _same("retries, told and seen", summary["retries"], retries),
        _same("throttles, told and seen", summary["throttled"], throttles),
        _none(
            "pages asked for again after their answer", sum(page.answered - 1 for page in pages.values()), len(pages)
        ),
    ]


def _overlap(name: str, world: World, latency_s: float = 0.005) -> list[Figure]:
    """Operations run side by side, so that the slowest one alone decides, or the longest row of pages."""
    with _emulated(world | {"fault": [f"slow seconds={latency_s}"]}) as (url, lake), ThreadPoolExecutor(1) as aside:
        running = aside.submit(run, url, lake, "--region", REGION)
        began_s = await_call(url)
        running.result()
        took_s = time.monotonic() - began_s
        calls = max(bucket.calls for bucket in seen(url).values())
        longest = max(math.ceil(events / _PAGE) for events in events_by_unit(url).values())
    needed_s = max(calls / _QUOTA, longest * latency_s)
    most_s = _OVERLAP_MAX * needed_s + _OVERLAP_EXTRA_S
    return [
        Figure(
            f"time of a run, {name}",
            f"{took_s:.1f} s",
            f"at most {most_s:.1f} s",
            took_s <= most_s,
            f"{needed_s:.1f} s cannot be avoided",
        )
    ]


def _plan(name: str, world: World) -> list[Figure]:
    """A first run, whose plan takes a unit to have one page, and says so."""
    with _emulated(world) as (url, lake):
        plan = _planned(url, lake)
        summary = run(url, lake, "--region", REGION).summary
    return [*_compared(name, plan, summary), _says("a page a unit is assumed", plan, assumed=True)]


def _plan_after_a_run(world: World) -> list[Figure]:
    """Another run, whose plan knows from the first how many pages a unit has."""
    with _emulated(world) as (url, lake):
        run(url, lake, "--region", REGION)
        plan = _planned(url, lake, "--refetch")
        summary = run(url, lake, "--region", REGION, "--refetch").summary
    return [*_compared("units of three pages", plan, summary), _says("as in the last run", plan, assumed=False)]


def _planned(url: str, lake: Path, *options: str) -> dict[str, Any]:
    (plan,) = run(url, lake, "--region", REGION, "--dry-run", *options).summary["plan"]
    return dict(plan)


def _compared(name: str, plan: dict[str, Any], summary: dict[str, Any]) -> list[Figure]:
    """The plan's calls and minutes beside the run's."""
    minutes, took = plan["minutes"], summary["seconds"] / 60.0
    worst = max(abs(plan["calls"].get(operation, 0) / made - 1.0) for operation, made in summary["calls"].items())
    planned, made = sum(plan["calls"].values()), sum(summary["calls"].values())
    target = f"within {_PLAN_ERROR_MAX:.0%}"
    return [
        Figure(f"calls planned and made, {name}", f"{planned:,} and {made:,}", target, worst <= _PLAN_ERROR_MAX),
        Figure(
            f"minutes planned and taken, {name}",
            f"{minutes:.2f} and {took:.2f}",
            target,
            abs(minutes / took - 1.0) <= _PLAN_ERROR_MAX,
        ),
    ]


def _says(what: str, plan: dict[str, Any], *, assumed: bool) -> Figure:
    pages = f"{plan['pages_per_unit']:g}, {'assumed' if plan['pages_per_unit_assumed'] else 'known'}"
    return Figure(f"  its pages a unit: {what}", pages, "", plan["pages_per_unit_assumed"] is assumed)


def _none(name: str, count: int, pages: int) -> Figure:
    return Figure(name, f"{count} of {pages:,}", "0", count == 0)


def _same(name: str, told: int, saw: int, *, is_same: bool = True) -> Figure:
    return Figure(name, f"{told:,} and {saw:,}", "the same", told == saw and is_same)


def _long_unit(pages: int) -> World:
    return {"sessions": 1, "participants": 1, "events": pages * _PAGE}


@contextmanager
def _emulated(world: World) -> Iterator[tuple[str, Path]]:
    """An emulator of one stage, whose sessions have all ended, by its URL, and a place for a lake."""
    options = {"stages": 1, "active-share": 0.0, "calls-per-second": _QUOTA} | world
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as folder, emulator(options) as url:
        yield url, Path(folder, "lake")


if __name__ == "__main__":
    show(figures(quick="--quick" in sys.argv))
