"""Lists that are tables of text, or bare: CSV with commas, semicolons or tabs between, and the ARNs of stages alone."""

from __future__ import annotations

import csv
import re
from itertools import chain
from typing import TYPE_CHECKING

from exporter.discovery.target_formats.columns import cell, find_columns, means_something, shown
from exporter.discovery.target_formats.names import COLUMNS, flat
from exporter.model import scope_of
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.discovery.target_formats.columns import Columns, Row
    from exporter.discovery.target_formats.text import InputPosition

_DELIMITERS = (",", ";", "\t")
#: What may stand between fields, and what else is found there, as people call it.
DELIMITERS = {
    ",": "commas (,)",
    ";": "semicolons (;)",
    "\t": "tabs",
    "|": "pipes (|)",
    "\x01": "control characters (0x01)",
    "^": "carets (^)",
    "~": "tildes (~)",
    ":": "colons (:)",
    " ": "blanks",
}
DELIMITERS_TOLD = "commas, semicolons or tabs are taken, the same in all lines"
# They are also parts of names, and so count between two of ours alone.
_DOUBTFUL_DELIMITERS = (":", " ")
_COLUMNS = frozenset({"stagearn", "sessionid", "participantid"})
_BETWEEN_ARNS = re.compile(r"[\s,;]+")
_FOR_SPREADSHEETS = re.compile(r"(?i:sep)=.?")
_QUOTES = "\"'"
_AROUND_NAMES = " \t\r\n" + _QUOTES


def table_rows(position: InputPosition, lines: Iterator[str], stage_arn: str | None) -> Iterator[Row]:
    """The rows of a table with a header, or of bare ARNs; ``stage_arn`` is the stage of a table that names none."""
    # A line for spreadsheets alone may say what stands between fields; the header shows it, too.
    first = next(
        (line for line in lines if line.strip() and not _FOR_SPREADSHEETS.fullmatch(line.strip(_AROUND_NAMES))), ""
    )
    if not first:
        return iter(())
    if scope_of(next(iter(_bare_arns(first)), "")) is not None:
        return _bare_rows(position, chain([first], lines))
    _check_delimiter(position, first)
    return _csv_rows(position, chain([first], lines), _delimiter_of(first), stage_arn)


def _bare_rows(position: InputPosition, lines: Iterator[str]) -> Iterator[Row]:
    """ARNs alone, one a line or several with blanks, tabs or commas between, as AWS's command prints them as text."""
    for line in lines:
        for text in _bare_arns(line):
            if scope_of(text) is None:
                raise position.refusal(
                    f"{shown(text)} is no ARN of a stage, in a list of bare ARNs: what names more than stages begins"
                    f" with a header, such as {','.join(COLUMNS)}"
                )
            yield text, "", ""


def _bare_arns(line: str) -> list[str]:
    texts = [text.strip(_QUOTES) for text in _BETWEEN_ARNS.split(line.strip())]
    return [text for text in texts if text]


def _csv_rows(position: InputPosition, lines: Iterator[str], delimiter: str, stage_arn: str | None) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: Columns | None = None
    width = 0
    try:
        for fields in reader:
            if columns is None:
                columns, width = _read_header(position, fields, stage_arn), len(fields)
            elif len(fields) > width:
                raise position.refusal(f"{counted(len(fields), 'field')}, but {width:,} in the header")
            elif any(field.strip() for field in fields):
                yield _row(position, fields, columns, stage_arn)
    except csv.Error as error:
        raise position.refusal(f"not CSV: {error}") from None


def _read_header(position: InputPosition, fields: list[str], stage_arn: str | None) -> Columns:
    try:
        columns = find_columns(fields)
    except ValueError as error:
        raise position.refusal(f"in the header, {error}") from None
    if columns.indices[0] is None and (stage_arn is None or columns.indices[1] is None):
        found = ", ".join(shown(field.strip()) for field in fields[:4]) + (", …" if len(fields) > len("four") else "")
        raise position.refusal(
            f"the first line must be a header with the column stage_arn, or the ARN of a stage: {found}"
        )
    return columns


def _row(position: InputPosition, fields: list[str], columns: Columns, stage_arn: str | None) -> Row:
    if (flaw := columns.flaw(fields)) is not None:
        raise position.refusal(flaw)
    indices = columns.indices
    stage, session, participant = (
        cell(fields[index]) if index is not None and index < len(fields) else "" for index in indices
    )
    if indices[0] is None and not session:
        raise position.refusal("session_id is missing")
    return stage_arn or "" if indices[0] is None else stage, session, participant


def _check_delimiter(position: InputPosition, first: str) -> None:
    """Refuse a first line whose fields stand between something that is not taken, by its name."""
    for field in re.split("[,;\t]", first):
        for delimiter, name in DELIMITERS.items():
            parts = [part.strip(_AROUND_NAMES) for part in field.strip(_AROUND_NAMES).split(delimiter)]
            ours = sum(flat(part) in _COLUMNS or scope_of(part) is not None for part in parts)
            if ours > (delimiter in _DOUBTFUL_DELIMITERS) and len(parts) > 1:
                raise position.refusal(f"fields stand between {name}: {DELIMITERS_TOLD}")


def _delimiter_of(header: str) -> str:
    """What stands between a header's fields: what gives the most columns that mean something, then the most fields."""

    def score(delimiter: str) -> tuple[int, int]:
        names = [name.strip(_AROUND_NAMES) for name in header.split(delimiter)]
        return sum(means_something(name) for name in names), len(names)

    return max(_DELIMITERS, key=score)
