"""What one run is asked to do, beyond its settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from exporter.discovery.target_list import Targets
from exporter.errors import UsageError
from exporter.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.discovery.shards import ShardedScopes
    from exporter.lake.identity import Maker

#: A tag stands in records and logs, so it is one short line.
TAG_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Period:
    """The time ``[since_us, until_us)``, in microseconds since the epoch, UTC; None leaves that side open."""

    since_us: int | None = None
    until_us: int | None = None

    @classmethod
    def of(cls, since: datetime | None = None, until: datetime | None = None) -> Self:
        """The time between two moments that name their zone.

        Raises :class:`UsageError` where one does not, and where the end is not after the beginning.
        """
        since_us, until_us = (None if moment is None else _micros(moment) for moment in (since, until))
        if since_us is not None and until_us is not None and until_us <= since_us:
            raise UsageError("the period's end is not after its beginning")
        return cls(since_us, until_us)

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
    many runs share, those of one night, say. Raises :class:`UsageError` where that is no short line, and for any value
    of another kind.
    """

    targets: Targets | None = None
    period: Period = Period()
    refetch: bool = False
    backfill_tables: bool = False
    scopes: ScopeChoice = ScopeChoice()
    made_by: Maker = "run"
    tag: str | None = None

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            if value is not None or name not in _OPTIONAL:
                _check_kind(name, value, kind)
        if self.tag is not None and not (0 < len(self.tag) <= TAG_LENGTH_MAX and self.tag.isprintable()):
            raise UsageError(
                f"the tag {shown(self.tag)} is refused: a tag has 1 to {TAG_LENGTH_MAX} characters, all printable"
            )

    @property
    def is_whole(self) -> bool:
        """Whether the run takes in all sessions of its stages."""
        return self.targets is None and self.period.is_unbounded


#: Python calls `exporter.Request` with anything.
_KINDS: Mapping[str, type] = {
    "targets": Targets,
    "period": Period,
    "refetch": bool,
    "backfill_tables": bool,
    "scopes": ScopeChoice,
    "tag": str,
}
_OPTIONAL = frozenset({"targets", "tag"})


def _check_kind(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise UsageError(f"{name}: {shown(value)} is refused: should be of the kind {kind.__name__}")


def _micros(moment: datetime) -> int:
    _check_kind("a period's moment", moment, datetime)
    if moment.utcoffset() is None:
        raise UsageError(f"the time {moment.isoformat()} names no zone")
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)
