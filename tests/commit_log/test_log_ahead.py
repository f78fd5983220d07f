"""A log that a wrong date has pushed ahead of the clock: it is named, and what rests on that date is taken back.

``tests/data/log-ahead`` is such a lake. The last program whose log had no checksums wrote it in three runs, with an
emulator whose `Date` was ten years ahead in the second one, and right in the others.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.commit_log.reader import read_state, records_after
from exporter.commit_log.records import RowWritten, UnitState
from exporter.commit_log.state import voided
from exporter.discovery.request import Request
from exporter.errors import Refused
from exporter.ivs.operations import Operation
from exporter.settings import RunSettings
from tests.support.logs import capture_logs
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export, survey
from tests.support.service import DAY_US, HOUR_US, SCOPE, SECOND_US, STAGE, Service, SessionDouble, lake_rows

if TYPE_CHECKING:
    from exporter.commit_log.state import ScopeState

LAKE = Path(__file__).parents[1] / "data" / "log-ahead"
NOW_US = DAY_US + 12 * HOUR_US
TWO = STAGE.replace("/one", "/two")
OLD, A, B, C = (f"st-{letter * 13}" for letter in "oabc")
YEARS_US = 87_600 * HOUR_US
MINUTE_US = 60 * SECOND_US


def lake_ahead() -> MemoryStore:
    """The lake of before, in memory."""
    store = MemoryStore()
    for path in sorted(path for path in LAKE.rglob("*") if path.is_file()):
        key = path.relative_to(LAKE).as_posix()
        (store.records if key.startswith("_log/") else store.visible)[key] = path.read_bytes()
    return store


def add(service: Service, stage: str, session_id: str, ended_us: int, **events: int) -> SessionDouble:
    session = service.add(session_id, stage=stage)
    session.started_us, session.ended_us = ended_us - HOUR_US, ended_us
    for participant_id, number in events.items():
        service.join(session, participant_id, number)
    return session


def service_of(lake: str = "whole") -> Service:
    """What AWS shows an hour later: events came in the grace time of the sessions that were sealed too early."""
    service = Service()
    late = 0 if lake == "as it was" else 2
    add(service, STAGE, OLD, NOW_US - 5 * HOUR_US, p1=2)
    add(service, STAGE, A, NOW_US - 60 * SECOND_US, p1=3 + late, p2=1)
    add(service, TWO, B, NOW_US - 30 * SECOND_US, p1=2 + late)
    add(service, TWO, C, NOW_US + 1_795 * SECOND_US, p1=1, p2=2 + late)
    service.now_us = NOW_US + 2 * HOUR_US
    return service


def sealed_in(state: ScopeState) -> dict[str, set[str]]:
    """The sessions that are sealed, by stage."""
    return {stage_arn: set(sessions) for stage_arn, sessions in state.sealed.items()}


async def run(service: Service, store: MemoryStore, run_id: str = "r", **options: Any) -> list[Any]:
    """One more run; gives what the log warned of."""
    with capture_logs() as logs:
        await export(service, store, run_id, **options)
    return [line for line in logs if line["event"] == "log_ahead"]


async def test_a_lake_of_before_is_healed() -> None:
    """What was sealed too early is fetched again, what was sealed before that is not; and it is said once."""
    service, store = service_of(), lake_ahead()
    assert lake_rows(store) == service_of("as it was").truth()
    (warning,) = await run(service, store)
    assert warning["log_level"] == "warning"
    assert (warning["log"], warning["now"]) == ("2036-11-20T12:00:00Z", "2026-11-23T14:00:00Z")
    assert lake_rows(store) == service.truth()
    asked = {call[2] for call in service.calls if call[0] is Operation.LIST_PARTICIPANTS}
    assert asked == {A, B, C}
    state = await read_state(store, SCOPE)
    assert state.latest_us == state.complete_until_us == service.now_us
    assert sealed_in(state) == {STAGE: {OLD, A}, TWO: {B, C}}
    [void] = [record async for record in records_after(store, SCOPE) if record.void_after_us is not None]
    assert (void.number, void.void_after_us) == (11, service.now_us), "after the begin of the run, and before all else"
    service.calls.clear()
    assert await run(service, store, "r2") == []
    assert {call[0] for call in service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}


async def test_grace_time_counts_again() -> None:
    """A session that has just ended when its lake is healed is sealed only after its grace time."""
    service, store = service_of(), lake_ahead()
    late = add(service, TWO, "st-late", service.now_us - 60 * SECOND_US, p1=1)
    await run(service, store)
    service.join(late, "p1", 2)
    service.now_us += HOUR_US
    await run(service, store, "r2")
    assert lake_rows(store) == service.truth()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_run_that_dies_while_it_heals_is_followed_by_one_that_does(moment: str) -> None:
    """Before or after each operation: the next run leaves the same rows, and the log is right."""
    for step in count():
        service, store = service_of(), lake_ahead()
        failing = Failing(step, Crash())
        setattr(store, moment, failing)
        with suppress(Crash, BaseExceptionGroup):
            await export(service, store, "r1", settings=RunSettings(checkpoint_s=1e9))
        store.restart()
        await run(service, store, "r2")
        assert lake_rows(store) == service.truth(), step
        state = await read_state(store, SCOPE)
        assert state.latest_us == service.now_us
        assert sealed_in(state) == {STAGE: {OLD, A}, TWO: {B, C}}
        voids = [record.number async for record in records_after(store, SCOPE) if record.void_after_us is not None]
        assert len(voids) == 1
        if not failing.has_failed:
            break
    assert step > 20


async def test_a_plan_of_a_log_that_is_ahead_knows_what_will_be_fetched() -> None:
    """A dry run heals nothing, and counts the units that the next run opens."""
    service, store = service_of(), lake_ahead()
    records = dict(store.records)
    assert (await survey(service, store)).units == 5
    assert store.records == records


@pytest.mark.parametrize("minutes", [-30, 0, 14])
async def test_a_log_that_is_a_little_ahead_is_obeyed(minutes: int) -> None:
    """Clocks differ by minutes; nothing is taken back for that."""
    service, store = Service(), MemoryStore()
    add(service, STAGE, A, service.now_us - 2 * HOUR_US, p1=2)
    await run(service, store)
    service.now_us -= minutes * MINUTE_US
    service.calls.clear()
    assert await run(service, store, "r2") == []
    assert {call[0] for call in service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}


async def test_a_log_is_healed_as_often_as_it_is_pushed_ahead() -> None:
    """The second time, what was opened and rightly sealed after the first is left alone."""
    service, store = service_of(), lake_ahead()
    await run(service, store)
    add(service, STAGE, "st-d", service.now_us, p1=1)
    service.now_us += YEARS_US
    await run(service, store, "far")
    service.now_us -= YEARS_US
    service.join(service.stages[STAGE]["st-d"], "p1", 3)
    service.now_us += HOUR_US
    service.calls.clear()
    assert len(await run(service, store, "r3")) == 1
    assert {call[2] for call in service.calls if call[0] is Operation.LIST_PARTICIPANTS} == {"st-d"}
    assert lake_rows(store) == service.truth()


async def test_units_that_a_wrong_date_gave_up_are_tried_again() -> None:
    """Ten years passed in one night, so that a refusal of two nights was given up; then the permission comes back."""
    service, store = Service(), MemoryStore()
    session = add(service, STAGE, A, service.now_us - 2 * HOUR_US, p1=2, p2=3)
    session.participants["p2"].error = Refused("not found", "ResourceNotFoundException")
    await run(service, store)
    service.now_us += YEARS_US
    await run(service, store, "far")
    assert list((await read_state(store, SCOPE)).abandoned) == [f"{STAGE}/{A}/p2"]
    service.now_us -= YEARS_US - 24 * HOUR_US
    session.participants["p2"].error = None
    assert len(await run(service, store, "r3")) == 1
    assert lake_rows(store) == service.truth()
    assert not (await read_state(store, SCOPE)).abandoned


async def test_a_session_that_is_no_longer_listed_is_reported_once() -> None:
    """It was sealed too early, and nobody can say any more whether something of it is missing."""
    service, store = service_of(), lake_ahead()
    del service.stages[TWO][B]
    ledger = await export(service, store, "r1")
    assert ledger.sessions_vanished == 1
    assert [failure.unit for failure in ledger.failures] == [f"{TWO}/{B}"]
    assert (await export(service, store, "r2")).is_complete


async def test_a_refetch_of_a_healed_lake_finds_all_there() -> None:
    """Files of before and files of after hold each event once."""
    service, store = service_of(), lake_ahead()
    await run(service, store)
    rows = lake_rows(store)
    await run(service, store, "r2", request=Request(refetch=True))
    assert lake_rows(store) == rows


@pytest.mark.parametrize("began_us", [None, NOW_US - HOUR_US, NOW_US + YEARS_US])
def test_a_row_that_may_be_final_by_a_far_date_is_followed_by_another(began_us: int | None) -> None:
    """The log does not say when a row was listed: a unit of it may have been fetched long before, or never."""
    unit = UnitState(began_us=began_us, rows=1, row=RowWritten.FINAL)
    assert voided(unit, NOW_US).row is RowWritten.FIRST
