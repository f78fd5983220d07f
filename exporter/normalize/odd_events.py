"""Pages on which something is odd, decoded member by member. Pure."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from exporter.errors import EventUnreadable
from exporter.normalize.event_model import Event, Token
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.model import Unit
    from exporter.normalize.event_model import Decoded


class _NumberText(str):
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
read_members = json.JSONDecoder(
    object_pairs_hook=_Members, parse_float=_NumberText, parse_int=_NumberText, parse_constant=_refuse
).decode


def decode_odd(unit: Unit, page: bytes, decoded: Decoded) -> None:
    """Add the events of a page on which something is odd. Raises :class:`EventUnreadable`."""
    if _values_in(page) > _VALUES_MAX:
        raise EventUnreadable(f"an event holds more than {_VALUES_MAX:,} values")
    try:
        objects = read_members(page.decode("utf-8", "surrogateescape"))
        if type(objects) is not list or not all(type(members) is _Members for members in objects):
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
        last = {name: index for index, (name, _) in enumerate(members)}
        fitting = {}
        for index, (name, value) in enumerate(members):
            # 1. This program does not know it.
            if name not in fits:
                self.unknown.append(_storable(within + name))
                self.left[within + name].append(value)
            # 2. It is absent.
            elif value is None or value == "":
                continue
            # 3. Its column holds it.
            elif index == last[name] and fits[name](value):
                fitting[name] = value
            # 4. It is of a wrong type, or written again later.
            else:
                self.left[within + name].append(value)
        return fitting

    def text(self) -> str | None:
        """What is left as the text of a JSON object, or None where nothing is."""
        if not self.left:
            return None
        return json_text(
            _Members((name, values[0] if len(values) == 1 else values) for name, values in self.left.items())
        )


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


def json_text(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """A value that `read_members` gave as JSON text, in the one form that it has here."""
    if type(value) is _NumberText:
        return str(value)
    if type(value) is _Members:
        members = sorted(value, key=itemgetter(0))
        return "{" + ",".join(f"{json_text(name)}:{json_text(member)}" for name, member in members) + "}"
    if type(value) is list:
        return "[" + ",".join(map(json_text, value)) + "]"
    # A lone surrogate is written as the escape that it was; every other letter as itself.
    is_plain = type(value) is not str or _storable(value) == value
    return json.dumps(value, ensure_ascii=not is_plain)
