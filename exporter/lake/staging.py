"""Stage: rows become files that are durable and that no reader sees. Publish: a record's files become visible."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from exporter.compute import compute
from exporter.errors import LakeError
from exporter.lake.data_files import DataFile
from exporter.lake.parquet import encode
from exporter.lake.partitions import of_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    import pyarrow as pa

    from exporter.lake.store import Files
    from exporter.lake.tables.table import Table


async def publish(store: Files, files: Iterable[DataFile]) -> list[DataFile]:
    """Make files visible under their keys; returns those neither staged nor visible. Safe to repeat."""
    return [file for file in files if not await store.publish(file.staged)]


async def stage(store: Files, table: Table, rows: Mapping[date, Sequence[pa.RecordBatch]], name: str) -> list[DataFile]:
    """Stage one file for each UTC date, in order; ``name`` is unique for ever, and the same in each date's folder.

    ``rows`` are, for each date, the batches that have rows of it, perhaps among others. One file at a time is in
    memory. Where a file can't be staged, those before it are discarded and the :class:`LakeError` is raised.
    """
    done: list[DataFile] = []
    try:
        for day in sorted(rows):
            file = await _stage_one(store, table, day, rows[day], name)
            done.append(file)
    except LakeError:
        with suppress(LakeError):
            await discard(store, done)
        raise
    return done


async def stage_lines(store: Files, folder: str, lines: Sequence[bytes], name: str) -> DataFile:
    """Stage one file of lines of JSON, of no table and no date."""
    data = b"".join(lines)
    key = f"{folder}/{name}.jsonl"
    staged = await store.stage(key, data)
    digest = await compute(lambda: hashlib.sha256(data).hexdigest())
    return DataFile(folder, key, "", 0, len(data), digest, staged.handle)


async def discard(store: Files, files: Sequence[DataFile]) -> None:
    """Remove staged files that no record names, nor will."""
    for file in files:
        await store.discard(file.staged)


async def _stage_one(store: Files, table: Table, day: date, rows: Sequence[pa.RecordBatch], name: str) -> DataFile:
    data, digest, count = await compute(_encoded, table, day, rows)
    key = f"{table.name}/{table.date_key}={day.isoformat()}/{name}.parquet"
    staged = await store.stage(key, memoryview(data))
    return DataFile(table.name, key, day.isoformat(), count, data.size, digest, staged.handle)


def _encoded(table: Table, day: date, rows: Sequence[pa.RecordBatch]) -> tuple[pa.Buffer, str, int]:
    """The file, its checksum, and how many rows it has."""
    own = [of_date(table, batch, day) for batch in rows]
    data = encode(table, own, metadata=table.metadata)
    return data, hashlib.sha256(data).hexdigest(), sum(batch.num_rows for batch in own)
