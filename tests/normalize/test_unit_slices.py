"""Units one after another in shared columns: each has its own rows, in order, and none is left out."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from exporter.model import Unit
from exporter.normalize.unit_slices import UnitSlices


def _unit(number: int) -> Unit:
    return Unit("stage", "session", f"p{number}")


@given(st.lists(st.tuples(st.integers(0, 3).map(_unit), st.integers(0, 4)), max_size=6))
def test_each_row_is_of_its_unit(counts: list[tuple[Unit, int]]) -> None:
    """Whatever the counts, also where they are 0 or a unit stands there twice."""
    slices = UnitSlices.of(counts)
    owners = [unit for unit, count in counts for _ in range(count)]
    assert [owners[row] for unit, rows in slices for row in rows] == owners
    assert [(unit, len(rows)) for unit, rows in slices] == counts
    assert (slices.row_count, slices.counts) == (len(owners), [count for _, count in counts])
    assert list(slices.per_row(slices.units)) == owners
    assert [slices.units[index] for index in slices.unit_of_row().to_pylist()] == owners
    column = pa.array(range(len(owners)), pa.int64())
    assert [(unit, part.to_pylist()) for unit, part in slices.of_column(column)] == [
        (unit, list(rows)) for unit, rows in slices
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=6, unique_by=lambda unit: unit[0]))
def test_units_without_rows_may_stand_between_the_others(units: list[tuple[int, bool]]) -> None:
    """Of more units, those that had no slice have an empty one, and the others keep their rows."""
    slices = UnitSlices.of((_unit(number), number) for number, has_rows in units if has_rows)
    among = slices.among([_unit(number) for number, _ in units])
    assert list(among.units) == [_unit(number) for number, _ in units]
    assert among.counts == [number if has_rows else 0 for number, has_rows in units]
    assert dict(among).items() >= dict(slices).items()
    assert among.row_count == slices.row_count
