"""User ids and attributes in JSON that has no columns: in ``extra``, and in events that are kept raw. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.json_errors import UNREADABLE
from exporter.normalize.members import Leftovers, Members, is_object, json_text, read_members
from exporter.normalize.odd_events import EVENT_FITS, TOKEN_FITS

if TYPE_CHECKING:
    from collections.abc import Callable

_USER_ID, _ATTRIBUTES, _TOKEN = "userid", "attributes", "token"


class _Gone:
    """Stands for a member that is not written."""


_GONE = _Gone()


@dataclass(frozen=True, slots=True)
class PrivateMembers:
    """Looks through JSON, and writes it with other user ids, and with no more attributes than are kept.

    ``hide_user_id`` makes what is written of a user id, None to leave it out; without it user ids are kept.
    ``attributes`` are the names that are kept; None: all.

    A member is known by the last part of its name, whatever the case of its letters: ``userId``, ``newToken.userId``.
    It may be of any type, and stand at any depth.
    """

    hide_user_id: Callable[[str], str | None] | None
    attributes: frozenset[str] | None

    def in_extra(self, text: str) -> str | None:
        """Return a text of ``extra`` as it is written; None where nothing is left, or where it can't be read."""
        try:
            members = self._object(read_members(text))
            return json_text(members) if members else None
        except UNREADABLE:
            return None

    def in_event(self, event: bytes, *, is_known_only: bool) -> bytes:
        """Return a raw event as it is written; ``null`` where it can't be read.

        ``is_known_only`` drops what would stand in ``extra``: unknown members, and those of a wrong type.
        """
        try:
            members = read_members(event.decode("utf-8", "surrogateescape"))
            known = _known_members(members) if is_known_only else members
            return json_text(self._object(known)).encode()
        except UNREADABLE:
            return b"null"

    def _object(self, members: Members) -> Members:
        if not is_object(members):
            raise ValueError("no object")
        written = ((name, self._member(name, value)) for name, value in members)
        return Members((name, value) for name, value in written if value is not _GONE)

    def _member(self, name: str, value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """What is written of a member's value."""
        kind = name.rpartition(".")[2].replace("_", "").casefold()
        # 1. There is nothing to hide.
        if value is None:
            return value
        # 2. A user id, of whatever type.
        if kind == _USER_ID and self.hide_user_id is not None:
            hidden = self.hide_user_id(value if type(value) is str else json_text(value))
            return _GONE if hidden is None else hidden
        # 3. Attributes.
        if kind == _ATTRIBUTES and self.attributes is not None:
            return _objects_in(value, self._kept_attributes)
        if kind == _ATTRIBUTES and is_object(value):
            return self._kept_attributes(value)
        # 4. A token: one that is written as a text may hold anything.
        if kind.endswith(_TOKEN):
            return _objects_in(value, self._object)
        return self._value(value)

    def _value(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        if is_object(value):
            return self._object(value)
        return list(map(self._value, value)) if type(value) is list else value

    def _kept_attributes(self, members: Members) -> Members:
        kept = members if self.attributes is None else [pair for pair in members if pair[0] in self.attributes]
        return Members((name, self._value(value)) for name, value in kept)


def _objects_in(value: Any, written: Callable[[Members], Members]) -> Any:  # noqa: ANN401 - whatever JSON holds
    """What is written of an object, or of those in a list; of no other value anything is."""
    if is_object(value):
        return written(value)
    return [written(inner) for inner in value if is_object(inner)] if type(value) is list else _GONE


def _known_members(members: Members) -> Members:
    """The members of an event, and of its tokens, that have a column."""
    fields = Leftovers().fitting(members, EVENT_FITS)
    for name in {"previousToken", "newToken"} & fields.keys():
        fields[name] = Members(Leftovers().fitting(fields[name], TOKEN_FITS).items())
    return Members(fields.items())
