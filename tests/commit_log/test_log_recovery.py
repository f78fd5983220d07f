"""Recovery from a last record whose files are not all there: what is missing is fetched again, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.errors import LakeBusy, Refused
from exporter.health.verify import Verified, verify
from exporter.ivs.operations import Operation
from exporter.settings import RunSettings
from tests.support.logs import capture_logs
from tests.support.memory_store import Crash, MemoryStore
from tests.support.runs import export
from tests.support.service import DAY_US, HOUR_US, SECOND_US, Service, SessionDouble, lake_rows
from tests.support.table_rows import KEYS, check_once, rows_of

if TYPE_CHECKING:
    from exporter.lake.store import Staged

SETTINGS = RunSettings(checkpoint_s=1e9)
YESTERDAY, TODAY = "event_date=2026-11-22", "event_date=2026-11-23"


def add(service: Service, session_id: str, begins_us: int, **events: int) -> SessionDouble:
    """A session that ended an hour after midnight, whose participants each do one thing a second from its begin on."""
    session = service.add(session_id)
    session.started_us, session.ended_us = begins_us, DAY_US + HOUR_US
    for participant_id, count in events.items():
        service.join(session, participant_id, count)
    return session


async def crash_before_publishing(service: Service, lake: MemoryStore) -> None:
    """Commit everything in one record, and die before any of its files is visible."""

    def crash(operation: str, _key: str) -> None:
        if operation == "publish":
            raise Crash

    lake.before = crash
    with pytest.raises((Crash, BaseExceptionGroup)):
        await export(service, lake, "r1", settings=SETTINGS)
    lake.restart()


def lose(lake: MemoryStore, date: str) -> None:
    """Something removes the staged file of one date."""
    [handle] = [handle for handle, (staged, _) in lake.staged.items() if date in staged.key]
    del lake.staged[handle]


async def recover(service: Service, lake: MemoryStore) -> set[str]:
    """Another run, after which all is well; gives the sessions and participants whose lists and events it asked for."""
    service.calls.clear()
    with capture_logs() as logs:
        await export(service, lake, "r2", settings=SETTINGS)
    assert any(line["event"] == "files_gone" and line["log_level"] == "warning" for line in logs)
    assert lake_rows(lake) == service.truth()
    assert not lake.staged
    assert [problem async for problem in verify(lake, Verified())] == []
    return {
        key[-1] for key in service.calls if key[0] in (Operation.LIST_PARTICIPANTS, Operation.LIST_PARTICIPANT_EVENTS)
    }


@pytest.mark.parametrize("gone", [YESTERDAY, TODAY])
async def test_of_two_files_of_a_unit_one_is_gone(gone: str) -> None:
    """What the other file holds is known by its ids, and not written twice."""
    service, lake = Service(), MemoryStore()
    add(service, "st-a", DAY_US - 2 * SECOND_US, p1=5, p2=4)
    await crash_before_publishing(service, lake)
    lose(lake, gone)
    assert await recover(service, lake) == {"st-a", "p1", "p2"}


async def test_a_session_of_the_same_record_whose_file_is_there_is_not_asked_for_again() -> None:
    """It stays sealed: only those with rows in the lost file are opened."""
    service, lake = Service(), MemoryStore()
    add(service, "st-old", DAY_US - HOUR_US, p1=2)
    add(service, "st-new", DAY_US + SECOND_US, p2=3)
    await crash_before_publishing(service, lake)
    lose(lake, TODAY)
    assert await recover(service, lake) == {"st-new", "p2"}


async def test_a_final_unit_of_an_open_session_is_fetched_again() -> None:
    """Its session is still open for another's sake; that it is final no longer counts where its file is gone."""
    service, lake = Service(), MemoryStore()
    session = add(service, "st-a", DAY_US + SECOND_US, p1=2, p2=2)
    session.participants["p2"].error = Refused("denied", "AccessDeniedException")
    await crash_before_publishing(service, lake)
    lose(lake, TODAY)
    session.participants["p2"].error = None
    assert await recover(service, lake) == {"st-a", "p1", "p2"}


async def test_rows_of_earlier_records_are_known_to_a_session_that_is_opened_again() -> None:
    """An active session that grew: the file of its first night is there, that of its second is gone."""
    service, lake = Service(), MemoryStore()
    session = add(service, "st-a", DAY_US - 2 * SECOND_US, p1=2)
    session.ended_us = None
    await export(service, lake, "r0", settings=SETTINGS)
    service.join(session, "p1", 3)
    session.ended_us = DAY_US + HOUR_US
    await crash_before_publishing(service, lake)
    lose(lake, TODAY)
    assert await recover(service, lake) == {"st-a", "p1"}


@pytest.mark.parametrize("table", ["events", "stages", "sessions", "participants"])
async def test_the_rows_of_an_active_session_that_are_there_are_not_written_again(table: str) -> None:
    """Of each table the lake has all rows once, whichever table's file is gone."""
    service, lake = Service(), MemoryStore()
    add(service, "st-a", DAY_US + SECOND_US, p1=2, p2=3).ended_us = None
    await crash_before_publishing(service, lake)
    lose(lake, f"{table}/")
    await recover(service, lake)
    check_once(lake)
    assert {name: len(rows_of(lake, name)) for name in KEYS} == {"stages": 1, "sessions": 1, "participants": 2}


class Lagging(MemoryStore):
    """A lake whose list of staged files is behind: published ones are still in it."""

    def __init__(self, lake: MemoryStore) -> None:
        super().__init__()
        self.visible, self.staged, self.records = lake.visible, lake.staged, lake.records
        self.listed = [staged for staged, _ in lake.staged.values()]
        self.discarded: list[str] = []

    async def leftovers(self, table: str) -> list[Staged]:
        await super().leftovers(table)
        return [staged for staged in self.listed if staged.key.startswith(f"{table}/")]

    async def discard(self, staged: Staged) -> None:
        self.discarded.append(staged.key)
        await super().discard(staged)


async def test_what_the_last_record_names_is_never_discarded() -> None:
    """Even where it is listed as a leftover; what no record names is."""
    service, lake = Service(), MemoryStore()
    add(service, "st-a", DAY_US - 2 * SECOND_US, p1=5)
    await crash_before_publishing(service, lake)
    named = {staged.key for staged, _ in lake.staged.values()}
    unnamed = await lake.stage(next(iter(named)).replace("-r1-", "-r0-"), b"x")
    lagging = Lagging(lake)
    await export(service, lagging, "r2", settings=SETTINGS)
    assert lagging.discarded == [unnamed.key]
    assert lake_rows(lake) == service.truth()


async def test_files_of_a_record_whose_answer_is_lost_are_not_discarded() -> None:
    """Whether it was made is not known: the run ends, its files stay, and the next run looks and publishes them."""
    service, lake = Service(), MemoryStore()
    add(service, "st-a", DAY_US - 2 * SECOND_US, p1=5)

    def lose_the_answer(operation: str, _key: str) -> None:
        if operation == "create" and lake.staged:
            raise LakeBusy("no answer")

    lake.after = lose_the_answer
    with pytest.raises(LakeBusy):
        await export(service, lake, "r1", settings=SETTINGS)
    staged = [staged.key for staged, _ in lake.staged.values()]
    assert sum(key.startswith("events/") for key in staged) == 2
    lake.restart()
    service.calls.clear()
    await export(service, lake, "r2", settings=SETTINGS)
    assert lake_rows(lake) == service.truth()
    assert set(staged) == set(lake.visible)
    assert {key[0] for key in service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}
