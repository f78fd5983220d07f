"""Partitions: the UTC dates that a table's rows are of. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.arrow import pc
from exporter.lake.tables.table import MICROS
from exporter.timestamps import DAY_US, EPOCH

if TYPE_CHECKING:
    from datetime import date

    from exporter.lake.tables.table import Table


_EPOCH = EPOCH.date()


def dates_in(table: Table, rows: pa.RecordBatch | pa.Table) -> list[date]:
    """Find the UTC dates that the rows are of, in order. Every row has one of the table's times."""
    times_us = _times_us(table, rows)
    if not len(times_us):
        return []
    bounds = pc.min_max(times_us).as_py()
    first, last = (bounds["min"] // DAY_US, bounds["max"] // DAY_US)
    if first == last:
        return [_EPOCH + timedelta(days=first)]
    # From the first day on, for Arrow's division would round what is before the epoch up.
    days = pc.unique(pc.divide(pc.subtract(times_us, first * DAY_US), DAY_US))
    return [_EPOCH + timedelta(days=first + day) for day in sorted(days.to_pylist())]


def of_date(table: Table, rows: pa.RecordBatch, day: date) -> pa.RecordBatch:
    """Select those of the rows that are of a UTC date, in their order."""
    times_us = _times_us(table, rows)
    start_us = (day - _EPOCH).days * DAY_US
    is_of_day = pc.and_(pc.greater_equal(times_us, start_us), pc.less(times_us, start_us + DAY_US))
    return rows if is_of_day.true_count == rows.num_rows else rows.filter(is_of_day)


def _times_us(table: Table, rows: pa.RecordBatch | pa.Table) -> pa.Int64Array | pa.ChunkedArray:
    """The time that dates a row: the first of the table's that is there. Columns may be dictionaries, or all null."""
    times = rows.column(table.date_columns[0]).cast(MICROS)
    for name in table.date_columns[1:]:
        if times.null_count == 0:
            break
        times = pc.coalesce(times, rows.column(name).cast(MICROS))
    return times.cast(pa.int64())
