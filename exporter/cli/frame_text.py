"""What a frame of the live display is made of: pieces of text with a role, glyphs, amounts and times of equal width."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from exporter.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

_MINUTE_S = 60
_HOURS_WHOLE = 10


class TextRole(Enum):
    """What a piece of text is, whatever it looks like."""

    PLAIN = auto()
    STRONG = auto()
    FAINT = auto()
    ACCENT = auto()
    ACCENT_FAINT = auto()
    FAILURE = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a line, without anything that a terminal would obey."""

    text: str
    role: TextRole = TextRole.PLAIN


#: One line of a frame.
Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What a bar is made of, so that it can be read without colours; and what stands for text that was cut off."""

    done: str
    fetched: str
    open: str
    cut: str


UNICODE = Glyphs("━", "╍", "─", "…")
#: For a terminal that shows nothing else.
ASCII = Glyphs("=", "-", ".", "~")


def line_of(pieces: Iterable[Piece], width: int, glyphs: Glyphs) -> Line:
    """The pieces as a line that is no wider than ``width``: what is over is cut off, visibly.

    Width is counted in a terminal's cells: many letters of Asian scripts, and emoji, take two.
    """
    line: list[Piece] = []
    left = width
    for piece in pieces:
        text = plain(piece.text)
        cells = cell_len(text)
        if cells > left:
            kept = set_cell_size(text, left - 1) + glyphs.cut if left else ""
            return (*line, Piece(kept, piece.role))
        line.append(Piece(text, piece.role))
        left -= cells
    return tuple(line)


def tail(text: str, width: int, glyphs: Glyphs) -> str:
    """A text of exactly ``width`` characters: filled up, or its end, in which scopes of one account differ."""
    return text.ljust(width) if len(text) <= width else (glyphs.cut + text[len(text) - width + 1 :])[:width]


def amount(count: int, width: int) -> str:
    """A count in at most ``width`` characters, of which it needs four: where it must be, in thousands or millions."""
    texts = (f"{count:,}", f"{count // 1_000:,}k", f"{count // 1_000_000:,}M")
    return next((text for text in texts if len(text) <= width), texts[-1])


def duration(seconds: float) -> str:
    """A time that is left, in whole minutes, or hours where it is long, rounded up: what is estimated says no more."""
    if seconds < _MINUTE_S:
        return "< 1 min"
    minutes = -int(-seconds // _MINUTE_S)
    hours, rest = divmod(minutes, 60)
    if hours >= _HOURS_WHOLE:
        return f"{-(-minutes // 60):,} h"
    return f"{hours} h {rest:02} min" if hours else f"{minutes} min"


def elapsed(seconds: float) -> str:
    """A time that has passed, as a clock shows it: ``0:02:10``."""
    minutes, rest_s = divmod(int(seconds), _MINUTE_S)
    return f"{minutes // 60}:{minutes % 60:02}:{rest_s:02}"
