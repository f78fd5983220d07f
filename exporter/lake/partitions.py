"""Partitions: the UTC dates that a table's rows are of. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.arrow import pc
from exporter.timestamps import DAY_US, EPOCH

if TYPE_CHECKING:
    from datetime import date

    from exporter.lake.tables.table import Table


_EPOCH = EPOCH.date()


def dates_in(table: Table, rows: pa.RecordBatch | pa.Table) -> list[date]:
    """Find the UTC dates that the rows are of, in order. No time may be null."""
    times_us = rows.column(table.time_column).cast(pa.int64())
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
    times_us = rows.column(table.time_column).cast(pa.int64())
    start_us = (day - _EPOCH).days * DAY_US
    is_of_day = pc.and_(pc.greater_equal(times_us, start_us), pc.less(times_us, start_us + DAY_US))
    return rows if is_of_day.true_count == rows.num_rows else rows.filter(is_of_day)
