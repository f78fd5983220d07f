"""Status: what the logs of a lake say of its scopes. Nothing but records, snapshots and leases is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from exporter.commit_log.lease import is_alive, read_claim
from exporter.commit_log.process import is_gone
from exporter.commit_log.reader import read_state, records_after, scopes_in
from exporter.commit_log.state import ScopeState
from exporter.errors import LakeTooNew, LogDamaged
from exporter.health.recorded_runs import RunLine
from exporter.machine.clock import wall_us
from exporter.timestamps import DAY_US, SECOND_US, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from exporter.commit_log.process import Process
    from exporter.commit_log.records import Record
    from exporter.commit_log.state import SessionState
    from exporter.errors import LakeError
    from exporter.lake.store import Records
    from exporter.model import Scope

# The table's name; its schema, and so Arrow, is not needed here.
_EVENTS = "events"
_FAILING_DAYS_MIN = 1.0
#: Units that are named; the others are counted.
NAMED_MAX = 100


@dataclass(frozen=True, slots=True)
class LakeContents:
    """The files of a scope, their rows by table, and the first and the last UTC date of which there are events.

    ``data_files`` are those of tables.
    """

    rows: Mapping[str, int]
    files: int
    first_date: str | None
    last_date: str | None
    data_files: int = 0


@dataclass(frozen=True, slots=True)
class OldestUnsealed:
    """The session, by its name, that ended first of those that are not sealed; and how long ago it ended."""

    name: str
    ended_us: int
    waits_s: float


@dataclass(frozen=True, slots=True)
class SessionsStatus:
    """The count of sessions that are sealed or vanished, of all time; that have ended and are not sealed; are active.

    ``without_rows`` are sealed ones that lack rows in the tables beside ``events``: an earlier program sealed them, or
    the tables were switched off.

    ``complete_until_us`` is the moment before which every session that ended is sealed, None where no whole run has
    said so. ``oldest`` is None where no session waits to be sealed.
    """

    sealed: int
    vanished: int
    waiting: int
    active: int
    complete_until_us: int | None
    oldest: OldestUnsealed | None
    without_rows: int = 0


@dataclass(frozen=True, slots=True)
class UnitsStatus:
    """The units that have failed for a day or more, with the days, the longest first; and those that are abandoned."""

    failing: Mapping[str, float]
    abandoned: Sequence[str]


@dataclass(frozen=True, slots=True)
class ScopeStatus:
    """The status of one scope. Times are in microseconds since the epoch.

    ``error`` is why the log can't be read; nothing else is known then.
    """

    scope: Scope
    runs: Sequence[RunLine]
    lake: LakeContents
    sessions: SessionsStatus
    units: UnitsStatus
    error: LakeError | None = None

    @property
    def is_running(self) -> bool:
        """Whether a run is at work."""
        return any(run.is_running for run in self.runs)

    def summary(self) -> dict[str, Any]:
        """The status as `status --json` prints it."""
        lake, sessions, units, oldest = self.lake, self.sessions, self.units, self.sessions.oldest
        return {
            "account_id": self.scope.account_id,
            "region": self.scope.region,
            "error": None if self.error is None else {"error": self.error.kind, "message": str(self.error)},
            "complete_until": _text(sessions.complete_until_us),
            "events": lake.rows[_EVENTS],
            "rows": dict(lake.rows),
            "files": lake.files,
            "first_date": lake.first_date,
            "last_date": lake.last_date,
            "sessions": {
                "sealed": sessions.sealed,
                "waiting": sessions.waiting,
                "active": sessions.active,
                "vanished": sessions.vanished,
                "without_rows": sessions.without_rows,
            },
            "oldest_unsealed": None if oldest is None else oldest.name,
            "oldest_unsealed_ended": None if oldest is None else text_of(oldest.ended_us),
            "oldest_unsealed_age_s": None if oldest is None else oldest.waits_s,
            "failing": len(units.failing),
            "failing_days": dict(list(units.failing.items())[:NAMED_MAX]),
            "abandoned_count": len(units.abandoned),
            "abandoned": list(units.abandoned[:NAMED_MAX]),
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
    """What a log's records say beside the state: the last runs, the sessions that the state has let go of, the files.

    ``is_sealed`` says of a session, by the hash of its name, that was last said to be sealed or vanished, whether it is
    sealed; ``without_rows`` are those of the sealed ones that lack rows of tables. ``files`` are those of tables, by
    key, each with its date and the count of its rows.
    """

    runs_max: int
    runs: dict[str, RunLine] = field(init=False, default_factory=dict)
    is_sealed: dict[int, bool] = field(init=False, default_factory=dict)
    without_rows: set[int] = field(init=False, default_factory=set)
    files: dict[str, tuple[str, int]] = field(init=False, default_factory=dict)

    def add(self, record: Record) -> None:
        run = self.runs.get(record.run_id) or RunLine(record.run_id, record.at)
        self.runs[record.run_id] = replace(run, summary=record.summary or run.summary)
        if len(self.runs) > self.runs_max:
            del self.runs[next(iter(self.runs))]
        for key in record.removed:
            self.files.pop(key, None)
        self.files |= {file.key: (file.date, file.rows) for file in record.files if file.date}
        for line in record.sessions:
            name = hash((line.stage_arn, line.session_id))
            if line.status == "open":
                self.is_sealed.pop(name, None)
            else:
                self.is_sealed[name] = line.status == "sealed"
            self.without_rows.discard(name)
            if line.status == "sealed" and not line.tables:
                self.without_rows.add(name)

    def lake(self, files: int) -> LakeContents:
        """What the lake holds in all its ``files``."""
        rows = Counter[str]()
        for key, (_, count) in self.files.items():
            rows[key.partition("/")[0]] += count
        dates = [date for key, (date, _) in self.files.items() if key.startswith(f"{_EVENTS}/")]
        return LakeContents(rows, files, min(dates, default=None), max(dates, default=None), len(self.files))


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
    state, reading = await read_state(records, scope), _LogReading(runs_max)
    # The state has let go of sessions, and of files it knows the number alone: only the whole log knows.
    async for record in records_after(records, scope):
        reading.add(record)
    # A run may have begun after the first look, or ended before the second.
    claims.append(await read_claim(records, scope))
    at_us = wall_us() if now_us is None else now_us
    running = {claim.run_id for claim in claims if claim is not None and is_alive(claim, is_gone, at_us)}
    runs = [replace(run, is_running=run.run_id in running) for run in reversed(reading.runs.values())]
    return _status_of(scope, state, reading, runs, at_us)


def _status_of(scope: Scope, state: ScopeState, reading: _LogReading, runs: list[RunLine], now_us: int) -> ScopeStatus:
    """The status that a state, and what the log says beside it, add up to. Pure."""
    sessions = {
        f"{stage_arn}/{session_id}": session
        for stage_arn, of_stage in state.open.items()
        for session_id, session in of_stage.items()
    }
    return ScopeStatus(
        scope, runs, reading.lake(state.files), _sessions(state, reading, sessions, now_us), _units(state, sessions)
    )


def _sessions(
    state: ScopeState, reading: _LogReading, sessions: Mapping[str, SessionState], now_us: int
) -> SessionsStatus:
    ended = {name: session.ended_us for name, session in sessions.items() if session.ended_us is not None}
    oldest = None
    if ended:
        name = min(ended, key=lambda name: ended[name])
        oldest = OldestUnsealed(name, ended[name], max(now_us - ended[name], 0) / SECOND_US)
    listed = sum(map(len, state.sealed.values()))
    return SessionsStatus(
        sealed=sum(reading.is_sealed.values()) if state.has_let_go else listed,
        vanished=sum(not is_sealed for is_sealed in reading.is_sealed.values()),
        waiting=len(ended),
        active=len(sessions) - len(ended),
        complete_until_us=state.sealed_until_us(),
        oldest=oldest,
        without_rows=len(reading.without_rows),
    )


def _units(state: ScopeState, sessions: Mapping[str, SessionState]) -> UnitsStatus:
    failing = {
        f"{name}/{participant_id}".rstrip("/"): round((state.latest_us - unit.failing_since_us) / DAY_US, 1)
        for name, session in sessions.items()
        for participant_id, unit in session.units.items()
        if unit.failing_since_us is not None and not unit.is_abandoned
    }
    longest_first = sorted(failing.items(), key=lambda item: (-item[1], item[0]))
    return UnitsStatus(
        {name: days for name, days in longest_first if days >= _FAILING_DAYS_MIN}, sorted(state.abandoned)
    )


def _text(moment_us: int | None) -> str | None:
    return None if moment_us is None else text_of(moment_us)
