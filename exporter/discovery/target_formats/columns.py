"""Which column of a list is which. Pure.

An absent column stands for all below the others, so one that is misspelt would export the most instead of the least:
whatever resembles one of the three, and is none, is refused. So is what looks as if it said which session or
participant is meant, where no column of the three says it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

#: ``stage_arn``, ``session_id`` and ``participant_id`` as text; empty ones stand for all.
Row = tuple[str, str, str]
COLUMNS = ("stage_arn", "session_id", "participant_id")
#: Where each of the three stands among a row's values; None for one that is not there.
Places = tuple[int | None, int | None, int | None]

_ORDINARY_BLANKS = " \t\r\n\v\f"
_COLUMNS_MAX = 10_000
_SHOWN_LENGTH_MAX = 60
# Columns of this lake's tables, and members of AWS's answers, that resemble one of the three and mean another thing:
# beside the column that they resemble they are passed over, and in its place they are refused.
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
#: What is in the name of a column that says which session or participant is meant, whatever else is in it.
_NARROWING = {
    "session_id": ("session", "broadcast", "meeting", "conference"),
    "participant_id": ("participant", "user", "publisher", "subscriber", "viewer", "attendee"),
}
#: The same of words that say so only beside one for an id.
_NARROWING_WITH_ID = {
    "session_id": frozenset({"stream", "livestream", "call"}),
    "participant_id": frozenset({"member", "guest", "host", "speaker", "presenter", "listener", "person", "peer"}),
}
# What is counted names nobody.
_MEASURES = frozenset({"count", "total", "num", "max", "min", "avg", "average", "peak", "sum"})
# What a stage of AWS's names beside its arn, the one that goes on, does not choose it.
_OF_STAGES = frozenset({"activesessionid"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LENGTH_OF_LOOSE_NAMES = 7


def find_columns(
    names: Sequence[str], also: Mapping[str, str] | None = None, elsewhere: Collection[str] = ()
) -> Places:
    """Where each of the three columns stands among ``names``, in any case and with anything between its words.

    ``also`` are further names, in small letters, of columns that are meant where nothing else names them. ``elsewhere``
    are those of the three that need not stand here, since something around the row says what they would. Raises
    ValueError, with the name and what was probably meant, where a name resembles one of the three, stands twice, or
    looks narrower than what is there.
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
    of_stages = _OF_STAGES if _is_named_by(also, names, found) else frozenset()
    _check_narrowing([name for name in names if _flat(name) not in of_stages], {*found, *elsewhere})
    return found.get("stage_arn"), found.get("session_id"), found.get("participant_id")


def cell(text: str) -> str:
    """What a cell names, without blanks around it; empty where it stands for all.

    One that holds only what can't be seen, and is no ordinary blank, is left as it is: as an id it is refused.
    """
    named = text.strip()
    return named or text.strip(_ORDINARY_BLANKS)


def resembled(name: str) -> str | None:
    """Which of the three columns a name that is none of them resembles; None where it is clearly another."""
    flat = _flat(name)
    if flat in _BY_FLAT_NAME or flat in _FLAT_OTHERS:
        return None
    words = _words(name)
    for column in COLUMNS:
        if _flat(column) in flat:
            return column
    return next((column for column in COLUMNS if _resembles(flat, words, column)), None)


def _is_named_by(also: Mapping[str, str] | None, names: Sequence[str], found: Mapping[str, int]) -> bool:
    """Whether a name of ``also`` stands for the stage."""
    return "stage_arn" in found and names[found["stage_arn"]].strip().lower() in (also or {})


def _check_narrowing(names: Sequence[str], there: Collection[str]) -> None:
    """Refuse a name that looks as if it said which session or participant is meant, where no column of those does."""
    for column, all_below in (("session_id", "whole stages"), ("participant_id", "whole sessions")):
        if column in there:
            continue
        for name in names:
            if _flat(name) not in _BY_FLAT_NAME and _narrows(name, column):
                raise ValueError(
                    f"the column {shown(name)} looks like what is to be exported of {all_below}, and there is no column"
                    f" {column}: rename it to {column} if it holds such ids, or leave it out to export {all_below}"
                )


def _narrows(name: str, column: str) -> bool:
    words = _words(name)
    if words & _MEASURES and not words & _WORDS_FOR_ID:
        return False
    flat = _flat(name)
    is_id = bool(words & _WORDS_FOR_ID)
    return any(part in flat for part in _NARROWING[column]) or (is_id and bool(words & _NARROWING_WITH_ID[column]))


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


def _words(name: str) -> set[str]:
    """A name's words, in small letters and in the singular."""
    return {word.lower().removesuffix("s") for word in _WORD.findall(name)}


def _flat(name: str) -> str:
    """A name's letters and digits, in small letters."""
    return "".join(filter(str.isalnum, name.lower()))


_BY_FLAT_NAME = {_flat(column): column for column in COLUMNS}
_FLAT_OTHERS = frozenset(map(_flat, _OTHERS))
