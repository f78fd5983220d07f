"""Whether all that is configured is complete until some moment, as the lake's logs say. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.commit_log.empty_listings import RegionOfAccount
    from exporter.health.status import ScopeStatus

_NEVER = "no run has exported all of it"
_NEVER_LISTED = "no run has listed it"


@dataclass(frozen=True, slots=True)
class ScopeCoverage:
    """How far a configured scope is complete, in microseconds since the epoch; None where that is not known.

    Without an ``account_id`` it is a region of the run's own credentials, of which the lake has no scope. ``fault`` is
    what is wrong with it, None where it is complete as far as was asked.
    """

    account_id: str | None
    region: str
    complete_until_us: int | None
    fault: str | None

    @property
    def name(self) -> str:
        """The account, where it is known, and the region."""
        return self.region if self.account_id is None else f"{self.account_id} in {self.region}"

    def summary(self) -> dict[str, Any]:
        """The coverage as `status --json` prints it."""
        until_us = self.complete_until_us
        return {
            "account_id": self.account_id,
            "region": self.region,
            "complete_until": None if until_us is None else text_of(until_us),
            "fault": self.fault,
        }


def coverage_of(
    configured: Iterable[RegionOfAccount],
    statuses: Sequence[ScopeStatus],
    listed_empty: Mapping[RegionOfAccount, int],
    since_us: int,
) -> list[ScopeCoverage]:
    """How far each configured scope is complete, and what is wrong with those that are not until ``since_us``.

    A region without an account stands for all scopes that the lake has there. One of which it has none is complete
    until it was last ``listed_empty``.
    """
    found: dict[tuple[str | None, str], ScopeCoverage] = {}
    for account_id, region in configured:
        known = [
            status
            for status in statuses
            if status.scope.region == region and account_id in {None, status.scope.account_id}
        ]
        for status in known:
            found[status.scope.account_id, region] = _of_scope(status, since_us)
        if not known:
            listed_us = listed_empty.get((account_id, region))
            fault = _fault(listed_us, since_us, _NEVER_LISTED)
            found[account_id, region] = ScopeCoverage(account_id, region, listed_us, fault)
    return list(found.values())


def _of_scope(status: ScopeStatus, since_us: int) -> ScopeCoverage:
    scope, until_us = status.scope, status.sessions.complete_until_us
    fault = _fault(until_us, since_us, _NEVER) if status.error is None else f"its log can't be read: {status.error}"
    return ScopeCoverage(scope.account_id, scope.region, until_us, fault)


def _fault(until_us: int | None, since_us: int, never: str) -> str | None:
    if until_us is None:
        return never
    return None if until_us >= since_us else f"complete only until {text_of(until_us)}"
