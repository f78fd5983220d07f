"""Page tokens: opaque, bound to one list, and refused when they are damaged, old or another list's."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b

from exporter.emulator.protocol.errors import invalid

_FIELDS = struct.Struct(">QIqq")
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class ListPlace:
    """Where in a list a page begins.

    ``turn`` counts the pages before it. ``as_of_us`` is the moment whose list is counted, 0 for the list as it is now.
    ``issued_us`` is the simulated moment when the token was given out, 0 where tokens live for ever.
    """

    offset: int = 0
    turn: int = 0
    as_of_us: int = 0
    issued_us: int = 0


class PageTokens:
    """Writes and reads tokens under one key. ``life_s`` is in simulated time; None means for ever."""

    def __init__(self, key: bytes, life_s: float | None) -> None:
        self._key = key
        self._life_us = None if life_s is None else int(life_s * 1_000_000)

    @property
    def is_lasting(self) -> bool:
        """Whether tokens live for ever, so that equal places have equal tokens."""
        return self._life_us is None

    def write(self, place: ListPlace, list_name: str, now_us: int) -> str:
        """The token of a place in the list of this name (operation and arguments)."""
        issued_us = 0 if self.is_lasting else now_us
        fields = _FIELDS.pack(place.offset, place.turn, place.as_of_us, issued_us)
        return urlsafe_b64encode(fields + self._mac(fields, list_name)).decode()

    def read(self, token: str, list_name: str) -> ListPlace:
        """The place that a token of this list names. Raises :class:`Refusal` for any other token."""
        try:
            raw = urlsafe_b64decode(token)
        except ValueError:
            raise _refused() from None
        fields, mac = raw[: _FIELDS.size], raw[_FIELDS.size :]
        # Letters that base64 has no use for, and spare bits, must not make a second token of a place.
        if self._mac(fields, list_name) != mac or urlsafe_b64encode(raw).decode() != token:
            raise _refused()
        return ListPlace(*_FIELDS.unpack(fields))

    def check_life(self, place: ListPlace, now_us: int) -> None:
        """Raise :class:`Refusal` where the place's token is too old."""
        if self._life_us is not None and place.issued_us and now_us - place.issued_us > self._life_us:
            raise _refused()

    def _mac(self, fields: bytes, list_name: str) -> bytes:
        return blake2b(fields + list_name.encode(), digest_size=_MAC_BYTES, key=self._key).digest()


def _refused() -> Exception:
    return invalid("The nextToken is not valid")
