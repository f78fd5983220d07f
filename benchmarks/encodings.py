"""What each choice of ``exporter/lake/parquet.py`` costs and gains: bytes an event, by the number of rows in a file.

A week's events of a seeded world are written as the exporter writes them, with one option changed at a time. Beside the
bytes stands the processor's time for writing a million rows in the largest files. ``seconds`` and ``milliseconds`` are
the same rows with their times cut off there, since nobody promises microseconds.

    .venv/bin/python -m benchmarks.encodings            1,000,000 events
    .venv/bin/python -m benchmarks.encodings --quick    some thousand
"""

from __future__ import annotations

import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.figures import Figure, show
from benchmarks.made_up import week
from exporter.lake.parquet import GROUP_ROWS_MAX, encode, writer_options
from exporter.lake.tables.events import EVENTS
from exporter.normalize.columns import Stamp
from exporter.normalize.events import event_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.lake.tables.table import Table
    from exporter.model import FetchedUnit

_STAGES, _STAGES_QUICK = 17, 1
ROWS = (10, 100, 1_000, 10_000, GROUP_ROWS_MAX)
_FILES_MAX = 40
_UNITS_A_BATCH = 100
_CALL_US = 200_000
_EXPORTED_AT_US = 1_768_791_600_000_000
(_TIME,) = EVENTS.own.times
_TOKEN_TIMES = ("previous_token.expiration_time", "new_token.expiration_time")
_USUAL = writer_options(EVENTS)


def _dictionaries(*, without: Iterable[str] = (), more: Iterable[str] = ()) -> dict[str, Any]:
    return {"use_dictionary": [path for path in _USUAL["use_dictionary"] if path not in without] + list(more)}


def _encodings(encodings: Mapping[str, str], without: Iterable[str] = ()) -> dict[str, Any]:
    return {"column_encoding": _USUAL["column_encoding"] | encodings} | _dictionaries(without=without)


_TOKEN_TEXTS = [
    f"{token}.{member}"
    for token in ("previous_token", "new_token")
    for member in ("capabilities.list.element", "attributes.key_value.key", "attributes.key_value.value", "user_id")
]
#: What is changed, and the options that change it.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    **{f"zstd level {level}": {"compression_level": level} for level in (1, 3, 6, 9, 15, 19)},
    **{f"{_TIME} {encoding}": _encodings({_TIME: encoding}) for encoding in ("PLAIN", "BYTE_STREAM_SPLIT")},
    f"{_TIME} a dictionary": {"column_encoding": {}} | _dictionaries(more=[_TIME]),
    "exported_at DELTA_BINARY_PACKED": _encodings({"exported_at": "DELTA_BINARY_PACKED"}, without=["exported_at"]),
    "token times DELTA_BINARY_PACKED": _encodings(dict.fromkeys(_TOKEN_TIMES, "DELTA_BINARY_PACKED")),
    "token times dictionaries": _dictionaries(more=_TOKEN_TIMES),
    "token texts dictionaries": _dictionaries(more=_TOKEN_TEXTS),
    "event_id BYTE_STREAM_SPLIT": _encodings({"event_id": "BYTE_STREAM_SPLIT"}),
    "a page index": {"write_page_index": True},
    "data pages of version 2": {"data_page_version": "2.0"},
    "a bloom filter for participant_id": {"bloom_filter_options": {"participant_id": {"ndv": 2_000, "fpp": 0.01}}},
}
#: Times cut off, and the encodings of them that are compared.
CUTS = {"seconds": 1_000_000, "milliseconds": 1_000}


def figures(*, quick: bool) -> Iterator[Figure]:
    """Bytes an event of each variant, for each number of rows in a file."""
    rows = as_written(EVENTS, _batches(week(_STAGES_QUICK if quick else _STAGES)))
    yield Figure("rows in a file", " ".join(f"{count:>7,}" for count in ROWS))
    yield figure_of("pyarrow's defaults", rows, {})
    for name, changed in VARIANTS.items():
        yield figure_of(name, rows, _USUAL | changed)
    for cut, micros in CUTS.items():
        cut_rows = _with_times_cut(rows, micros)
        for encoding in ("DELTA_BINARY_PACKED", "PLAIN", "BYTE_STREAM_SPLIT"):
            yield figure_of(f"{cut}: {_TIME} {encoding}", cut_rows, _USUAL | _encodings({_TIME: encoding}))


def _batches(units: Iterable[FetchedUnit]) -> Iterator[pa.RecordBatch]:
    rest, number = iter(units), 0
    while batch := list(islice(rest, _UNITS_A_BATCH)):
        yield event_rows(batch, Stamp("20260119T030000Z-benchmark", _EXPORTED_AT_US + number * _CALL_US)).rows
        number += len(batch)


def as_written(table: Table, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """The rows as the exporter sorts them, in row groups of the largest size."""
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    written = encode(table, list(batches))
    return pq.read_table(pa.BufferReader(written), read_dictionary=texts).unify_dictionaries()


def _with_times_cut(rows: pa.Table, micros: int) -> pa.Table:
    times_us = rows.column(_TIME).cast(pa.int64())
    cut = pc.multiply(pc.divide(times_us, micros), micros).cast(EVENTS.schema.field(_TIME).type)
    return rows.set_column(rows.schema.get_field_index(_TIME), EVENTS.schema.field(_TIME), cut)


def figure_of(name: str, rows: pa.Table, options: Mapping[str, Any]) -> Figure:
    """Bytes a row, for each number of rows in a file, and the processor's time for the largest files."""
    shown = []
    cpu_s = 0.0
    for count in ROWS:
        starts = list(range(0, rows.num_rows, max(count, rows.num_rows // _FILES_MAX)))
        parts = [_used(rows.slice(start, count)) for start in starts]
        began_s = time.process_time()
        size_bytes = sum(_size_bytes(part, options) for part in parts)
        written = sum(part.num_rows for part in parts)
        cpu_s = (time.process_time() - began_s) * 1_000_000 / written
        shown.append(f"{size_bytes / written:>7.2f}")
    return Figure(name, " ".join(shown), note=f"{cpu_s:.2f} s a million rows")


def _used(rows: pa.Table) -> pa.Table:
    """The rows with what is in their dictionaries and in none of them left out."""
    columns = [
        column.cast(column.type.value_type).dictionary_encode() if pa.types.is_dictionary(column.type) else column
        for column in rows.columns
    ]
    return pa.table(columns, schema=rows.schema)


def _size_bytes(rows: pa.Table, options: Mapping[str, Any]) -> int:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, rows.schema, **options) as writer:
        writer.write_table(rows)
    size_bytes: int = sink.getvalue().size
    return size_bytes


if __name__ == "__main__":
    show(figures(quick="--quick" in sys.argv))
