"""Units as a run fetches them, from a seeded world of the emulator's, without a network between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.emulator.options import Size, WorldOptions, WorldShape, WorldTimes
from exporter.emulator.world.seeded_world import SeededWorld
from exporter.model import FetchedUnit, Scope, Session, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCOPE = Scope("111122223333", "us-east-1")
_START = datetime(2026, 1, 12, tzinfo=UTC)
_DAYS = 7
#: A moment at which all of the world is over.
_LATER_US = int((_START + timedelta(days=_DAYS + 30)).timestamp()) * 1_000_000
_PAGE_EVENTS = 100


def week(stages: int) -> Iterator[FetchedUnit]:
    """Every unit of a week, session by session as they began.

    Sessions, participants and events have heavy tails: most sessions have dozens of
    participants and a few have thousands, most participants some dozen events and a few hundreds.
    """
    options = WorldOptions(
        shape=WorldShape(stages, Size(5, 20, 200), Size(2, 150, 5_000), events=Size(2, 30, 2_000)),
        times=WorldTimes(start_us=int(_START.timestamp()) * 1_000_000, days=float(_DAYS), zoneless=True),
    )
    world = SeededWorld(options, _SCOPE, int(_START.timestamp()) * 1_000_000)
    found = [
        (session["startTime"], stage["arn"], session["sessionId"])
        for stage in _all(world.stages(_LATER_US))
        for session in _all(world.sessions(stage["arn"], _LATER_US))
    ]
    for _, stage_arn, session_id in sorted(found):
        session = Session(stage_arn, session_id)
        for participant in _all(world.participants(stage_arn, session_id, _LATER_US)):
            unit = Unit(stage_arn, session_id, participant["participantId"])
            pages = tuple(_pages(_all(world.events(*_key(unit), _LATER_US))))
            yield FetchedUnit(unit, session, pages, _LATER_US, size_bytes=sum(map(len, pages)))


def _key(unit: Unit) -> tuple[str, str, str]:
    return unit.stage_arn, unit.session_id, unit.participant_id


def _all(listing: Any) -> list[Any]:  # noqa: ANN401 - items are whatever JSON can hold
    return list(listing.items(0, listing.count))


def _pages(events: list[Any]) -> Iterator[bytes]:
    rest = iter(events)
    while page := list(islice(rest, _PAGE_EVENTS)):
        yield msgspec.json.encode(page)
