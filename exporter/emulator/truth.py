"""The truth: every stage, session, participant and event that the API would show at a moment, straight from the worlds.

Items are shown as the API shows them, faults of the data included. The ids beside them are always the right ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from exporter.emulator.protocol.requests import CallRequest, RequestedIds
from exporter.emulator.protocol.service import ids_of
from exporter.model import Scope, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.emulator.protocol.service import Service
    from exporter.emulator.world.world import Listing, ListItem

_ITEMS_AT_ONCE = 1_000


class TrueStage(NamedTuple):
    """A stage, and its item of ListStages."""

    stage_arn: str
    stage: Any


class TrueSession(NamedTuple):
    """A session, its item of ListStageSessions, and how many participants and events it has at the moment."""

    stage_arn: str
    session_id: str
    session: Any
    participants: int
    events: int


class TrueParticipant(NamedTuple):
    """A unit, its item of ListParticipants, what GetParticipant shows of it, and the count of its events."""

    stage_arn: str
    session_id: str
    participant_id: str
    participant: Any
    details: Any
    events: int


class TrueEvent(NamedTuple):
    """An event of a unit."""

    stage_arn: str
    session_id: str
    participant_id: str
    event: Any


@dataclass(frozen=True, slots=True)
class Truth:
    """What a complete export of some scopes would hold at one simulated moment, in the order of the API's lists."""

    service: Service
    scopes: tuple[Scope, ...]
    now_us: int

    def units(self) -> Iterator[tuple[Unit, int]]:
        """Every unit with the count of its events."""
        for scope, ids, _ in self._participants():
            yield Unit(*ids), self._events_of(scope, ids)

    def stages(self) -> Iterator[TrueStage]:
        """Every stage."""
        for _, ids, item in self._stages():
            yield TrueStage(ids.stage_arn, self._shown("ListStages", ids, item))

    def sessions(self) -> Iterator[TrueSession]:
        """Every session that is listed."""
        for scope, ids, item in self._sessions():
            counts = [self._events_of(scope, unit) for unit, _ in self._listed(scope, "ListParticipants", ids)]
            shown = self._shown("ListStageSessions", ids, item)
            yield TrueSession(ids.stage_arn, ids.session_id, shown, len(counts), sum(counts))

    def participants(self) -> Iterator[TrueParticipant]:
        """Every participant that is listed."""
        for scope, ids, item in self._participants():
            details = self.service.thing(CallRequest(scope, "GetParticipant", ids), self.now_us)
            shown = self._shown("ListParticipants", ids, item)
            yield TrueParticipant(*ids, shown, _plain(details), self._events_of(scope, ids))

    def events(self) -> Iterator[TrueEvent]:
        """Every event.

        Raw JSON of a fixed world is decoded, or left as its bytes where it is no JSON.
        """
        for scope, ids, _ in self._participants():
            listing = self.service.listing(CallRequest(scope, "ListParticipantEvents", ids), self.now_us)
            for event in _items(listing):
                yield TrueEvent(*ids, _plain(event))

    def table(self, name: str) -> Iterator[TrueRow]:
        """The rows of "stages", "sessions", "participants" or "events". Raises ValueError for another name."""
        tables: dict[str, Callable[[], Iterator[TrueRow]]] = {
            "stages": self.stages,
            "sessions": self.sessions,
            "participants": self.participants,
            "events": self.events,
        }
        if name not in tables:
            raise ValueError(f"there is no table {name!r}, but {', '.join(tables)}")
        return tables[name]()

    def _stages(self) -> Iterator[_Listed]:
        for scope in self.scopes:
            for ids, item in self._listed(scope, "ListStages", RequestedIds()):
                yield scope, ids, item

    def _sessions(self) -> Iterator[_Listed]:
        for scope, stage, _ in self._stages():
            for ids, item in self._listed(scope, "ListStageSessions", stage):
                yield scope, ids, item

    def _participants(self) -> Iterator[_Listed]:
        for scope, session, _ in self._sessions():
            for ids, item in self._listed(scope, "ListParticipants", session):
                yield scope, ids, item

    def _listed(self, scope: Scope, operation: str, above: RequestedIds) -> Iterator[tuple[RequestedIds, ListItem]]:
        """The true items of a list, each with its own ids."""
        for item in _items(self.service.true_listing(CallRequest(scope, operation, above), self.now_us)):
            if isinstance(item, dict):
                yield ids_of(operation, above, item), item

    def _events_of(self, scope: Scope, ids: RequestedIds) -> int:
        return self.service.true_listing(CallRequest(scope, "ListParticipantEvents", ids), self.now_us).count

    def _shown(self, operation: str, ids: RequestedIds, item: ListItem) -> Any:  # noqa: ANN401 - whatever JSON holds
        return _plain(self.service.shown(operation, ids, item))


#: A row of one of the truth's tables.
TrueRow = TrueStage | TrueSession | TrueParticipant | TrueEvent
_Listed = tuple[Scope, RequestedIds, "ListItem"]


def _items(listing: Listing) -> Iterator[ListItem]:
    for first in range(0, listing.count, _ITEMS_AT_ONCE):
        yield from listing.items(first, min(first + _ITEMS_AT_ONCE, listing.count))


def _plain(item: ListItem) -> Any:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(item, bytes):
        return item
    try:
        return msgspec.json.decode(item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return item
