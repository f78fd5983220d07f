"""Whether the values of a data file are what their types say: PyArrow takes bytes for what they should be. Pure.

A wrong byte in a text shows when the text is decoded, which may be anywhere; so it is looked for where rows are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.arrow import pc
from exporter.timestamps import FIRST_US, LAST_US

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.lake.tables.table import Table


def check_values(table: Table, rows: pa.RecordBatch | pa.Table) -> None:
    """Raise :class:`ValueError` where rows of a table hold what can't be.

    That is a text that is no UTF-8, an index outside of its dictionary or list, a time that no calendar has, and no
    value where rows are sorted by it. Texts may be in dictionaries.
    """
    rows.validate(full=True)
    for name in rows.schema.names:
        column = rows.column(name)
        if column.null_count and name in table.sort_by:
            raise ValueError(f"its column {name} lacks values")
        for times in _times_in(column):
            bounds = pc.min_max(times.cast(pa.int64())).as_py()
            if bounds["min"] is not None and not FIRST_US <= bounds["min"] <= bounds["max"] <= LAST_US:
                raise ValueError(f"its column {name} holds a time outside of all years")


def _times_in(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array | pa.ChunkedArray]:
    """A column of times, or those times that stand in the fields of its structs."""
    if pa.types.is_timestamp(column.type):
        yield column
    elif pa.types.is_struct(column.type):
        for index in range(column.type.num_fields):
            yield from _times_in(pc.struct_field(column, [index]))
