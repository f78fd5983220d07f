"""Status: what the logs of a lake say of its scopes. Nothing but records, snapshots and leases is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from exporter.commit_log.lease import is_alive, read_claim
from exporter.commit_log.process import is_gone
from exporter.commit_log.reader import read_state, records_after, scopes_in
from exporter.commit_log.state import ScopeState
from exporter.errors import LakeTooNew, LogDamaged
from exporter.machine.clock import wall_us
from exporter.timestamps import DAY_US, SECOND_US, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.commit_log.process import Process
    from exporter.commit_log.records import Record
    from exporter.errors import LakeError
    from exporter.lake.store import Records
    from exporter.model import Scope

_FAILING_DAYS_MIN = 1.0
#: Units that are named; the others are counted.
NAMED_MAX = 100


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a scope, as its records tell. ``summary`` is None where the run has not written it, or not yet.

    ``command`` is what it was: ``run``, or ``repair`` or ``verify --accept-missing``, which export nothing.
    """

    run_id: str
    began_at: str
    summary: dict[str, Any] | None = None
    is_running: bool = False

    @property
    def outcome(self) -> str:
        """The outcome that the run's record carries; ``running``, or ``cut short``, where there is none."""
        if self.summary is None:
            return "running" if self.is_running else "cut short"
        return str(self.summary["outcome"])

    @property
    def command(self) -> str:
        """The command that it was; ``run`` where it has not told."""
        return str((self.summary or {}).get("command", "run"))


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """What is known of one scope. Times are in microseconds since the epoch; ``oldest_unsealed`` names a session.

    ``sealed`` and ``vanished`` count all sessions that ever were, ``waiting`` those that have ended and are not sealed.
    ``failing`` are units that have failed for a day or more, with the days, the longest first. ``error`` is why the log
    can't be read: nothing else is known then.
    """

    scope: Scope
    runs: list[RunLine]
    rows: int
    files: int
    first_date: str | None
    last_date: str | None
    sealed: int
    vanished: int
    waiting: int
    active: int
    complete_until_us: int | None
    oldest_unsealed: str | None
    oldest_unsealed_ended_us: int | None
    now_us: int
    failing: dict[str, float] = field(default_factory=dict)
    abandoned: list[str] = field(default_factory=list)
    error: LakeError | None = None

    @property
    def oldest_waits_s(self) -> float | None:
        """How long ago the oldest session ended that is not sealed; None where none waits."""
        ended_us = self.oldest_unsealed_ended_us
        return None if ended_us is None else max(self.now_us - ended_us, 0) / SECOND_US

    def summary(self) -> dict[str, Any]:
        """The status as `status --json` prints it."""
        return {
            "account_id": self.scope.account_id,
            "region": self.scope.region,
            "error": None if self.error is None else {"error": self.error.kind, "message": str(self.error)},
            "complete_until": _text(self.complete_until_us),
            "events": self.rows,
            "files": self.files,
            "first_date": self.first_date,
            "last_date": self.last_date,
            "sessions": {
                "sealed": self.sealed,
                "waiting": self.waiting,
                "active": self.active,
                "vanished": self.vanished,
            },
            "oldest_unsealed": self.oldest_unsealed,
            "oldest_unsealed_ended": _text(self.oldest_unsealed_ended_us),
            "oldest_unsealed_age_s": self.oldest_waits_s,
            "failing": len(self.failing),
            "failing_days": dict(list(self.failing.items())[:NAMED_MAX]),
            "abandoned_count": len(self.abandoned),
            "abandoned": self.abandoned[:NAMED_MAX],
            "runs": [
                {
                    "run_id": run.run_id,
                    "began_at": run.began_at,
                    "command": run.command,
                    "outcome": run.outcome,
                    "summary": run.summary,
                }
                for run in self.runs
            ],
        }


@dataclass(slots=True)
class _LogReading:
    """What a log's records tell beside the state: the last runs, the sessions that it has let go of, files by date."""

    runs_max: int
    runs: dict[str, RunLine] = field(default_factory=dict)
    #: By the hash of its name, whether a session that was told of last as sealed or vanished is sealed.
    is_sealed: dict[int, bool] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        run = self.runs.get(record.run_id) or RunLine(record.run_id, record.at)
        self.runs[record.run_id] = replace(run, summary=record.summary or run.summary)
        if len(self.runs) > self.runs_max:
            del self.runs[next(iter(self.runs))]
        for key in record.removed:
            self.dates.pop(key, None)
        self.dates |= {file.key: file.date for file in record.files if file.date}
        for line in record.sessions:
            name = hash((line.stage_arn, line.session_id))
            if line.status == "open":
                self.is_sealed.pop(name, None)
            else:
                self.is_sealed[name] = line.status == "sealed"


async def statuses(
    records: Records,
    runs_max: int,
    now_us: int | None = None,
    is_gone: Callable[[Process], bool | None] = is_gone,
) -> list[ScopeStatus]:
    """The status of every scope of a lake, each with its last ``runs_max`` runs, the latest first.

    ``now_us`` is the local time, the machine's own where None is passed. ``is_gone`` says whether a process has ended,
    None where that can't be seen from here. A damaged log is its own scope's ``error``. Raises :class:`LakeError` where
    the lake can't be read.
    """
    found = []
    for scope in await scopes_in(records):
        try:
            found.append(await _status(records, scope, runs_max, now_us, is_gone))
        except (LogDamaged, LakeTooNew) as error:
            at_us = wall_us() if now_us is None else now_us
            found.append(replace(_status_of(scope, ScopeState(), _LogReading(runs_max), [], at_us), error=error))
    return found


async def _status(
    records: Records,
    scope: Scope,
    runs_max: int,
    now_us: int | None,
    is_gone: Callable[[Process], bool | None],
) -> ScopeStatus:
    claims = [await read_claim(records, scope)]
    state, told = await read_state(records, scope), _LogReading(runs_max)
    # The state has let go of sessions, and of files it knows the number alone: only the whole log knows.
    async for record in records_after(records, scope):
        told.add(record)
    # A run may have begun after the first look, or ended before the second.
    claims.append(await read_claim(records, scope))
    at_us = wall_us() if now_us is None else now_us
    running = {claim.run_id for claim in claims if claim is not None and is_alive(claim, is_gone, at_us)}
    runs = [replace(run, is_running=run.run_id in running) for run in reversed(told.runs.values())]
    return _status_of(scope, state, told, runs, at_us)


def _status_of(scope: Scope, state: ScopeState, told: _LogReading, runs: list[RunLine], now_us: int) -> ScopeStatus:
    """The status that a state, and what the log tells beside it, add up to. Pure."""
    sessions = {
        f"{stage_arn}/{session_id}": session
        for stage_arn, of_stage in state.open.items()
        for session_id, session in of_stage.items()
    }
    ended = {name: session.ended_us for name, session in sessions.items() if session.ended_us is not None}
    oldest = min(ended, key=lambda name: ended[name], default=None)
    failing = {
        f"{name}/{participant_id}".rstrip("/"): round((state.latest_us - unit.failing_since_us) / DAY_US, 1)
        for name, session in sessions.items()
        for participant_id, unit in session.units.items()
        if unit.failing_since_us is not None and not unit.is_abandoned
    }
    listed = sum(map(len, state.sealed.values()))
    return ScopeStatus(
        scope=scope,
        runs=runs,
        rows=state.rows,
        files=state.files,
        first_date=min(told.dates.values(), default=None),
        last_date=max(told.dates.values(), default=None),
        sealed=sum(told.is_sealed.values()) if state.let_go_us else listed,
        vanished=sum(not is_sealed for is_sealed in told.is_sealed.values()),
        waiting=len(ended),
        active=len(sessions) - len(ended),
        complete_until_us=state.sealed_until_us(),
        oldest_unsealed=oldest,
        oldest_unsealed_ended_us=ended.get(oldest) if oldest else None,
        now_us=now_us,
        failing={name: days for name, days in sorted(failing.items(), key=_longest_first) if days >= _FAILING_DAYS_MIN},
        abandoned=sorted(state.abandoned),
    )


def _longest_first(item: tuple[str, float]) -> tuple[float, str]:
    name, days = item
    return -days, name


def _text(moment_us: int | None) -> str | None:
    return None if moment_us is None else text_of(moment_us)
