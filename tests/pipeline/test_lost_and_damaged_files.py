"""A run meets files of the lake that are gone, damaged, or back again: nothing is doubled or kept quiet."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state, records_after
from exporter.discovery.request import Request
from exporter.errors import FileDamaged, LakeBusy, LogDamaged, Refused
from exporter.health.file_checks import read_rows
from exporter.health.repair import Repair
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.lake.parquet_footer import row_groups_of
from exporter.lake.tables.events import EVENTS
from exporter.lake.thrift import ThriftUnreadableError
from exporter.pipeline import scope
from exporter.pipeline.known_events import KnownEvents, _batches
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, STAGE, STAGES, Service, lake_rows

REFETCH = Request(refetch=True)
# Flips bits of a file's footer, each in a process of its own, which an abort of PyArrow's would end.
FLIP = """
import os, sys
import pyarrow as pa
from exporter.errors import FileDamaged
from exporter.health.file_checks import read_rows
from exporter.pipeline.known_events import _batches
from exporter.lake.tables.events import EVENTS
data = sys.stdin.buffer.read()
start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
for bit in range(start * 8 + int(sys.argv[1]), len(data) * 8, int(sys.argv[2])):
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    pid = os.fork()
    if not pid:
        for read in (
            lambda: list(_batches("k", bytes(flipped), EVENTS.schema.names, pa.array(["st-a"]), 100)),
            lambda: read_rows(EVENTS, bytes(flipped)),
        ):
            try:
                read()
            except FileDamaged:
                pass
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"bit {bit - start * 8} of the footer ended the process")
"""


async def lake_of() -> tuple[Service, MemoryStore]:
    """Three sessions of two stages: two that are sealed, and one that goes on; and a lake after one run."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 5, "p2": 3}, stage=STAGE)
    service.add("st-b", events={"p1": 4}, stage=STAGES[1])
    service.add("st-open", ended=False, events={"p1": 2, "p2": 2}, stage=STAGES[1])
    await export(service, store, "r1")
    return service, store


def files_of(store: MemoryStore) -> list[str]:
    return sorted(key for key in store.visible if key.startswith("events/"))


async def kinds(store: MemoryStore) -> list[str]:
    return [problem.kind async for problem in verify(store, Verified())]


async def test_a_file_that_is_gone_is_lost_with_the_record_that_makes_up_for_it() -> None:
    """The log names it no more, the sessions whose rows it held are open again, and the run says so."""
    service, store = await lake_of()
    [gone] = files_of(store)
    del store.visible[gone]
    service.join(service.stages[STAGES[1]]["st-open"], "p1")
    ledger = await export(service, store, "r2")
    assert [record.lost async for record in records_after(store, SCOPE) if record.lost] == [(gone,)]
    assert (ledger.outcome, ledger.more_to_do) == ("partial", True)
    [failure] = [failure.summary() for failure in ledger.failures]
    assert failure["error"] == "file_lost"
    assert gone in failure["message"]
    assert await kinds(store) == []
    assert lake_rows(store) != service.truth()  # those of the sealed sessions: this run had passed them over
    assert (await export(service, store, "r3")).outcome == "complete"
    assert lake_rows(store) == service.truth()


async def test_a_refetch_makes_up_for_a_lost_file_at_once() -> None:
    """Every unit is asked for, so the lake is whole after that one run, and sealed after the next.

    All that the next one writes are the final rows of the sessions that it seals.
    """
    service, store = await lake_of()
    del store.visible[files_of(store)[0]]
    assert (await export(service, store, "r2", REFETCH)).outcome == "partial"
    assert lake_rows(store) == service.truth()
    ledger = await export(service, store, "r3")
    assert (ledger.outcome, ledger.events_written) == ("complete", 0)
    assert {row["session_id"] for row in store.rows("sessions") if row["run_id"] == "r3"} == {"st-a", "st-b"}
    assert await kinds(store) == []
    service.calls_by_operation.clear()
    assert (await export(service, store, "r4")).units_found == 2


async def test_a_session_that_would_be_sealed_is_not_where_a_file_of_it_is_lost() -> None:
    """A unit that was final before had rows in it; all that was left to do was another unit, which had none."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 3, "p2": 2}, stage=STAGE)
    session.participants["p2"].error = Refused("denied", "AccessDeniedException")
    active = service.add("st-open", ended=False, events={"p1": 2}, stage=STAGES[1])
    await export(service, store, "r1")
    session.participants["p2"].error = None
    service.join(active, "p1")
    del store.visible[files_of(store)[0]]
    assert (await export(service, store, "r2")).sessions_sealed == 0
    await export(service, store, "r3")
    assert lake_rows(store) == service.truth()
    assert await kinds(store) == []


async def test_a_session_is_not_sealed_where_its_file_is_found_gone_while_rows_are_staged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another session, whose rows stand in the same file, is looked up just then."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 3, "p2": 2}, stage=STAGE)
    session.participants["p2"].error = Refused("denied", "AccessDeniedException")
    await export(service, store, "r1")
    session.participants["p2"].error = None
    [key] = files_of(store)
    present = KnownEvents(store)
    monkeypatch.setattr(scope, "KnownEvents", lambda *_: present)

    def lose(operation: str, _: str) -> None:
        if operation == "stage":
            store.visible.pop(key, None)
            present.gone.add(key)

    store.before = lose
    assert (await export(service, store, "r2")).sessions_sealed == 0
    records = [record async for record in records_after(store, SCOPE)]
    assert [record.lost for record in records if record.lost] == [(key,)]
    assert {line.status for record in records for line in record.sessions} == {"open"}
    store.restart()
    monkeypatch.undo()
    await export(service, store, "r3")
    assert lake_rows(store) == service.truth()
    assert await kinds(store) == []


async def test_a_lost_file_that_comes_back_is_not_added_to() -> None:
    """No record names it: the next run that would add beside it stops, and a repair takes out what is there twice."""
    service, store = await lake_of()
    [gone] = files_of(store)
    data = store.visible.pop(gone)
    await export(service, store, "r2", REFETCH)
    store.visible[gone] = data
    assert set(await kinds(store)) == {"unnamed"}
    service.join(service.stages[STAGES[1]]["st-open"], "p1")
    with pytest.raises(LogDamaged, match="repair"):
        await export(service, store, "r3")
    store.restart()
    await Repair(Upkeep(store, "r4", service.clock, this_process(), is_gone)).run()
    await export(service, store, "r5")
    assert lake_rows(store) == service.truth()
    assert await kinds(store) == []


async def test_a_damaged_file_fails_the_units_of_its_sessions_and_no_other() -> None:
    """They fail by name, with the remedy; a session that the file holds nothing of is exported."""
    service, store = await lake_of()
    [key] = files_of(store)
    store.visible[key] = store.visible[key][:-20]
    service.add("st-new", events={"p1": 3}, stage=STAGES[2])
    ledger = await export(service, store, "r2")
    assert (ledger.outcome, ledger.more_to_do) == ("partial", True)
    [failure] = [failure.summary() for failure in ledger.failures]
    assert (failure["error"], failure["count"]) == ("file_damaged", 2)
    assert "ivs-export repair" in failure["message"]
    assert ledger.events_written == 3


async def test_a_footer_that_is_damaged_anywhere_ends_no_process() -> None:
    """PyArrow ends the process where a column's metadata are gone: it is asked once they are known to be there."""
    _, store = await lake_of()
    [key] = files_of(store)
    # Python 3.12 warns of a fork beside PyArrow's threads; the child asks none of them.
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore::DeprecationWarning", "-c", FLIP, "35", "97"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, told = await program.communicate(store.visible[key])
    assert (program.returncode, told.decode()) == (0, "")


async def test_each_column_of_each_row_group_has_to_be_described() -> None:
    """A footer that lacks one column's metadata is refused; a sound one tells what lies in which row group."""
    _, store = await lake_of()
    data = store.visible[files_of(store)[0]]
    [group] = row_groups_of(data)
    assert group.rows == len(pq.read_table(io.BytesIO(data)))
    assert group.ranges["session_id"] == (b"st-a", b"st-open")
    length = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - length : -8]
    place = footer.index(b"stage_arn", footer.index(b"session_id") + 300)
    refused = 0
    for cut in range(place - 40, place):  # somewhere here its metadata begin
        damaged = data[: -8 - length] + footer[:cut] + b"\x00" + footer[cut + 1 :] + data[-8:]
        try:
            row_groups_of(damaged)
        except ThriftUnreadableError:
            refused += 1
            with pytest.raises(FileDamaged):
                read_rows(EVENTS, damaged)
    assert refused


async def test_files_that_are_lost_are_told_once_a_run() -> None:
    """They are found gone one checkpoint after another: each time the log lets go of them, and the run says it once."""
    service, store = Service(), MemoryStore()
    for name in "abcd":
        service.add(f"st-{name}", events={"p1": 3}, stage=STAGE)
    await export(service, store, "r1", rows_max=4)
    lost = len(files_of(store))
    store.visible.clear()
    ledger = await export(service, store, "r2", REFETCH, rows_max=4)
    records = [record.lost async for record in records_after(store, SCOPE) if record.lost]
    assert lost == len([key for keys in records for key in keys]) > 2
    assert len(records) > 1
    [failure] = [failure.summary() for failure in ledger.failures]
    assert (failure["error"], failure["count"]) == ("file_lost", 1)
    assert f"and {lost - 1} other files" in failure["message"]
    assert "4 sessions opened again" in failure["message"]
    assert lake_rows(store) == service.truth()


async def test_what_was_compared_without_a_file_that_is_back_is_not_committed() -> None:
    """A read was wrong, or somebody moves files: the rows may be there, so none is written again."""
    service, store = await lake_of()
    hidden, read = set(files_of(store)), store.read

    async def wrongly(key: str) -> bytes | None:
        if key in hidden:
            hidden.discard(key)
            return None
        return await read(key)

    store.read = wrongly  # type: ignore[method-assign]
    with pytest.raises(LakeBusy, match="is there again"):
        await export(service, store, "r2", REFETCH)
    assert lake_rows(store) == service.truth()
    assert (await export(service, store, "r3", REFETCH)).outcome == "nothing"
    assert lake_rows(store) == service.truth()
    assert await kinds(store) == []


def with_column(data: bytes, name: str, column: pa.Array, **options: Any) -> bytes:
    """A data file with another column of that name; PyArrow writes whatever it is handed."""
    rows = pq.read_table(io.BytesIO(data))
    place = rows.schema.get_field_index(name)
    file = io.BytesIO()
    pq.write_table(rows.set_column(place, name, column), file, **options)
    return file.getvalue()


def no_texts(data: bytes) -> pa.Array:
    """A text for each row of a file whose bytes are no UTF-8."""
    rows = pq.read_metadata(io.BytesIO(data)).num_rows
    return pa.Array.from_buffers(pa.string(), rows, pa.array([b"st-\xff"] * rows, pa.binary()).buffers())


@pytest.mark.parametrize("has_dictionaries", [True, False])
@pytest.mark.parametrize("name", [field.name for field in EVENTS.schema if field.type != pa.bool_()])
async def test_a_value_that_can_not_be_is_damage(name: str, has_dictionaries: bool) -> None:
    """A text that is no UTF-8, a time of no year, a row without an id: the file is damaged, whoever reads it."""
    _, store = await lake_of()
    data = store.visible[files_of(store)[0]]
    column = pq.read_table(io.BytesIO(data)).column(name).combine_chunks()
    if pa.types.is_string(column.type):
        column = no_texts(data)
    elif pa.types.is_timestamp(column.type):
        column = pa.array([1 << 62] * len(column)).view(column.type)
    elif pa.types.is_struct(column.type):
        fields = {field.name: pa.nulls(len(column), field.type) for field in column.type} | {"user_id": no_texts(data)}
        column = pa.StructArray.from_arrays(list(fields.values()), fields=list(column.type))
    else:  # each integer can be
        column = pa.nulls(len(column), column.type)
    data = with_column(data, name, column, use_dictionary=has_dictionaries, write_statistics=False)
    with pytest.raises(FileDamaged):
        read_rows(EVENTS, data)
    with pytest.raises(FileDamaged):
        list(_batches("k", data, [name, "session_id"], pa.array(["st-a"]), 100))


@pytest.mark.parametrize("name", ["stage_arn", "session_id", "participant_id"])
async def test_a_wrong_byte_in_a_text_fails_the_units_and_is_repaired(name: str) -> None:
    """The run names the file and goes on with the others; once it is set aside, what was in it is fetched again."""
    service, store = await lake_of()
    [key] = files_of(store)
    service.join(service.stages[STAGES[1]]["st-open"], "p1")
    store.visible[key] = with_column(
        store.visible[key], name, no_texts(store.visible[key]), write_statistics=False, use_dictionary=False
    )
    service.add("st-new", events={"p1": 3}, stage=STAGES[2])
    ledger = await export(service, store, "r2")
    [failure] = [failure.summary() for failure in ledger.failures]
    assert (failure["error"], failure["count"], ledger.events_written) == ("file_damaged", 2, 3)
    assert key in failure["message"]
    await Repair(Upkeep(store, "r3", service.clock, this_process(), is_gone)).run()
    await export(service, store, "r4")
    assert lake_rows(store) == service.truth()
    assert await kinds(store) == []


async def test_an_unnamed_file_with_a_wrong_byte_is_set_aside() -> None:
    """No record tells its checksum: its values are what a repair goes by."""
    service, store = await lake_of()
    [key] = files_of(store)
    unnamed = f"{key.rpartition('/')[0]}/{SCOPE}-000000000001-r0-000001.parquet"
    store.visible[unnamed] = with_column(store.visible[key], "extra", no_texts(store.visible[key]))
    await Repair(Upkeep(store, "r2", service.clock, this_process(), is_gone)).run()
    assert files_of(store) == [key]
    assert await kinds(store) == []


async def test_a_damaged_file_of_a_session_that_is_opened_again_fails_its_list_alone() -> None:
    """Whom its list has to show, nobody knows: it is named each night, and not sealed, and all others are exported."""
    service, store = await lake_of()
    [key] = files_of(store)
    store.visible[key] = store.visible[key][:-20]
    session = service.stages[STAGE]["st-a"]
    session.ended_us = service.now_us + 23 * HOUR_US
    service.join(session, "p2", 2)
    service.unlisted.add(f"{STAGE}/st-a/p2")
    for night in range(2):
        service.now_us += 24 * HOUR_US
        service.add(f"st-new-{night}", events={"p1": 3}, stage=STAGE)
        ledger = await export(service, store, f"r{night}")
        named = {(failure.error, unit) for failure in ledger.failures for unit in failure.units}
        assert ("file_damaged", f"{STAGE}/st-a") in named
        assert {error for error, _ in named} == {"file_damaged"}
        assert all("`ivs-export repair`" in failure.message for failure in ledger.failures)
        assert (ledger.outcome, ledger.events_written) == ("partial", 3)
        state = await read_state(store, SCOPE)
        assert (state.is_sealed(STAGE, "st-a"), state.is_sealed(STAGE, f"st-new-{night}")) == (False, True)
    await Repair(Upkeep(store, "repair", service.clock, this_process(), is_gone)).run()
    assert (await export(service, store, "r3")).outcome == "complete"
    assert lake_rows(store) == service.truth()


@pytest.mark.parametrize("is_large", [False, True])
async def test_a_file_that_is_damaged_where_equal_events_are_compared_fails_their_units(is_large: bool) -> None:
    """Its ids can be read, and the names of its events can't: units with equal events need them, and others do not."""
    service, store = Service(), MemoryStore()
    service.add("st-a", ended=False, events={"p1": 2}, stage=STAGE)
    session = service.add("st-b", ended=False, events={"p1": 2}, stage=STAGE)
    session.participants["p1"].events *= 2
    await export(service, store, "r1")
    [key] = files_of(store)
    store.visible[key] = with_column(store.visible[key], "event_name", no_texts(store.visible[key]))
    for each in service.stages[STAGE].values():
        service.join(each, "p1")
    session.participants["p1"].events.append(session.participants["p1"].events[0])
    ledger = await export(service, store, "r2", rows_max=1 if is_large else 1_000_000)
    [failure] = [failure.summary() for failure in ledger.failures]
    assert (failure["error"], failure["units"]) == ("file_damaged", [f"{STAGE}/st-b/p1"])
    assert ledger.events_written == 1
    await Repair(Upkeep(store, "repair", service.clock, this_process(), is_gone)).run()
    await export(service, store, "r3")
    assert lake_rows(store) == service.truth()
