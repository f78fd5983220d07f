"""What must hold of a lake at every moment, and what once a run has come to its end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import duckdb

from tests.support.oracle import lake_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kills import Command
    from tests.support.lakes import Lake
    from tests.support.oracle import Row

_COLUMNS = (
    "account_id, region, stage_arn, session_id, participant_id, epoch_us(event_time), event_name,"
    " remote_participant_id, error_code, destination_stage_arn, destination_session_id, replica"
)
#: So many columns of an expected row does `_COLUMNS` name: all but tokens and `extra`.
_WIDTH = 12


class BrokenLawError(Exception):
    """The lake is not as was promised."""


def check_reading(lake: Lake, truth: Counter[Row]) -> int:
    """Read the lake as its readers do; gives the number of rows.

    Another run may be at work meanwhile. Raises :class:`BrokenLawError` for an id that stands twice in a unit, for a
    row that the API never showed or not so often, and for a visible file that no record names.
    """
    folder = lake.folder()
    visible = {path.relative_to(folder).as_posix() for path in folder.glob("events/**/*.parquet")}
    twice, rows = _read(folder) if visible else ([], Counter())
    named = {file["key"] for record in lake.records() for file in record["files"]}  # a record stands before its files
    if strange := visible - named:
        raise BrokenLawError(f"no record names {sorted(strange)}")
    if twice:
        raise BrokenLawError(f"event ids stand twice in a unit: {twice[:3]}")
    if more := rows - narrowed(truth):
        raise BrokenLawError(f"{more.total()} rows are more than the API shows: {list(more.items())[:3]}")
    return rows.total()


def check_ended(command: Command, truth: Counter[Row]) -> None:
    """Compare the lake with the truth, whole, after a run that came to its end.

    Raises :class:`BrokenLawError` where a row is missing or too many, where ``verify`` finds anything, and where
    something is left.
    """
    check_equal(command.lake, truth)
    if found := command.verify():
        raise BrokenLawError(f"verify is not clean: {found}")


def check_equal(lake: Lake, truth: Counter[Row]) -> None:
    """The lake's rows are the truth in all columns, and nothing is staged; else :class:`BrokenLawError`."""
    rows = lake_rows(lake.folder())
    if rows != truth:
        missing, more = truth - rows, rows - truth
        examples = [*missing.items()][:3], [*more.items()][:3]
        raise BrokenLawError(f"{missing.total()} rows are missing and {more.total()} too many: {examples}")
    if staged := lake.staged():
        raise BrokenLawError(f"staged files are left: {sorted(staged)[:5]}")


def narrowed(rows: Counter[Row]) -> Counter[Row]:
    """Rows without their tokens and what has no column."""
    narrow: Counter[Row] = Counter()
    for row, count in rows.items():
        narrow[row[:_WIDTH]] += count
    return narrow


def _read(folder: Path) -> tuple[list[Any], Counter[Row]]:
    """The ids that stand twice in a unit, and all rows."""
    events = f"read_parquet('{folder}/events/**/*.parquet')"
    unit = "stage_arn, session_id, participant_id, event_id"
    with duckdb.connect() as connection:
        twice = connection.sql(f"SELECT {unit} FROM {events} GROUP BY {unit} HAVING count(*) > 1").fetchall()
        counted = connection.sql(f"SELECT count(*), {_COLUMNS} FROM {events} GROUP BY ALL").fetchall()
    return twice, Counter({tuple(row): count for count, *row in counted})
