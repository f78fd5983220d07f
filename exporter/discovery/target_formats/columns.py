"""Which column of a list is which, and whether another one holds what is missing. Pure.

An absent column stands for all below the others, so one that is misspelt would export the most instead of the least.
So a column that resembles one of the three by its name is refused, and so is one whose cells look like the ids that no
column names. Others are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from exporter.discovery.target_formats.names import (
    COLUMNS,
    counted_column,
    flat,
    is_of_another_thing,
    misspelt,
    resembles,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

#: ``stage_arn``, ``session_id`` and ``participant_id`` as text; empty ones stand for all.
Row = tuple[str, str, str]
#: Where each of the three stands among a row's values; None for one that is not there.
Indices = tuple[int | None, int | None, int | None]

_ORDINARY_BLANKS = " \t\r\n\v\f"
_COLUMNS_MAX = 10_000
_SHOWN_LENGTH_MAX = 60
_BY_FLAT_NAME = {flat(column): column for column in COLUMNS}
_ALL_BELOW = {"session_id": "whole stages", "participant_id": "whole sessions"}
# What a stage of AWS's names beside its arn, the session that goes on, does not choose it; its name is anything.
_OF_STAGES = frozenset({"activesessionid", "name"})
_NAMES_OF_STAGES = frozenset({"stagename"})
# A row of the view `watch_time` is a pair, and chooses neither of the two.
_PAIR = frozenset({"viewer", "publisher"})
_OF_PAIRS = _PAIR | {"vieweruserid", "publisheruserid"}

# Source: botocore's model `ivs-realtime` 2020-07-14: `st-` and letters and digits, 16 in all.
_SESSION = re.compile(r"st-[A-Za-z0-9]{13}")
# As AWS's own samples show them: twelve letters and digits, mixed as nobody's words are.
_PARTICIPANT = re.compile(r"[A-Za-z0-9]{12}")
_RUN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_RUNS_MIN, _LONG_RUN, _LETTERS_OF_WORDS = 5, 3, 8
_NUMBER = re.compile(r"\W*[0-9][0-9.,'_\s]*(?:[kKmM%]|[eE][+-]?[0-9]+)?\W*|\W*|null|none|nan|n/?a", re.IGNORECASE)
_BETWEEN_IDS = re.compile(r"[\s,;|\[\]\"']+")
_LENGTH_OF_IDS_MAX, _LENGTH_OF_NUMBERS_MAX = 4_096, 60


@dataclass(frozen=True, slots=True)
class OtherColumn:
    """A column that is none of the three, whose cells are looked at: they may be ids that no column names.

    ``missing`` are the columns that are not there and whose ids it might hold; ``counts`` is the one whose ids it would
    hold if it had not their number (``participants``). ``has_place`` is true where the row has an empty cell for them.
    """

    index: int
    name: str
    missing: tuple[str, ...]
    counts: str | None = None
    has_place: bool = False

    def flaw(self, value: Any) -> str | None:  # noqa: ANN401 - what a cell of any form holds
        """What is wrong with a cell, for people; None where it holds no id."""
        if value is None or isinstance(value, (bool, int, float)):
            return None
        if self.counts is not None and not (isinstance(value, str) and _is_number(value.strip())):
            return self._flaw_in(self.counts, "holds what is no number")
        texts = value if isinstance(value, list) else (value,)
        for text in texts:
            if isinstance(text, str) and (column := self._column_of(text)) is not None:
                return self._flaw_in(column, f"holds {shown(text)}, which looks like a {column}")
        return None

    def _column_of(self, cell: str) -> str | None:
        """Which missing column a text looks like an id of, or like several ids."""
        if len(cell) > _LENGTH_OF_IDS_MAX or not (ids := [text for text in _BETWEEN_IDS.split(cell) if text]):
            return None
        if "session_id" in self.missing and all(map(_SESSION.fullmatch, ids)):
            return "session_id"
        if "participant_id" in self.missing and all(map(_PARTICIPANT.fullmatch, ids)) and any(map(_is_mixed, ids)):
            return "participant_id"
        return None

    def _flaw_in(self, column: str, what: str) -> str:
        name = f"the column {shown(self.name)}" if self.name.strip() else f"column {self.index + 1}, without a name,"
        if self.has_place:
            return f"{name} {what}, and {column} is empty: move it there, or leave it out{_rest_of(column)}"
        return f"{name} {what}: {_remedy(column)}"


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the three stand among a row's values, and which of the others are looked at.

    ``unnamed`` are columns without a name beside an id's own: what they hold is looked at in a row that has that id's
    cell empty, for a cell that slipped to the side leaves its own empty.
    """

    indices: Indices
    others: tuple[OtherColumn, ...] = ()
    unnamed: tuple[OtherColumn, ...] = ()

    def flaw(self, values: Sequence[Any]) -> str | None:
        """What is wrong with a row's cells beside the three; None where nothing is. A row may be short."""
        looked_at = self.others
        if self.unnamed:
            empty = tuple(
                column for column, index in zip(COLUMNS, self.indices, strict=True) if _is_empty(values, index)
            )
            looked_at += tuple(replace(other, missing=empty, has_place=True) for other in self.unnamed)
        for other in looked_at:
            if other.index < len(values) and (flaw := other.flaw(values[other.index])) is not None:
                return flaw
        return None


def find_columns(
    names: Sequence[str], also: Mapping[str, str] | None = None, elsewhere: Collection[str] = ()
) -> Columns:
    """Where each of the three columns stands among ``names``, in any case and with anything between its words.

    ``also`` are further names, in small letters, of columns that are meant where nothing else names them. ``elsewhere``
    are those of the three that need not stand here, since something around the row says what they would. Raises
    ValueError, with the name and what was probably meant, where a name resembles one of the three or stands twice.
    """
    if len(names) > _COLUMNS_MAX:
        raise ValueError(f"there are more than {_COLUMNS_MAX:,} columns")
    found: dict[str, int] = {}
    for index, name in enumerate(names):
        column = _BY_FLAT_NAME.get(flat(name))
        if column is None:
            continue
        if column in found:
            raise ValueError(f"{column} stands there twice, as {shown(names[found[column]])} and {shown(name)}")
        found[column] = index
    for index, name in enumerate(names):
        column = (also or {}).get(name.strip().lower())
        if column is not None and column not in found:
            found[column] = index
        elif column is None and (column := misspelt(name)) is not None:
            raise _resemblance(name, column)
    there = {*found, *elsewhere}
    is_stage_of_aws = "stage_arn" in found and flat(names[found["stage_arn"]]) in (also or {})
    known = _known_names(names, there, is_stage_of_aws=is_stage_of_aws)
    others = [(index, name) for index, name in enumerate(names) if index not in found.values()]
    rest = [(index, name) for index, name in others if flat(name) not in known]
    _check_names([name for _, name in rest], there)
    indices = found.get("stage_arn"), found.get("session_id"), found.get("participant_id")
    unnamed = [OtherColumn(index, name, ()) for index, name in rest if found and _is_unnamed(name)]
    return Columns(indices, _looked_at(rest, there), tuple(unnamed))


def cell(text: str) -> str:
    """What a cell names, without blanks around it; empty where it stands for all.

    One that holds only what can't be seen, and is no ordinary blank, is left as it is: as an id it is refused.
    """
    named = text.strip()
    return named or text.strip(_ORDINARY_BLANKS)


def means_something(name: str) -> bool:
    """Whether a name is one of the three, or meant for one."""
    return flat(name) in _BY_FLAT_NAME or misspelt(name) is not None


def shown(text: str) -> str:
    """A text from a list as an error may show it: cut, on one line, and with nothing that a terminal would obey."""
    return ascii(text if len(text) <= _SHOWN_LENGTH_MAX else text[:_SHOWN_LENGTH_MAX] + "…")


def _known_names(names: Sequence[str], there: Collection[str], *, is_stage_of_aws: bool) -> frozenset[str]:
    """The names, flat, of columns that are known to choose nothing beside the others."""
    known = _NAMES_OF_STAGES | (_OF_STAGES if is_stage_of_aws else frozenset())
    is_pair = "session_id" in there and set(map(flat, names)) >= _PAIR
    return known | _OF_PAIRS if is_pair else known


def _check_names(names: Sequence[str], there: Collection[str]) -> None:
    """Refuse a name that resembles a column that is not there."""
    for column in _ALL_BELOW:
        for name in names:
            if column not in there and resembles(name, column, there):
                raise _resemblance(name, column)


def _resemblance(name: str, column: str) -> ValueError:
    return ValueError(f"the column {shown(name)} is none of {', '.join(COLUMNS)}: {_remedy(column)}")


def _remedy(column: str) -> str:
    return f"did you mean {column}? Rename it to {column}, or leave it out{_rest_of(column)}"


def _rest_of(column: str) -> str:
    return f" to export {_ALL_BELOW[column]}" if column in _ALL_BELOW else ""


def _looked_at(rest: Sequence[tuple[int, str]], there: Collection[str]) -> tuple[OtherColumn, ...]:
    """The columns whose cells might be ids that are missing."""
    missing = tuple(column for column in _ALL_BELOW if column not in there)
    others = []
    for index, name in rest:
        kinds = tuple(column for column in missing if column == "session_id" or not is_of_another_thing(name))
        counts = counted_column(name)
        if kinds:
            others.append(OtherColumn(index, name, kinds, counts if counts in missing else None))
    return tuple(others)


def _is_unnamed(name: str) -> bool:
    """Whether a column has no name, or the one that pandas gives to such (``Unnamed: 2``)."""
    words = flat(name)
    return not words or (words.startswith("unnamed") and not words.removeprefix("unnamed").strip("0123456789"))


def _is_empty(values: Sequence[Any], index: int | None) -> bool:
    """Whether a row has nothing in a column that is there."""
    if index is None:
        return False
    value = values[index] if index < len(values) else None
    return value is None or (isinstance(value, str) and not cell(value))


def _is_number(text: str) -> bool:
    return len(text) <= _LENGTH_OF_NUMBERS_MAX and _NUMBER.fullmatch(text) is not None


def _is_mixed(text: str) -> bool:
    """Whether capitals, small letters and digits follow each other in a text as in nobody's words.

    Of ids that are made at random, six of seven do.
    """
    if text.lower() == text or text.upper() == text:
        return False
    runs = _RUN.findall(text)
    words = sum(len(run) for run in runs if len(run) >= _LONG_RUN and run.isalpha())
    return len(runs) >= _RUNS_MIN and words < _LETTERS_OF_WORDS
