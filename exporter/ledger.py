"""The completeness ledger: every unit found has an outcome, and the summary is counted from nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from exporter.times import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from exporter.errors import ExportError

_UNIT_OUTCOMES = ("exported", "empty", "unchanged", "failed", "deferred", "abandoned")


# The names come from outside, and could be another one each time, of any length.
_NAMES_MAX = 1_000
_NAME_LENGTH_MAX = 200
_OTHER_NAMES = "…"


def add_names(total: Counter[str], more: Mapping[str, int]) -> None:
    """Add counts of unknown fields, by name: a thousand names, cut where they are long; all others count as ``…``."""
    for name, count in more.items():
        shown = name if len(name) <= _NAME_LENGTH_MAX else name[:_NAME_LENGTH_MAX] + "…"
        total[shown if shown in total or len(total) < _NAMES_MAX else _OTHER_NAMES] += count


class Outcome(StrEnum):
    """What became of a unit.

    ``DEFERRED``: the run stopped, or throttling never ended, before its turn. ``ABANDONED``: refused for
    ``give_up_days``.
    """

    EXPORTED = "exported"
    EMPTY = "empty"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    DEFERRED = "deferred"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed, by name: a unit, a session, a stage, a region or a scope, its parts joined by ``/``."""

    unit: str
    error: str
    message: str


@dataclass(slots=True)
class ScopeLedger:
    """What was found, called, fetched and written in one scope, so far.

    ``account_id`` is None as long as no stage has told it. ``is_held`` says that another run holds the scope, and
    ``is_lost`` that the scope failed as a whole, and ``is_damaged`` that it did so because nothing can be built on its
    commit log, which fails the whole run; ``is_dry``, that nothing was to be fetched. ``complete_until_us`` is
    the moment before which every session that ended is sealed, or None where nothing is known. ``listings_open`` are
    the lists (of stages, of a stage's sessions, of a session's participants) that are known to be needed and not read
    to their end; ``listings_failed`` are those that failed or had a flaw.
    """

    region: str
    account_id: str | None = None
    units_found: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    sessions_found: int = 0
    sessions_sealed: int = 0
    sessions_active: int = 0
    sessions_vanished: int = 0
    listings_open: int = 0
    listings_failed: int = 0
    events_fetched: int = 0
    events_written: int = 0
    files: int = 0
    size_bytes: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    throttled: int = 0
    retries: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    is_held: bool = False
    is_lost: bool = False
    is_damaged: bool = False
    is_closed: bool = False
    is_dry: bool = False
    seconds: float = 0.0
    complete_until_us: int | None = None

    @property
    def name(self) -> str:
        """What failures and logs call the scope: ``<account>-<region>``, or the region alone."""
        return self.region if self.account_id is None else f"{self.account_id}-{self.region}"

    def fail(self, name: str, error: ExportError) -> None:
        """Note a failed unit, session, stage or scope under its name."""
        self.failures.append(Failure(name, error.kind, str(error)))

    def note_unknown(self, names: Mapping[str, int] | Iterable[str]) -> None:
        """Count fields that nobody knows, as `add_names` does."""
        add_names(self.unknown_fields, Counter(names))

    @property
    def units_open(self) -> int:
        """Units that were found and have no outcome yet."""
        return self.units_found - self.outcomes.total()

    def close(self) -> None:
        """Defer what has no outcome, now that the run is over, so that found equals the sum of the outcomes."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.units_open:
            self.outcomes[Outcome.DEFERRED] += self.units_open
        if self.listings_open:
            message = f"{self.listings_open} lists of stages, sessions or participants were not read to their end"
            self.failures.append(Failure(self.name, "deferred", message))

    @property
    def is_complete(self) -> bool:
        """Whether all that was found is in the lake; or, of a dry run, was found whole."""
        deferred = 0 if self.is_dry else self.outcomes[Outcome.DEFERRED]
        unfinished = self.outcomes[Outcome.FAILED] + deferred + self.sessions_vanished
        return not (unfinished or self.failures or self.is_held or self.is_lost)

    @property
    def outcome(self) -> str:
        """``complete``, ``partial``, ``nothing`` (no row was written and nothing failed) or ``failed``."""
        if self.is_lost:
            return "failed"
        if not self.is_complete:
            return "partial"
        return "complete" if self.events_written else "nothing"

    def summary(self) -> dict[str, Any]:
        """The scope's part of the run's summary, in the contract's names."""
        return {
            "account_id": self.account_id,
            "region": self.region,
            "outcome": self.outcome,
            "units": {"found": self.units_found} | {name: self.outcomes[Outcome(name)] for name in _UNIT_OUTCOMES},
            "sessions": {
                "found": self.sessions_found,
                "sealed": self.sessions_sealed,
                "active": self.sessions_active,
                "vanished": self.sessions_vanished,
            },
            "events": {"fetched": self.events_fetched, "written": self.events_written},
            "files": self.files,
            "bytes": self.size_bytes,
            "calls": dict(self.calls),
            "throttled": self.throttled,
            "retries": self.retries,
            "unknown_fields": dict(self.unknown_fields),
            "failures": [
                {"unit": failure.unit, "error": failure.error, "message": failure.message} for failure in self.failures
            ],
            "seconds": round(self.seconds, 3),
            "complete_until": None if self.complete_until_us is None else text_of(self.complete_until_us),
        }


@dataclass(slots=True)
class RunLedger:
    """One run's scopes, and what failed beside them. ``error`` is what ended the run as a whole, if something did."""

    run_id: str
    scopes: list[ScopeLedger] = field(default_factory=list)
    error: ExportError | None = None

    @property
    def outcome(self) -> str:
        """``complete``, ``partial``, ``nothing`` (no row was written and nothing failed) or ``failed``."""
        is_damaged = any(scope.is_damaged for scope in self.scopes)
        if self.error is not None or is_damaged or (self._counted and all(scope.is_lost for scope in self._counted)):
            return "failed"
        if not all(scope.is_complete for scope in self.scopes):
            return "partial"
        return "complete" if any(scope.events_written for scope in self.scopes) else "nothing"

    @property
    def is_held(self) -> bool:
        """Whether every scope is held by another run."""
        return bool(self._counted) and all(scope.is_held for scope in self._counted)

    @property
    def _counted(self) -> list[ScopeLedger]:
        """The scopes, without regions that have no stages and so are none."""
        return [scope for scope in self.scopes if scope.account_id is not None or not scope.is_complete]

    def summary(self, seconds: float) -> dict[str, Any]:
        """The whole run, in the contract's names: the object that ``--json`` prints."""
        scopes = [scope.summary() for scope in self.scopes]
        failures = [failure for scope in scopes for failure in scope["failures"]]
        if self.error is not None:
            failures.append({"unit": None, "error": self.error.kind, "message": str(self.error)})
        return {
            "run_id": self.run_id,
            "outcome": self.outcome,
            "units": _added(scopes, "units", ("found", *_UNIT_OUTCOMES)),
            "sessions": _added(scopes, "sessions", ("found", "sealed", "active", "vanished")),
            "events": _added(scopes, "events", ("fetched", "written")),
            "files": sum(scope["files"] for scope in scopes),
            "bytes": sum(scope["bytes"] for scope in scopes),
            "calls": _added(scopes, "calls"),
            "throttled": sum(scope["throttled"] for scope in scopes),
            "retries": sum(scope["retries"] for scope in scopes),
            "unknown_fields": _added(scopes, "unknown_fields"),
            "failures": failures,
            "seconds": round(seconds, 3),
            "scopes": scopes,
        }


def _added(scopes: list[dict[str, Any]], key: str, names: tuple[str, ...] = ()) -> dict[str, int]:
    total: Counter[str] = Counter(dict.fromkeys(names, 0))
    for scope in scopes:
        total.update(scope[key])
    return dict(total)
