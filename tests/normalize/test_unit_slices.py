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
