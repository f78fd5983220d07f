"""Page tokens: opaque, bound to one list, and refused when they are damaged, old or another list's."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b

from exporter.emulator.clock import SECOND_US
from exporter.emulator.protocol.errors import invalid

# Offset, turn, and both moments in microseconds; in a token 0 stands for no moment.
_FIELDS = struct.Struct(">QIqq")
_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where in a list a page begins.

    ``turn`` counts the pages before it. ``as_of_us`` is the moment whose list the offset counts in, None for the list
    as it is now. ``issued_us`` is the simulated moment when the token was issued, None where tokens live for ever.
    """

    offset: int = 0
    turn: int = 0
    as_of_us: int | None = None
    issued_us: int | None = None


#: A list from its beginning, as it is now.
FIRST_PAGE = PageStart()


class PageTokens:
    """Writes and reads tokens under one key. ``life_s`` is in simulated time; None means for ever."""

    def __init__(self, key: bytes, life_s: float | None) -> None:
        self._key = key
        self._life_us = None if life_s is None else int(life_s * SECOND_US)

    @property
    def is_lasting(self) -> bool:
        """Whether tokens live for ever, so that pages with the same start have the same token."""
        return self._life_us is None

    def write(self, start: PageStart, list_name: str, now_us: int) -> str:
        """The token of a page of the list with this name (operation and arguments)."""
        issued_us = 0 if self.is_lasting else now_us
        fields = _FIELDS.pack(start.offset, start.turn, start.as_of_us or 0, issued_us)
        return urlsafe_b64encode(fields + self._mac(fields, list_name)).decode()

    def read(self, token: str, list_name: str) -> PageStart:
        """The start of the page that a token of this list names. Raises :class:`Refusal` for any other token."""
        try:
            raw = urlsafe_b64decode(token)
        except ValueError:
            raise _refused() from None
        fields, mac = raw[: _FIELDS.size], raw[_FIELDS.size :]
        # Letters that base64 has no use for, and spare bits, must not make a second token of a page.
        if self._mac(fields, list_name) != mac or urlsafe_b64encode(raw).decode() != token:
            raise _refused()
        offset, turn, as_of_us, issued_us = _FIELDS.unpack(fields)
        return PageStart(offset, turn, as_of_us or None, issued_us or None)

    def check_life(self, start: PageStart, now_us: int) -> None:
        """Raise :class:`Refusal` where the page's token is too old."""
        if self._life_us is not None and start.issued_us is not None and now_us - start.issued_us > self._life_us:
            raise _refused()

    def _mac(self, fields: bytes, list_name: str) -> bytes:
        return blake2b(fields + list_name.encode(), digest_size=_MAC_BYTES, key=self._key).digest()


def _refused() -> Exception:
    return invalid("The nextToken is not valid")
