"""What an answer with status 200 holds: a page. Pure: nothing here asks or waits.

botocore's parser takes a cut, empty, HTML or ``{}`` body with status 200 for an empty list, and drops the fields that
its model lacks. So a page is read from the raw body here, and the list inside it is kept as the bytes that came.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from exporter.errors import Malformed
from exporter.text import NAME_LENGTH_MAX, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ivs.operations import Operation

#: An answer that is packed, though nobody asked for that, is unpacked up to this size: many times a page's.
UNPACKED_BYTES_MAX = 8 << 20
# Looking through a body member by member takes some thirty times its size.
_LOOKED_THROUGH_BYTES_MAX = 8 << 20
_TOKEN = "nextToken"  # noqa: S105 - a member's name
_NAMES_MAX = 10
# Bits of a window as zlib takes them: of gzip or zlib, whichever it is, and of deflate without a head.
_ANY_HEAD, _NO_HEAD = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: the raw bytes of its JSON array, and the token of the next page, None on the last.

    Of GetParticipant ``items`` is the one object.

    ``served_us`` is the service's time of the answer, in microseconds since the epoch. ``unknown`` are the members
    beside the list that nothing here reads, such as ``ListStages.warnings``: AWS may announce something so.
    """

    items: bytes
    next_token: str | None
    served_us: int
    unknown: tuple[str, ...] = ()


def read_page(operation: Operation, body: bytes, served_us: int) -> Page:
    """Read the page in the body of an answer with status 200. Raises :class:`Malformed` where there is none."""
    member = operation.member
    try:
        fields = _members(body)
        items = bytes(fields[member])
        token = _decode_token(fields.get(_TOKEN, _NULL))
        twice = "" if _is_compact(body, fields) else _written_twice(body, (member, _TOKEN))
    except (msgspec.MsgspecError, ValueError, RecursionError, KeyError) as error:
        raise Malformed(
            f"{operation}: status 200 without a JSON object that holds {member}{_beginning_of(body)}"
        ) from error
    if not items.startswith(operation.opening):
        kind = "a list" if operation.opening == b"[" else "an object"
        raise Malformed(f"{operation}: status 200, but {member} is not {kind}")
    if twice:
        raise Malformed(f"{operation}: status 200, but {twice} stands in it twice")
    return Page(items, token or None, served_us, _unknown_in(operation, fields))


def unpacked(operation: Operation, encoding: str, body: bytes) -> bytes:
    """Unpack the body of an answer that is labelled so, though nothing but the bytes themselves was asked for.

    Raises :class:`Malformed`, which names the encoding, where it can't be.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return body
    if name in {"gzip", "x-gzip", "deflate"}:
        for window_bits in (_ANY_HEAD, _NO_HEAD):
            unpacker = zlib.decompressobj(window_bits)
            try:
                whole = unpacker.decompress(body, UNPACKED_BYTES_MAX)
            except zlib.error:
                continue
            if unpacker.eof:
                return whole
    raise Malformed(
        f"{operation}: the answer is labelled Content-Encoding: {one_line(encoding)}, which was not asked for and"
        " can't be unpacked: something between here and AWS packs what passes"
    )


def _is_compact(body: bytes, fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether a body is its members and nothing else: no space, and no member that another of its name hides."""
    sizes = sum(
        len(name.encode(errors="surrogatepass")) + memoryview(value).nbytes + 4 for name, value in fields.items()
    )
    return len(body) == sizes + 1


def _written_twice(body: bytes, names: tuple[str, ...]) -> str:
    """The name that is written more than once in a JSON object; "" where none is."""
    if b"\\u" not in body and all(body.count(b'"%s"' % name.encode()) <= 1 for name in names):
        return ""
    written = [name for name, _ in _pairs(body)]
    return next((name for name in names if written.count(name) > 1), "")


def _unknown_in(operation: Operation, fields: Mapping[str, msgspec.Raw]) -> tuple[str, ...]:
    known = {operation.member, _TOKEN}
    if len(fields) == len(known & fields.keys()):
        return ()
    names = [one_line(name, NAME_LENGTH_MAX) for name in fields if name not in known]
    return tuple(f"{operation}.{name}" for name in names[:_NAMES_MAX])


def _beginning_of(body: bytes) -> str:
    """How a body begins that is no JSON: a page of a proxy's says so."""
    text = one_line(body[:NAME_LENGTH_MAX].decode(errors="replace"))
    return "" if text.startswith("{") else f", but {text!r}: did something between here and AWS answer?"


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _decode_object(body)
    except msgspec.DecodeError:
        # Half of a surrogate pair is JSON all the same (RFC 8259, section 8.2), and anybody can write one into an
        # attribute of a token. The fast decoder refuses it.
        if b"\\u" not in body:
            raise
    return dict(_pairs(body))


def _pairs(body: bytes) -> list[tuple[str, msgspec.Raw]]:
    """The members of a JSON object, each as the text that came. Raises ValueError where it is none, or too long."""
    if len(body) > _LOOKED_THROUGH_BYTES_MAX:
        raise ValueError("too long to be looked through")
    text = body.decode()
    members: list[tuple[str, msgspec.Raw]] = []
    mark, at = "{", _past_space(text, 0)
    while text[at : at + 1] == mark:
        name, at = _scan(text, _past_space(text, at + 1))
        start = _past_space(text, _past_space(text, at) + 1)
        _, end = _scan(text, start)
        members.append((name, msgspec.Raw(text[start:end].encode())))
        mark, at = ",", _past_space(text, end)
    if text[at:].strip(_SPACE) != "}":
        raise ValueError("no JSON object")
    return members


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


_SPACE = " \t\r\n"
_scan = json.JSONDecoder().raw_decode
_NULL = msgspec.Raw(b"null")
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_token = msgspec.json.Decoder(str | None).decode
