"""Lists in JSON: an object a line, an array, and what AWS's command prints of its lists.

Any number of values may follow each other, so that pages that were appended to one file are one list.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from exporter.discovery.target_formats.columns import cell, find_columns, shown
from exporter.discovery.target_formats.names import COLUMNS, flat

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from exporter.discovery.target_formats.columns import Columns, Row
    from exporter.discovery.target_formats.text import InputPosition

# A row has three ids; a page of AWS's has 100 items of some 500 bytes; the rest is room.
_VALUE_LENGTH_MAX = 8 << 20
_SHAPES_MAX = 1_000
_BLANKS = re.compile(r"\s*")
#: The members of AWS's answers that hold their items. Source: botocore's model `ivs-realtime` 2020-07-14.
_LISTS = {"stages": "stages", "stagesessions": "stageSessions", "participants": "participants"}
#: Which of the columns an item of each is refused without, or has from around it.
_NAMED_BY_ITEMS: dict[str, tuple[str, ...]] = {
    "stages": ("stage_arn",),
    "stageSessions": ("session_id",),
    "participants": ("session_id", "participant_id"),
}
_NEXT = "nexttoken"
#: What AWS calls a stage's ARN in the stage itself.
_ALSO = {"arn": "stage_arn"}

Value = Any  # what JSON holds


class _TwiceError(ValueError):
    """A member stands twice in one object."""


def json_rows(position: InputPosition, texts: Iterable[str], stage_arn: str | None, notes: list[str]) -> Iterator[Row]:
    """The rows of all values in a text; ``stage_arn`` is the stage of those that name none.

    What the user should know of a list, and what is no error, is added to ``notes``.
    """
    reader = _RowReader(position, stage_arn, notes)
    for value in _values(position, texts):
        yield from reader.rows(value)


class _RowReader:
    """Turns values into rows, and remembers where the columns stand in objects of the same shape."""

    def __init__(self, position: InputPosition, stage_arn: str | None, notes: list[str]) -> None:
        self._position = position
        self._stage_arn = stage_arn or ""
        self._notes = notes
        self._shapes: dict[tuple[tuple[str, ...], Collection[str]], Columns] = {}

    def rows(self, value: Value) -> Iterator[Row]:
        """The rows that a value holds: one, or those of an answer of AWS's."""
        if isinstance(value, str):
            yield value.strip(), "", ""
            return
        if not isinstance(value, dict):
            raise self._position.refusal(f"{_named(value)} is no row: an object with stage_arn, or the ARN of a stage")
        lists = [name for name, items in value.items() if flat(name) in _LISTS and isinstance(items, list)]
        if len(lists) > 1:
            raise self._position.refusal(f"an object with both {shown(lists[0])} and {shown(lists[1])}")
        if lists:
            yield from self._answer_rows(value, lists[0])
        else:
            columns = self._columns(value)
            row = self._row(value, columns, (self._stage_arn, "", ""))
            if columns.indices[0] is None and not (row[0] and row[1]):
                found = ", ".join(map(shown, list(value)[:4])) or "nothing"
                missing = "session_id" if row[0] else "stage_arn"
                raise self._position.refusal(f"{missing} is missing: the object names {found}")
            yield row

    def _answer_rows(self, answer: dict[str, Value], member: str) -> Iterator[Row]:
        """The rows of an answer. A stageArn or sessionId that stands beside its items is that of each of them."""
        beside = {name: value for name, value in answer.items() if name != member}
        kind = _LISTS[flat(member)]
        around = self._row(
            beside, self._columns(beside, COLUMNS), ("" if kind == "stages" else self._stage_arn, "", "")
        )
        if any(value for name, value in beside.items() if flat(name) == _NEXT):
            self._notes.append(
                f"{self._position.name}: AWS has more {kind} than this page of them: it ends with nextToken"
            )
        for item in answer[member]:
            if isinstance(item, str) and kind == "stages":
                yield item.strip(), "", ""
            elif isinstance(item, dict):
                row = self._row(item, self._columns(item, _NAMED_BY_ITEMS[kind]), around)
                self._check_answer_row(row, kind)
                yield row
            else:
                raise self._position.refusal(f"{_named(item)} stands among the {kind}")

    def _check_answer_row(self, row: Row, kind: str) -> None:
        """Refuse an item that does not say which one it is: it would stand for all of them."""
        stage, session, participant = row
        if not stage:
            known = "has no arn" if kind == "stages" else "does not say of which stage: name it with --stage ARN"
            raise self._position.refusal(f"one of the {kind} {known}")
        if kind == "participants" and not session:
            raise self._position.refusal(
                "one of the participants does not say of which session: AWS's list leaves that out, so put a member"
                " sessionId beside participants"
            )
        if (kind == "stageSessions" and not session) or (kind == "participants" and not participant):
            raise self._position.refusal(f"one of the {kind} has no id")

    def _row(self, value: dict[str, Value], columns: Columns, around: Row) -> Row:
        """The row in an object; what it does not name is as ``around``."""
        values = list(value.values())
        if (flaw := columns.flaw(values)) is not None:
            raise self._position.refusal(flaw)
        stage, session, participant = (
            other if index is None else self._text(values[index], column)
            for index, other, column in zip(columns.indices, around, COLUMNS, strict=True)
        )
        return stage, session, participant

    def _columns(self, value: dict[str, Value], elsewhere: Collection[str] = ()) -> Columns:
        shape = (tuple(value), elsewhere)
        columns = self._shapes.get(shape)
        if columns is None:
            try:
                columns = find_columns(shape[0], _ALSO, elsewhere)
            except ValueError as error:
                raise self._position.refusal(str(error)) from None
            if len(self._shapes) < _SHAPES_MAX:
                self._shapes[shape] = columns
        return columns

    def _text(self, value: Value, column: str) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._position.refusal(f"{column} is {_named(value)}, not text")
        return cell(value)


def _values(position: InputPosition, texts: Iterable[str]) -> Iterator[Value]:
    """Each value that stands for itself, or in an array that does; ``position`` goes along."""
    text = _JsonText(position, texts)
    is_array = False
    while letter := text.next_letter():
        if is_array and letter in ",]":
            text.skip()
            is_array = letter == ","
            position.item = position.item if is_array else 0
        elif letter == "[" and not is_array:
            text.skip()
            is_array = True
        else:
            position.item += is_array
            yield text.value()
    if is_array:
        raise position.refusal("the array does not end: the list is cut short")


class _JsonText:
    """A text that is read piece by piece, and cut off as its values are taken."""

    def __init__(self, position: InputPosition, texts: Iterable[str]) -> None:
        self._position = position
        self._texts = iter(texts)
        self._text = ""
        self._index = 0
        position.line = 1
        self._decode = json.JSONDecoder(object_pairs_hook=_object).raw_decode

    def next_letter(self) -> str:
        """The first that is no blank; empty at the end."""
        while True:
            end = _after_blanks(self._text, self._index)
            self._pass(end)
            if end < len(self._text):
                return self._text[end]
            if not self._read():
                return ""

    def skip(self) -> None:
        """Pass over one letter."""
        self._pass(self._index + 1)

    def value(self) -> Value:
        """The value that begins here, however many pieces it takes."""
        while True:
            try:
                value, end = self._decode(self._text, self._index)
            except json.JSONDecodeError as error:
                if len(self._text) - self._index > _VALUE_LENGTH_MAX:
                    raise self._position.refusal(f"a value is longer than {_VALUE_LENGTH_MAX:,} characters") from None
                line = self._position.line + self._text.count("\n", self._index, error.pos)
                if not self._read():
                    self._position.line = line
                    raise self._position.refusal(f"not JSON: {error.msg}") from None
            except _TwiceError as error:
                raise self._position.refusal(f"an object names {error} twice") from None
            except RecursionError:
                raise self._position.refusal("not JSON that can be read: it is nested too deeply") from None
            except ValueError as error:  # a number of thousands of digits
                raise self._position.refusal(f"not JSON that can be read: {shown(str(error))}") from None
            else:
                self._pass(end)
                return value

    def _pass(self, end: int) -> None:
        self._position.line += self._text.count("\n", self._index, end)
        self._index = end

    def _read(self) -> bool:
        """Read as much again as there is; whether there was more."""
        rest = [self._text[self._index :]]
        wanted = len(rest[0])
        got = 0
        for text in self._texts:
            rest.append(text)
            got += len(text)
            if got > wanted:
                break
        self._text, self._index = "".join(rest), 0
        return got > 0


def _object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(shown(next(name for name in names if names.count(name) > 1)))
    return found


def _after_blanks(text: str, index: int) -> int:
    match = _BLANKS.match(text, index)
    return match.end() if match else index


def _named(value: Value) -> str:
    """What a value is, for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"a number ({shown(repr(value))[1:-1]})"
        case str():
            return f"a text ({shown(value)})"
        case list():
            return "an array"
        case _:
            return "an object"
