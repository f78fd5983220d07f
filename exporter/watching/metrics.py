"""A run's metrics, made of its summary. Pure: two writers take them, one for Prometheus and one for OpenTelemetry.

A name is ``ivs_export_<what>_<unit>``, and a counter's ends in ``_total``. Labels are ``account``, ``region``,
``operation`` and ``outcome``; no id of a stage, a session or a participant is one. Counters begin at 0 with each run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.model import Outcome
from exporter.timestamps import SECOND_US, read_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

#: How a run or a scope stands: ``running``, or how it ended.
OUTCOMES = ("running", "complete", "nothing", "partial", "failed")
_SCOPE = ("account", "region")


class MetricKind(Enum):
    """What may become of a value: a counter only grows, a gauge is anything. The values are Prometheus' own words."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """What is measured: its name, whether it only grows, what it means, its labels in their order, and its unit.

    The unit is as UCUM writes it, which is what OpenTelemetry asks for: ``s``, ``By``, or a noun in braces.
    """

    name: str
    kind: MetricKind
    meaning: str
    labels: tuple[str, ...] = ()
    unit: str = "1"


class Sample(NamedTuple):
    """One value of a metric. ``labels`` are the values of the metric's labels, in their order."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


def _run(what: str, meaning: str, unit: str = "1", labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"ivs_export_run_{what}", MetricKind.GAUGE, meaning, labels, unit)


def _gauge(what: str, meaning: str, unit: str, *labels: str) -> Metric:
    return Metric(f"ivs_export_{what}", MetricKind.GAUGE, meaning, (*_SCOPE, *labels), unit)


def _counter(what: str, meaning: str, unit: str, *labels: str) -> Metric:
    return Metric(f"ivs_export_{what}_total", MetricKind.COUNTER, meaning, (*_SCOPE, *labels), unit)


RUN_STATUS = _run("status", "1 for how the run stands, 0 for all else.", labels=("outcome",))
RUN_BEGAN = _run("began_timestamp_seconds", "When the run began, since the epoch.", "s")
RUN_ENDED = _run("ended_timestamp_seconds", "When the run ended, since the epoch; absent while it goes on.", "s")
RUN_DURATION = _run("duration_seconds", "How long the run has taken so far.", "s")
RUN_EXIT_CODE = _run("exit_code", "The exit code; absent while the run goes on.")
SCOPE_STATUS = _gauge("scope_status", "1 for how the scope stands, 0 for all else.", "1", "outcome")
COMPLETE_UNTIL = _gauge(
    "complete_until_timestamp_seconds",
    "Sessions that ended before are exported whole, since the epoch; absent where that is not known.",
    "s",
)
UNITS_FOUND = _counter("found_units", "Participants of sessions that were found.", "{unit}")
UNITS = _counter("units", "Participants of sessions that have their outcome.", "{unit}", "outcome")
SESSIONS_FOUND = _counter("found_sessions", "Sessions that were found.", "{session}")
SESSIONS_VANISHED = _counter("vanished_sessions", "Open sessions that AWS lists no more.", "{session}")
SESSIONS_SEALED = _gauge("sealed_sessions", "Sessions that were found and are exported whole.", "{session}")
SESSIONS_ACTIVE = _gauge("active_sessions", "Sessions that were found and go on.", "{session}")
EVENTS_FETCHED = _counter("fetched_events", "Events that the API answered.", "{event}")
EVENTS_WRITTEN = _counter("written_events", "Rows of events that were committed.", "{event}")
FILES_WRITTEN = _counter("written_files", "Files that were committed, of all tables.", "{file}")
BYTES_WRITTEN = _counter("written_bytes", "Bytes of those files.", "By")
CALLS = _counter("calls", "Calls of the API, each attempt.", "{call}", "operation")
THROTTLED = _counter("throttled_calls", "Calls that were answered with a throttle.", "{call}")
RETRIED = _counter("retried_calls", "Calls that were tried again.", "{call}")
FAILURES = _counter("failures", "Units, lists and scopes that failed, or were deferred for a cause.", "{failure}")

#: What becomes of two values of one scope, where they do not add up.
_COMBINED: Mapping[Metric, Callable[[Iterable[float]], float]] = {SCOPE_STATUS: max, COMPLETE_UNTIL: min}

METRICS = (
    RUN_STATUS,
    RUN_BEGAN,
    RUN_ENDED,
    RUN_DURATION,
    RUN_EXIT_CODE,
    SCOPE_STATUS,
    COMPLETE_UNTIL,
    UNITS_FOUND,
    UNITS,
    SESSIONS_FOUND,
    SESSIONS_VANISHED,
    SESSIONS_SEALED,
    SESSIONS_ACTIVE,
    EVENTS_FETCHED,
    EVENTS_WRITTEN,
    FILES_WRITTEN,
    BYTES_WRITTEN,
    CALLS,
    THROTTLED,
    RETRIED,
    FAILURES,
)


def samples_of(summary: Mapping[str, Any]) -> list[Sample]:
    """The metrics of a run, of its summary: the object that ``--json`` prints. It is over once that has an exit code.

    Until then a scope whose account is not known has none. Each metric has one sample for a set of labels, also where
    the summary names a scope twice: their counts add up.
    """
    is_over = "exit_code" in summary
    found: dict[tuple[Metric, tuple[str, ...]], float] = {}
    for sample in _of_run(summary, is_over=is_over):
        found[sample.metric, sample.labels] = sample.value
    # Until its account is known a scope would have series of its own, which nobody ends.
    known = [scope for scope in summary["scopes"] if is_over or scope["account_id"] is not None]
    for scope in known:
        for sample in _of_scope(scope, is_over=is_over):
            key = sample.metric, sample.labels
            combine = _COMBINED.get(sample.metric, sum)
            found[key] = combine((found[key], sample.value)) if key in found else sample.value
    return [Sample(metric, labels, value) for (metric, labels), value in found.items()]


def _of_run(summary: Mapping[str, Any], *, is_over: bool) -> Iterator[Sample]:
    yield from _statuses(RUN_STATUS, (), summary["outcome"] if is_over else "running")
    yield from _moment(RUN_BEGAN, (), summary["began_at"])
    yield Sample(RUN_DURATION, (), summary["seconds"])
    if is_over:
        yield from _moment(RUN_ENDED, (), summary["ended_at"])
        yield Sample(RUN_EXIT_CODE, (), summary["exit_code"])


def _of_scope(scope: Mapping[str, Any], *, is_over: bool) -> Iterator[Sample]:
    own = (scope["account_id"] or "", scope["region"])
    units, sessions, events = scope["units"], scope["sessions"], scope["events"]
    yield from _statuses(SCOPE_STATUS, own, scope["outcome"] if is_over else "running")
    yield from _moment(COMPLETE_UNTIL, own, scope["complete_until"])
    yield Sample(UNITS_FOUND, own, units["found"])
    for outcome in Outcome:
        yield Sample(UNITS, (*own, outcome.value), units[outcome.value])
    yield Sample(SESSIONS_FOUND, own, sessions["found"])
    yield Sample(SESSIONS_VANISHED, own, sessions["vanished"])
    yield Sample(SESSIONS_SEALED, own, sessions["sealed"])
    yield Sample(SESSIONS_ACTIVE, own, sessions["active"])
    yield Sample(EVENTS_FETCHED, own, events["fetched"])
    yield Sample(EVENTS_WRITTEN, own, events["written"])
    yield Sample(FILES_WRITTEN, own, scope["files"])
    yield Sample(BYTES_WRITTEN, own, scope["bytes"])
    for operation, count in scope["calls"].items():
        yield Sample(CALLS, (*own, str(operation)), count)
    yield Sample(THROTTLED, own, scope["throttled"])
    yield Sample(RETRIED, own, scope["retries"])
    yield Sample(FAILURES, own, sum(failure["count"] for failure in scope["failures"]))


def _statuses(metric: Metric, labels: tuple[str, ...], now: str) -> Iterator[Sample]:
    for outcome in OUTCOMES:
        yield Sample(metric, (*labels, outcome), float(outcome == now))


def _moment(metric: Metric, labels: tuple[str, ...], text: str | None) -> Iterator[Sample]:
    micros = None if text is None else read_us(text)
    if micros is not None:
        yield Sample(metric, labels, micros / SECOND_US)
