"""Seeded numbers: each a pure function of a seed, a label and an index, so that nothing need be kept or built first."""

from __future__ import annotations

from xxhash import xxh3_64_intdigest

_FEISTEL_ROUNDS = 4


def draw(seed: int, label: bytes, index: int = 0) -> int:
    """A number of 64 bits for this label and index under this seed; it serves as the seed of what lies below, too."""
    return xxh3_64_intdigest(label + index.to_bytes(8, "little"), seed)


def draw_text(seed: int, label: bytes, text: str) -> int:
    """The same for a text instead of an index."""
    return xxh3_64_intdigest(label + text.encode(), seed)


def fraction(number: int) -> float:
    """A 64-bit draw as a number in [0, 1)."""
    return (number >> 11) / (1 << 53)


def scramble(seed: int, value: int, bits: int) -> int:
    """Permute the numbers of ``bits`` bits (an even count); `unscramble` with the same seed takes it back."""
    half = bits // 2
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for turn in range(_FEISTEL_ROUNDS):
        left, right = right, left ^ (draw(seed, bytes((turn,)), right) & mask)
    return left << half | right


def unscramble(seed: int, value: int, bits: int) -> int:
    """Take `scramble` back."""
    half = bits // 2
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for turn in reversed(range(_FEISTEL_ROUNDS)):
        left, right = right ^ (draw(seed, bytes((turn,)), left) & mask), left
    return left << half | right
