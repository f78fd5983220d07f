"""The object that ``--json`` prints and `exporter.export` returns, as types. docs/running.md says what each means."""

from __future__ import annotations

from typing import Literal, TypedDict

#: How a run or a scope ended as a whole; ``nothing``: no row was written, and nothing failed.
RunOutcome = Literal["complete", "partial", "nothing", "failed"]


class UnitCounts(TypedDict):
    """Units that were found, and their outcomes, which add up to that."""

    found: int
    exported: int
    empty: int
    unchanged: int
    failed: int
    deferred: int
    abandoned: int


class SessionOutcomes(TypedDict):
    """Sessions that were found; ``sealed`` are those that are so now, whichever run did it."""

    found: int
    sealed: int
    active: int
    vanished: int


class EventCounts(TypedDict):
    """Events that were read, and those of them that the lake lacked."""

    fetched: int
    written: int


class FailureSummary(TypedDict):
    """One cause: how many units, lists or scopes it met, the first ten of them by name, and the first."""

    error: str
    message: str
    count: int
    units: list[str]
    unit: str | None


class ScopeSummary(TypedDict):
    """What became of one scope. ``complete_until`` is None where nothing is known to be complete."""

    run_id: str
    account_id: str | None
    region: str
    has_stages: bool
    outcome: RunOutcome
    units: UnitCounts
    sessions: SessionOutcomes
    events: EventCounts
    rows: dict[str, int]
    files: int
    bytes: int
    calls: dict[str, int]
    throttled: int
    retries: int
    unknown_fields: dict[str, int]
    failures: list[FailureSummary]
    seconds: float
    complete_until: str | None
    more_to_do: bool


class CatalogSummary(TypedDict):
    """What became of the catalog. ``behind`` counts files that it lacks or has too many; None where nobody knows."""

    outcome: Literal["complete", "partial", "failed", "deferred"]
    behind: int | None


class EmptyRegion(TypedDict):
    """A region that was asked and has no stage, with the account, where it is known."""

    region: str
    account_id: str | None


class RunSummary(TypedDict):
    """What became of a whole run."""

    run_id: str
    outcome: RunOutcome
    units: UnitCounts
    sessions: SessionOutcomes
    events: EventCounts
    rows: dict[str, int]
    files: int
    bytes: int
    calls: dict[str, int]
    throttled: int
    retries: int
    unknown_fields: dict[str, int]
    failures: list[FailureSummary]
    seconds: float
    scopes: list[ScopeSummary]
    empty_regions: list[EmptyRegion]
    regions_with_stages: list[str]
    version: str
    lake: str | None
    tag: str | None
    began_at: str
    ended_at: str
    stopped_by: str | None
    more_to_do: bool
    catalog: CatalogSummary | None
    exit_code: int
