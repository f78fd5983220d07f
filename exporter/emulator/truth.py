"""The truth: every unit and event that the API would show now, straight from the worlds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.emulator.protocol.requests import CallRequest, RequestedIds
from exporter.model import Scope, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.emulator.protocol.service import Service
    from exporter.emulator.world.world import Listing, ListItem

_EVENTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Truth:
    """What a complete export of some scopes would hold at one simulated moment."""

    service: Service
    scopes: tuple[Scope, ...]
    now_us: int

    def units(self) -> Iterator[tuple[Unit, int]]:
        """Every unit with the count of its events."""
        for unit, listing in self._listings():
            yield unit, listing.count

    def events(self) -> Iterator[tuple[str, str, str, Any]]:
        """Every event as (stage ARN, session id, participant id, event), in the order of the API's lists.

        Raw JSON of a fixed world is decoded, or left as its bytes where it is no JSON.
        """
        for unit, listing in self._listings():
            for first in range(0, listing.count, _EVENTS_AT_ONCE):
                for event in listing.items(first, min(first + _EVENTS_AT_ONCE, listing.count)):
                    yield unit.stage_arn, unit.session_id, unit.participant_id, _plain(event)

    def _listings(self) -> Iterator[tuple[Unit, Listing]]:
        for scope in self.scopes:
            for stage in self._items(scope, "ListStages"):
                for session in self._items(scope, "ListStageSessions", stage["arn"]):
                    for participant in self._items(scope, "ListParticipants", stage["arn"], session["sessionId"]):
                        unit = Unit(stage["arn"], session["sessionId"], participant["participantId"])
                        ids = (unit.stage_arn, unit.session_id, unit.participant_id)
                        yield unit, self._listing(scope, "ListParticipantEvents", *ids)

    def _items(self, scope: Scope, operation: str, *ids: str) -> Iterator[dict[str, Any]]:
        listing = self._listing(scope, operation, *ids)
        for first in range(0, listing.count, _EVENTS_AT_ONCE):
            for item in listing.items(first, min(first + _EVENTS_AT_ONCE, listing.count)):
                if isinstance(item, dict):
                    yield item

    def _listing(self, scope: Scope, operation: str, *ids: str) -> Listing:
        return self.service.listing(CallRequest(scope, operation, RequestedIds(*ids)), self.now_us)


def _plain(event: ListItem) -> Any:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(event, bytes):
        return event
    try:
        return msgspec.json.decode(event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return event
