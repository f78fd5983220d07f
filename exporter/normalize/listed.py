"""The items of a page of a listing, and GetParticipant's answer, decoded from the raw JSON with nothing dropped.

A page on which nothing is odd takes one decode; any other is read item by item, and an odd item member by member. What
has no column is kept in ``extra``, the text of a JSON object, in the form that it has for events
(:mod:`exporter.normalize.decode`): an unknown member; a known one of a wrong type, a time that can't be read, and a
text that is not Unicode; of a member that is written twice, all but the last. Of a map those pairs that are no texts
are kept so, as an object under the map's name. What is left out on purpose, :mod:`exporter.normalize.listed_wire` says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.errors import Malformed
from exporter.json_errors import UNREADABLE
from exporter.normalize.listed_model import Item, ListedItems
from exporter.normalize.listed_wire import DESCRIBED, PARTICIPANTS, SESSIONS, STAGES, SharedTexts
from exporter.normalize.members import Leftovers, Members, is_all_of, is_object, read_members, refusal

if TYPE_CHECKING:
    from exporter.normalize.listed_model import DescribedParticipant, ListedParticipant, ListedSession, ListedStage
    from exporter.normalize.listed_wire import Kind

_SHOWN_LENGTH_MAX = 200
# What is kept is read again later, from another depth of the stack.
_NESTING_MAX = 100
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_DROPPED = frozenset({"state", "activeSessionId"})
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


def decode_stages(page: bytes) -> ListedItems[ListedStage]:
    """Decode a page of ListStages, the JSON text of an array. Raises :class:`Malformed` where it is none."""
    return _decode(STAGES, page)


def decode_sessions(page: bytes) -> ListedItems[ListedSession]:
    """Decode a page of ListStageSessions. Raises as `decode_stages`."""
    return _decode(SESSIONS, page)


def decode_participants(page: bytes) -> ListedItems[ListedParticipant]:
    """Decode a page of ListParticipants. Raises as `decode_stages`."""
    return _decode(PARTICIPANTS, page)


def decode_described(answer: bytes) -> ListedItems[DescribedParticipant]:
    """Decode the member ``participant`` of GetParticipant's answer, the JSON text of an object.

    What comes has one item, or a flaw. Raises :class:`Malformed` where the text is no JSON.
    """
    return _decode(DESCRIBED, b"[%b]" % answer)


def _decode(kind: Kind[Item], page: bytes) -> ListedItems[Item]:
    listed: ListedItems[Item] = ListedItems()
    share = SharedTexts()
    items = _plain_items(kind, page, share)
    if items is not None:
        listed.items = items
        return listed
    # One odd item does not make the others of its page slow.
    for piece in _pieces(kind, page):
        if type(piece) is bytes and (items := _plain_items(kind, b"[%b]" % piece, share)) is not None:
            listed.items += items
        else:
            _take_odd(kind, piece, listed, share)
    return listed


def _plain_items(kind: Kind[Item], page: bytes, share: SharedTexts) -> list[Item] | None:
    """The items of a page on which nothing is odd; None for any other page."""
    try:
        wires = kind.decode(page)
    except UNREADABLE:
        return None
    if not is_all_of(wires, page) or not all(kind.is_plain(wire) for wire in wires):
        return None
    return [kind.value(wire, None, {}, share) for wire in wires]


def _pieces(kind: Kind[Item], page: bytes) -> list[Any]:
    """The items of a page as JSON texts; where it can't be cut so, as values. Raises :class:`Malformed`."""
    try:
        page.decode()
        return list(map(bytes, _split(page)))
    except UnicodeDecodeError as error:
        raise _malformed(kind, str(error)) from error
    except (msgspec.MsgspecError, RecursionError):
        pass  # half of a surrogate pair is enough for that
    if reason := refusal(page):
        raise _malformed(kind, reason)
    try:
        values = read_members(page.decode())
    except UNREADABLE as error:
        raise _malformed(kind, str(error)) from error
    if type(values) is not list:
        raise _malformed(kind, "it is no array")
    return values


def _malformed(kind: Kind[Item], reason: str) -> Malformed:
    return Malformed(f"{kind.member} is no list that can be read: {_shown(reason)}")


def _take_odd(kind: Kind[Item], piece: Any, listed: ListedItems[Item], share: SharedTexts) -> None:  # noqa: ANN401 - see `_pieces`
    """Take an item member by member, or say why it is none."""
    try:
        members = _members(piece)
    except UNREADABLE as error:
        listed.flaws.append(f"{kind.member} holds something that is none: {_shown(str(error))}")
        return
    left = Leftovers()
    fields = left.fitting(members, kind.fits)
    for name in kind.maps & fields.keys():
        fields[name] = left.text_map(fields[name], name)
    listed.unknown_fields += left.unknown
    if kind.id_name not in fields:
        is_missing = kind.id_name not in left.left
        listed.flaws.append(
            f"{kind.thing} without an id"
            if is_missing
            else f"{kind.member} holds something that is none: its {kind.id_name} is no text"
        )
        return
    extra = _extra(left)
    if extra is None and left.left:
        listed.flaws.append(f"{kind.thing} with members nested too deep to be kept: {_shown(fields[kind.id_name])}")
    listed.items.append(kind.value(msgspec.convert(fields, kind.wire), extra, left.left, share))


def _members(piece: Any) -> Members:  # noqa: ANN401 - see `_pieces`
    """The members of an item that are looked at. Raises ValueError and RecursionError."""
    if type(piece) is bytes:
        if reason := refusal(piece):
            raise ValueError(f"an item holds {reason}")
        piece = read_members(piece.decode())
    if not is_object(piece):
        raise ValueError("an item is no object")
    return Members(member for member in piece if member[0] not in _DROPPED)


def _extra(left: Leftovers) -> str | None:
    """What is left as text; None where nothing is, and where it is nested too deep."""
    try:
        text = left.text()
    except RecursionError:
        return None
    return None if text is None or _nesting(text) > _NESTING_MAX else text


def _nesting(text: str) -> int:
    depth = deepest = 0
    for letter in _STRING.sub("", text):
        if letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH_MAX else text[:_SHOWN_LENGTH_MAX] + "…")
