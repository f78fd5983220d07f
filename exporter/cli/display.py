"""The progress of a run: a live table on a terminal, a log line a minute elsewhere. It reads the ledger and no more."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from rich.live import Live
from rich.table import Table
from rich.text import Text

from exporter.cli.summary import duration_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from rich.console import Console

    from exporter.ledger import RunLedger, ScopeLedger

_FRAME_S = 0.25
_LINE_S = 60.0
_WINDOW_S = 10.0
_PAGES = "ListParticipantEvents"
_SHORT = {
    "ListStages": "stages",
    "ListStageSessions": "sessions",
    "ListParticipants": "participants",
    _PAGES: "events",
}
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Progress:
    """What a run has done so far, and how fast of late. ``clock`` is monotonic, in seconds.

    ``quota`` is the calls a second that each operation may make in each scope.
    """

    ledger: RunLedger
    quota: float
    clock: Callable[[], float]
    _began_s: float = field(init=False)
    _samples: deque[tuple[float, list[dict[str, int]]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._began_s = self.clock()

    def sample(self) -> None:
        """Note the calls so far; what is older than some seconds is forgotten."""
        now_s = self.clock()
        self._samples.append((now_s, [dict(scope.calls) for scope in self.ledger.scopes]))
        while len(self._samples) > 2 and self._samples[1][0] <= now_s - _WINDOW_S:  # noqa: PLR2004 - first and last
            self._samples.popleft()

    def pace(self, place: int) -> dict[str, float]:
        """Calls a second of each operation in the scope at ``place`` of the ledger, over the last seconds."""
        if len(self._samples) < 2:  # noqa: PLR2004 - a pace needs two
            return {}
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        if place >= len(first) or last_s <= first_s:
            return {}
        return {name: (count - first[place].get(name, 0)) / (last_s - first_s) for name, count in last[place].items()}

    def left_s(self) -> float | None:
        """Seconds until all units that are known so far are fetched, or None where nobody can say yet."""
        times_s = [
            _left_s(scope, self.pace(place)) for place, scope in enumerate(self.ledger.scopes) if scope.units_open
        ]
        known_s = [time_s for time_s in times_s if time_s is not None]
        return max(known_s) if known_s and len(known_s) == len(times_s) else None

    def line(self) -> dict[str, object]:
        """The progress in a few numbers, for a log."""
        scopes = self.ledger.scopes
        left_s = self.left_s()
        return {
            "units_found": sum(scope.units_found for scope in scopes),
            "units_done": sum(scope.outcomes.total() for scope in scopes),
            "pages": sum(scope.calls[_PAGES] for scope in scopes),
            "events_written": sum(scope.events_written for scope in scopes),
            "throttled": sum(scope.throttled for scope in scopes),
            "failures": sum(len(scope.failures) for scope in scopes),
            "left_s": None if left_s is None else round(left_s),
        }

    def table(self) -> Table:
        """The progress as a table, a row for each scope."""
        table = Table(title=self._title(), title_justify="left", box=None, padding=(0, 2, 0, 0), title_style="bold")
        for name, justify in (("scope", "left"), ("units done", "right"), ("pages", "right"), ("written", "right")):
            table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type] # a literal in a tuple is str
        table.add_column(f"calls a second, of {self.quota:.4g} each")
        table.add_column("throttled", justify="right")
        table.add_column("failures", justify="right")
        for place, scope in enumerate(self.ledger.scopes):
            table.add_row(
                Text(scope.name),
                f"{scope.outcomes.total():,} of {scope.units_found:,}",
                f"{scope.calls[_PAGES]:,}",
                f"{scope.events_written:,}",
                ", ".join(f"{_SHORT.get(name, name)} {rate:.1f}" for name, rate in self.pace(place).items() if rate),
                f"{scope.throttled:,}",
                f"{len(scope.failures):,}",
            )
        return table

    def _title(self) -> str:
        left_s = self.left_s()
        is_finding = any(scope.listings_open for scope in self.ledger.scopes)
        least = " at least, more is being found" if is_finding else ""
        left = "" if left_s is None else f", about {duration_of(left_s)} left{least}"
        return f"run {self.ledger.run_id}: {duration_of(self.clock() - self._began_s)}{left}"


def _left_s(scope: ScopeLedger, pace: dict[str, float]) -> float | None:
    done, rate = scope.outcomes.total(), pace.get(_PAGES, 0.0)
    if not done or not rate:
        return None
    return scope.units_open * max(scope.calls[_PAGES] / done, 1.0) / rate


@asynccontextmanager
async def showing(progress: Progress, console: Console | None) -> AsyncIterator[None]:
    """Show the progress for as long as the block takes: live on the console, or as log lines where there is none."""
    work = _log_lines(progress) if console is None else _draw(progress, console)
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _draw(progress: Progress, console: Console) -> None:
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        while True:
            progress.sample()
            live.update(progress.table(), refresh=True)
            await asyncio.sleep(_FRAME_S)


async def _log_lines(progress: Progress) -> None:
    progress.sample()
    while True:
        await asyncio.sleep(_LINE_S)
        progress.sample()
        _log.info("progress", **progress.line())
