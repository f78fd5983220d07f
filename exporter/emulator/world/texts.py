"""The free texts of a seeded world: everyday ones, or such as break careless programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exporter.emulator.world.draws import draw, draw_text
from exporter.emulator.world.iso_forms import FORM_COUNT, time_text, zoned

_FIRST_NAMES = ("ada", "bob", "chen", "dana", "emil", "fatou", "grace", "hana", "ivan", "june", "kofi", "lena")
_ROOMS = ("lobby", "main-hall", "green-room", "backstage", "workshop", "town-hall", "arena", "studio")
_CAPABILITIES = (["SUBSCRIBE"], ["PUBLISH", "SUBSCRIBE"], ["PUBLISH"])
_ERROR_CODES = (
    "INSUFFICIENT_CAPABILITIES",
    "QUOTA_EXCEEDED",
    "PUBLISHER_NOT_FOUND",
    "BITRATE_EXCEEDED",
    "RESOLUTION_EXCEEDED",
    "STREAM_DURATION_EXCEEDED",
    "INVALID_AUDIO_CODEC",
    "INVALID_VIDEO_CODEC",
    "INVALID_PROTOCOL",
    "INVALID_STREAM_KEY",
    "REUSE_OF_STREAM_KEY",
    "B_FRAME_PRESENT",
    "INVALID_INPUT",
    "INTERNAL_SERVER_EXCEPTION",
)
_HOSTILE = (
    "a\nb\r\nc\td",
    "\"quoted\" and 'quoted' and \\back\\slashed",
    "../../../../etc/passwd",
    "nul\x00in the middle\x00",
    "'; DROP TABLE events; --",
    "\x1b[2J\x1b]0;title\x07",
    '{"name":"JOINED"}',
    "=1+1",
    "\u202eright to left\u2066",
    "😀 \U0010ffff \ufeff\ufffd",
    " ",
    "null",
    "NaN",
    "%s %n {0} ${HOME} $(id)",
)
_HUGE_EVERY = 1_024
_HUGE_LENGTH = 1 << 20


@dataclass(frozen=True, slots=True)
class Texts:
    """Makes texts from draws. The model's patterns bind ids alone; ``is_hostile`` ignores them in all other texts.

    ``is_zoneless`` writes one time in five without a zone.
    """

    is_hostile: bool
    is_zoneless: bool = False

    def time(self, moment_us: int, number: int, finer: int = 0) -> str:
        """A moment, in microseconds since the epoch, in one of ISO 8601's forms; ``finer`` as `time_text` has it."""
        form = number % FORM_COUNT
        return time_text(moment_us, form if self.is_zoneless else zoned(form), finer)

    def stage_name(self, seed: int) -> str:
        """A stage's name."""
        return self.hostile(seed) or f"{_ROOMS[seed % len(_ROOMS)]}-{seed % 1000}"

    def user_id(self, seed: int) -> str:
        """A user's id in the customer's own system."""
        return self.hostile(seed) or f"{_FIRST_NAMES[seed % len(_FIRST_NAMES)]}-{seed % 100_000}"

    def attributes(self, seed: int) -> dict[str, str]:
        """What the customer's system noted of a participant."""
        plain = {"displayName": _FIRST_NAMES[seed % len(_FIRST_NAMES)].title(), "tier": ("free", "gold")[seed % 2]}
        if not self.is_hostile:
            return plain
        return {name: self.user_id(draw(seed, b"attribute")) for name in (*plain, self.user_id(draw(seed, b"name")))}

    def error_code(self, seed: int) -> str:
        """Why something failed. Source: API Reference, Event, ``errorCode``."""
        return self.hostile(seed) or _ERROR_CODES[seed % len(_ERROR_CODES)]

    def token(self, seed: int, expiration: str) -> dict[str, object]:
        """A participant token before or after an exchange. Source: API Reference, ExchangedParticipantToken."""
        token: dict[str, object] = {
            "capabilities": _CAPABILITIES[seed % len(_CAPABILITIES)],
            "attributes": self.attributes(seed),
            "userId": self.user_id(seed),
            "expirationTime": expiration,
        }
        if seed & 0x70 == 0:
            del token["userId"]
        if seed & 0x700 == 0:
            token["attributes"] = {}
        return token

    def unknown_members(self, seed: int) -> dict[str, object]:
        """Members of an event that no model knows; none in a friendly world."""
        if not self.is_hostile or seed % 8:
            return {}
        return {self.user_id(draw(seed, b"extra name")): [self.user_id(seed), {"../": None}, seed % 3 == 0, 1.5e300]}

    def hostile_attributes(self, plain: dict[str, str], seed: int) -> dict[str, str]:
        """The attributes themselves; in a hostile world with hostile values, and one more of a hostile name."""
        if not self.is_hostile:
            return plain
        spoiled = {name: self.hostile(draw_text(seed, b"value", name)) or text for name, text in plain.items()}
        return {**spoiled, self.hostile(draw(seed, b"name")): "", "": "empty"}

    def spoiled(self, item: dict[str, Any], seed: int, spared: frozenset[str]) -> dict[str, Any]:
        """The item; in a hostile world with hostile texts in a third of its texts, but for the ``spared`` members."""
        if not self.is_hostile:
            return item
        return {
            name: _HOSTILE[(number >> 8) % len(_HOSTILE)]
            if isinstance(value, str) and name not in spared and (number := draw_text(seed, b"spoiled", name)) % 3 == 0
            else value
            for name, value in item.items()
        }

    def hostile(self, seed: int) -> str:
        """A hostile text, now and then of a megabyte; ``""`` in a third of cases, and in a friendly world."""
        if not self.is_hostile or seed % 3 == 0:
            return ""
        text = _HOSTILE[(seed >> 8) % len(_HOSTILE)]
        return text * (_HUGE_LENGTH // len(text)) if (seed >> 16) % _HUGE_EVERY == 0 else text
