"""Columns as rows wait in memory for a checkpoint, of any table: compact.

Text that repeats is a dictionary with the smallest indices, and a column of nulls has Arrow's null type.
:mod:`exporter.lake.parquet` spreads them out to the table's pinned schema, a row group at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.lake.tables.table import MICROS
from exporter.model import scope_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

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
    return pa.DictionaryArray.from_arrays(column.indices.cast(_index_type(len(column.dictionary))), column.dictionary)


def times(values_us: Sequence[int | None]) -> pa.TimestampArray | pa.NullArray:
    """Make a column of times, from microseconds since the epoch."""
    return pa.nulls(len(values_us)) if all(value is None for value in values_us) else pa.array(values_us, MICROS)


def shared_times(values_us: Sequence[int | None]) -> pa.DictionaryArray:
    """Make a column of times that many rows share, from microseconds since the epoch."""
    return _indexed(values_us, MICROS)


def flags(values: Sequence[bool | None]) -> pa.BooleanArray:
    """Make a column of flags."""
    return pa.array(values, pa.bool_())


def text_maps(values: Sequence[Mapping[str, str] | None], kind: pa.MapType) -> pa.DictionaryArray | pa.NullArray:
    """Make a column of maps, each with its keys in order; rows with equal maps share one."""
    if all(value is None for value in values):
        return pa.nulls(len(values))
    items = [None if value is None else tuple(sorted(value.items())) for value in values]
    return _indexed(items, kind)


def stage_columns(stage_arns: Sequence[str]) -> dict[str, pa.DictionaryArray]:
    """Make the columns ``stage_arn``, ``account_id`` and ``region``; the last two are null where the ARN is none."""
    scopes = {stage_arn: scope_of(stage_arn) for stage_arn in set(stage_arns)}
    return {
        "stage_arn": dictionary(stage_arns),
        "account_id": dictionary([scope.account_id if (scope := scopes[arn]) else None for arn in stage_arns]),
        "region": dictionary([scope.region if (scope := scopes[arn]) else None for arn in stage_arns]),
    }


def stamp_columns(stamp: Stamp, length: int) -> dict[str, pa.DictionaryArray]:
    """Make the columns ``run_id`` and ``exported_at`` of rows that are written at one time."""
    first = pa.repeat(pa.scalar(0, pa.int8()), length)
    return {
        "run_id": pa.DictionaryArray.from_arrays(first, pa.array([stamp.run_id])),
        "exported_at": pa.DictionaryArray.from_arrays(first, pa.array([stamp.exported_at_us], MICROS)),
    }


def _indexed(values: Sequence[Hashable], kind: pa.DataType) -> pa.DictionaryArray:
    """A dictionary of the values that differ; None is null."""
    distinct = {value: index for index, value in enumerate(dict.fromkeys(v for v in values if v is not None))}
    indices = pa.array(map(distinct.get, values), _index_type(len(distinct)))
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(distinct), kind))


def _index_type(length: int) -> pa.DataType:
    return next(kind for kind in _INDEX_TYPES if length <= 1 << (kind.bit_width - 1))
