"""HTML and SVG, element by element: whatever is not an element is a text, and is escaped.

So no text from a lake can become markup: there is no way to pass one on as it is.
"""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters of a name that are shown.
NAME_LENGTH_MAX = 60
# Scripts put up to three marks on a letter; more of them are a tower over the lines above.
_MARKS_MAX = 3
# They join letters of Indic scripts and parts of emoji, and change no direction.
_JOINERS = "\u200c\u200d"
_REPLACEMENT = "\ufffd"
_VOID = frozenset({"meta", "br", "col"})


@dataclass(frozen=True, slots=True)
class Html:
    """Markup as it stands in the page. Only this module makes it of texts."""

    markup: str


#: What an element may hold: elements, texts, and nothing.
Child = Html | str | None


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Html:
    """Make an element. An attribute's ``_`` is a hyphen, a last one is dropped (``class_``), and None leaves it out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(children).markup}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """Put elements and texts one after the other."""
    return Html("".join(_child(child) for child in children))


def name_text(text: str | None, missing: str = "no name", length_max: int = NAME_LENGTH_MAX) -> Html:
    """Show a name from outside: apart from the text around it whatever its direction, and cut where it is long."""
    if not text or text.isspace():
        return tag("i", missing)
    return tag("bdi", cut_name(text, length_max))


def cut_name(text: str, length_max: int = NAME_LENGTH_MAX) -> str:
    """Cut a name that is long, and end it with ``…`` then."""
    # Cut first: what is left out may be as long as the one who chose it liked.
    return visible(text[:length_max]) + ("…" if len(text) > length_max else "")


def visible(text: str) -> str:
    """Replace what can't be seen, and what moves or covers the text around it."""
    shown, marks = [], 0
    for letter in text:
        marks = marks + 1 if unicodedata.category(letter) in ("Mn", "Me") else 0
        if marks <= _MARKS_MAX:
            shown.append(letter if letter.isprintable() or letter in _JOINERS else _REPLACEMENT)
    return "".join(shown)


def number(value: float) -> str:
    """Write a number for an attribute, with no more digits than the eye can see."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _attribute(value: str | float) -> str:
    return html.escape(visible(value)) if isinstance(value, str) else number(value)


def _child(child: Child) -> str:
    if child is None:
        return ""
    return child.markup if isinstance(child, Html) else html.escape(visible(child), quote=False)
