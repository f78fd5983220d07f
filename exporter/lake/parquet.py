"""Rows of a table to the bytes of one Parquet file.

A file costs the memory of one row group beside its own bytes, and a group is bounded in rows and in bytes. Rows come as
they are buffered (see :mod:`exporter.normalize.columns`), where a column may be a dictionary or all null instead of its
type in the schema; they are spread out one group at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from exporter.lake.arrow import pc, pq

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.lake.tables.table import Table

#: Rows in a row group, at most.
GROUP_ROWS_MAX = 65_536
#: Bytes of a row group's rows, at most, as they are buffered, and as they are written; one row may have more.
GROUP_SIZE_BYTES_MAX = 16 << 20
#: The key of the schema's version in a file's metadata.
VERSION_KEY = "ivs-export.schema-version"

_ZSTD_LEVEL = 6
# The writer drops a dictionary with more bytes than this, and writes each row's text in full from there on. It is
# PyArrow's default for ``dictionary_pagesize_limit``.
_DICTIONARY_SIZE_BYTES_MAX = 1 << 20


def encode(
    table: Table,
    rows: Sequence[pa.RecordBatch],
    *,
    metadata: Mapping[str, str] | None = None,
    group_rows_max: int = GROUP_ROWS_MAX,
    group_size_bytes_max: int = GROUP_SIZE_BYTES_MAX,
) -> pa.Buffer:
    """Write one Parquet file with all of ``rows``, which are of one date and have the columns of the table by name.

    Within a row group the rows are sorted as the table says. ``metadata`` stands in the file beside the schema's
    version.
    """
    total, sink = sum(batch.num_rows for batch in rows), pa.BufferOutputStream()
    encode_into(
        sink,
        table,
        rows,
        total,
        metadata=metadata,
        group_rows_max=group_rows_max,
        group_size_bytes_max=group_size_bytes_max,
    )
    return sink.getvalue()


def encode_into(
    sink: Any,  # noqa: ANN401 - a path, or a file of PyArrow's
    table: Table,
    rows: Iterable[pa.RecordBatch],
    total: int,
    *,
    metadata: Mapping[str, str] | None = None,
    group_rows_max: int = GROUP_ROWS_MAX,
    group_size_bytes_max: int = GROUP_SIZE_BYTES_MAX,
) -> None:
    """Write one Parquet file as `encode` does, of ``total`` rows that are read while they are written."""
    schema = _written_schema(table)
    with pq.ParquetWriter(sink, schema, **writer_options(table)) as writer:
        writer.add_key_value_metadata({VERSION_KEY: str(table.version), **(metadata or {})})
        for group in _groups(rows, total, group_rows_max, group_size_bytes_max):
            for part in _written_parts(_spread(table, schema, group), group_size_bytes_max):
                writer.write_batch(part)
    # What was freed stays with this thread, and rows are made in another.
    pa.default_memory_pool().release_unused()


def writer_options(table: Table) -> dict[str, Any]:
    """Choose how a table's files are written, as :class:`pyarrow.parquet.ParquetWriter` takes it.

    Why so is in ``docs/decisions/0005-parquet-encodings.md``.
    """
    # All other texts repeat, and so do all other times: those that the rows of a run or a session share.
    apart = {*table.own.times, *table.own.texts}
    repeating = [
        field.name
        for field in table.schema
        if (pa.types.is_string(field.type) or pa.types.is_timestamp(field.type)) and field.name not in apart
    ]
    return {
        "compression": "zstd",
        "compression_level": _ZSTD_LEVEL,
        "use_dictionary": repeating,
        "column_encoding": dict.fromkeys(table.own.times, "DELTA_BINARY_PACKED"),
        "write_statistics": True,
        # The schema's own types are all that Parquet has; Arrow's copy would name the dictionaries used to write.
        "store_schema": False,
    }


def _written_schema(table: Table) -> pa.Schema:
    """The schema with dictionaries for its texts, which the writer takes as they are."""
    return pa.schema(
        [
            field.with_type(pa.dictionary(pa.int32(), pa.string())) if pa.types.is_string(field.type) else field
            for field in table.schema
        ]
    )


def _groups(
    rows: Iterable[pa.RecordBatch], total: int, rows_max: int, size_bytes_max: int
) -> Iterator[list[pa.RecordBatch]]:
    """The rows in their order, cut into as few groups as may be, all of about one size where rows are small."""
    groups = -(-total // rows_max)
    size = -(-total // groups) if groups else 0
    group: list[pa.RecordBatch] = []
    room, room_bytes = size, size_bytes_max
    for batch in rows:
        row_size_bytes = max(1, _spread_size_bytes(batch) // max(1, batch.num_rows))
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, min(room, max(1, room_bytes // row_size_bytes)))
            group.append(piece)
            start += piece.num_rows
            room -= piece.num_rows
            room_bytes -= piece.num_rows * row_size_bytes
            if room == 0 or room_bytes < row_size_bytes:
                yield group
                group, room, room_bytes = [], size, size_bytes_max
    if group:
        yield group


def _spread_size_bytes(batch: pa.RecordBatch) -> int:
    """The bytes of a batch's rows in a group, where each has a map of its own though many may share one now."""
    shared = [
        column
        for column in batch.columns
        if pa.types.is_dictionary(column.type) and pa.types.is_map(column.type.value_type)
    ]
    size_bytes: int = batch.nbytes
    return size_bytes + sum(
        pc.sum(_map_sizes(column.dictionary).take(column.indices)).as_py() or 0 for column in shared
    )


def _map_sizes(maps: pa.MapArray) -> pa.Int64Array:
    """The bytes of each map's texts."""
    values = pc.fill_null(pc.binary_length(maps.items), 0)
    lengths = pc.add(pc.binary_length(maps.keys), values).cast(pa.int64())
    ends = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(lengths)]).take(maps.offsets)
    return pc.subtract(ends.slice(1), ends.slice(0, len(maps)))


def _written_parts(batch: pa.RecordBatch, size_bytes_max: int) -> Iterator[pa.RecordBatch]:
    """A batch as it is; or in parts, where texts that many rows share would be written in full for each of them."""
    wide = [
        column
        for column in batch.columns
        if pa.types.is_dictionary(column.type) and column.dictionary.nbytes > _DICTIONARY_SIZE_BYTES_MAX
    ]
    if not wide:
        yield batch
        return
    lengths = [pc.fill_null(pc.binary_length(column.dictionary).take(column.indices), 0).to_pylist() for column in wide]
    start = size_bytes = 0
    for index, length in enumerate(map(sum, zip(*lengths, strict=True))):
        if index > start and size_bytes + length > size_bytes_max:
            yield _trimmed(batch.slice(start, index - start))
            start, size_bytes = index, 0
        size_bytes += length
    yield _trimmed(batch.slice(start))


def _trimmed(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_used(column) for column in batch.columns], schema=batch.schema)


def _spread(table: Table, schema: pa.Schema, group: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    columns = [
        pa.concat_arrays([_as_type(batch.column(field.name), field.type) for batch in group]) for field in schema
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    order = _order(batch, table.sort_by)
    sorted_columns = [
        column if column.null_count == len(column) else _used(column.take(order)) for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(sorted_columns, schema=schema)


def _as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), kind)
    if not pa.types.is_dictionary(column.type):
        return column.cast(kind)
    if not pa.types.is_dictionary(kind):
        return column.dictionary.take(column.indices).cast(kind)
    return pa.DictionaryArray.from_arrays(column.indices.cast(kind.index_type), column.dictionary)


def _used(column: pa.Array) -> pa.Array:
    """A column without what is in its dictionary and in none of its rows."""
    if not pa.types.is_dictionary(column.type):
        return column
    used = column.indices.dictionary_encode()
    return pa.DictionaryArray.from_arrays(used.indices, column.dictionary.take(used.dictionary))


def _order(batch: pa.RecordBatch, sort_by: Sequence[str]) -> pa.Int64Array:
    """The rows' indexes, sorted; texts are compared once a value by their ranks, and then as integers."""
    keys = [
        pc.rank(column.dictionary, tiebreaker="dense").take(column.indices)
        if pa.types.is_dictionary(column.type)
        else column
        for column in map(batch.column, sort_by)
    ]
    ranked = pa.RecordBatch.from_arrays(keys, names=list(sort_by))
    return pc.sort_indices(ranked, sort_keys=[(name, "ascending") for name in sort_by])
