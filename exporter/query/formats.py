"""Answers as text: a table for people, CSV, and a JSON array of objects. Pure; each takes an answer batch by batch.

Times are ISO 8601 in UTC. Whatever stands in a text from the lake, a terminal is never made to do anything: the table
and JSON have what can't be printed as escapes, and CSV has it so where a terminal reads it.
"""

from __future__ import annotations

import csv
import io
import re
from decimal import Decimal
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from exporter.lake.arrow import pc
from exporter.text import counted, cut, escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from exporter.query.database import QueryAnswer

    #: An answer as pieces of text; the flag says that a terminal reads it.
    Format = Callable[[QueryAnswer, bool], Iterator[str]]

#: A column is as wide in a table as its widest cell among the first rows. Wider cells than this are cut.
_FIRST_ROWS, _WIDTH_MAX = 1_000, 80
_ROWS_AT_ONCE = 100
_NO_VALUE = "null"
#: The columns of what EXPLAIN answers: drawings of many lines.
_PLAN = ["explain_key", "explain_value"]
# Numbers of people's interest; what is smaller is shown whole.
_DECIMALS, _LEAST_ROUNDED = 3, 0.001
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def as_table(answer: QueryAnswer, is_terminal: bool) -> Iterator[str]:  # noqa: ARG001, FBT001 - a table is for people
    """Columns side by side, long values cut, and the number of rows; a plan is drawn as it is."""
    if answer.schema.names == _PLAN:
        yield from (f"{escaped(line)}\n" for _, plan in _rows(answer) for line in str(plan).splitlines())
        return
    names = [escaped(name) for name in answer.schema.names]
    is_right = [_is_number(field.type) for field in answer.schema]
    rows = ([_narrow(escaped(_cell(value))) for value in row] for row in _rows(answer))
    first = list(islice(rows, _FIRST_ROWS))
    widths = [max(map(cell_len, column)) for column in zip(names, *first, strict=True)]
    yield _line(names, widths, is_right) + _line(["-" * width for width in widths], widths, is_right)
    count = 0
    for some in _some(chain(first, rows)):
        count += len(some)
        yield "".join(_line(row, widths, is_right) for row in some)
    yield f"({counted(count, 'row')})\n"


def as_csv(answer: QueryAnswer, is_terminal: bool) -> Iterator[str]:  # noqa: FBT001 - called by position
    """RFC 4180 with a header and plain line ends; no value is an empty field, and what is nested is JSON."""
    show = escaped if is_terminal else str
    for some in _some(chain([answer.schema.names], _rows(answer))):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [None if value is None else show(_plain(value)) for value in row] for row in some
        )
        yield text.getvalue()


def as_json(answer: QueryAnswer, is_terminal: bool) -> Iterator[str]:  # noqa: ARG001, FBT001 - the same for all
    """An array with an object for each row, a row a line, in ASCII; numbers that JSON lacks are null."""
    names = _once(answer.schema.names)
    before = "[\n"
    for some in _some(_rows(answer)):
        texts = [_ascii(_ENCODER.encode(dict(zip(names, row, strict=True))).decode()) for row in some]
        yield before + ",\n".join(texts)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


FORMATS: dict[str, Format] = {"table": as_table, "csv": as_csv, "json": as_json}


def _rows(answer: QueryAnswer) -> Iterator[tuple[Any, ...]]:
    """The rows, of values that JSON knows, and Decimals and bytes."""
    for batch in answer.batches:
        yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: Any) -> list[Any]:  # noqa: ANN401 - PyArrow has no types
    """A column's values. Times are never Python's, which end with the year 9999 and with microseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        utc = column.cast(pa.timestamp(kind.unit))  # with a zone, years beyond 32767 come out as others
        return [None if text is None else _moment(text) for text in _times(utc, pa.int64())]
    if pa.types.is_date(kind) or pa.types.is_time(kind):
        return _times(column, pa.int32() if pa.types.is_date32(kind) else pa.int64())
    if pa.types.is_nested(kind):
        return _nested(column, kind)
    values: list[Any] = column.to_pylist()
    return values


def _nested(column: Any, kind: Any) -> list[Any]:  # noqa: ANN401 - PyArrow has no types
    """A column's values of values, as JSON knows them; a map with other keys than texts is a list of pairs."""
    if pa.types.is_struct(kind):
        names = _once([field.name for field in kind])
        columns = [*map(_values, column.flatten())]
        found: list[Any] = [
            {name: of[index] for name, of in zip(names, columns, strict=True)} for index in range(len(column))
        ]
    elif pa.types.is_map(kind):
        make = dict if pa.types.is_string(kind.key_type) else list
        pairs = list(zip(_values(column.keys), _values(column.items), strict=True))
        found = [make(pairs[begin:end]) for begin, end in pairwise(column.offsets.to_pylist())]
    elif pa.types.is_list(kind):
        inner = _values(column.values)
        found = [inner[begin:end] for begin, end in pairwise(column.offsets.to_pylist())]
    elif pa.types.is_fixed_size_list(kind):
        inner, size = _values(column.values), kind.list_size
        found = [inner[index * size :][:size] for index in range(column.offset, column.offset + len(column))]
    else:
        return column.to_pylist()  # type: ignore[no-any-return]
    return [value if is_there else None for value, is_there in zip(found, column.is_valid().to_pylist(), strict=True)]


def _times(column: Any, whole: Any) -> list[str | None]:  # noqa: ANN401 - PyArrow has no types
    """Times and dates as PyArrow writes them. DuckDB's infinite ones are the last and the first of their ``whole``."""
    texts: list[str | None] = pc.cast(column, pa.string()).to_pylist()
    wholes, last = column.cast(whole), (1 << whole.bit_width - 1) - 1
    for infinite, text in ((last, "infinity"), (-last, "-infinity")):
        for index in pc.indices_nonzero(pc.equal(wholes, infinite)).to_pylist():
            texts[index] = text
    return texts


def _moment(text: str) -> str:
    """A time as PyArrow writes it, as ISO 8601 has it: in UTC, and without digits that say nothing."""
    if not text[-1].isdigit():
        return text  # none that a calendar has
    whole, point, fraction = text.replace(" ", "T", 1).partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}{point if fraction else ''}{fraction}Z"


def _plain(value: Any) -> str:  # noqa: ANN401 - of any type
    """A value as text, in full."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        return _ENCODER.encode(value).decode().strip('"')
    return str(value)


def _cell(value: Any) -> str:  # noqa: ANN401 - of any type
    """A value as people read it."""
    if value is None:
        return _NO_VALUE
    if isinstance(value, float) and (value == 0 or abs(value) >= _LEAST_ROUNDED):
        text = f"{value:.{_DECIMALS}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return _plain(value)


def _narrow(text: str) -> str:
    """A cell that is no wider than a column may be: many letters of Asian scripts, and emoji, are two wide."""
    shown = cut(text, _WIDTH_MAX)
    return shown if cell_len(shown) <= _WIDTH_MAX + 1 else set_cell_size(shown, _WIDTH_MAX) + "…"


def _is_number(kind: Any) -> bool:  # noqa: ANN401 - PyArrow has no types
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _line(cells: Sequence[str], widths: Sequence[int], is_right: Sequence[bool]) -> str:
    padded = []
    for cell, width, right in zip(cells, widths, is_right, strict=True):
        space = " " * (width - cell_len(cell))
        padded.append(space + cell if right else cell + space)
    return "  ".join(padded).rstrip() + "\n"


def _some(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """The rows, many at a time."""
    some: list[Any] = []
    for row in rows:
        some.append(row)
        if len(some) >= _ROWS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _once(names: Sequence[str]) -> list[str]:
    """Names of members, each of which stands once: the second ``a`` is ``a_2``."""
    found: list[str] = []
    for name in names:
        number, own = 1, name
        while own in found:
            number += 1
            own = f"{name}_{number}"
        found.append(own)
    return found


def _ascii(text: str) -> str:
    """JSON with all that is not ASCII escaped, as JSON does it."""
    return text if text.isascii() else _NOT_ASCII.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    digits = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{digits[begin : begin + 4]}" for begin in range(0, len(digits), 4))
