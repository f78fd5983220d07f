"""A whole run's ledger: its scopes, what failed beside them, and the object that ``--json`` prints."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter import __version__
from exporter.errors import UsageError
from exporter.model import Outcome
from exporter.telemetry.failures import Failures
from exporter.telemetry.unknown_fields import add_names
from exporter.timestamps import SECOND_US, text_of

if TYPE_CHECKING:
    from exporter.catalog.outcome import Publication, Unpublished
    from exporter.errors import ExportError
    from exporter.ledger import ScopeLedger


def new_run_id() -> str:
    """A run's name: it sorts by time, is safe in a file's name, and no other run gets it."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


@dataclass(slots=True)
class RunLedger:
    """One run's scopes, and what failed beside them.

    ``error`` is what ended the run as a whole, if something did. ``began_us`` is the local time when it began, in
    microseconds since the epoch. ``stopped_by`` is the signal that stopped it, or ``deadline``. ``regions_with_stages``
    are those of which the run has seen that they have any. ``publication`` is what became of the catalog; None where
    there is none, and where the run did not come to it.
    """

    run_id: str
    scopes: list[ScopeLedger] = field(default_factory=list)
    error: ExportError | None = None
    lake: str | None = None
    tag: str | None = None
    began_us: int = 0
    stopped_by: str | None = None
    regions_with_stages: set[str] = field(default_factory=set, init=False)
    publication: Publication | None = field(default=None, init=False)

    @property
    def outcome(self) -> str:
        """``complete``, ``partial``, ``nothing`` (no row was written and nothing failed) or ``failed``."""
        is_damaged = any(scope.is_damaged for scope in self.scopes)
        if self.error is not None or is_damaged or (self._counted and all(scope.is_lost for scope in self._counted)):
            return "failed"
        if not all(scope.is_complete for scope in self.scopes) or self._unpublished:
            return "partial"
        return "complete" if any(scope.outcome == "complete" for scope in self.scopes) else "nothing"

    @property
    def is_held(self) -> bool:
        """Whether every scope is held by another run."""
        return bool(self._counted) and all(scope.is_held for scope in self._counted)

    @property
    def more_to_do(self) -> bool:
        """Whether another run would go on with something."""
        if self.error is not None:
            return not isinstance(self.error, UsageError)
        return any(scope.more_to_do for scope in self.scopes) or bool(self._unpublished)

    @property
    def failures(self) -> list[dict[str, Any]]:
        """The failures by cause, as ``--json`` prints them: that of the whole run first, what was deferred last."""
        failures = Failures()
        for scope in self.scopes:
            scope.add_failures_to(failures)
        for unpublished in self._unpublished:
            failures.add(unpublished.name, unpublished.error)
        causes = [failure.summary() for failure in failures.causes()]
        if self.error is None:
            return causes
        of_run = _of_run(self.error.kind, str(self.error))
        return [of_run, *(cause for cause in causes if _cause_of(cause) != _cause_of(of_run))]

    @property
    def cause(self) -> tuple[str, str] | None:
        """The kind and the text of what failed the run as a whole; None where it did not fail as a whole."""
        if self.error is not None:
            return self.error.kind, str(self.error)
        if self.outcome != "failed":
            return None
        first = self.failures[0]
        what = "every scope failed" if all(scope.is_lost for scope in self.scopes) else "a scope stopped"
        return first["error"], f"{what}; {first['unit']}: {first['message']}"

    @property
    def empty_regions(self) -> list[dict[str, str | None]]:
        """The regions that were asked and have no stage, with the account, where it is known."""
        return [{"region": scope.region, "account_id": scope.account_id} for scope in self.scopes if scope.is_empty]

    @property
    def _unpublished(self) -> list[Unpublished]:
        """What of the lake could not be published."""
        return [] if self.publication is None else self.publication.failures

    @property
    def _counted(self) -> list[ScopeLedger]:
        """The scopes, without regions that have no stages and so are none."""
        return [scope for scope in self.scopes if not (scope.is_empty and scope.is_complete)]

    def summary(self, seconds: float) -> dict[str, Any]:
        """The whole run, in the contract's names: the object that ``--json`` prints, but for its exit code."""
        scopes = [{"run_id": self.run_id, **scope.summary()} for scope in self.scopes]
        return {
            "run_id": self.run_id,
            "outcome": self.outcome,
            "units": _added(scopes, "units", ("found", *(outcome.value for outcome in Outcome))),
            "sessions": _added(scopes, "sessions", ("found", "sealed", "active", "vanished")),
            "events": _added(scopes, "events", ("fetched", "written")),
            "rows": _added(scopes, "rows", ("events",)),
            "files": sum(scope["files"] for scope in scopes),
            "bytes": sum(scope["bytes"] for scope in scopes),
            "calls": _added(scopes, "calls"),
            "throttled": sum(scope["throttled"] for scope in scopes),
            "retries": sum(scope["retries"] for scope in scopes),
            "unknown_fields": _added(scopes, "unknown_fields"),
            "failures": self.failures,
            "seconds": round(seconds, 3),
            "scopes": scopes,
            "empty_regions": self.empty_regions,
            "regions_with_stages": sorted(self.regions_with_stages),
            "version": __version__,
            "lake": self.lake,
            "tag": self.tag,
            "began_at": text_of(self.began_us),
            "ended_at": text_of(self.began_us + int(seconds * SECOND_US)),
            "stopped_by": self.stopped_by,
            "more_to_do": self.more_to_do,
            "catalog": None if self.publication is None else self.publication.summary(),
        }


def _of_run(error: str, message: str) -> dict[str, Any]:
    """The failure of a whole run: no unit has it."""
    return {"error": error, "message": message, "count": 1, "units": [], "unit": None}


def _cause_of(failure: dict[str, Any]) -> tuple[str, str]:
    return failure["error"], failure["message"]


def _added(scopes: list[dict[str, Any]], key: str, names: tuple[str, ...] = ()) -> dict[str, int]:
    total: Counter[str] = Counter(dict.fromkeys(names, 0))
    for scope in scopes:
        add_names(total, scope[key])
    return dict(total)
