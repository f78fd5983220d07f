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
import re
from collections import defaultdict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from msgspec import UNSET, UnsetType

from exporter.errors import EventUnreadable
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from exporter.model import Unit

# Both structs hold only what JSON gave, which has no cycles: the garbage collector need not look at them.


class Token(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A participant token, before or after an exchange. Source: Amazon IVS Real-Time API Reference, Event."""

    capabilities: list[str] | UnsetType | None = UNSET
    attributes: dict[str, str] | UnsetType | None = UNSET
    user_id: str | UnsetType | None = UNSET
    expiration_time: str | UnsetType | None = UNSET


class Event(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """One event under the names that IVS gives; a member that is absent is UNSET, and is as good as null or ``""``."""

    name: str | UnsetType | None = UNSET
    participant_id: str | UnsetType | None = UNSET
    event_time: str | UnsetType | None = UNSET
    remote_participant_id: str | UnsetType | None = UNSET
    error_code: str | UnsetType | None = UNSET
    destination_stage_arn: str | UnsetType | None = UNSET
    destination_session_id: str | UnsetType | None = UNSET
    replica: bool | UnsetType | None = UNSET
    previous_token: Token | UnsetType | None = UNSET
    new_token: Token | UnsetType | None = UNSET


@dataclass(slots=True)
class Decoded:
    """The events of some pages of one unit, in order.

    ``extras`` holds, by an event's place among ``events``, the JSON text of what has no column. ``unknown_fields`` are
    the names in it that this program does not know, each as often as it came.
    """

    events: list[Event] = field(default_factory=list)
    extras: dict[int, str] = field(default_factory=dict)
    unknown_fields: list[str] = field(default_factory=list)


def decode(unit: Unit, pages: tuple[bytes, ...]) -> Decoded:
    """Decode pages of a unit's events, each the JSON text of an array.

    Raises :class:`EventUnreadable` where a page is no JSON array of objects.
    """
    decoded = Decoded()
    for page in pages:
        events = _known_events(unit, page)
        if events is not None:
            decoded.events += events
        else:
            # One odd event does not make the others of its page slow.
            for event in _split(page):
                _decode_odd(unit, event, decoded)
    return decoded


def slices(page: bytes, size_bytes: int) -> Iterator[bytes]:
    """A page as smaller ones of about ``size_bytes``, or of one event that is larger; whole where it can't be cut."""
    if len(page) <= size_bytes:
        yield page
        return
    try:
        events = _decode_raw(page)
    except _UNREADABLE:
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
    except _UNREADABLE:
        return [event.encode("utf-8", "surrogateescape") for event in _scanned(page.decode("utf-8", "surrogateescape"))]


def canonical(event: bytes) -> bytes:
    """An event's JSON text without what means nothing: spaces, the order of members, ways to write a letter."""
    return _json(_read_json(event.decode("utf-8", "surrogateescape"))).encode("utf-8", "surrogatepass")


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


_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_decode_known = msgspec.json.Decoder(list[Event]).decode
_decode_raw = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def _known_events(unit: Unit, page: bytes) -> list[Event] | None:
    """The events of a page on which nothing is odd; None for any other page."""
    try:
        events = _decode_known(page)
    except _UNREADABLE:
        return None
    is_plain = _is_all_of(events, page) and _are_of(unit, events) and _have_readable_tokens(events)
    return events if is_plain else None


def _split(page: bytes) -> list[bytes]:
    """The page as pages of one event each, or as it is where it can't be split."""
    try:
        return [b"[%b]" % event for event in _decode_raw(page)]
    except _UNREADABLE:
        return [page]


def _is_all_of(events: list[Event], page: bytes) -> bool:
    """Whether the events are the whole page, none of its members having been written twice."""
    written = _encode(events)
    if len(written) == len(page) and b"\\" not in page:
        return True
    # There are spaces or escapes, or another way to write them. Each member and each text has its own two quotation
    # marks, however it is written.
    return _quotation_marks(written) == _quotation_marks(page)


def _quotation_marks(text: bytes) -> int:
    """How many quotation marks of a JSON text begin or end a string."""
    if b"\\" not in text:
        return text.count(b'"')
    return text.count(b'"') - text.replace(rb"\\", b"").count(rb"\"")


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


# From here on: pages with something odd, member by member.


class _Number(str):
    """A number as its digits were written."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """An object's members as they were written, doubles included."""

    __slots__ = ()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


# Python's objects take some hundred bytes for each value, however short it is written.
_VALUES_MAX = 1_000_000
_MARKS = (b",", b"[", b"{")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)

_scan = json.JSONDecoder().raw_decode
_read_json = json.JSONDecoder(
    object_pairs_hook=_Members, parse_float=_Number, parse_int=_Number, parse_constant=_refuse
).decode


def _decode_odd(unit: Unit, page: bytes, decoded: Decoded) -> None:
    if (events := _known_events(unit, page)) is not None:
        decoded.events += events
        return
    if _values_in(page) > _VALUES_MAX:
        raise EventUnreadable(f"an event holds more than {_VALUES_MAX:,} values")
    try:
        objects = _read_json(page.decode("utf-8", "surrogateescape"))
        if type(objects) is not list or not all(type(each) is _Members for each in objects):
            raise EventUnreadable("a page of events is not a JSON array of objects")
        for members in objects:
            reading = _Reading()
            event = _read_event(unit, members, reading)
            if extra := reading.text():
                decoded.extras[len(decoded.events)] = extra
            decoded.unknown_fields += reading.unknown
            decoded.events.append(event)
    except ValueError as error:
        raise EventUnreadable("a page of events is not JSON") from error
    except RecursionError as error:
        raise EventUnreadable("a page of events is nested too deep to be read") from error


def _values_in(page: bytes) -> int:
    """At least how many values a JSON text has; exactly what it has of commas and brackets, where these are many."""
    count = sum(map(page.count, _MARKS))
    return count if count <= _VALUES_MAX else sum(map(_STRING.sub(b"", page).count, _MARKS))


@dataclass(slots=True)
class _Reading:
    """What is left of one event beside its columns."""

    left: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    unknown: list[str] = field(default_factory=list)

    def fitting(self, members: _Members, fits: Mapping[str, Callable[[Any], bool]], within: str = "") -> dict[str, Any]:
        """The members that fit their columns, by name; every other one is left."""
        last = {name: place for place, (name, _) in enumerate(members)}
        fitting = {}
        for place, (name, value) in enumerate(members):
            if name not in fits:
                self.unknown.append(_storable(within + name))
                self.left[within + name].append(value)
            elif value is None or value == "":
                continue
            elif place == last[name] and fits[name](value):
                fitting[name] = value
            else:
                self.left[within + name].append(value)
        return fitting

    def text(self) -> str | None:
        """What is left as the text of a JSON object, or None where nothing is."""
        if not self.left:
            return None
        return _json(_Members((name, each[0] if len(each) == 1 else each) for name, each in self.left.items()))


def _read_event(unit: Unit, members: _Members, reading: _Reading) -> Event:
    fields = reading.fitting(members, _EVENT_FITS)
    if fields.get("participantId", unit.participant_id) != unit.participant_id:
        reading.left["participantId"].append(fields.pop("participantId"))
    for name in ("previousToken", "newToken"):
        if name in fields:
            token = reading.fitting(fields[name], _TOKEN_FITS, name + ".")
            if "attributes" in token:
                token["attributes"] = dict(token["attributes"])
            fields[name] = msgspec.convert(token, Token)
    return msgspec.convert(fields, Event)


def _is_text(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    return type(value) is str and _storable(value) == value


def _is_texts(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    return type(value) is list and all(map(_is_text, value))


def _is_text_map(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    if type(value) is not _Members or len(dict(value)) < len(value):
        return False
    return all(_is_text(name) and _is_text(text) for name, text in value)


_TOKEN_FITS: Mapping[str, Callable[[Any], bool]] = {
    "capabilities": _is_texts,
    "attributes": _is_text_map,
    "userId": _is_text,
    "expirationTime": lambda value: _is_text(value) and read_us(value) is not None,
}
_EVENT_FITS: Mapping[str, Callable[[Any], bool]] = dict.fromkeys(Event.__struct_encode_fields__, _is_text) | {
    "replica": lambda value: type(value) is bool,
    "previousToken": lambda value: type(value) is _Members,
    "newToken": lambda value: type(value) is _Members,
}


def _storable(text: str) -> str:
    """The text itself, or with its lone surrogates written out where it has any: no Arrow string can hold those."""
    return text.encode("utf-8", "backslashreplace").decode()


def _json(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if type(value) is _Number:
        return str(value)
    if type(value) is _Members:
        members = sorted(value, key=itemgetter(0))
        return "{" + ",".join(f"{_json(name)}:{_json(member)}" for name, member in members) + "}"
    if type(value) is list:
        return "[" + ",".join(map(_json, value)) + "]"
    # A lone surrogate is written as the escape that it was; every other letter as itself.
    is_plain = type(value) is not str or _storable(value) == value
    return json.dumps(value, ensure_ascii=not is_plain)
