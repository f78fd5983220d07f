"""Verify finds each thing that is not as the log says, and nothing in a lake that is whole."""

from __future__ import annotations

import asyncio
import hashlib
import io

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.commit_log.layout import record_key
from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state
from exporter.commit_log.records import Link, Record, decode_record, encode_record, link_of
from exporter.commit_log.snapshots import encode_state
from exporter.errors import LakeBusy, LakeError, LakeRefused, LakeTooNew
from exporter.health.problems import Problem, ProblemKind
from exporter.health.repair import Repair
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.lake.tables import TABLES
from exporter.settings import RunSettings
from tests.support.memory_store import Crash, MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, STAGE, Service


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
    assert verified.rows == {table.name: len(store.rows(table.name)) for table in TABLES}
    assert verified.rows["events"] == 14
    assert verified.files == len(store.visible)
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
    assert (problem.kind, problem.key, problem.message) == (ProblemKind.MISSING, key, "the file is gone")
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
    store.records[key] = store.records[key].replace(b'"major":3', b'"major":4')
    with pytest.raises(LakeTooNew, match="newer ivs-export"):
        await problems(store)


async def test_files_of_other_tools_are_notes() -> None:
    """Nobody takes them for rows. What every reader of *.parquet meets is a problem, whoever made it."""
    store, verified = await lake(), Verified()
    notes = {
        f"events/event_date=2026-11-23/{name}" for name in ("_SUCCESS", ".DS_Store", ".x.parquet.crc", "notes.txt")
    }
    store.visible |= dict.fromkeys({*notes, "events/_SUCCESS"}, b"")
    assert [problem async for problem in verify(store, verified)] == []
    assert verified.notes.keys() == {*notes, "events/_SUCCESS"}
    store.visible["events/event_date=2026-11-23/part-0.parquet"] = b""
    [problem] = await problems(store)
    assert problem.kind is ProblemKind.FOREIGN


@pytest.mark.parametrize("error", [LakeRefused("InvalidObjectState"), LakeBusy("EIO")])
async def test_what_can_not_be_read_is_passed_by(error: LakeError) -> None:
    """An archived object, a missing permission, a bad sector: each is named, and the others are read."""
    store, verified = await lake(), Verified()
    key = a_file(store)

    def refuse(operation: str, asked: str) -> None:
        if operation == "read" and asked == key:
            raise error

    store.before = refuse
    [problem] = [problem async for problem in verify(store, verified)]
    assert (problem.kind, problem.key) == (ProblemKind.UNREADABLE, key)
    assert verified.files == len(store.visible) - 1


async def test_a_lake_that_is_away_is_not_asked_for_each_file() -> None:
    """After some files that the lake did not give in time, it is the lake."""
    store, asked = await lake(), 0

    def hang(operation: str, key: str) -> None:
        nonlocal asked
        if operation == "read" and key.startswith("events/"):
            asked += 1
            raise LakeBusy("no answer")

    store.before = hang
    with pytest.raises(LakeBusy):
        await problems(store)
    assert asked == 4


async def test_uploads_that_may_not_be_listed_are_not_needed() -> None:
    """A file that is gone is gone, whatever is staged; and a lake that is whole asks for no list of uploads."""
    store = await lake()

    def refuse(operation: str, _key: str) -> None:
        if operation == "leftovers":
            raise LakeRefused("AccessDenied")

    store.before = refuse
    assert await problems(store) == []
    del store.visible[a_file(store)]
    assert [problem.kind for problem in await problems(store)] == [ProblemKind.MISSING]


async def test_a_run_that_died_before_its_files_were_visible_is_told() -> None:
    """Its record is there, and its files are staged: the next run finishes it."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 2})

    def die(operation: str, _key: str) -> None:
        if operation == "publish":
            raise Crash

    store.before = die
    with pytest.raises((Crash, BaseExceptionGroup)):
        await export(service, store, "r1")
    store.restart()
    found = await problems(store)
    assert {problem.kind for problem in found} == {ProblemKind.UNFINISHED}
    assert {problem.key for problem in found} == {staged.key for staged, _ in store.staged.values()}
    await export(service, store, "r2")
    assert await problems(store) == []


@pytest.mark.parametrize("number", [1, 2, 4])
async def test_an_altered_record_is_found(number: int) -> None:
    """Also one that no start reads any more, since a snapshot came after it."""
    store = await lake()
    key = record_key(str(SCOPE), number)
    store.records[key] = store.records[key].replace(b'"run_id":"r', b'"run_id":"x', 1)
    [problem] = await problems(store)
    assert (problem.kind, problem.key) == (ProblemKind.LOG, f"_log/{SCOPE}")
    assert "repair" in problem.remedy


async def test_a_snapshot_that_is_not_what_the_records_say_is_found() -> None:
    """Whole in itself, checksum and all; and one that is damaged."""
    store = await lake()
    state = await read_state(store, SCOPE)
    state.rows += 1
    key = f"_log/{SCOPE}/snapshots/{state.number:012d}.json"
    store.records[key] = encode_state(state)
    [problem] = await problems(store)
    assert (problem.kind, problem.key) == (ProblemKind.SNAPSHOT, key)
    store.records[key] = store.records[key][:-9]
    [problem] = await problems(store)
    assert (problem.kind, problem.key) == (ProblemKind.SNAPSHOT, key)


@pytest.mark.parametrize("every", [1, 2, 3, 5, 8])
async def test_beside_a_run_nothing_is_found(every: int) -> None:
    """A run of many checkpoints goes on while the lake is verified again and again; the two take turns at each step."""
    service, store = Service(), MemoryStore()
    for stage in (STAGE, f"{STAGE}2"):
        for number in range(6):
            service.add(f"st-{number}", events={"p1": 3, "p2": 2}, stage=stage)
    running = asyncio.create_task(export(service, store, "r1", rows_max=4, settings=RunSettings(checkpoint_s=1e9)))
    found: list[Problem] = []
    rounds = 0
    while not running.done():
        rounds += 1
        found += await problems(store)
        for _ in range(every):
            await asyncio.sleep(0)
    await running
    assert found == []
    assert rounds > 3
    assert await problems(store) == []


async def test_beside_a_repair_nothing_is_doubled_or_missing() -> None:
    """Files are replaced by others while the lake is verified."""
    service, store, other = Service(), MemoryStore(), MemoryStore()
    for number in range(6):
        service.add(f"st-{number}", events={"p1": 3, "p2": 2})
    for run_id, into in (("r1", store), ("r2", other)):
        await export(service, into, run_id, rows_max=4, settings=RunSettings(checkpoint_s=1e9))
    store.visible |= other.visible
    before = {problem.key for problem in await problems(store)}
    repair = Repair(Upkeep(store, "repair", service.clock, this_process(), is_gone))
    repairing = asyncio.create_task(repair.run())
    while not repairing.done():
        for problem in await problems(store):
            assert problem.kind in {ProblemKind.UNNAMED, ProblemKind.REPEATED}, problem
            assert problem.kind is ProblemKind.REPEATED or problem.key in before
        await asyncio.sleep(0)
    assert (await repairing).left == []
    assert await problems(store) == []


async def test_files_that_are_replaced_while_a_lake_is_verified_are_no_problem() -> None:
    """The log was read, then a repair came that wrote every file anew and removed the old ones, then files are read."""
    service, store, other = Service(), MemoryStore(), MemoryStore()
    for number in range(3):
        service.add(f"st-{number}", events={"p1": 3, "p2": 2})
    await export(service, other, "r0")
    service.now_us += HOUR_US
    await export(service, store, "r1")
    upkeep = Upkeep(store, "repair", service.clock, this_process(), is_gone)
    mended = MemoryStore()

    class Slow(MemoryStore):
        """The same lake; between its log and its first file there is time for a whole repair."""

        async def read(self, key: str) -> bytes | None:
            if key.startswith("events/") and not mended.visible:
                mended.visible["done"] = b""
                assert (await Repair(upkeep).run()).left == []
            return await super().read(key)

    slow = Slow()
    slow.visible, slow.records, slow.staged = store.visible, store.records, store.staged
    store.visible |= {key: data for key, data in other.visible.items() if key.startswith("events/")}
    names = {problem.kind for problem in await problems(slow)}
    assert names == {ProblemKind.UNNAMED}
