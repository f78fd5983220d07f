"""The progress of a run: live on a terminal, a log line a minute elsewhere. It reads the ledger and no more."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.cli.run_sample import Cause, RunSample, ScopePhase, ScopeSample, Tally, UnitTally
from exporter.model import Outcome
from exporter.pipeline.stop import Stop
from exporter.telemetry.failures import DEFERRED
from exporter.telemetry.logger import Logger
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from rich.console import Console

    from exporter.ledger import ScopeLedger
    from exporter.pipeline.run_ledger import RunLedger

_LINE_S = 60.0
_WINDOW_S, _MEASURED_S = 10.0, 5.0
_PAGES = "ListParticipantEvents"
_SHORT = {
    _PAGES: "events",
    "ListParticipants": "participants",
    "ListStageSessions": "sessions",
    "ListStages": "stages",
    "GetParticipant": "details",
}
_log = Logger(__name__)


@dataclass(slots=True)
class Progress:
    """What a run has done so far, and how fast of late.

    ``clock`` is monotonic, in seconds. ``stop`` is how the run is asked to stop. Scopes are named by their index in the
    ledger.
    """

    ledger: RunLedger
    clock: Callable[[], float]
    stop: Stop = field(default_factory=Stop)
    _began_s: float = field(init=False)
    _samples: deque[tuple[float, list[dict[str, int]]]] = field(init=False, default_factory=deque)
    #: By scope: the most units that were fetched whole so far, and the mean of pages that a unit had taken until then.
    _pages_per_unit: dict[int, tuple[int, float]] = field(init=False, default_factory=dict)
    #: The highest percentages that were shown, by scope; of all scopes under -1.
    _percents: dict[int, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._began_s = self.clock()

    def sample(self) -> None:
        """Note the calls so far, and drop what is older than the window of some seconds."""
        now_s = self.clock()
        self._samples.append((now_s, [dict(scope.calls) for scope in self.ledger.scopes]))
        for index, scope in enumerate(self.ledger.scopes):
            fetched = scope.units_done + scope.units_uncommitted - _free(scope)
            if fetched > self._pages_per_unit.get(index, (0, 1.0))[0]:
                self._pages_per_unit[index] = (fetched, max(scope.calls[_PAGES] / fetched, 1.0))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - _WINDOW_S:  # noqa: PLR2004 - first and last
            self._samples.popleft()

    def pace(self, index: int) -> dict[str, float]:
        """Calls a second of each operation in a scope, over the last seconds; empty where nothing is known yet."""
        if len(self._samples) < 2:  # noqa: PLR2004 - a pace needs two
            return {}
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        if not index < len(first) == len(last) or last_s <= first_s:  # where scopes have come, nothing is compared
            return {}
        return {name: (count - first[index].get(name, 0)) / (last_s - first_s) for name, count in last[index].items()}

    def left_s(self) -> float | None:
        """Seconds until all units that are found so far are fetched, or None where that is not known yet."""
        open_scopes = [(index, scope) for index, scope in enumerate(self.ledger.scopes) if scope.units_open]
        times_s = [self._left_s(index, scope) for index, scope in open_scopes]
        if None in times_s:
            return None
        return max((time_s for time_s in times_s if time_s is not None), default=None)

    def _left_s(self, index: int, scope: ScopeLedger) -> float | None:
        rate = self.pace(index).get(_PAGES, 0.0)
        if not rate:
            return None
        wanted = scope.units_found - _free(scope)
        return max(wanted * self._pages_per_unit.get(index, (0, 1.0))[1] - scope.calls[_PAGES], 0.0) / rate

    def _is_measured(self, index: int) -> bool:
        """Whether a scope's units and pace were seen for long enough to say when they end; not, where they are cut."""
        if self.stop.reason is not None:
            return False
        return index in self._pages_per_unit and self._samples[-1][0] - self._samples[0][0] >= _MEASURED_S

    def line(self) -> dict[str, object]:
        """The progress in a few numbers, for a log."""
        scopes = self.ledger.scopes
        left_s = self.left_s()
        return {
            "units_found": sum(scope.units_found for scope in scopes),
            "units_done": sum(scope.units_done for scope in scopes),
            "pages": sum(scope.calls[_PAGES] for scope in scopes),
            "events_written": sum(scope.rows["events"] for scope in scopes),
            "throttled": sum(scope.throttled for scope in scopes),
            "failures": sum(scope.failure_count for scope in scopes),
            "left_s": None if left_s is None else round(left_s),
        }

    def shown(self) -> RunSample:
        """The progress as a display shows it."""
        scopes = tuple(self._scope(index, scope) for index, scope in enumerate(self.ledger.scopes))
        return RunSample(
            self.ledger.run_id,
            self.clock() - self._began_s,
            self._total(scopes),
            scopes,
            self._causes() if any(scope.counts.failed for scope in scopes) else (),
            self._paces(),
            self.stop.reason,
        )

    def _paces(self) -> tuple[tuple[str, float], ...]:
        """The calls a second of each operation that was called, in all scopes."""
        paces = [self.pace(index) for index in range(len(self.ledger.scopes))]
        called = {name for scope in self.ledger.scopes for name in scope.calls}
        return tuple(
            (short, max(sum(pace.get(name, 0.0) for pace in paces), 0.0))
            for name, short in _SHORT.items()
            if name in called
        )

    def _scope(self, index: int, ledger: ScopeLedger) -> ScopeSample:
        units = UnitTally(ledger.units_found, ledger.units_done, ledger.units_uncommitted)
        counts = Tally(
            lists_needed=ledger.listings_needed,
            lists_read=ledger.listings_needed - ledger.listings_open,
            sessions_found=ledger.sessions_found,
            sessions_sealed=ledger.sessions_sealed,
            events_written=ledger.events_written,
            throttled=ledger.throttled,
            failed=sum(failure.count for failure in ledger.failures if failure.error != DEFERRED),
        )
        phase = _phase(ledger)
        left_s = self._left_s(index, ledger) if phase is ScopePhase.FETCHING and self._is_measured(index) else None
        calls_s = 0.0 if phase.has_ended else max(sum(self.pace(index).values()), 0.0)
        return ScopeSample(
            ledger.name, phase, units, counts, self._percent(index, phase, units, counts), calls_s, left_s
        )

    def _total(self, scopes: Sequence[ScopeSample]) -> ScopeSample:
        """All scopes together: as far as the last of them."""
        units = sum((scope.units for scope in scopes), UnitTally())
        counts = sum((scope.counts for scope in scopes), Tally())
        phase = next((phase for phase in _PHASES if any(scope.phase is phase for scope in scopes)), ScopePhase.STARTING)
        times_s = [scope.left_s for scope in scopes if scope.phase is ScopePhase.FETCHING]
        known_s = [time_s for time_s in times_s if time_s is not None]
        left_s = max(known_s) if phase is ScopePhase.FETCHING and len(known_s) == len(times_s) else None
        calls_s = sum(scope.calls_s for scope in scopes)
        name = f"all {counted(len(scopes), 'scope')}"
        return ScopeSample(name, phase, units, counts, self._percent(-1, phase, units, counts), calls_s, left_s)

    def _percent(self, index: int, phase: ScopePhase, units: UnitTally, counts: Tally) -> int | None:
        """What is done of the whole; as long as lists are read, one that was not counts like one that was.

        It never falls.
        """
        percent = units.percent
        if percent is not None and phase is ScopePhase.FINDING:
            percent = percent * counts.lists_read // counts.lists_needed
        elif not phase.is_total_known:
            percent = None
        if percent is not None:
            self._percents[index] = max(percent, self._percents.get(index, 0))
        return self._percents.get(index)

    def _causes(self) -> tuple[Cause, ...]:
        """What failed, without what was only deferred."""
        failures = (failure for failure in self.ledger.failures if failure["error"] != DEFERRED)
        return tuple(Cause(failure["count"], f"{failure['error']}: {failure['message']}") for failure in failures)


#: What all scopes are together is the first of these that any of them is.
_PHASES = (
    *(ScopePhase.FINDING, ScopePhase.STARTING, ScopePhase.FETCHING, ScopePhase.COMMITTING),
    *(ScopePhase.STOPPED, ScopePhase.DONE, ScopePhase.LOST, ScopePhase.HELD, ScopePhase.EMPTY),
)


def _phase(scope: ScopeLedger) -> ScopePhase:
    """How far a scope is."""
    if scope.is_held or scope.is_lost:
        return ScopePhase.HELD if scope.is_held else ScopePhase.LOST
    if scope.seconds and (scope.units_open or scope.listings_open):
        return ScopePhase.STOPPED
    if scope.listings_open:
        return ScopePhase.FINDING if scope.calls else ScopePhase.STARTING
    if scope.units_open:
        return ScopePhase.COMMITTING if scope.units_open == scope.units_uncommitted else ScopePhase.FETCHING
    if scope.is_empty and not scope.failure_count:
        return ScopePhase.EMPTY
    return ScopePhase.DONE


def _free(scope: ScopeLedger) -> int:
    """Units that cost no call."""
    return scope.outcomes[Outcome.UNCHANGED] + scope.outcomes[Outcome.ABANDONED]


@asynccontextmanager
async def showing(progress: Progress, console: Console | None) -> AsyncIterator[None]:
    """Show the progress while the block runs: live on the console, or as log lines where there is none."""
    if console is None:
        task = asyncio.create_task(_log_lines(progress))
    else:
        from exporter.cli.display import draw  # noqa: PLC0415 - brings rich; a run without a terminal does without

        task = asyncio.create_task(draw(progress, console))
    try:
        yield
    finally:
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(ended, Exception):
            _log.warning("the display failed", exc_info=ended)  # which is no reason for the run to fail


async def _log_lines(progress: Progress) -> None:
    progress.sample()
    while True:
        await asyncio.sleep(_LINE_S)
        progress.sample()
        _log.info("progress", **progress.line())
