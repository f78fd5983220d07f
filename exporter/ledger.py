"""The completeness ledger of a scope: every unit found has an outcome, and its summary is counted from nothing else."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from exporter.errors import UsageError
from exporter.model import Outcome, ScopeEnd
from exporter.telemetry.failures import DETAILS_LATE, Failures
from exporter.telemetry.unknown_fields import add_names
from exporter.text import counted
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.errors import ExportError
    from exporter.lake.data_files import DataFile
    from exporter.telemetry.failures import Failure


class ScopeLedger:
    """What was found, called, fetched and written in one scope, so far.

    Units, lists, files and failures are noted by verbs alone, so that found is the sum of the outcomes, always, and
    every failure has a name. ``account_id`` is None as long as nobody knows it. Of participants' rows some may lack
    details, and some of those because they came too late. ``is_dry`` says that nothing was to be fetched, ``is_empty``
    that the region has no stage. Sessions that ended before ``complete_until_us`` are sealed, where that is known.
    ``units_uncommitted`` were fetched whole, and have no outcome before their commit.
    """

    def __init__(self, region: str, account_id: str | None = None) -> None:
        self.region = region
        self.account_id = account_id
        self.sessions_found = self.sessions_sealed = 0
        self.sessions_active = self.sessions_vanished = 0
        self.events_fetched = 0
        self.units_uncommitted = self.listings_needed = 0
        self.calls: Counter[str] = Counter()
        self.throttled = self.retries = 0
        self.details_late = 0
        self.unknown_fields: Counter[str] = Counter()
        self.is_dry = False
        self.is_empty = False
        self.began_s = self.seconds = 0.0
        self.complete_until_us: int | None = None
        self._failures = Failures()
        self._units_found = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._listings_open = self._listings_failed = 0
        self._rows: Counter[str] = Counter()
        self._files = self._size_bytes = 0
        self._end: ScopeEnd | None = None
        self._is_reopened = False
        self._is_closed = False

    @property
    def name(self) -> str:
        """What failures and logs call the scope: ``<account>-<region>``, or the region alone."""
        return self.region if self.account_id is None else f"{self.account_id}-{self.region}"

    # Units.

    def unit_found(self) -> None:
        """Note that there is one unit more, without an outcome so far."""
        self._units_found += 1

    def unit_ended(self, outcome: Outcome) -> None:
        """Note what became of a unit that was found."""
        self.units_ended((outcome,))

    def units_ended(self, outcomes: Iterable[Outcome]) -> None:
        """Note what became of units that were found."""
        self._outcomes.update(outcomes)
        if self.units_open < 0:
            raise AssertionError(f"{self.name}: more outcomes than units were found")

    def unit_fetched(self) -> None:
        """Note that a unit was fetched whole, and waits for the commit that gives it its outcome."""
        self.units_uncommitted += 1

    def units_committed(self, outcomes: Sequence[Outcome]) -> None:
        """Note what became of units that were fetched, now that a record says so."""
        self.units_uncommitted -= len(outcomes)
        self.units_ended(outcomes)

    def unit_failed(self, name: str, error: ExportError, *, was_fetched: bool = False) -> None:
        """Note that a unit failed, under its name; or, where it ``was_fetched``, what came of it."""
        self.units_uncommitted -= was_fetched
        self._failures.add(name, error)
        self.unit_ended(Outcome.FAILED)

    def unit_deferred(self, name: str, error: ExportError) -> None:
        """Note that a unit could not even be asked for, and why."""
        self._failures.add(name, error)
        self.unit_ended(Outcome.DEFERRED)

    @property
    def units_found(self) -> int:
        """Units that were found."""
        return self._units_found

    @property
    def units_done(self) -> int:
        """Units that have their outcome."""
        return self._outcomes.total()

    @property
    def units_open(self) -> int:
        """Units that were found and have no outcome yet."""
        return self._units_found - self._outcomes.total()

    @property
    def outcomes(self) -> Mapping[Outcome, int]:
        """How many units ended how; 0 for what none did."""
        return MappingProxyType(self._outcomes)

    def note_unknown(self, names: Mapping[str, int] | Iterable[str]) -> None:
        """Count fields that nobody knows, as `add_names` does."""
        add_names(self.unknown_fields, Counter(names))

    # Lists: of stages, of a stage's sessions, of a session's participants.

    def listing_needed(self) -> None:
        """Note that a list is to be read."""
        self.listings_needed += 1
        self._listings_open += 1

    def listing_read(self) -> None:
        """Note that a list was read to its end."""
        self._listings_open -= 1

    def listing_failed(self, name: str, error: ExportError) -> None:
        """Note that a list can't be read, or was not even asked for, and why."""
        self.listing_flawed(name, error)
        self._listings_open -= 1

    def listing_flawed(self, name: str, error: ExportError) -> None:
        """Note what is wrong with a list that is being read."""
        self._failures.add(name, error)
        self._listings_failed += 1

    @property
    def listings_open(self) -> int:
        """Lists that are known to be needed and not read to their end."""
        return self._listings_open

    @property
    def listings_failed(self) -> int:
        """Lists that failed, and flaws of others."""
        return self._listings_failed

    # Sessions, files, and the scope as a whole.

    def session_vanished(self, name: str, error: ExportError) -> None:
        """Note a session that was known, and is no longer listed."""
        self.sessions_vanished += 1
        self._failures.add(name, error)

    def published(self, files: Iterable[DataFile]) -> None:
        """Note files that were committed and are visible."""
        for file in files:
            if not file.table.startswith("_"):  # rejects are rows of no table
                self._rows[file.table] += file.rows
            self._files += 1
            self._size_bytes += file.size_bytes

    def fail(self, name: str, error: ExportError) -> None:
        """Note what failed beside units and lists, under its name."""
        self._failures.add(name, error)

    def files_lost(self, error: ExportError) -> None:
        """Note that files of the lake are gone, and that the next run exports again what was in them."""
        self._failures.add(self.name, error)
        self._is_reopened = True

    def lose(self, error: ExportError, *, is_held: bool = False, is_damaged: bool = False) -> None:
        """Note that the scope ended as a whole: another run holds it, or ``error`` is its own, or ended the whole run.

        ``is_damaged`` says that nothing can be built on its commit log, which fails the whole run.
        """
        own = ScopeEnd.MISUSED if isinstance(error, UsageError) else ScopeEnd.LOST
        self._end = ScopeEnd.HELD if is_held else ScopeEnd.DAMAGED if is_damaged else own
        self._listings_open = 0
        self._failures.add(self.name, error)

    def close(self) -> None:
        """Defer what has no outcome, now that the run is over, so that found equals the sum of the outcomes."""
        if self._is_closed:
            return
        self._is_closed = True
        if self.units_open:
            self._outcomes[Outcome.DEFERRED] += self.units_open
        self.units_uncommitted = 0
        if self.details_late:
            self._failures.defer(self.name, DETAILS_LATE, self.details_late)
        if self._listings_open:
            lists = counted(self._listings_open, "list")
            self._failures.defer(
                self.name, f"{lists} of stages, sessions or participants not read to the end", self._listings_open
            )

    @property
    def rows(self) -> Mapping[str, int]:
        """The rows written, by table; 0 for a table that has none."""
        return MappingProxyType(self._rows)

    @property
    def events_written(self) -> int:
        """The rows of events written."""
        return self._rows["events"]

    @property
    def files(self) -> int:
        """Files written."""
        return self._files

    @property
    def failures(self) -> list[Failure]:
        """The failures by cause; what was deferred comes last."""
        return self._failures.causes()

    @property
    def failure_count(self) -> int:
        """How many units, lists and the like the failures met."""
        return self._failures.count

    @property
    def is_held(self) -> bool:
        """Whether another run holds the scope."""
        return self._end is ScopeEnd.HELD

    @property
    def is_lost(self) -> bool:
        """Whether the scope failed as a whole."""
        return self._end not in {None, ScopeEnd.HELD}

    @property
    def is_damaged(self) -> bool:
        """Whether nothing can be built on the scope's commit log."""
        return self._end is ScopeEnd.DAMAGED

    @property
    def is_complete(self) -> bool:
        """Whether all that was found is in the lake; or, of a dry run, was found whole."""
        deferred = 0 if self.is_dry else self.outcomes[Outcome.DEFERRED]
        unfinished = self.outcomes[Outcome.FAILED] + deferred + self.sessions_vanished
        return not (unfinished or self._failures.count or self._end)

    @property
    def more_to_do(self) -> bool:
        """Whether another run would go on with something: what failed, was deferred or is held, and wrong usage not."""
        if self._end is ScopeEnd.MISUSED:
            return False
        left = self.outcomes[Outcome.FAILED] + self.outcomes[Outcome.DEFERRED] + self.units_open
        lists = self._listings_open or self._listings_failed
        return bool(left or lists or self._end or self._is_reopened)

    @property
    def outcome(self) -> str:
        """``complete``, ``partial``, ``nothing`` (no row was written and nothing failed) or ``failed``."""
        if self.is_lost:
            return "failed"
        if not self.is_complete:
            return "partial"
        return "complete" if self._rows.total() else "nothing"

    def add_failures_to(self, others: Failures) -> None:
        """Add the scope's failures to those of a run."""
        others.merge(self._failures)

    def summary(self) -> dict[str, Any]:
        """The scope's part of the run's summary, in the contract's names."""
        return {
            "account_id": self.account_id,
            "region": self.region,
            "has_stages": not self.is_empty,
            "outcome": self.outcome,
            "units": {"found": self._units_found} | {outcome.value: self.outcomes[outcome] for outcome in Outcome},
            "sessions": {
                "found": self.sessions_found,
                "sealed": self.sessions_sealed,
                "active": self.sessions_active,
                "vanished": self.sessions_vanished,
            },
            "events": {"fetched": self.events_fetched, "written": self.events_written},
            "rows": dict(self._rows),
            "files": self._files,
            "bytes": self._size_bytes,
            "calls": dict(self.calls),
            "throttled": self.throttled,
            "retries": self.retries,
            "unknown_fields": dict(self.unknown_fields),
            "failures": [failure.summary() for failure in self.failures],
            "seconds": round(self.seconds, 3),
            "complete_until": None if self.complete_until_us is None else text_of(self.complete_until_us),
            "more_to_do": self.more_to_do,
        }
