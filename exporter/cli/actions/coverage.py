"""What ``status --max-age-h`` finds: whether all that is configured is complete until then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.commit_log.empty_listings import empty_listings
from exporter.discovery.request import Request
from exporter.health.coverage import coverage_of
from exporter.machine.clock import wall_us
from exporter.pipeline.regions import profile_region, with_regions
from exporter.pipeline.scope_plan import plan_scopes
from exporter.text import counted, plain
from exporter.timestamps import MINUTE_US, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.health.coverage import ScopeCoverage
    from exporter.health.status import ScopeStatus
    from exporter.lake.store import Records
    from exporter.settings import Settings

_HOUR_US = 60 * MINUTE_US


@dataclass(frozen=True, slots=True)
class Coverage:
    """Each configured scope, and the moment until which it is to be complete: ``max_age_h`` hours ago."""

    max_age_h: float
    since_us: int
    scopes: Sequence[ScopeCoverage]

    @property
    def is_current(self) -> bool:
        """Whether all of them are complete until then."""
        return all(scope.fault is None for scope in self.scopes)

    def summary(self) -> dict[str, Any]:
        """The coverage as `status --json` prints it."""
        return {
            "max_age_h": self.max_age_h,
            "since": text_of(self.since_us),
            "is_current": self.is_current,
            "scopes": [scope.summary() for scope in self.scopes],
        }

    def text(self) -> str:
        """The same for people: one line where all is well, else one for each scope that is not."""
        since = text_of(self.since_us)
        late = [scope for scope in self.scopes if scope.fault is not None]
        if not late:
            return f"complete until {since}: {counted(len(self.scopes), 'configured scope')}"
        lines = [f"not complete until {since}: {len(late):,} of {counted(len(self.scopes), 'configured scope')}"]
        return "\n".join(map(plain, [*lines, *(f"  {scope.name}: {scope.fault}" for scope in late)]))


def with_all_regions(settings: Settings) -> Settings:
    """The settings with the regions that are meant. Raises :class:`UsageError` where none is configured."""
    return with_regions(settings, None, profile_region)


async def find_coverage(
    records: Records, settings: Settings, statuses: Sequence[ScopeStatus], max_age_h: float
) -> Coverage:
    """Find how far the scopes are complete that ``settings`` name. Raises :class:`LakeError`."""
    configured = [(plan.account_id, plan.region) for plan in plan_scopes(settings, Request())]
    since_us = wall_us() - int(min(max_age_h * _HOUR_US, wall_us()))
    return Coverage(max_age_h, since_us, coverage_of(configured, statuses, await empty_listings(records), since_us))
