"""Status: what the logs of a lake say of its scopes. Nothing but records and snapshots is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.log_reader import read_state, records_after, scopes_in
from exporter.times import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.domain import Scope
    from exporter.records import Record
    from exporter.state import ScopeState
    from exporter.store import Records

#: Records that are looked through for runs, the last ones first.
_RECORDS_READ = 400
_DAY_US = 86_400_000_000
_FAILING_DAYS_MIN = 1.0


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a scope, as its records tell. ``summary`` is None where the run did not live to write it."""

    run_id: str
    began_at: str
    summary: dict[str, Any] | None

    @property
    def outcome(self) -> str:
        """``complete``, ``partial`` or ``nothing``, as in the run's own summary; ``cut short`` where it has none."""
        if self.summary is None:
            return "cut short"
        units, sessions = self.summary["units"], self.summary["sessions"]
        if units["failed"] or units["deferred"] or sessions["vanished"] or self.summary["failures"]:
            return "partial"
        return "complete" if self.summary["events"]["written"] else "nothing"


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """What is known of one scope. Times are in microseconds since the epoch; ``oldest_unsealed`` names a session."""

    scope: Scope
    runs: list[RunLine]
    rows: int
    files: int
    first_date: str | None
    last_date: str | None
    sealed: int
    waiting: int
    active: int
    complete_until_us: int | None
    oldest_unsealed: str | None
    oldest_unsealed_ended_us: int | None
    failing: dict[str, float] = field(default_factory=dict)
    abandoned: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The status as `status --json` prints it."""
        return {
            "account_id": self.scope.account_id,
            "region": self.scope.region,
            "complete_until": _text(self.complete_until_us),
            "events": self.rows,
            "files": self.files,
            "first_date": self.first_date,
            "last_date": self.last_date,
            "sessions": {"sealed": self.sealed, "waiting": self.waiting, "active": self.active},
            "oldest_unsealed": self.oldest_unsealed,
            "oldest_unsealed_ended": _text(self.oldest_unsealed_ended_us),
            "failing_days": self.failing,
            "abandoned": self.abandoned,
            "runs": [
                {"run_id": run.run_id, "began_at": run.began_at, "outcome": run.outcome, "summary": run.summary}
                for run in self.runs
            ],
        }


async def statuses(records: Records, runs_max: int) -> list[ScopeStatus]:
    """The status of every scope of a lake, each with its last ``runs_max`` runs, the latest first.

    Raises :class:`LakeError` where a log can't be read.
    """
    found = []
    for scope in await scopes_in(records):
        state = await read_state(records, scope)
        last = [record async for record in records_after(records, scope, max(0, state.number - _RECORDS_READ))]
        found.append(status_of(scope, state, last, runs_max))
    return found


def status_of(scope: Scope, state: ScopeState, records: Sequence[Record], runs_max: int) -> ScopeStatus:
    """The status that a state and the records behind it tell. Pure."""
    sessions = {
        f"{stage_arn}/{session_id}": session
        for stage_arn, of_stage in state.open.items()
        for session_id, session in of_stage.items()
    }
    ended = {name: session.ended_us for name, session in sessions.items() if session.ended_us is not None}
    oldest = min(ended, key=lambda name: ended[name], default=None)
    failing = {
        f"{name}/{participant_id}".rstrip("/"): round((state.latest_us - unit.failing_since_us) / _DAY_US, 1)
        for name, session in sessions.items()
        for participant_id, unit in session.units.items()
        if unit.failing_since_us is not None and not unit.is_abandoned
    }
    return ScopeStatus(
        scope=scope,
        runs=_runs(records)[:runs_max],
        rows=state.rows,
        files=state.files,
        first_date=state.first_date,
        last_date=state.last_date,
        sealed=sum(map(len, state.sealed.values())),
        waiting=len(ended),
        active=len(sessions) - len(ended),
        complete_until_us=state.sealed_until_us(),
        oldest_unsealed=oldest,
        oldest_unsealed_ended_us=ended.get(oldest) if oldest else None,
        failing={name: days for name, days in failing.items() if days >= _FAILING_DAYS_MIN},
        abandoned=sorted(state.abandoned),
    )


def _runs(records: Sequence[Record]) -> list[RunLine]:
    """The runs that the records tell of, the latest first."""
    runs: dict[str, RunLine] = {}
    for record in records:
        if record.kind == "begin":
            runs[record.run_id] = RunLine(record.run_id, record.at, None)
        elif record.summary is not None and record.run_id in runs:
            runs[record.run_id] = RunLine(record.run_id, runs[record.run_id].began_at, record.summary)
    return list(runs.values())[::-1]


def _text(moment_us: int | None) -> str | None:
    return None if moment_us is None else text_of(moment_us)
