"""Repair mends each thing that verify finds; the next run then brings what is missing, and nothing is there twice."""

from __future__ import annotations

import io
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.commit_log.commits import CommitOutcome
from exporter.commit_log.journal import Journal
from exporter.commit_log.layout import record_key
from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state, records_after
from exporter.discovery.request import Request
from exporter.errors import FileDamaged, LakeRefused, LogDamaged, Refused
from exporter.health.problems import Problem, ProblemKind
from exporter.health.repair import Repair, Repaired
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.ivs.operations import Operation
from exporter.settings import RunSettings
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export
from tests.support.service import DAY_US, HOUR_US, SCOPE, SECOND_US, STAGE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Callable

TWO, THREE = f"{STAGE}2", f"{STAGE}3"
RECORDS, SNAPSHOTS = f"_log/{SCOPE}/records/", f"_log/{SCOPE}/snapshots/"
SETTINGS = RunSettings(checkpoint_s=1e9)
YESTERDAY, TODAY = "events/event_date=2026-11-22", "events/event_date=2026-11-23"


async def lake_of(rows_max: int = 12) -> tuple[Service, MemoryStore]:
    """Two nights of three stages: sealed sessions, some of two dates, and one that is active and grew."""
    service, store = Service(), MemoryStore()
    for stage in (STAGE, TWO, THREE):
        session = service.add("st-old", events={"p1": 3, "p2": 4}, stage=stage)
        session.started_us, session.ended_us = DAY_US - 2 * SECOND_US, DAY_US + HOUR_US
        for participant in session.participants.values():
            participant.events.clear()
        service.join(session, "p1", 5)
        service.join(session, "p2", 4)
        service.add("st-new", events={"p1": 3, "p3": 2}, stage=stage)
    active = service.add("st-active", ended=False, events={"p1": 2}, stage=TWO)
    await run(service, store, "r1", rows_max=rows_max)
    service.join(active, "p1", 3)
    service.now_us += HOUR_US
    await run(service, store, "r2", rows_max=rows_max)
    assert lake_rows(store) == service.truth()
    return service, store


async def run(
    service: Service, store: MemoryStore, run_id: str, request: Request | None = None, rows_max: int = 12
) -> Any:
    return await export(service, store, run_id, request, rows_max=rows_max, settings=SETTINGS)


def repair_of(service: Service, store: MemoryStore, run_id: str) -> Repair:
    return Repair(Upkeep(store, run_id, service.clock, this_process(), is_gone))


async def repair(service: Service, store: MemoryStore, run_id: str = "repair1") -> Repaired:
    return await repair_of(service, store, run_id).run()


async def problems(store: MemoryStore) -> list[Problem]:
    return [problem async for problem in verify(store, Verified())]


async def mends(service: Service, store: MemoryStore, *kinds: ProblemKind) -> Repaired:
    """What is wrong is found, and mended; the lake is whole after the next run, and after a refetch."""
    assert {problem.kind for problem in await problems(store)} == set(kinds)
    repaired = await repair(service, store)
    assert repaired.left == []
    assert await problems(store) == []
    await run(service, store, "r3")
    assert lake_rows(store) == service.truth()
    await run(service, store, "r4", Request(refetch=True))
    assert lake_rows(store) == service.truth()
    assert await problems(store) == []
    assert not store.staged
    return repaired


def files_in(store: MemoryStore, folder: str = "events") -> list[str]:
    return sorted(key for key in store.visible if key.startswith(f"{folder}/"))


def set_aside(store: MemoryStore) -> set[str]:
    return {key for key in [*store.visible, *store.records] if key.startswith("_damaged/")}


async def test_a_lake_that_is_whole_is_left_as_it_is() -> None:
    """Nothing is written, not even a record."""
    service, store = await lake_of()
    before = dict(store.records), dict(store.visible)
    repaired = await repair(service, store)
    assert (repaired.done, repaired.left, repaired.sessions_opened) == ({}, [], 0)
    assert (store.records, store.visible) == before


async def test_a_missing_file_is_lost() -> None:
    """Its sessions are asked for again, and no other."""
    service, store = await lake_of()
    (key,) = files_in(store, YESTERDAY)[:1]
    of_file = {(row["stage_arn"], row["session_id"]) for row in rows_in(store, key)}
    del store.visible[key]
    repaired = await mends(service, store, ProblemKind.MISSING)
    assert "lost" in repaired.done[key]
    assert repaired.sessions_opened == len(of_file)
    lost = [record.lost async for record in records_after(store, SCOPE) if record.lost]
    assert lost == [(key,)]


async def test_only_the_sessions_of_a_lost_file_are_asked_for_again() -> None:
    """The others stay sealed."""
    service, store = await lake_of()
    key = files_in(store, YESTERDAY)[0]
    of_file = {(row["stage_arn"], row["session_id"]) for row in rows_in(store, key)}
    del store.visible[key]
    await repair(service, store)
    service.calls.clear()
    await run(service, store, "r3")
    asked = {call[1:3] for call in service.calls if call[0] is Operation.LIST_PARTICIPANTS}
    assert asked == of_file | {(TWO, "st-active")}


def rows_in(store: MemoryStore, key: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(store.visible[key])).to_pylist()
    return rows


async def test_a_file_that_is_not_what_was_written_is_set_aside() -> None:
    """Its bytes are kept out of readers' sight."""
    service, store = await lake_of()
    key = files_in(store)[-1]
    data = store.visible[key] = store.visible[key][:99] + b"?" + store.visible[key][100:]
    repaired = await mends(service, store, ProblemKind.DAMAGED)
    assert "set aside" in repaired.done[key]
    assert set_aside(store) == {f"_damaged/{key}"}
    assert await store.read(f"_damaged/{key}") == data


async def test_a_file_that_the_log_does_not_name_is_named_again() -> None:
    """The log is older than the tables, as in a backup that began with the log."""
    service, store = await lake_of()
    log = dict(store.records)
    service.add("st-9", events={"p1": 4, "p2": 1}, stage=THREE)
    service.join(service.stages[TWO]["st-active"], "p1", 2)
    await run(service, store, "r2b")
    store.records = log
    files = files_in(store)
    repaired = await mends(service, store, ProblemKind.UNNAMED)
    assert all("named in the log again" in done for done in repaired.done.values())
    assert set(files) <= set(files_in(store))


async def test_what_was_exported_twice_is_there_once_again() -> None:
    """A run without the log wrote everything a second time; both logs' files are there."""
    service, store = await lake_of()
    other = MemoryStore()
    await run(service, other, "r9")
    store.visible |= other.visible
    assert lake_rows(store) != service.truth()
    repaired = await mends(service, store, ProblemKind.UNNAMED)
    assert any("rows taken out" in done for done in repaired.done.values())
    replaced = [key async for record in records_after(store, SCOPE) for key in record.replaced]
    assert replaced
    assert not set(replaced) & set(store.visible)


def without_the_log(store: MemoryStore) -> None:
    store.records = {}


def without_the_first_records(store: MemoryStore) -> None:
    for number in (1, 2):
        del store.records[record_key(str(SCOPE), number)]


def without_a_record(store: MemoryStore) -> None:
    del store.records[record_key(str(SCOPE), 3)]


def with_an_altered_record(store: MemoryStore) -> None:
    key = record_key(str(SCOPE), 3)
    store.records[key] = store.records[key].replace(b"st-", b"ts-", 1)


def with_a_record_of_zeroes(store: MemoryStore) -> None:
    key = max(key for key in store.records if key.startswith(RECORDS))
    store.records[key] = bytes(100)


def without_the_last_records(store: MemoryStore) -> None:
    numbers = len([key for key in store.records if key.startswith(RECORDS)])
    for number in range(numbers - 2, numbers + 1):
        del store.records[record_key(str(SCOPE), number)]


@pytest.mark.parametrize(
    "damage",
    [
        without_the_log,
        without_the_first_records,
        without_a_record,
        with_an_altered_record,
        with_a_record_of_zeroes,
        without_the_last_records,
    ],
)
async def test_a_log_that_can_not_be_built_on_is_begun_anew(damage: Callable[[MemoryStore], None]) -> None:
    """What is left of it is set aside; the files that are there are named, and their sessions asked for again."""
    service, store = await lake_of()
    damage(store)
    found = {problem.kind for problem in await problems(store)}
    left = {key for key in store.records if key.startswith((RECORDS, SNAPSHOTS))}
    await mends(service, store, *found)
    assert found <= {ProblemKind.LOG, ProblemKind.UNNAMED}
    if ProblemKind.LOG in found:
        assert set_aside(store) == {f"_damaged/repair1/{key}" for key in left}


async def test_files_that_a_damaged_log_has_committed_are_not_thrown_away() -> None:
    """A run died between its record and its files, then a record was lost: AWS may have forgotten those sessions."""
    service, store = await lake_of()
    service.add("st-9", events={"p1": 4, "p2": 1}, stage=THREE)

    def die(operation: str, key: str) -> None:
        if operation == "publish" and key.startswith("events/"):
            raise Crash

    store.before = die
    with pytest.raises((Crash, BaseExceptionGroup)):
        await run(service, store, "r2b")
    store.restart()
    await store.stage(f"{TODAY}/{SCOPE}-000000009-dead-000001.parquet", b"waste")
    without_a_record(store)
    del service.stages[THREE]["st-9"]
    repaired = await repair(service, store)
    assert repaired.left == []
    assert not store.staged
    assert {row[0] for row in lake_rows(store) - service.truth()} == {"st-9"}


async def test_files_of_epochs_beyond_the_log_that_names_them_anew_are_known() -> None:
    """Nothing was there for twenty nights, then the log was lost: the new one is shorter than the files' numbers."""
    service, store = Service(), MemoryStore()
    for night in range(20):
        await run(service, store, f"e{night}")
    active = service.add("st-active", ended=False, events={"p1": 2})
    await run(service, store, "r1")
    without_the_log(store)
    assert (await repair(service, store)).left == []
    await run(service, store, "r2")
    service.join(active, "p1", 3)
    service.now_us += HOUR_US
    await run(service, store, "r3")
    assert lake_rows(store) == service.truth()
    assert await problems(store) == []


async def test_what_was_staged_under_numbers_that_are_given_anew_is_removed() -> None:
    """The log's last record was lost: those files are of the epoch that the next run begins, and of a later one."""
    service, store = await lake_of()
    last = (await read_state(store, SCOPE)).number
    for epoch in (last, last + 9):
        await store.stage(f"{TODAY}/{SCOPE}-{epoch:09}-dead-000001.parquet", b"waste")
    others = await store.stage(f"{TODAY}/{SCOPE}0-000000001-dead-000001.parquet", b"of another scope")
    del store.records[record_key(str(SCOPE), last)]
    await run(service, store, "r9")
    assert [staged for staged, _ in store.staged.values()] == [others]


def write(store: MemoryStore, key: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    store.visible[key] = sink.getvalue()


def a_copy(store: MemoryStore, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """One more file, whose rows are those of another but for a change, under a name of this scope's."""
    key = next(key for key in files_in(store, TODAY) if len(rows_in(store, key)) > 2)
    schema = pq.read_schema(io.BytesIO(store.visible[key]))
    copy = f"{TODAY}/{SCOPE}-000000001-copy-000001.parquet"
    write(store, copy, [change(row) for row in rows_in(store, key)], schema)
    return copy


async def test_rows_of_one_id_that_differ_are_all_kept() -> None:
    """They may be two events that look alike: one gets the next number, and the API is asked for their sessions."""
    service, store = await lake_of()
    a_copy(store, lambda row: row | {"run_id": "other", "extra": '{"seen":"twice"}'})
    rows = sum(map(len, (rows_in(store, key) for key in files_in(store))))
    repaired = await repair(service, store)
    assert repaired.left == []
    assert await problems(store) == []
    assert sum(map(len, (rows_in(store, key) for key in files_in(store)))) == rows
    ids = [row["event_id"] for key in files_in(store) for row in rows_in(store, key)]
    assert len(set(ids)) == rows
    before = lake_rows(store)
    await run(service, store, "r3")
    assert lake_rows(store) == before, "what the API shows is there; what it does not is not taken away"


async def test_rows_that_differ_only_in_who_wrote_them_are_one() -> None:
    """The one written first stays, in its own file."""
    service, store = await lake_of()
    files = {key: store.visible[key] for key in files_in(store)}
    a_copy(store, lambda row: row | {"run_id": "other", "exported_at": row["exported_at"].replace(year=2027)})
    await mends(service, store, ProblemKind.UNNAMED)
    assert {key: store.visible[key] for key in files} == files


async def test_a_file_of_ours_that_is_no_parquet_is_set_aside() -> None:
    """Nothing can be named of it."""
    service, store = await lake_of()
    key = f"{TODAY}/{SCOPE}-000000001-odd-000001.parquet"
    store.visible[key] = b"PAR1 and no more"
    await mends(service, store, ProblemKind.UNNAMED)
    assert set_aside(store) == {f"_damaged/{key}"}


async def test_what_can_not_be_read_is_not_damaged() -> None:
    """An archived object, or one without permission, stays, and its sessions stay sealed."""
    service, store = await lake_of()
    key = files_in(store, YESTERDAY)[0]
    missing = files_in(store, TODAY)[0]
    del store.visible[missing]
    refuse(store, key)
    repaired = await repair(service, store)
    assert [(problem.kind, problem.key) for problem in repaired.left] == [(ProblemKind.UNREADABLE, key)]
    assert list(repaired.done) == [missing]
    assert key in store.visible


def refuse(store: MemoryStore, key: str) -> None:
    def check(operation: str, asked: str) -> None:
        if (operation, asked) == ("read", key):
            raise LakeRefused("InvalidObjectState: the object is archived")

    store.before = check


async def test_files_of_others_are_left_where_they_are() -> None:
    """They are named as problems where readers take them for rows, and nothing else is done."""
    service, store = await lake_of()
    store.visible[f"{TODAY}/mine.parquet"] = b"PAR1"
    store.visible[f"{TODAY}/_SUCCESS"] = b""
    repaired = await repair(service, store)
    assert [(problem.kind, problem.key) for problem in repaired.left] == [
        (ProblemKind.FOREIGN, f"{TODAY}/mine.parquet")
    ]
    assert repaired.done == {}
    assert list(repaired.verified.notes) == [f"{TODAY}/_SUCCESS"]


async def test_a_scope_that_is_held_is_left_alone() -> None:
    """Its problems are left."""
    service, store = await lake_of()
    del store.visible[files_in(store)[0]]
    holder = {"process": this_process(), "run_id": "r", "since": "now"}
    store.records[f"_log/{SCOPE}/lease/000000000001.json"] = msgspec.json.encode(holder)
    before = dict(store.records)
    repaired = await repair(service, store)
    assert [problem.kind for problem in repaired.left] == [ProblemKind.MISSING]
    assert store.records == before


async def test_a_plan_changes_nothing() -> None:
    """It says for each problem what would be done."""
    service, store = await lake_of()
    lost, odd = files_in(store)[0], f"{TODAY}/{SCOPE}-000000001-odd-000001.parquet"
    del store.visible[lost]
    store.visible[odd] = b"PAR1"
    before = dict(store.records), dict(store.visible)
    repaired = await repair_of(service, store, "repair1").plan()
    assert (store.records, store.visible) == before
    assert set(repaired.done) == {lost, odd}
    assert all(done.startswith("would") for done in repaired.done.values())
    assert repaired.is_more_likely


@pytest.mark.parametrize(("kind", "is_more_likely"), [("lost", False), ("a record is gone", True)])
async def test_a_plan_says_where_a_repair_may_find_more(kind: str, is_more_likely: bool) -> None:
    """What stands twice shows once a log is begun anew; of a lost file there is no more to find."""
    service, store = await lake_of()
    if kind == "lost":
        del store.visible[files_in(store)[0]]
    else:
        without_a_record(store)
    assert (await repair_of(service, store, "repair1").plan()).is_more_likely is is_more_likely


def much_is_wrong(store: MemoryStore, other: MemoryStore) -> None:
    """A file is gone, one is damaged, and everything of one date was exported twice."""
    first, second = files_in(store, TODAY)[:2]
    del store.visible[first]
    store.visible[second] = store.visible[second][:-1]
    store.visible |= {key: data for key, data in other.visible.items() if key.startswith(YESTERDAY)}


async def test_a_writer_of_the_log_that_was_set_aside_can_not_commit() -> None:
    """It slept through its lease and the repair: the number that it needs for its next record is taken."""
    service, store = await lake_of()
    sleeper = Journal(store, SCOPE, "sleeper", await read_state(store, SCOPE))
    await sleeper.begin("2026-11-23T12:00:00Z")
    without_a_record(store)
    assert (await repair(service, store)).left == []
    assert (await sleeper.commit("2026-11-23T12:00:00Z")).outcome is CommitOutcome.OVERTAKEN
    await run(service, store, "r3")
    assert lake_rows(store) == service.truth()
    assert await problems(store) == []


class FailingAtWrites(Failing):
    """The process is gone at a write: one that only reads leaves what it found."""

    def __call__(self, operation: str, key: str) -> None:
        if self.has_failed or operation not in {"read", "keys", "leftovers"}:
            super().__call__(operation, key)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "log", "then"),
    [
        ("before", "whole", "run"),
        ("after", "whole", "repair"),
        ("before", "damaged", "repair"),
        ("after", "damaged", "run"),
    ],
)
async def test_a_repair_that_dies_at_any_step_is_finished_by_the_next(moment: str, log: str, then: str) -> None:
    """Before or after every fifth write to the lake; a run that comes between does no harm."""
    service, whole = await lake_of(rows_max=1_000)
    other = MemoryStore()
    await run(service, other, "r9")
    for step in count(0, 5):
        store = MemoryStore()
        store.records, store.visible = dict(whole.records), dict(whole.visible)
        much_is_wrong(store, other)
        if log == "damaged":
            without_a_record(store)
        failing = FailingAtWrites(step, Crash())
        setattr(store, moment, failing)
        with suppress(Crash, BaseExceptionGroup):
            await repair(service, store)
        store.restart()
        if then == "run":
            with suppress(LogDamaged, FileDamaged):
                await run(service, store, "r3")
        assert (await repair(service, store, "repair2")).left == [], step
        await run(service, store, "r4")
        assert lake_rows(store) == service.truth(), step
        assert await problems(store) == [], step
        assert not store.staged
        if not failing.has_failed:
            break
    assert step >= 15


async def lake_that_lost_a_name() -> tuple[Service, MemoryStore]:
    """All files of a lake of one night are lost, and the service's list lacks a participant of a sealed session."""
    service, store = Service(), MemoryStore()
    for stage in (STAGE, TWO, THREE):
        service.add("st-1", events={"p1": 2, "p2": 4, "p3": 1, "p-silent": 0}, stage=stage)
    service.unlisted.add(f"{TWO}/st-1/p3")
    await run(service, store, "r1")
    for key in files_in(store):
        del store.visible[key]
    await repair(service, store)
    service.unlisted = {f"{TWO}/st-1/p2"}
    service.now_us += 24 * HOUR_US
    return service, store


async def test_a_session_is_not_sealed_without_those_that_a_lost_file_had() -> None:
    """The list lacks one of them and shows another one that it lacked before; the log names both."""
    service, store = await lake_that_lost_a_name()
    ledger = await run(service, store, "r2")
    assert (ledger.is_complete, ledger.sessions_sealed) == (True, 2)
    assert lake_rows(store) == service.truth()
    service.unlisted.clear()
    ledger = await run(service, store, "r3")
    assert (ledger.is_complete, ledger.sessions_sealed) == (True, 3)
    assert await problems(store) == []


async def test_what_a_lost_file_had_and_nobody_shows_any_more_is_given_up_in_the_end() -> None:
    """It fails by its name for 30 days, and is counted as abandoned then."""
    service, store = await lake_that_lost_a_name()
    service.stages[TWO]["st-1"].participants["p2"].error = Refused("gone", "ResourceNotFoundException")
    outcomes: list[bool] = []
    for day in (0, 1, 29):
        service.now_us += day * 24 * HOUR_US
        outcomes.append((await run(service, store, f"r{2 + len(outcomes)}")).is_complete)
    assert outcomes == [False, False, True]
    state = await read_state(store, SCOPE)
    assert list(state.abandoned) == [f"{TWO}/st-1/p2"]
