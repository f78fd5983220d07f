"""JSON objects member by member, for those that hold something odd: nothing of them is dropped. Pure."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class NumberText(str):
    """A number as its digits were written."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object's members as they were written, doubles included."""

    __slots__ = ()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


# Python's objects take some hundred bytes for each value, however short it is written.
_VALUES_MAX = 1_000_000
_MARKS = (b",", b"[", b"{")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_encode = msgspec.json.Encoder().encode
#: Read a JSON text, its objects as `Members` and its numbers as `NumberText`. Raises ValueError and RecursionError.
read_members = json.JSONDecoder(
    object_pairs_hook=Members, parse_float=NumberText, parse_int=NumberText, parse_constant=_refuse
).decode


def refusal(text: bytes) -> str:
    """Why a JSON text is not read member by member: what it holds too much of. Empty where it can be read."""
    return f"more than {_VALUES_MAX:,} values" if _values_in(text) > _VALUES_MAX else ""


def _values_in(text: bytes) -> int:
    """At least how many values a JSON text has; exactly what it has of commas and brackets, where these are many."""
    count = sum(map(text.count, _MARKS))
    return count if count <= _VALUES_MAX else sum(map(_STRING.sub(b"", text).count, _MARKS))


def is_all_of(decoded: object, text: bytes) -> bool:
    """Whether what msgspec decoded is all of a JSON text, none of whose members was written twice."""
    written = _encode(decoded)
    if len(written) == len(text) and b"\\" not in text:
        return True
    # There are spaces or escapes, or another way to write them. Each member and each text has its own two quotation
    # marks, however it is written.
    return _quotation_marks(written) == _quotation_marks(text)


def _quotation_marks(text: bytes) -> int:
    """How many quotation marks of a JSON text begin or end a string."""
    if b"\\" not in text:
        return text.count(b'"')
    return text.count(b'"') - text.replace(rb"\\", b"").count(rb"\"")


@dataclass(slots=True)
class Leftovers:
    """What is left of an object beside its columns, by name, and the names in it that this program does not know."""

    left: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    unknown: list[str] = field(default_factory=list)

    def fitting(self, members: Members, fits: Mapping[str, Callable[[Any], bool]], within: str = "") -> dict[str, Any]:
        """The members that fit their columns, by name; every other one is left."""
        last = {name: index for index, (name, _) in enumerate(members)}
        fitting = {}
        for index, (name, value) in enumerate(members):
            # 1. This program does not know it.
            if name not in fits:
                self.unknown.append(storable(within + name))
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

    def text_map(self, members: Members, name: str) -> dict[str, str]:
        """The pairs of texts in a map; the others are left, as an object under the map's name."""
        last = {key: index for index, (key, _) in enumerate(members)}
        fits = [index == last[key] and is_text(key) and is_text(value) for index, (key, value) in enumerate(members)]
        others = [pair for pair, is_fitting in zip(members, fits, strict=True) if not is_fitting]
        if others:
            self.left[name].append(_grouped(others))
        return {key: value for (key, value), is_fitting in zip(members, fits, strict=True) if is_fitting}

    def text(self) -> str | None:
        """What is left as the text of a JSON object, or None where nothing is. Raises RecursionError."""
        return extra_text((name, value) for name, values in self.left.items() for value in values)


def extra_text(pairs: Iterable[tuple[str, Any]]) -> str | None:
    """The text of a JSON object with all pairs, None without any; several values of one name become a list of them."""
    return json_text(members) if (members := _grouped(pairs)) else None


def _grouped(pairs: Iterable[tuple[str, Any]]) -> Members:
    values_of: defaultdict[str, list[Any]] = defaultdict(list)
    for name, value in pairs:
        values_of[name].append(value)
    return Members((name, values[0] if len(values) == 1 else values) for name, values in values_of.items())


def merged_extra(first: str | None, second: str | None) -> str | None:
    """Two texts of ``extra`` as one; where both have a name, once if their values are equal, else in a list."""
    if first is None or second is None or first == second:
        return second if first is None else first
    pairs: dict[tuple[str, str], tuple[str, Any]] = {
        (name, json_text(value)): (name, value) for text in (first, second) for name, value in read_members(text)
    }
    return extra_text(pairs.values())


def is_text(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Whether a value is a text that a column can hold."""
    return type(value) is str and storable(value) == value


def is_flag(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Whether a value is true or false."""
    return type(value) is bool


def is_object(value: Any) -> bool:  # noqa: ANN401 - whatever JSON holds
    """Whether a value is an object."""
    return type(value) is Members


def storable(text: str) -> str:
    """The text itself, or with its lone surrogates written out where it has any: no Arrow string can hold those."""
    return text.encode("utf-8", "backslashreplace").decode()


def json_text(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """A value that `read_members` has read as JSON text, in the one form that it has here. Raises RecursionError."""
    if type(value) is NumberText:
        return str(value)
    if type(value) is Members:
        members = sorted(value, key=itemgetter(0))
        return "{" + ",".join(f"{json_text(name)}:{json_text(member)}" for name, member in members) + "}"
    if type(value) is list:
        return "[" + ",".join(map(json_text, value)) + "]"
    # A lone surrogate is written as the escape that it was; every other letter as itself.
    is_plain = type(value) is not str or storable(value) == value
    return json.dumps(value, ensure_ascii=not is_plain)
