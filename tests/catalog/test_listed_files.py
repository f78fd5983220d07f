"""Files that are not what they should be: none is listed wrongly, and a scope's bad file holds up no other scope."""

from __future__ import annotations

import gc
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

from exporter.catalog.changes import LoggedFile
from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.file_ends import read_end
from exporter.catalog.listed_files import FileLister
from exporter.catalog.schemas import schema_of, spec_of
from exporter.errors import FileDamaged, FileLost
from exporter.lake.parquet import encode
from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadata

    from exporter.lake.tables.table import Table

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EPOCH_DAY = 20_780


def written(table: Table, rows: list[dict[str, Any]], **options: Any) -> bytes:
    """A file as PyArrow writes it, with these options."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, table.schema), sink, store_schema=False, **options)
    return sink.getvalue()


def metadata_of(table: Table) -> TableMetadata:
    return new_table_metadata(schema_of(table), spec_of(table), UNSORTED_SORT_ORDER, "file:///t", {})


async def listed(table: Table, data: bytes, rows: int, date: str = "2026-11-23", name: str = "x") -> DataFile:
    """What a table lists of a file; what the log says of it is passed."""
    store = MemoryStore()
    file = LoggedFile("scope", table.name, f"{table.name}/d={date}/{name}.parquet", date, rows, len(data))
    store.visible[file.key] = data
    return FileLister(metadata_of(table)).listed(file, await read_end(store, file), f"file:///{file.key}")


async def test_what_was_read_of_a_file_goes_without_the_garbage_collector() -> None:
    """A hundred thousand footers, published for the first time, would wait for the collector."""
    data = written(EVENTS, [{"event_time": NOON, "event_id": 1}])
    gc.collect()
    gc.disable()
    try:
        await listed(EVENTS, data, 1)
        held = [type(thing).__name__ for thing in gc.get_objects() if type(thing).__module__ == "pyarrow._parquet"]
    finally:
        gc.enable()
    assert [name for name in held if name in {"FileMetaData", "ParquetSchema"}] == []


@pytest.mark.parametrize("has_statistics", [True, False])
async def test_the_partition_is_the_day_also_where_the_footer_says_nothing(has_statistics: bool) -> None:
    """Bounds may be missing; a partition of null would hide the file from whoever asks for its day."""
    data = written(EVENTS, [{"event_time": NOON, "event_id": 1}], write_statistics=has_statistics)
    file = await listed(EVENTS, data, 1)
    assert file.partition[0] == EPOCH_DAY
    assert (file.record_count, file.file_size_in_bytes) == (1, len(data))
    assert (2 in file.lower_bounds) is has_statistics


async def test_rows_of_another_day_are_refused() -> None:
    """A file of two days stands in no partition: a reader would miss one of them."""
    rows = [{"event_time": NOON}, {"event_time": NOON.replace(day=24)}]
    with pytest.raises(FileDamaged, match="it has a row of 2026-11-24, and the log says that all are of 2026-11-23"):
        await listed(EVENTS, written(EVENTS, rows), 2)
    groups = written(EVENTS, rows[::-1], row_group_size=1)
    with pytest.raises(FileDamaged, match="a row of 2026-11-24"):
        await listed(EVENTS, groups, 2)


async def test_a_table_whose_date_may_come_from_several_columns_has_no_partition() -> None:
    """A session without a start lies in the folder of the day on which it was exported; it is found as what it is."""
    rows: list[dict[str, Any]] = [
        {"session_id": "st", "session_start": None, "exported_at": NOON},
        {"session_start": NOON.replace(day=1)},
    ]
    file = await listed(SESSIONS, written(SESSIONS, rows), 2)
    assert len(file.partition) == 0
    assert file.null_value_counts[5] == 1
    batch = pa.RecordBatch.from_pylist([{"exported_at": NOON}], STAGES.schema)
    stages = await listed(STAGES, bytes(encode(STAGES, [batch])), 1)
    assert stages.partition[0] == EPOCH_DAY


OTHER_COLUMNS: dict[str, tuple[Callable[[pa.Schema], pa.Schema], str]] = {
    "no ids": (lambda it: it.set(0, it.field(0).remove_metadata()), "has columns without field ids"),
    "another order": (lambda it: it.set(2, it.field(3)).set(3, it.field(2)), ""),
    "ids changed": (lambda it: it.set(2, with_id(it.field(2), 4)).set(3, with_id(it.field(3), 3)), "field 3 should be"),
    "a column more": (lambda it: it.append(with_id(pa.field("mood", pa.string()), 33)), "not know (mood); use a newer"),
    "another type": (
        lambda it: it.set(0, with_id(pa.field("event_id", pa.int32()), 1)),
        "should be event_id (int)",
    ),
    "nested ids changed": (lambda it: it.set(13, nested_otherwise(it.field(13))), "field 19 should be"),
}


@pytest.mark.parametrize("name", OTHER_COLUMNS)
async def test_columns_are_compared_by_their_ids(name: str) -> None:
    """Readers see another column's values, or nulls, where an id is another's: such a file is not listed."""
    change, message = OTHER_COLUMNS[name]
    schema = change(EVENTS.schema)
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"event_time": NOON}], schema), sink, store_schema=False)
    if not message:
        assert (await listed(EVENTS, sink.getvalue(), 1)).record_count == 1
        return
    with pytest.raises(CatalogMismatch) as raised:
        await listed(EVENTS, sink.getvalue(), 1)
    assert message in str(raised.value)


async def test_a_file_without_its_date_is_damaged() -> None:
    """Columns that came later may be missing; that one was there from the beginning, and its rows are of no day."""
    schema = pa.schema([field for field in EVENTS.schema if field.name != "event_time"])
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"event_id": 1}], schema), sink, store_schema=False)
    with pytest.raises(FileDamaged, match="it has no column event_time"):
        await listed(EVENTS, sink.getvalue(), 1)


def with_id(field: pa.Field, number: int) -> pa.Field:
    return field.with_metadata({b"PARQUET:field_id": str(number).encode()})


def nested_otherwise(field: pa.Field) -> pa.Field:
    """The same, with the ids of two of its members exchanged."""
    members = [*field.type]
    members[0], members[2] = with_id(members[0], 21), with_id(members[2], 19)
    return field.with_type(pa.struct(members))


async def test_a_file_that_is_not_what_the_log_says_is_refused() -> None:
    """Other rows, no Parquet, half of it, a long footer, nothing at all."""
    data = written(EVENTS, [{"event_time": NOON}])
    with pytest.raises(FileDamaged, match="it has 1 rows, and the log says 2"):
        await listed(EVENTS, data, 2)
    for bad in (b"x" * 100, data[:-20], data[: len(data) // 2] + b"PAR1", data[:-8] + b"\xff\xff\xff\x00PAR1", b"PAR1"):
        with pytest.raises(FileDamaged):
            await listed(EVENTS, bad, 1)
    with pytest.raises(FileLost, match="is named by the log, and gone"):
        await read_end(MemoryStore(), LoggedFile("s", "events", "events/d/x.parquet", "2026-11-23", 1, 100))


async def test_a_long_footer_is_read_as_a_whole() -> None:
    """Many row groups make a footer longer than what is read of a file's end at first."""
    rows = [{"event_time": NOON, "session_id": f"st-{number}"} for number in range(40)]
    assert (await listed(EVENTS, written(EVENTS, rows, row_group_size=1), 40)).record_count == 40
