"""Lists that are tables of text, or bare: CSV with commas, semicolons or tabs between, and the ARNs of stages alone."""

from __future__ import annotations

import csv
import re
from itertools import chain
from typing import TYPE_CHECKING

from exporter.domain import scope_of
from exporter.target_columns import COLUMNS, find_columns, resembled, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.target_columns import Places, Row
    from exporter.target_text import Place

_DELIMITERS = (",", ";", "\t")
_BETWEEN_ARNS = re.compile(r"[\s,;]+")
_QUOTES = "\"'"


def table_rows(place: Place, lines: Iterator[str], stage_arn: str | None) -> Iterator[Row]:
    """The rows of a table with a header, or of bare ARNs; ``stage_arn`` is the stage of a table that names none."""
    first = next((line for line in lines if line.strip()), "")
    if not first:
        return iter(())
    if scope_of(next(iter(_bare_arns(first)), "")) is not None:
        return _bare_rows(place, chain([first], lines))
    return _csv_rows(place, chain([first], lines), _delimiter_of(first), stage_arn)


def _bare_rows(place: Place, lines: Iterator[str]) -> Iterator[Row]:
    """ARNs alone, one a line or several with blanks, tabs or commas between, as AWS's command prints them as text."""
    for line in lines:
        for text in _bare_arns(line):
            if scope_of(text) is None:
                raise place.refusal(
                    f"{shown(text)} is no ARN of a stage, in a list of bare ARNs: what names more than stages begins"
                    f" with a header, such as {','.join(COLUMNS)}"
                )
            yield text, "", ""


def _bare_arns(line: str) -> list[str]:
    texts = [text.strip(_QUOTES) for text in _BETWEEN_ARNS.split(line.strip())]
    return [text for text in texts if text]


def _csv_rows(place: Place, lines: Iterator[str], delimiter: str, stage_arn: str | None) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    places: Places | None = None
    width = 0
    try:
        for fields in reader:
            if places is None:
                places, width = _read_header(place, fields, stage_arn), len(fields)
            elif len(fields) > width:
                raise place.refusal(f"{len(fields)} fields, but {width} in the header")
            elif any(field.strip() for field in fields):
                yield _row(place, fields, places, stage_arn)
    except csv.Error as error:
        raise place.refusal(f"not CSV: {error}") from None


def _read_header(place: Place, fields: list[str], stage_arn: str | None) -> Places:
    try:
        places = find_columns(fields)
    except ValueError as error:
        raise place.refusal(f"in the header, {error}") from None
    if places[0] is None and (stage_arn is None or places[1] is None):
        found = ", ".join(shown(field.strip()) for field in fields[:4]) + (", …" if len(fields) > len("four") else "")
        raise place.refusal(
            f"the first line must be a header with the column stage_arn, or the ARN of a stage: {found}"
        )
    return places


def _row(place: Place, fields: list[str], places: Places, stage_arn: str | None) -> Row:
    stage, session, participant = (
        fields[index].strip() if index is not None and index < len(fields) else "" for index in places
    )
    if places[0] is None and not session:
        raise place.refusal("session_id is missing")
    return stage_arn or "" if places[0] is None else stage, session, participant


def _delimiter_of(header: str) -> str:
    """What stands between a header's fields: what gives the most columns that mean something, then the most fields."""

    def score(delimiter: str) -> tuple[int, int]:
        names = [name.strip(" \r\n" + _QUOTES) for name in header.split(delimiter)]
        return sum(_means_something(name) for name in names), len(names)

    return max(_DELIMITERS, key=score)


def _means_something(name: str) -> bool:
    flat = "".join(filter(str.isalnum, name.lower()))
    return flat in {"stagearn", "sessionid", "participantid"} or resembled(name) is not None
