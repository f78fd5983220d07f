"""Pages on which something is odd, decoded member by member. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exporter.errors import EventUnreadable
from exporter.normalize.event_model import Event, Token
from exporter.normalize.members import Leftovers, Members, is_flag, is_object, is_text, read_members, refusal
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.model import Unit
    from exporter.normalize.event_model import Decoded


def decode_odd(unit: Unit, page: bytes, decoded: Decoded) -> None:
    """Add the events of a page on which something is odd. Raises :class:`EventUnreadable`."""
    if reason := refusal(page):
        raise EventUnreadable(f"an event holds {reason}")
    try:
        objects = read_members(page.decode("utf-8", "surrogateescape"))
        if type(objects) is not list or not all(map(is_object, objects)):
            raise EventUnreadable("a page of events is not a JSON array of objects")
        for members in objects:
            reading = Leftovers()
            event = _read_event(unit, members, reading)
            if extra := reading.text():
                decoded.extras[len(decoded.events)] = extra
            decoded.unknown_fields += reading.unknown
            decoded.events.append(event)
    except ValueError as error:
        raise EventUnreadable("a page of events is not JSON") from error
    except RecursionError as error:
        raise EventUnreadable("a page of events is nested too deep to be read") from error


def _read_event(unit: Unit, members: Members, reading: Leftovers) -> Event:
    fields = reading.fitting(members, EVENT_FITS)
    if fields.get("participantId", unit.participant_id) != unit.participant_id:
        reading.left["participantId"].append(fields.pop("participantId"))
    for name in ("previousToken", "newToken"):
        if name in fields:
            token = reading.fitting(fields[name], TOKEN_FITS, name + ".")
            if "attributes" in token:
                token["attributes"] = dict(token["attributes"])
            fields[name] = msgspec.convert(token, Token)
    return msgspec.convert(fields, Event)


def _is_texts(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    return type(value) is list and all(map(is_text, value))


def _is_text_map(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    if type(value) is not Members or len(dict(value)) < len(value):
        return False
    return all(is_text(name) and is_text(text) for name, text in value)


#: Whether a value of a token fits its field, by the member's name.
TOKEN_FITS: Mapping[str, Callable[[Any], bool]] = {
    "capabilities": _is_texts,
    "attributes": _is_text_map,
    "userId": is_text,
    "expirationTime": lambda value: is_text(value) and read_us(value) is not None,
}
#: The same of an event's members.
EVENT_FITS: Mapping[str, Callable[[Any], bool]] = dict.fromkeys(Event.__struct_encode_fields__, is_text) | {
    "replica": is_flag,
    "previousToken": is_object,
    "newToken": is_object,
}
