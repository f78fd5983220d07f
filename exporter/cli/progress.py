"""The progress of a run: live on a terminal, a log line a minute elsewhere. It reads the ledger and no more."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.cli.summary import duration_of
from exporter.model import Outcome
from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rich.console import Console

    from exporter.ledger import ScopeLedger
    from exporter.pipeline.run_ledger import RunLedger

_LINE_S = 60.0
_WINDOW_S = 10.0
_PAGES = "ListParticipantEvents"
_SHORT = {
    _PAGES: "events",
    "ListParticipants": "participants",
    "ListStageSessions": "sessions",
    "ListStages": "stages",
}
_log = Logger(__name__)


@dataclass(slots=True)
class Progress:
    """What a run has done so far, and how fast of late.

    ``rate`` is the calls a second that a run may make of each operation in each scope. ``clock`` is monotonic, in
    seconds. Scopes are named by their index in the ledger.
    """

    ledger: RunLedger
    rate: float
    clock: Callable[[], float]
    _began_s: float = field(init=False)
    _samples: deque[tuple[float, list[dict[str, int]]]] = field(init=False, default_factory=deque)
    #: By scope: the units done at its last commit, and the mean of pages that a unit had taken until then.
    _pages_per_unit: dict[int, tuple[int, float]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._began_s = self.clock()

    def sample(self) -> None:
        """Note the calls so far, and drop what is older than the window of some seconds."""
        now_s = self.clock()
        self._samples.append((now_s, [dict(scope.calls) for scope in self.ledger.scopes]))
        for index, scope in enumerate(self.ledger.scopes):
            done = scope.units_done - _free(scope)
            if done > self._pages_per_unit.get(index, (0, 1.0))[0]:
                self._pages_per_unit[index] = (done, max(scope.calls[_PAGES] / done, 1.0))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - _WINDOW_S:  # noqa: PLR2004 - first and last
            self._samples.popleft()

    def pace(self, index: int) -> dict[str, float]:
        """Calls a second of each operation in a scope, over the last seconds; empty where nothing is known yet."""
        if len(self._samples) < 2:  # noqa: PLR2004 - a pace needs two
            return {}
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        if index >= len(first) or last_s <= first_s:
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

    def text(self) -> str:
        """The progress for people: one line for the run, and some for each scope."""
        lines = [self._title()]
        for index, scope in enumerate(self.ledger.scopes):
            pace = self.pace(index)
            rates = ", ".join(f"{short} {pace[name]:.1f}" for name, short in _SHORT.items() if name in pace)
            lines += [
                scope.name,
                f"  units: {scope.units_found:,} found, {scope.units_done:,} done and committed",
                f"  pages: {scope.calls[_PAGES]:,}; events written: {scope.rows['events']:,}",
                f"  calls a second, of {self.rate:.4g} each: {rates or 'none yet'}",
                f"  throttled: {scope.throttled:,}; failures: {scope.failure_count:,}",
            ]
        return "\n".join(lines)

    def _title(self) -> str:
        left_s = self.left_s()
        is_finding = any(scope.listings_open for scope in self.ledger.scopes)
        least = " at least, for more is being found" if is_finding else ""
        left = "" if left_s is None else f", about {duration_of(left_s)} left{least}"
        return f"run {self.ledger.run_id}: {duration_of(self.clock() - self._began_s)}{left}"


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
