"""What a display shows of a run, read at one moment: figures, names of scopes, and causes of failures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class ScopePhase(Enum):
    """How far a scope is."""

    STARTING = auto()  # nothing was answered yet
    FINDING = auto()  # lists are still read, so nobody knows how many units there are
    FETCHING = auto()
    COMMITTING = auto()  # all is fetched, and not all is committed
    STOPPED = auto()  # the run was stopped before all was done
    DONE = auto()
    EMPTY = auto()  # the region has no stage
    HELD = auto()  # another run holds it
    LOST = auto()  # it failed as a whole

    @property
    def is_total_known(self) -> bool:
        """Whether no more units will be found."""
        return self not in {ScopePhase.STARTING, ScopePhase.FINDING, ScopePhase.STOPPED}

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is done in the scope."""
        return self.is_failure or self in {ScopePhase.STOPPED, ScopePhase.DONE, ScopePhase.EMPTY}

    @property
    def is_failure(self) -> bool:
        """Whether the scope failed as a whole."""
        return self in {ScopePhase.HELD, ScopePhase.LOST}


@dataclass(frozen=True, slots=True)
class UnitTally:
    """Units that were found, that have their outcome, and that were fetched and are not committed."""

    found: int = 0
    done: int = 0
    uncommitted: int = 0

    def __add__(self, other: UnitTally) -> UnitTally:
        """Both together."""
        return UnitTally(self.found + other.found, self.done + other.done, self.uncommitted + other.uncommitted)

    @property
    def percent(self) -> int | None:
        """The units that are done, in whole percent of those found, rounded down; None where none were found."""
        return 100 * self.done // self.found if self.found else None


@dataclass(frozen=True, slots=True)
class Tally:
    """What else is counted. ``failed`` are units, lists and the like that failed, without what was deferred."""

    lists_needed: int = 0
    lists_read: int = 0
    sessions_found: int = 0
    sessions_sealed: int = 0
    events_written: int = 0
    throttled: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.lists_needed + other.lists_needed,
            self.lists_read + other.lists_read,
            self.sessions_found + other.sessions_found,
            self.sessions_sealed + other.sessions_sealed,
            self.events_written + other.events_written,
            self.throttled + other.throttled,
            self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True)
class ScopeSample:
    """One scope, or all together.

    ``percent`` is None as long as nothing was found. ``calls_s`` are calls a second of late. ``left_s`` are the
    seconds until all is fetched; None where nobody can say.
    """

    name: str
    phase: ScopePhase
    units: UnitTally = UnitTally()
    counts: Tally = Tally()
    percent: int | None = None
    calls_s: float = 0.0
    left_s: float | None = None

    @property
    def is_failing(self) -> bool:
        """Whether something of it failed so far."""
        return bool(self.counts.failed) or self.phase.is_failure


@dataclass(frozen=True, slots=True)
class Cause:
    """Why units, lists and the like failed, and how many. ``text`` may come from anybody."""

    count: int
    text: str


@dataclass(frozen=True, slots=True)
class RunSample:
    """A run at one moment.

    ``causes`` come in the order in which they were met. ``paces`` are calls a second by what is listed by them.
    ``stopped_by`` asked the run to stop.
    """

    run_id: str
    elapsed_s: float
    total: ScopeSample
    scopes: tuple[ScopeSample, ...] = ()
    causes: tuple[Cause, ...] = ()
    paces: tuple[tuple[str, float], ...] = ()
    stopped_by: str | None = None
