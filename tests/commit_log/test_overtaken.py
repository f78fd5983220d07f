"""Writers that sleep through their lease: another run takes the scope meanwhile, and they wake up and go on."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import pytest

from exporter.errors import LakeBusy, Overtaken
from exporter.health.verify import Verified, verify
from exporter.lake.data_files import file_name, is_older
from exporter.lake.tables import TABLES
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.lake.tables.stages import STAGES
from exporter.settings import RunSettings
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import DAY_US, HOUR_US, SCOPE, SECOND_US, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.lake.store import Store
    from exporter.ledger import ScopeLedger

Done = TypeVar("Done")

SETTINGS = RunSettings(checkpoint_s=1e9)


def world() -> Service:
    """Sessions around midnight: a checkpoint stages events of the day before, and of the day after, a file each."""
    service = Service()
    for number in range(4):
        session = service.add(f"st-{number}")
        session.started_us, session.ended_us = DAY_US - 2 * SECOND_US, DAY_US + HOUR_US
        for name in ("a", "b"):
            service.join(session, name, 4)
    return service


@dataclass(frozen=True)
class Moment:
    """Before or after the ``count``-th operation of a kind, with files of a ``table``.

    The kinds are the store's own, but for the making of records: ``record`` is that of any, with files or without, and
    ``commit`` that of one that names files of the table.
    """

    when: str
    kind: str
    count: int = 1
    table: str = "events"


class Sleepy(MemoryStore):
    """The same lake, seen by a run that falls asleep at some moment."""

    def __init__(self, lake: MemoryStore, run_id: str, moment: Moment) -> None:
        super().__init__()
        self.visible, self.staged, self.records = lake.visible, lake.staged, lake.records
        self.uploads = lake.uploads
        self.run_id, self.moment, self.left = run_id, moment, moment.count
        self.asleep, self.awake = asyncio.Event(), asyncio.Event()

    async def _do(self, operation: str, key: str, act: Callable[[], Done]) -> Done:
        is_meant = self.moment.kind in self._kinds(operation, key)
        self.left -= is_meant
        is_tired = is_meant and self.left == 0
        if is_tired and self.moment.when == "before":
            await self._sleep()
        done = await super()._do(operation, key, act)
        if is_tired and self.moment.when == "after":
            await self._sleep()
        return done

    def _kinds(self, operation: str, key: str) -> set[str]:
        if operation != "create":
            return {operation} if self._is_of_table(key) else set()
        if "/records/" not in key:
            return set()
        staged = [staged.key for staged, _ in self.staged.values() if f"-{self.run_id}-" in staged.key]
        return {"record", "commit"} if any(map(self._is_of_table, staged)) else {"record"}

    def _is_of_table(self, key: str) -> bool:
        return key.startswith(f"{self.moment.table}/")

    async def _sleep(self) -> None:
        self.asleep.set()
        await self.awake.wait()


class Writer:
    """A run that sleeps at some moment of its work."""

    def __init__(self, service: Service, lake: MemoryStore, run_id: str, moment: Moment) -> None:
        self.store = Sleepy(lake, run_id, moment)
        self.run = asyncio.create_task(run(service, self.store, run_id))

    async def fall_asleep(self) -> None:
        """Go on until then, and lose the lease: whoever comes next does not find the scope held."""
        async with asyncio.timeout(60):
            await self.store.asleep.wait()
        self.store.restart()

    async def wake_up(self) -> ScopeLedger:
        """Go on; gives the ledger, or raises what the run does."""
        self.store.awake.set()
        return await self.run


def events_staged(lake: MemoryStore) -> list[str]:
    return [staged.key for staged, _ in lake.staged.values() if staged.key.startswith("events/")]


async def run(service: Service, store: MemoryStore, run_id: str) -> ScopeLedger:
    return await export(service, store, run_id, rows_max=8, settings=SETTINGS)


async def check(service: Service, lake: MemoryStore) -> None:
    """Nothing is lost, doubled or left behind, and the log says what the lake holds."""
    assert lake_rows(lake) == service.truth()
    assert not lake.staged
    assert await problems(lake) == []
    assert_final_once(service, lake)


def assert_final_once(service: Service, lake: MemoryStore) -> None:
    """Each session that is over has one final row, and each of its participants; each stage has one row."""
    over = Counter(
        (stage, session_id)
        for stage, sessions in service.stages.items()
        for session_id, session in sessions.items()
        if session.ended_us is not None
    )
    people = Counter((*names, name) for names in over for name in service.stages[names[0]][names[1]].participants)
    for table, expected in ((SESSIONS, over), (PARTICIPANTS, people)):
        rows = [row for row in lake.rows(table.name) if row["is_final"]]
        assert Counter(tuple(row[name] for name in table.sort_by) for row in rows) == expected
    assert Counter(row["stage_arn"] for row in lake.rows("stages")) == Counter(list(service.stages))


async def problems(store: Store) -> list[str]:
    return [f"{problem.key}: {problem.message}" async for problem in verify(store, Verified())]


MOMENTS = {
    "before it recovers": Moment("after", "record"),
    "before it stages": Moment("before", "stage"),
    "while it stages": Moment("before", "upload"),
    "between two files": Moment("after", "stage"),
    "before its record": Moment("before", "commit"),
    "before the answer to its record": Moment("after", "commit"),
    "before it publishes": Moment("before", "publish"),
    "between two publications": Moment("after", "publish"),
    "before its second record": Moment("before", "commit", 2),
}


@pytest.mark.parametrize(
    ("moment", "table"),
    [
        (name, table.name)
        for name, moment in MOMENTS.items()
        for table in TABLES
        if moment.count == 1 or table is not STAGES  # all rows of stages are in one record
    ],
)
async def test_a_writer_that_slept_commits_nothing_more(moment: str, table: str) -> None:
    """Wherever in its checkpoint it slept while another run did everything, it ends as overtaken.

    It removes what it had staged; what it had committed is in the lake, once; and a third run has nothing to do.
    """
    service, lake = world(), MemoryStore()
    sleeper = Writer(service, lake, "sleeper", replace(MOMENTS[moment], table=table))
    await sleeper.fall_asleep()
    await run(service, lake, "other")
    assert lake_rows(lake) == service.truth(), "the other waits for nobody"
    records = dict(lake.records)
    with pytest.raises(Overtaken):
        await sleeper.wake_up()
    await check(service, lake)
    assert lake.records == records
    third = await run(service, lake, "third")
    assert third.outcome == "nothing"
    await check(service, lake)


async def test_a_writer_that_slept_before_its_last_record_has_lost_nothing() -> None:
    """All that it fetched was committed before; the other run found nothing to do."""
    service, lake = world(), MemoryStore()
    rehearsed = MemoryStore()
    await run(service, rehearsed, "sleeper")
    records = sum("/records/" in key for key in rehearsed.records)
    sleeper = Writer(service, lake, "sleeper", Moment("before", "record", records))
    await sleeper.fall_asleep()
    other = await run(service, lake, "other")
    assert other.events_written == 0
    with pytest.raises(Overtaken):
        await sleeper.wake_up()
    await check(service, lake)


async def test_a_writer_that_slept_before_it_began_begins_behind_the_other() -> None:
    """It has read an old state, and loses the number of its begin record: it reads on, begins again, and goes on."""
    service, lake = world(), MemoryStore()
    sleeper = Writer(service, lake, "sleeper", Moment("before", "record"))
    await sleeper.fall_asleep()
    await run(service, lake, "other")
    ledger = await sleeper.wake_up()
    assert ledger.is_complete
    assert ledger.events_written == 0
    await check(service, lake)


async def test_a_writer_that_wakes_up_in_its_recovery_leaves_the_staged_files_of_the_other_alone() -> None:
    """Its begin record is the older one, so the other's staged files are not its to discard."""
    service, lake = world(), MemoryStore()
    sleeper = Writer(service, lake, "sleeper", Moment("after", "record"))
    await sleeper.fall_asleep()
    other = Writer(service, lake, "other", Moment("before", "commit"))
    await other.fall_asleep()
    staged = set(lake.staged)
    assert staged
    with pytest.raises(Overtaken):
        await sleeper.wake_up()
    assert set(lake.staged) == staged
    assert (await other.wake_up()).is_complete
    await check(service, lake)


async def test_a_writer_that_wakes_up_with_staged_files_discards_its_own_alone() -> None:
    """The other one, that discarded them already, has staged its own meanwhile, and commits them afterwards."""
    service, lake = world(), MemoryStore()
    sleeper = Writer(service, lake, "sleeper", Moment("before", "commit"))
    await sleeper.fall_asleep()
    assert len(events_staged(lake)) == 2
    other = Writer(service, lake, "other", Moment("before", "commit"))
    await other.fall_asleep()
    staged = set(lake.staged)
    assert len(events_staged(lake)) == 2
    assert {staged.key.count("-other-") for staged, _ in lake.staged.values()} == {1}
    with pytest.raises(Overtaken):
        await sleeper.wake_up()
    assert set(lake.staged) == staged
    assert (await other.wake_up()).is_complete
    await check(service, lake)


async def test_of_three_writers_the_last_one_that_began_commits() -> None:
    """Two sleep with staged files, one after the other; both wake up before the third commits, and both lose."""
    service, lake = world(), MemoryStore()
    writers = []
    for run_id in ("first", "second", "third"):
        writer = Writer(service, lake, run_id, Moment("before", "commit"))
        await writer.fall_asleep()
        writers.append(writer)
    first, second, third = writers
    for loser in (second, first):
        with pytest.raises(Overtaken):
            await loser.wake_up()
    assert lake_rows(lake).total() == 0
    assert (await third.wake_up()).is_complete
    await check(service, lake)


async def test_what_a_loser_cannot_discard_the_next_run_does() -> None:
    """The lake refuses the loser everything after its lost record: it ends as overtaken all the same."""
    service, lake = world(), MemoryStore()
    sleeper = Writer(service, lake, "sleeper", Moment("before", "stage"))
    await sleeper.fall_asleep()
    await run(service, lake, "other")

    def refuse(operation: str, _key: str) -> None:
        if operation == "discard":
            raise LakeBusy("no answer")

    sleeper.store.before = refuse
    with pytest.raises(Overtaken):
        await sleeper.wake_up()
    assert lake.staged
    await run(service, lake, "third")
    await check(service, lake)


NAME = file_name(str(SCOPE), 7, "r-1", 1)


@pytest.mark.parametrize(
    ("name", "epoch", "expected"),
    [
        (NAME, 8, True),
        (NAME, 7, False),
        (NAME, 6, False),
        (file_name(str(SCOPE), 10**9 - 1, "r-1", 1), 10**9, True),
        (file_name("111122223333-us-east-2", 7, "r-1", 1), 8, False),
        (file_name("444455556666-us-east-1", 7, "r-1", 1), 8, False),
        (f"a-{NAME}", 8, False),
        (f"{SCOPE}-r-1", 8, False),
        ("", 8, False),
    ],
)
def test_only_what_an_earlier_epoch_of_the_same_scope_staged_is_older(name: str, epoch: int, *, expected: bool) -> None:
    """Neither what this run stages, nor what a later one or another scope does, nor what is nobody's."""
    assert is_older(f"events/event_date=2026-11-23/{name}.parquet", str(SCOPE), epoch) is expected


async def test_the_staged_files_of_another_scope_are_left_alone() -> None:
    """A run in another scope, at any epoch, may be alive."""
    service, lake = world(), MemoryStore()
    foreign = await lake.stage(f"events/event_date=2026-11-23/{file_name('1-eu-west-1', 1, 'r', 1)}.parquet", b"x")
    await run(service, lake, "r1")
    assert [staged for staged, _ in lake.staged.values()] == [foreign]


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_files_of_the_run_that_overtook_are_no_sign_of_a_damaged_log(count: int) -> None:
    """The sleeper has read what the log says of files already; then another run brings files of another day."""
    service, lake = Service(), MemoryStore()
    sessions = []
    for day in range(3):
        session = service.add(f"st-{day}", ended=False)
        session.started_us = DAY_US - day * 24 * HOUR_US
        service.join(session, "a", 9)
        sessions.append(session)
    await run(service, lake, "first")
    for session in sessions:
        service.join(session, "a", 9)
    sleeper = Writer(service, lake, "sleeper", Moment("before", "stage", count))
    await sleeper.fall_asleep()
    await run(service, lake, "other")
    with pytest.raises(Overtaken):
        await sleeper.wake_up()
    await check(service, lake)
