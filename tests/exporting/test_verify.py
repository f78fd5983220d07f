"""Verify finds each thing that is not as the log says, and nothing in a lake that is whole."""

from __future__ import annotations

import hashlib
import io

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.errors import LakeTooNew
from exporter.problems import Kind, Problem
from exporter.records import Link, Record, decode_record, encode_record, link_of
from exporter.verify import Verified, verify
from tests.doubles import MemoryStore, Service, export


async def lake() -> MemoryStore:
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 5, "p2": 3})
    session = service.add("st-b", ended=False, events={"p1": 2})
    await export(service, store, "r1", rows_max=3)
    service.join(session, "p1", 4)
    await export(service, store, "r2")
    return store


async def problems(store: MemoryStore) -> list[Problem]:
    return [problem async for problem in verify(store, Verified())]


def a_file(store: MemoryStore) -> str:
    return min(key for key in store.visible if key.startswith("events/"))


def a_record(store: MemoryStore, file: str) -> tuple[str, Record]:
    """The record that names a file."""
    for key, body in store.records.items():
        if "/records/" in key:
            record = decode_record(key, body)
            if file in {line.key for line in record.files}:
                return key, record
    raise AssertionError(file)


def change(store: MemoryStore, key: str, record: Record) -> None:
    """Put another record in the place of one, and let those after it fit it: as if it had been so from the first."""
    store.records[key] = encode_record(record)
    link = Link()
    for each in sorted(name for name in store.records if "/records/" in name):
        record = decode_record(each, store.records[each])
        store.records[each] = encode_record(msgspec.structs.replace(record, previous=link.checksum))
        link = link_of(record, store.records[each])


async def test_a_whole_lake_has_no_problem() -> None:
    """After two runs every file is as its record says, and all of it was read."""
    store, verified = await lake(), Verified()
    assert [problem async for problem in verify(store, verified)] == []
    assert verified.rows == 14
    assert verified.files == len([key for key in store.visible if key.startswith("events/")])
    assert verified.scopes == 1


async def test_a_flipped_byte_is_found() -> None:
    """One bit in one file is one problem, with the file's name."""
    store = await lake()
    key = a_file(store)
    data = bytearray(store.visible[key])
    data[len(data) // 2] ^= 1
    store.visible[key] = bytes(data)
    (problem,) = await problems(store)
    assert problem.key == key
    assert "checksum" in problem.message


async def test_a_deleted_file_is_found() -> None:
    """A file that a record names and that is gone is one problem."""
    store = await lake()
    key = a_file(store)
    del store.visible[key]
    [problem] = await problems(store)
    assert (problem.kind, problem.key, problem.message) == (Kind.MISSING, key, "the file is gone")
    assert f"--accept-missing {key.split('/')[1]}" in problem.remedy


async def test_a_foreign_file_is_found() -> None:
    """A file under events/ that no record names is one problem."""
    store = await lake()
    store.visible["events/event_date=2026-11-23/mine.parquet"] = b"PAR1"
    (problem,) = await problems(store)
    assert problem.key.endswith("mine.parquet")
    assert "no record" in problem.message


async def test_a_doubled_event_is_found() -> None:
    """A file that came into the lake twice, log and all, holds ids that stand twice in their units."""
    store = await lake()
    key = a_file(store)
    record_key, record = a_record(store, key)
    copy = key.replace(".parquet", "-copy.parquet")
    store.visible[copy] = store.visible[key]
    line = next(line for line in record.files if line.key == key)
    files = (*record.files, msgspec.structs.replace(line, key=copy))
    change(store, record_key, msgspec.structs.replace(record, files=files))
    (problem, *_) = await problems(store)
    assert "stand twice" in problem.message


async def test_rows_of_another_date_are_found() -> None:
    """A file whose rows are of another day than its folder is one problem, though its checksum is right."""
    store = await lake()
    key = a_file(store)
    record_key, record = a_record(store, key)
    table = pq.read_table(io.BytesIO(store.visible[key]))
    times = table.column("event_time").cast("int64")
    moved = [None if moment is None else moment + 86_400_000_000 for moment in times.to_pylist()]
    place = table.schema.get_field_index("event_time")
    field = table.schema.field(place)
    table = table.set_column(place, field, pa.array(moved, pa.int64()).cast(field.type))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    data = sink.getvalue()
    store.visible[key] = data
    digest = hashlib.sha256(data).hexdigest()
    files = tuple(msgspec.structs.replace(line, sha256=digest) if line.key == key else line for line in record.files)
    change(store, record_key, msgspec.structs.replace(record, files=files))
    (problem,) = await problems(store)
    assert "holds rows of" in problem.message


async def test_a_newer_log_is_refused_politely() -> None:
    """A record of a newer major version is not guessed at."""
    store = await lake()
    key = max(key for key in store.records if "/records/" in key)
    store.records[key] = store.records[key].replace(b'"major":2', b'"major":3')
    with pytest.raises(LakeTooNew, match="newer ivs-export"):
        await problems(store)
