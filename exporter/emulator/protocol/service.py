"""The calls: from what is asked to the body of the answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.emulator.cache import BoundedCache
from exporter.emulator.clock import DAY_US, HOUR_US
from exporter.emulator.faults.data import altered
from exporter.emulator.protocol.errors import Refusal, denied, not_found
from exporter.emulator.protocol.page_tokens import PageStart, PageTokens
from exporter.emulator.protocol.request_rules import LISTS, OF_NOTHING
from exporter.emulator.protocol.requests import CallRequest, RequestedIds, read_call
from exporter.emulator.world.fixed_world import FixedWorld
from exporter.emulator.world.seeded_world import SeededWorld
from exporter.emulator.world.world import FOR_EVER_US, Listing, ListItem, UnknownError, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.emulator.faults.plan import FaultPlan
    from exporter.emulator.options import EmulatorOptions
    from exporter.model import Scope

# The member of a list's item that completes its ids.
_OWN_IDS = {
    "ListStages": ("arn", "stage_arn"),
    "ListStageSessions": ("sessionId", "session_id"),
    "ListParticipants": ("participantId", "participant_id"),
}
# What is kept of a call beside its page, in bytes, roughly.
_REQUEST_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class CachedPage:
    """A page that is the right answer from one simulated moment to before another."""

    body: bytes
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A call that was made before, with its page where that may be sent again."""

    request: CallRequest
    cached: CachedPage | None = None


class Service:
    """Answers checked calls from the worlds. ``start_us`` is the simulated moment of the start.

    ``worlds`` are the fixed ones; every other scope of the options' accounts and regions gets a seeded one.
    """

    def __init__(
        self, options: EmulatorOptions, worlds: Mapping[Scope, World], start_us: int, faults: FaultPlan
    ) -> None:
        self._options = options
        self._fixed = worlds
        self._seeded: dict[Scope, World] = {}
        self._faults = faults
        self._changes = faults.changes
        paging, times = options.service.paging, options.world.times
        self._tokens = PageTokens(options.world.seed.to_bytes(8, "little"), paging.token_life_s)
        self._known: BoundedCache[KnownRequest] = BoundedCache(paging.cache_bytes)
        hour_us = start_us // HOUR_US * HOUR_US
        self._world_start_us = hour_us - int(times.days * DAY_US) if times.start_us is None else times.start_us

    def world(self, scope: Scope) -> World:
        """What this account has in this region."""
        if scope in self._fixed:
            return self._fixed[scope]
        if scope not in self._seeded:
            is_empty = scope.region not in self._options.regions
            self._seeded[scope] = (
                FixedWorld() if is_empty else SeededWorld(self._options.world, scope, self._world_start_us)
            )
        return self._seeded[scope]

    def known(self, scope: Scope, operation: str, body: bytes) -> KnownRequest:
        """What a call asks for. Raises :class:`Refusal` where the request is not allowed."""
        key = (scope, operation, body)
        known = self._known.get(key)
        if known is None:
            known = KnownRequest(read_call(scope, operation, body, self._tokens))
            self._known.put(key, known, _REQUEST_BYTES + len(body))
        return known

    def page(self, known: KnownRequest, body: bytes, now_us: int) -> bytes:
        """The right answer to a call. Raises :class:`Refusal` for an unknown or expired one."""
        if self._faults.changes != self._changes:  # a fault of the data changes what is kept
            self._known.clear()
            self._changes = self._faults.changes
            known = KnownRequest(known.request)
        cached = known.cached
        if cached is not None and cached.from_us <= now_us < cached.until_us:
            return cached.body
        request = known.request
        page, same_until_us = self.page_with(request, now_us, frozenset())
        if self._tokens.is_lasting and same_until_us is not None and now_us < same_until_us:
            known = KnownRequest(request, CachedPage(page, now_us, same_until_us))
            self._known.put((request.scope, request.operation, body), known, _REQUEST_BYTES + len(body) + len(page))
        return page

    def page_with(self, request: CallRequest, now_us: int, paging: frozenset[str]) -> tuple[bytes, int | None]:
        """The answer with these faults of paging, and until when it stays the same."""
        self._tokens.check_life(request.start, now_us)
        try:
            if request.operation in LISTS:
                return self._list_page(request, now_us, paging)
            shown = self.thing(request, now_us)
            return msgspec.json.encode({request.answer_member: _raw(shown)}), None
        except UnknownError:
            return self._unknown(request), None

    def listing(self, request: CallRequest, now_us: int) -> Listing:
        """The whole list of which a page is asked, as it is shown. Raises :class:`UnknownError`."""
        listing, operation = self.true_listing(request, now_us), request.operation

        def shown(first: int, last: int) -> list[ListItem]:
            return [self.shown(operation, request.ids, item) for item in listing.items(first, last)]

        return replace(listing, items=shown) if self._faults.changes_data else listing

    def true_listing(self, request: CallRequest, now_us: int) -> Listing:
        """The same list without any fault of the data. Raises :class:`UnknownError`."""
        world, ids = self.world(request.scope), request.ids
        if request.operation in OF_NOTHING:
            return Listing(0, lambda _first, _last: [], FOR_EVER_US)
        if request.operation == "ListStages":
            return world.stages(now_us)
        if request.operation == "ListStageSessions":
            return world.sessions(ids.stage_arn, now_us)
        if request.operation == "ListParticipants":
            return _filtered(world.participants(ids.stage_arn, ids.session_id, now_us), request.filter)
        if request.operation == "ListParticipantReplicas":
            return world.replicas(ids.stage_arn, ids.participant_id, now_us)
        return world.events(*ids, now_us)

    def thing(self, request: CallRequest, now_us: int) -> ListItem:
        """What a call asks for that is no list. Raises :class:`UnknownError`."""
        world, ids = self.world(request.scope), request.ids
        if request.operation in OF_NOTHING:
            raise UnknownError(request.operation)
        if request.operation == "GetParticipant":
            return self.shown("GetParticipant", ids, world.participant(*ids, now_us))
        if request.operation == "GetStageSession":
            return world.session(ids.stage_arn, ids.session_id, now_us)
        stage = world.stage(ids.stage_arn, now_us)
        return stage if request.operation == "GetStage" else _tags(stage)

    def shown(self, operation: str, asked: RequestedIds, item: ListItem) -> ListItem:
        """An item that an operation shows to a call for these ids, with the faults of the data."""
        ids = asked if isinstance(item, bytes) else ids_of(operation, asked, item)
        faults = self._faults.on_data_of(operation, ids)
        return altered(item, faults, "/".join(ids)) if faults else item

    def _list_page(self, request: CallRequest, now_us: int, paging: frozenset[str]) -> tuple[bytes, int | None]:
        start = request.start
        listing = self.listing(request, now_us if start.as_of_us is None else start.as_of_us)
        same_until_us = listing.same_until_us
        as_of_us = start.as_of_us
        may_change = same_until_us is None or now_us >= same_until_us
        if self._options.service.paging.mode == "snapshot" and as_of_us is None and may_change:
            as_of_us = now_us
        size = 0 if "empty_pages" in paging and start.turn % 2 == 0 else request.page_size
        offset = start.offset % listing.count if "endless" in paging and listing.count else start.offset
        items = listing.items(offset, min(offset + size, listing.count))
        following = PageStart(start.offset + len(items), start.turn + 1, as_of_us)
        if "token_repeats" in paging and start.turn:
            following = replace(start, issued_us=None)
        is_more = following.offset < listing.count or "endless" in paging or "token_repeats" in paging
        shown = [msgspec.Raw(item) if isinstance(item, bytes) else item for item in items]
        body: dict[str, Any] = {request.answer_member: shown}
        if is_more:
            body["nextToken"] = self._tokens.write(following, request.list_name, now_us)
        return msgspec.json.encode(body), same_until_us

    def _unknown(self, request: CallRequest) -> bytes:
        if self._options.service.unknown == "empty" and request.operation in LISTS:
            return msgspec.json.encode({request.answer_member: []})
        if self._options.service.unknown == "denied":
            what = f"ivs:{request.operation} on resource: {request.ids.stage_arn}"
            raise denied(f"User is not authorized to perform: {what}")
        raise _no_such(request)


def ids_of(operation: str, asked: RequestedIds, item: dict[str, Any]) -> RequestedIds:
    """The ids of an item itself; of an event those of its unit."""
    member, field = _OWN_IDS.get(operation, ("", ""))
    return asked._replace(**{field: str(item.get(member, ""))}) if member else asked


def _no_such(request: CallRequest) -> Refusal:
    what = "Participant" if request.ids.participant_id else "Session" if request.ids.session_id else "Stage"
    if request.operation in OF_NOTHING:
        what = request.operation.removeprefix("Get")
    return not_found(f"{what} not found")


def _filtered(listing: Listing, wanted: tuple[str, object] | None) -> Listing:
    if wanted is None:
        return listing
    member, value = wanted
    kept: list[ListItem] = [
        item for item in listing.items(0, listing.count) if not isinstance(item, bytes) and item.get(member) == value
    ]
    return Listing(len(kept), lambda first, last: kept[first:last])


def _tags(stage: ListItem) -> ListItem:
    tags = stage.get("tags") if isinstance(stage, dict) else None
    return tags if isinstance(tags, dict) else {}


def _raw(item: ListItem) -> object:
    return msgspec.Raw(item) if isinstance(item, bytes) else item
