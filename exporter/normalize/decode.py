r"""The events of a page, decoded from the raw JSON with nothing dropped.

botocore's parser drops what its model lacks, and the model that aioboto3 15.5 pins lacks ``previousToken`` and
``newToken``, which IVS has sent since 2025-12-09. So pages are decoded here: at full speed where every member is known,
of its known type and written once, and member by member where one is not. What has no column is kept in a JSON text:

- an unknown member under its name, inside a token under ``newToken.name``;
- a known member of a wrong type, and a text that is not Unicode (a lone surrogate, bytes that are not UTF-8: byte 0xNN
  is written ``\udcNN``), a participantId that is not the unit's, and a token's expirationTime that can't be read;
- of a member that is written twice, all but the last, which stands, as with most JSON readers (RFC 8259, section 4).

Several values under one name become a list of them. Numbers keep their digits, and the members of objects are sorted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from exporter.json_errors import UNREADABLE
from exporter.normalize.event_model import Decoded, Event
from exporter.normalize.members import is_all_of, json_text, read_members
from exporter.normalize.odd_events import decode_odd
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import Unit


def decode(unit: Unit, pages: tuple[bytes, ...]) -> Decoded:
    """Decode pages of a unit's events, each the JSON text of an array.

    Raises :class:`EventUnreadable` where a page is no JSON array of objects.
    """
    decoded = Decoded()
    for page in pages:
        decode_page(unit, page, decoded)
    return decoded


def decode_page(unit: Unit, page: bytes, decoded: Decoded) -> None:
    """Add the events of one more page. Raises :class:`EventUnreadable` where it is no JSON array of objects."""
    events = _known_events(unit, page)
    if events is not None:
        decoded.events += events
        return
    # One odd event does not make the others of its page slow.
    for event in _split(page):
        if (known := _known_events(unit, event)) is not None:
            decoded.events += known
        else:
            decode_odd(unit, event, decoded)


def cut(page: bytes, size_bytes: int) -> Iterator[bytes]:
    """Cut a page into pages of about ``size_bytes``; one event may be larger, and what is no JSON array stays whole."""
    if len(page) <= size_bytes:
        yield page
        return
    try:
        events = _decode_raw(page)
    except UNREADABLE:
        yield page
        return
    piece: list[msgspec.Raw] = []
    room = size_bytes
    for event in events:
        piece.append(event)
        room -= len(memoryview(event))
        if room <= 0:
            yield _joined(piece)
            piece, room = [], size_bytes
    if piece or not events:
        yield _joined(piece)


def raw_events(page: bytes) -> list[bytes]:
    """The events of a page that `decode` takes, each the JSON text that came."""
    try:
        return [bytes(event) for event in _decode_raw(page)]
    except UNREADABLE:
        return [event.encode("utf-8", "surrogateescape") for event in _scanned(page.decode("utf-8", "surrogateescape"))]


def canonical(event: bytes) -> bytes:
    """An event's JSON text without what means nothing: spaces, the order of members, ways to write a letter."""
    return json_text(read_members(event.decode("utf-8", "surrogateescape"))).encode("utf-8", "surrogatepass")


def _scanned(text: str) -> Iterator[str]:
    """The elements of a JSON array, for pages that hold what the fast decoder refuses."""
    at = text.index("[") + 1
    while (start := _past_spaces(text, at)) < len(text) and text[start] != "]":
        end = _scan(text, start)[1]
        yield text[start:end]
        at = _past_spaces(text, end) + 1


def _past_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _joined(events: list[msgspec.Raw]) -> bytes:
    return b"[" + b",".join(events) + b"]"


_decode_known = msgspec.json.Decoder(list[Event]).decode
_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _known_events(unit: Unit, page: bytes) -> list[Event] | None:
    """The events of a page on which nothing is odd; None for any other page."""
    try:
        events = _decode_known(page)
    except UNREADABLE:
        return None
    is_plain = is_all_of(events, page) and _are_of(unit, events) and _have_readable_tokens(events)
    return events if is_plain else None


def _split(page: bytes) -> list[bytes]:
    """The page as pages of one event each, or as it is where it can't be split."""
    try:
        return [b"[%b]" % event for event in _decode_raw(page)]
    except UNREADABLE:
        return [page]


def _are_of(unit: Unit, events: list[Event]) -> bool:
    participant_ids = [event.participant_id for event in events]
    if participant_ids.count(unit.participant_id) == len(participant_ids):
        return True
    return all(not other or other == unit.participant_id for other in participant_ids)


def _have_readable_tokens(events: list[Event]) -> bool:
    return all(
        not token or not token.expiration_time or read_us(token.expiration_time) is not None
        for event in [event for event in events if event.previous_token or event.new_token]
        for token in (event.previous_token, event.new_token)
    )


_scan = json.JSONDecoder().raw_decode
