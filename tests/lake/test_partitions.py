"""The UTC date of a row: that of the first of its table's times that is there."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lake.partitions import dates_in, of_date
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.table import MICROS

DAY_US = 86_400_000_000
_NAMES = PARTICIPANTS.date_columns
_times = st.one_of(st.none(), st.integers(-3, 3).map(lambda day: day * DAY_US), st.integers(-DAY_US, DAY_US))


def _batch(rows: list[tuple[int | None, ...]], *, are_dictionaries: bool) -> pa.RecordBatch:
    columns = []
    for values in zip(*rows, strict=True):
        column = pa.nulls(len(values)) if set(values) == {None} else pa.array(values, MICROS)
        columns.append(column.dictionary_encode() if are_dictionaries and column.type == MICROS else column)
    return pa.RecordBatch.from_arrays([*columns, pa.array(range(len(rows)))], names=[*_NAMES, "number"])


@given(st.lists(st.tuples(_times, _times, st.integers(-DAY_US, 2 * DAY_US)), min_size=1, max_size=8), st.booleans())
def test_the_first_time_that_is_there_dates_a_row(rows: list[tuple[Any, ...]], are_dictionaries: bool) -> None:
    """A null time passes the date on to the next one; the rows are cut by it, and nothing in them changes."""
    batch = _batch(rows, are_dictionaries=are_dictionaries)
    expected: dict[int, list[int]] = {}
    for number, times in enumerate(rows):
        expected.setdefault(next(time for time in times if time is not None) // DAY_US, []).append(number)
    days = dates_in(PARTICIPANTS, batch)
    assert [(day - date(1970, 1, 1)).days for day in days] == sorted(expected)
    assert dates_in(PARTICIPANTS, pa.Table.from_batches([batch, batch])) == days
    for day in days:
        part = of_date(PARTICIPANTS, batch, day)
        assert part.column("number").to_pylist() == expected[(day - date(1970, 1, 1)).days]
        assert part.equals(batch.take(part.column("number")))


def test_rows_without_a_start_are_dated_by_the_export() -> None:
    """A column of nulls alone, as it waits in memory, dates nothing."""
    rows = pa.RecordBatch.from_pydict({"session_start": pa.nulls(2), "exported_at": pa.array([0, DAY_US], MICROS)})
    assert dates_in(SESSIONS, rows) == [date(1970, 1, 1), date(1970, 1, 2)]
    assert of_date(SESSIONS, rows, date(1970, 1, 2)).column("session_start").to_pylist() == [None]


@pytest.mark.parametrize("table", [SESSIONS, PARTICIPANTS])
def test_no_rows_have_no_dates(table: Any) -> None:
    """Where there is no row there is no date."""
    assert dates_in(table, table.schema.empty_table()) == []
