"""Samples of runs, as the live display gets them."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from exporter.cli.run_sample import Cause, RunSample, ScopePhase, ScopeSample, Tally, UnitTally
from exporter.model import REGIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN_ID = "20261127T020953Z-82b7f1c7"
#: A run of one scope, nearly half of which is committed.
FETCHING = ScopeSample(
    "111122223333-eu-west-1",
    ScopePhase.FETCHING,
    UnitTally(found=2_400, done=1_104, uncommitted=123),
    Tally(lists_needed=44, lists_read=44, sessions_found=41, sessions_sealed=18, events_written=45_000, throttled=3),
    percent=46,
    calls_s=5.0,
    left_s=200.0,
)


def sample_of(*scopes: ScopeSample, causes: Sequence[Cause] = (), stopped_by: str | None = None) -> RunSample:
    """These scopes, two minutes and ten seconds after the run's begin."""
    units, counts = (
        reduce(add, (scope.units for scope in scopes), UnitTally()),
        reduce(add, (scope.counts for scope in scopes), Tally()),
    )
    is_known = all(scope.phase.is_total_known for scope in scopes)
    total = ScopeSample(
        f"all {len(scopes)} scopes",
        ScopePhase.FETCHING if is_known else ScopePhase.FINDING,
        units,
        counts,
        percent=units.percent if is_known else (units.percent or 0) * counts.lists_read // (counts.lists_needed or 1),
        calls_s=sum(scope.calls_s for scope in scopes),
        left_s=max((scope.left_s or 0.0 for scope in scopes), default=0.0) if is_known else None,
    )
    paces = (("events", total.calls_s), ("participants", 0.0), ("sessions", 0.0), ("stages", 0.0))
    return RunSample(RUN_ID, 130.0, total, tuple(scopes), tuple(causes), paces, stopped_by)


def scope_at(index: int) -> ScopeSample:
    """One of many scopes: being found, being fetched, or done; some with failures, and one failed as a whole."""
    account, region = f"{index // len(REGIONS) + 1:012d}", REGIONS[index % len(REGIONS)]
    name, found = f"{account}-{region}", 40 + 97 * index % 900
    if index == _LOST:
        return ScopeSample(name, ScopePhase.LOST, counts=Tally(failed=1))
    if index % 10 == 1:
        return ScopeSample(name, ScopePhase.DONE, UnitTally(found, found, 0), _counts(index), percent=100)
    if index % 10 == 2:
        return ScopeSample(name, ScopePhase.FINDING, UnitTally(found, 0, 9), _counts(index), 0, calls_s=11.4)
    done = found * (13 * index % 80) // 100
    units = UnitTally(found, done, found // 9)
    return ScopeSample(name, ScopePhase.FETCHING, units, _counts(index), units.percent, 5.0, (found - done) / 5)


_LOST = 133


def _counts(index: int) -> Tally:
    failed = 12 if index % 50 == 44 else 0
    return Tally(9, 4 if index % 10 == 2 else 9, 6, index % 6, 1_000 * index, index % 3, failed)


def many_scopes(count: int = 203) -> RunSample:
    """A run of many scopes, with what made some of them fail."""
    causes = (
        Cause(1, "credentials: arn:aws:iam::000000000020:role/ivs-export can't be assumed: AccessDenied"),
        Cause(48, "gave_up: gave up after 8 tries: ListParticipantEvents: status 500"),
    )
    return sample_of(*map(scope_at, range(count)), causes=causes)
