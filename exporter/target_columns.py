"""Which column of a list is which. Pure.

An absent column stands for all below the others, so one that is misspelt would export the most instead of the least:
whatever resembles one of the three, and is none, is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: ``stage_arn``, ``session_id`` and ``participant_id`` as text; empty ones stand for all.
Row = tuple[str, str, str]
COLUMNS = ("stage_arn", "session_id", "participant_id")
#: Where each of the three stands among a row's values; None for one that is not there.
Places = tuple[int | None, int | None, int | None]

_COLUMNS_MAX = 10_000
_SHOWN_LENGTH_MAX = 60
# Columns of this lake's tables, and members of AWS's answers, that resemble one of the three and mean another thing.
_OTHERS = (
    *("remote_participant_id", "destination_stage_arn", "destination_session_id"),
    *("stage_name", "stage_tags", "session_start", "session_end", "participant_count"),
    *("source_stage_arn", "source_session_id", "active_session_id"),
)
#: What people call the three; a plural is one, too.
_NAMES = {
    "stage_arn": ("stage", "stageid", "arn", "stageurn"),
    "session_id": ("session", "sid", "sess", "sessid", "sesid", "stagesession"),
    "participant_id": ("participant", "pid", "partid"),
}
_WORDS = {"stage_arn": "stage", "session_id": "session", "participant_id": "participant"}
_WORDS_FOR_ID = frozenset({"id", "uid", "uuid", "guid", "identifier", "key", "arn", "ref", "urn"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LENGTH_OF_LOOSE_NAMES = 7


def find_columns(names: Sequence[str], also: Mapping[str, str] | None = None) -> Places:
    """Where each of the three columns stands among ``names``, in any case and with anything between its words.

    ``also`` are further names, in small letters, of columns that are meant where nothing else names them. Raises
    ValueError, with the name and what was probably meant, where a name resembles one of the three or stands twice.
    """
    if len(names) > _COLUMNS_MAX:
        raise ValueError(f"there are more than {_COLUMNS_MAX:,} columns")
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        column = _BY_FLAT_NAME.get(_flat(name))
        if column is None:
            continue
        if column in found:
            raise ValueError(f"{column} stands there twice, as {shown(names[found[column]])} and {shown(name)}")
        found[column] = place
    for place, name in enumerate(names):
        column = (also or {}).get(name.strip().lower())
        if column is not None and column not in found:
            found[column] = place
        elif column is None and (column := resembled(name)) is not None:
            raise ValueError(
                f"the column {shown(name)} is none of {', '.join(COLUMNS)}: did you mean {column}?"
                " Rename it, or leave it out"
            )
    return found.get("stage_arn"), found.get("session_id"), found.get("participant_id")


def resembled(name: str) -> str | None:
    """Which of the three columns a name that is none of them resembles; None where it is clearly another."""
    flat = _flat(name)
    if flat in _BY_FLAT_NAME or flat in _FLAT_OTHERS:
        return None
    words = {word.lower().removesuffix("s") for word in _WORD.findall(name)}
    for column in COLUMNS:
        if _flat(column) in flat:
            return column
    return next((column for column in COLUMNS if _resembles(flat, words, column)), None)


def shown(text: str) -> str:
    """A text from a list as an error may show it: cut, on one line, and with nothing that a terminal would obey."""
    return ascii(text if len(text) <= _SHOWN_LENGTH_MAX else text[:_SHOWN_LENGTH_MAX] + "…")


def _resembles(flat: str, words: set[str], column: str) -> bool:
    if (_WORDS[column] in words and words & _WORDS_FOR_ID) or _is_near(flat, _flat(column)):
        return True
    singular = flat.removesuffix("s")
    return any(
        singular == name or (len(name) >= _LENGTH_OF_LOOSE_NAMES and distance(singular, name) <= 1)
        for name in _NAMES[column]
    )


def _is_near(flat: str, whole: str) -> bool:
    """Whether some slips of the pen lie between two names: more where the first letter is right, and the name long."""
    most = 1 if flat[:1] != whole[:1] else (len(whole) - 1) // 4
    return distance(flat, whole, most) <= most


def distance(one: str, other: str, most: int = 1) -> int:
    """How many letters were left out, added, exchanged or swapped; ``most`` + 1 where it is clearly more.

    It is the distance of Damerau and Levenshtein, in its form without a second change of what was swapped.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        before, last, row = row, before, [place]
        for index, wanted in enumerate(other, 1):
            cost = min(before[index] + 1, row[-1] + 1, before[index - 1] + (letter != wanted))
            if index > 1 and place > 1 and letter == other[index - 2] and one[place - 2] == wanted:
                cost = min(cost, last[index - 2] + 1)
            row.append(cost)
    return row[-1]


def _flat(name: str) -> str:
    """A name's letters and digits, in small letters."""
    return "".join(filter(str.isalnum, name.lower()))


_BY_FLAT_NAME = {_flat(column): column for column in COLUMNS}
_FLAT_OTHERS = frozenset(map(_flat, _OTHERS))
