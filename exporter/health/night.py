"""A night as one: what all runs with one tag did, in every scope, as the lake's logs say. Nothing else is read.

A run that was killed left no summary, but what it committed is in its records. So rows and files are counted from the
records of all runs of the night; calls and seconds are those of the runs that came to their end. Of units and sessions
those are counted that the run with the most of them has found: what is sealed is no unit of the next run any more. What
is left undone, and what failed, is as the last run left it, and unchanged is what the first one found in the lake.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.commit_log.lease import is_alive, read_claim
from exporter.commit_log.process import is_gone
from exporter.commit_log.reader import records_after, scopes_in
from exporter.errors import ExportError, LakeTooNew, LogDamaged
from exporter.health.recorded_runs import read_summary
from exporter.ledger import ScopeLedger
from exporter.machine.clock import wall_us
from exporter.model import Outcome, ScopeEnd
from exporter.timestamps import SECOND_US, read_us

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exporter.commit_log.process import Process
    from exporter.commit_log.records import Record
    from exporter.health.recorded_runs import RecordedSummary
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Records
    from exporter.model import Scope

_SCOPES_AT_ONCE = 16


class CutShort(ExportError):
    """A run left no closing record: it was killed, or its machine was lost."""

    kind = "cut_short"


@dataclass(slots=True)
class TaggedRun:
    """One run of a night in one scope. ``closing`` is None where it has not come to its end, or was killed."""

    run_id: str
    began_at: str
    closing: RecordedSummary | None = None
    is_running: bool = False
    ended_at: str | None = None
    files: list[DataFile] = field(init=False, default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took, by its own clock; 0 where it has not come to its end."""
        began_us = read_us(self.began_at)
        ended_us = None if self.ended_at is None else read_us(self.ended_at)
        return 0.0 if began_us is None or ended_us is None else max(ended_us - began_us, 0) / SECOND_US

    @property
    def state(self) -> str:
        """``ended``, ``running`` or ``cut short``."""
        if self.closing is not None:
            return "ended"
        return "running" if self.is_running else "cut short"


class ScopeNight(ScopeLedger):
    """What the runs of a night did in a scope. A ledger like a run's own, so it is summed up and shown as one."""

    def __init__(self, scope: Scope, runs: Sequence[TaggedRun] = ()) -> None:
        super().__init__(scope.region, scope.account_id)
        self.scope = scope
        self.runs = tuple(runs)
        self._is_closed = True
        ended = [run.closing for run in runs if run.closing is not None]
        for run in runs:
            self.published(run.files)
        self.seconds = sum(run.seconds for run in runs)
        for summary in ended:
            self.calls.update(summary.calls)
            self.note_unknown(summary.unknown_fields)
            self.events_fetched += summary.events.get("fetched", 0)
            self.throttled += summary.throttled
            self.retries += summary.retries
        self._last = ended[-1] if ended else None
        if ended:
            self._take(ended)
        elif any(run.is_running for run in runs):
            self._failures.defer(self.name, "a run goes on", 1)
        elif runs:
            self.lose(CutShort(f"run {runs[-1].run_id} was cut short: the log has no closing record of it"))

    def _take(self, ended: Sequence[RecordedSummary]) -> None:
        """Let units, sessions and failures stand as the runs that came to their end have left them."""
        last = ended[-1]
        self._outcomes.update(outcomes_of([run.units for run in ended]))
        self._units_found = self._outcomes.total()
        self.sessions_found = max(run.sessions.get("found", 0) for run in ended)
        self.sessions_sealed = max(run.sessions.get("sealed", 0) for run in ended)
        self.sessions_active = last.sessions.get("active", 0)
        self.sessions_vanished = sum(run.sessions.get("vanished", 0) for run in ended)
        self.complete_until_us = None if last.complete_until is None else read_us(last.complete_until)
        for failure in last.failures:
            self._failures.recall(failure.error, failure.message, failure.units, failure.count)

    @property
    def has_ended(self) -> bool:
        """Whether a run of the night came to its end in the scope."""
        return self._last is not None

    @property
    def more_to_do(self) -> bool:
        """Whether another run would go on with something, as the last one said."""
        return self._end is not ScopeEnd.MISUSED if self._last is None else self._last.more_to_do

    def summary(self) -> dict[str, Any]:
        """The scope's part of the night's summary, with its runs."""
        runs = [{"run_id": run.run_id, "began_at": run.began_at, "state": run.state} for run in self.runs]
        return {**super().summary(), "runs": runs}


def outcomes_of(runs: Sequence[Mapping[str, int]]) -> dict[Outcome, int]:
    """How the units of a night ended, from those of its runs: ``found``, and each outcome by its value.

    They add up to the most that a run has found.
    """
    left = max(run.get("found", 0) for run in runs)
    ended: dict[Outcome, int] = {}
    for outcome, run in (
        *((outcome, runs[-1]) for outcome in (Outcome.FAILED, Outcome.DEFERRED, Outcome.ABANDONED)),
        (Outcome.UNCHANGED, runs[0]),
        (Outcome.EMPTY, max(runs, key=lambda run: run.get(Outcome.EMPTY, 0))),
    ):
        ended[outcome] = min(run.get(outcome, 0), left)
        left -= ended[outcome]
    return {**ended, Outcome.EXPORTED: left}


async def read_night(
    records: Records,
    tag: str,
    after: Mapping[Scope, int] | None = None,
    now_us: int | None = None,
    is_gone: Callable[[Process], bool | None] = is_gone,
) -> list[ScopeNight]:
    """What runs with this tag did, in each scope that has any, in the order of the scopes.

    Of a scope that ``after`` names only records with greater numbers are read. ``now_us`` is the local time, the
    machine's own where None is passed. A damaged log is its own scope's failure. Raises :class:`LakeError` where the
    lake can't be read.
    """
    turns = asyncio.Semaphore(_SCOPES_AT_ONCE)
    at_us = wall_us() if now_us is None else now_us

    async def read(scope: Scope) -> ScopeNight:
        async with turns:
            try:
                runs = await _runs(records, scope, tag, (after or {}).get(scope, 0))
            except (LogDamaged, LakeTooNew) as error:
                damaged = ScopeNight(scope)
                damaged.lose(error, is_damaged=True)
                return damaged
            if any(run.closing is None for run in runs):
                claim = await read_claim(records, scope)
                for run in runs:
                    run.is_running = (
                        claim is not None and claim.run_id == run.run_id and is_alive(claim, is_gone, at_us)
                    )
            return ScopeNight(scope, runs)

    found = await asyncio.gather(*map(read, await scopes_in(records)))
    return [night for night in found if night.runs or night.is_damaged]


async def _runs(records: Records, scope: Scope, tag: str, after: int) -> list[TaggedRun]:
    """The runs with this tag, in their order. Their first and their last records carry it, those between do not."""
    runs: dict[str, TaggedRun] = {}
    async for record in records_after(records, scope, after):
        if record.tag == tag:
            runs.setdefault(record.run_id, TaggedRun(record.run_id, record.at))
        run = runs.get(record.run_id)
        if run is None:
            continue
        run.files += record.files
        if record.summary is not None:
            run.closing, run.ended_at = _closing(scope, record), record.at
    return list(runs.values())


def _closing(scope: Scope, record: Record) -> RecordedSummary:
    try:
        return read_summary(record.summary)
    except msgspec.ValidationError as error:
        raise LogDamaged(f"the summary in record {record.number} of {scope} is damaged: {error}") from error
