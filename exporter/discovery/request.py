"""What one run is asked to do, beyond its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.discovery.shards import ShardedScopes
    from exporter.discovery.target_list import Targets
    from exporter.lake.identity import Maker


@dataclass(frozen=True, slots=True)
class Period:
    """The time ``[since_us, until_us)``, in microseconds since the epoch, UTC; None leaves that side open."""

    since_us: int | None = None
    until_us: int | None = None

    @property
    def is_unbounded(self) -> bool:
        """Whether it takes in all times."""
        return self.since_us is None and self.until_us is None


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """Which of the scopes that settings and targets name a run takes: those of an account, and those of a shard.

    ``wait`` waits for one that another run holds.
    """

    account_id: str | None = None
    sharded: ShardedScopes | None = None
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What one run exports, beside its settings.

    Only sessions that overlap ``period`` are exported. ``targets`` limits the run to a list of units, ``refetch`` asks
    again for what is sealed, ``backfill_tables`` makes the rows of the other tables for sessions that were sealed
    without them. ``made_by`` is who fills the lake: real exports, or a demo with made-up data. ``tag`` is a name that
    many runs share, those of one night, say.
    """

    targets: Targets | None = None
    period: Period = Period()
    refetch: bool = False
    backfill_tables: bool = False
    scopes: ScopeChoice = ScopeChoice()
    made_by: Maker = "run"
    tag: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the run takes in all sessions of its stages."""
        return self.targets is None and self.period.is_unbounded
