"""Ids that look random and carry their own indexes, so that a lookup needs no table however large the world is.

A stage's index stands in 70 scrambled bits, written as 12 letters and digits; a session's (stage, session) in 76 bits
and 13 letters; a participant's (stage, session, participant) in 70 bits and 12 letters. Reading an id takes the last
letters, unscrambles them and makes the id anew: only where that gives the same text did the world make it.
"""

from __future__ import annotations

from dataclasses import dataclass

from exporter.emulator.world.draws import draw, scramble, unscramble

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}
_BASE = len(_LETTERS)

_SHORT_BITS, _SHORT_LETTERS = 70, 12
_LONG_BITS, _LONG_LETTERS = 76, 13
_INDEX_BITS = 24
_INDEX_MASK = (1 << _INDEX_BITS) - 1

# Within the patterns and lengths of the botocore model: a stage ARN of 128, a participant id of 64.
_HOSTILE_STAGE = ("", "-", "--", "con-", "x" * 60, "-rf-")
_HOSTILE_PARTICIPANT = ("", "-", "--", "0" * 52, "NaN-", "-1e5-", "A-" * 26)


@dataclass(frozen=True, slots=True)
class IdMaker:
    """Makes and reads the ids of one world. ``seed`` is the world's own, of its account and region."""

    account_id: str
    region: str
    seed: int
    hostile: bool

    def stage_arn(self, stage: int) -> str:
        """The ARN of the stage with this index."""
        code = _write(scramble(draw(self.seed, b"stage id"), stage, _SHORT_BITS), _SHORT_LETTERS)
        return f"arn:aws:ivs:{self.region}:{self.account_id}:stage/{self._prefix(_HOSTILE_STAGE, stage)}{code}"

    def stage_of(self, stage_arn: str) -> int | None:
        """The index that the ARN carries, or None where this world could not have made it."""
        code = _read(stage_arn[-_SHORT_LETTERS:], _SHORT_LETTERS)
        if code is None or code >> _SHORT_BITS:
            return None
        stage = unscramble(draw(self.seed, b"stage id"), code, _SHORT_BITS)
        return stage if stage <= _INDEX_MASK and self.stage_arn(stage) == stage_arn else None

    def session_id(self, stage: int, session: int) -> str:
        """The id of a stage's session, by both indexes."""
        value = stage << _INDEX_BITS | session
        return "st-" + _write(scramble(draw(self.seed, b"session id"), value, _LONG_BITS), _LONG_LETTERS)

    def session_of(self, session_id: str) -> tuple[int, int] | None:
        """The indexes of stage and session, or None."""
        code = _read(session_id[3:], _LONG_LETTERS)
        if code is None or code >> _LONG_BITS or not session_id.startswith("st-"):
            return None
        value = unscramble(draw(self.seed, b"session id"), code, _LONG_BITS)
        return None if value >> 2 * _INDEX_BITS else (value >> _INDEX_BITS, value & _INDEX_MASK)

    def participant_id(self, stage: int, session: int, participant: int) -> str:
        """The id of a participant, by the indexes of the session where it joined (not of one it is replicated to)."""
        value = (stage << _INDEX_BITS | session) << _INDEX_BITS | participant
        code = _write(scramble(draw(self.seed, b"participant id"), value, _SHORT_BITS), _SHORT_LETTERS)
        return self._prefix(_HOSTILE_PARTICIPANT, value % (1 << 63)) + code

    def participant_of(self, participant_id: str) -> tuple[int, int, int] | None:
        """The indexes of stage, session and participant, or None."""
        code = _read(participant_id[-_SHORT_LETTERS:], _SHORT_LETTERS)
        if code is None or code >> _SHORT_BITS:
            return None
        value = unscramble(draw(self.seed, b"participant id"), code, _SHORT_BITS)
        indexes = value >> 2 * _INDEX_BITS, value >> _INDEX_BITS & _INDEX_MASK, value & _INDEX_MASK
        return indexes if self.participant_id(*indexes) == participant_id else None

    def _prefix(self, choices: tuple[str, ...], index: int) -> str:
        return choices[draw(self.seed, b"prefix", index) % len(choices)] if self.hostile else ""


def _write(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, digit = divmod(number, _BASE)
        letters.append(_LETTERS[digit])
    return "".join(letters)


def _read(text: str, length: int) -> int | None:
    if len(text) != length:
        return None
    number = 0
    for letter in reversed(text):
        value = _VALUES.get(letter)
        if value is None:
            return None
        number = number * _BASE + value
    return number
