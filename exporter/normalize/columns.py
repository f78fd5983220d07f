"""Columns as rows wait in memory for a checkpoint, of any table: compact.

Text that repeats is a dictionary with the smallest indices, and a column of nulls has Arrow's null type.
:mod:`exporter.lake.parquet` spreads them out to the table's pinned schema, a row group at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.tables.table import MICROS

if TYPE_CHECKING:
    from collections.abc import Sequence

_INDEX_TYPES = (pa.int8(), pa.int16(), pa.int32())


@dataclass(frozen=True, slots=True)
class Stamp:
    """What each row says of the run that wrote it; ``exported_at_us`` is in microseconds since the epoch, UTC."""

    run_id: str
    exported_at_us: int


def texts(values: Sequence[str | None]) -> pa.DictionaryArray | pa.NullArray:
    """Make a column of texts."""
    return dictionary(values) if any(values) else pa.nulls(len(values))


def dictionary(values: Sequence[str | None]) -> pa.DictionaryArray:
    """Make a column of texts with the smallest indices that its dictionary allows."""
    column = pa.array(values, pa.dictionary(pa.int32(), pa.string()))
    index_type = next(kind for kind in _INDEX_TYPES if len(column.dictionary) <= 1 << (kind.bit_width - 1))
    return pa.DictionaryArray.from_arrays(column.indices.cast(index_type), column.dictionary)


def stamp_columns(stamp: Stamp, length: int) -> dict[str, pa.DictionaryArray]:
    """Make the columns ``run_id`` and ``exported_at`` of rows that are written at one time."""
    first = pa.repeat(pa.scalar(0, pa.int8()), length)
    return {
        "run_id": pa.DictionaryArray.from_arrays(first, pa.array([stamp.run_id])),
        "exported_at": pa.DictionaryArray.from_arrays(first, pa.array([stamp.exported_at_us], MICROS)),
    }
