"""Sessions that were sealed without rows of every table: a backfill writes what they lack, and once."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import count

import pytest

from exporter.discovery.request import Period, Request
from exporter.errors import Refused
from exporter.ledger import ScopeLedger
from exporter.pipeline.budget import Budget
from exporter.pipeline.scope import ScopeExport
from exporter.settings import TableSettings
from tests.support.memory_store import Crash, MemoryStore
from tests.support.runs import a_context, export, listed
from tests.support.service import HOUR_US, SCOPE, STAGE, Service, SessionDouble

OFF = TableSettings(stages=False, sessions=False, participants=False)
NO_SESSIONS = TableSettings(sessions=False)
BACKFILL = Request(backfill_tables=True)


async def sealed_without(tables: TableSettings) -> tuple[Service, MemoryStore]:
    """A service with one session, and a lake that has it sealed."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={"a": 2, "b": 1}, stage=STAGE)
    ledger = await export(service, store, "r1", tables=tables)
    assert ledger.sessions_sealed == 1
    service.now_us += HOUR_US
    return service, store


async def let_go_of(service: Service, store: MemoryStore) -> SessionDouble:
    """Let the list lack the session, so that the log's state names it no longer; return it."""
    session = service.stages[STAGE].pop("st-1")
    await export(service, store, "r2", tables=OFF)
    service.now_us += HOUR_US
    return session


def final_sessions(store: MemoryStore) -> Counter[str]:
    return Counter(row["session_id"] for row in store.rows("sessions") if row["is_final"])


def final_participants(store: MemoryStore) -> Counter[str]:
    return Counter(row["participant_id"] for row in store.rows("participants") if row["is_final"])


@pytest.mark.parametrize("is_listed_again", [True, False])
async def test_what_the_log_had_let_go_of_is_filled_once(*, is_listed_again: bool) -> None:
    """Its old entry, which the closing record repeats where it is listed again, must not undo that it has rows."""
    service, store = await sealed_without(OFF)
    session = await let_go_of(service, store)
    if is_listed_again:
        service.stages[STAGE]["st-1"] = session
    for run_id in ("r3", "r4", "r5"):
        await export(service, store, run_id, BACKFILL)
        service.now_us += HOUR_US
    assert final_sessions(store) == {"st-1": 1}
    assert final_participants(store) == ({"a": 1, "b": 1} if is_listed_again else {})


@pytest.mark.parametrize("is_listed", [True, False])
async def test_a_session_with_rows_in_one_table_gets_those_of_the_other(*, is_listed: bool) -> None:
    service, store = await sealed_without(NO_SESSIONS)
    if not is_listed:
        del service.stages[STAGE]["st-1"]
    await export(service, store, "r2", BACKFILL)
    await export(service, store, "r3", BACKFILL)
    assert final_sessions(store) == {"st-1": 1}
    assert final_participants(store) == {"a": 1, "b": 1}


async def test_participants_that_had_their_final_rows_before_the_table_was_switched_off_get_no_second_one() -> None:
    """A list had shown two of three after the end; the session was sealed with the table off, and is filled later."""
    service, store = Service(), MemoryStore()
    session = service.add("st-1", events={"a": 2, "b": 1}, stage=STAGE)
    session.participants["b"].error = Refused("refused", "ValidationException")
    await export(service, store, "r1")
    assert final_participants(store) == {"a": 1, "b": 1}
    session.participants["b"].error = None
    service.join(session, "c", 1)
    ledger = await export(service, store, "r2", tables=TableSettings(participants=False))
    assert ledger.sessions_sealed == 1
    for run_id in ("r3", "r4"):
        await export(service, store, run_id, BACKFILL)
    assert final_participants(store) == {"a": 1, "b": 1, "c": 1}


async def test_what_one_backfill_left_out_another_makes_up_for() -> None:
    """That a whole backfill was made says nothing of tables that were switched off in it."""
    service, store = await sealed_without(OFF)
    del service.stages[STAGE]["st-1"]
    await export(service, store, "r2", BACKFILL, tables=NO_SESSIONS)
    await export(service, store, "r3", BACKFILL)
    assert final_sessions(store) == {"st-1": 1}


async def test_a_session_that_goes_on_has_one_row_as_soon_as_its_table_is_switched_on() -> None:
    """No backfill is needed for it: its list comes in each run, though none of its events is new."""
    service, store = Service(), MemoryStore()
    service.add("st-1", ended=False, events={"a": 2}, stage=STAGE)
    service.add("st-2", ended=False, stage="arn:aws:ivs:us-east-1:111122223333:stage/other")
    for run_id, tables in (("r1", NO_SESSIONS), ("r2", NO_SESSIONS), ("r3", TableSettings()), ("r4", TableSettings())):
        await export(service, store, run_id, tables=tables)
        service.now_us += HOUR_US
    assert [(row["session_id"], row["run_id"]) for row in store.rows("sessions")] == [("st-1", "r3"), ("st-2", "r3")]


async def test_sessions_outside_of_the_period_are_left_to_another_backfill() -> None:
    service, store = await sealed_without(OFF)
    del service.stages[STAGE]["st-1"]
    await export(service, store, "r2", Request(backfill_tables=True, period=Period(since_us=service.now_us)))
    assert store.rows("sessions") == []


async def test_a_region_that_shows_no_stage_ends_nothing() -> None:
    """It may be the wrong region: neither is a stage said to be gone, nor a session to be listed no more."""
    service, store = await sealed_without(TableSettings(sessions=False, participants=False))
    context = a_context(store, Budget(1 << 20), service.clock, "r2", request=BACKFILL)
    ledger = ScopeLedger(SCOPE.region, SCOPE.account_id)
    ledger.listing_needed()
    caller = service
    await ScopeExport(context, SCOPE, caller, ledger, is_whole=True, is_empty=True).export(listed(service, []))  # type: ignore[arg-type]
    assert [row["is_listed"] for row in store.rows("stages")] == [True]
    assert store.rows("sessions") == []


@pytest.mark.parametrize("step", range(8))
async def test_a_refetch_that_is_cut_short_leaves_all_participants_to_a_backfill(step: int) -> None:
    """It commits in between, and nobody could say afterwards which of them have a row."""
    service, store = await sealed_without(OFF)
    session = service.stages[STAGE]["st-1"]
    for number in range(6):
        service.join(session, f"c{number}", 2)
    created = count()

    def crash(operation: str, key: str) -> None:
        if operation == "create" and "/records/" in key and next(created) >= step:
            raise Crash

    store.after = crash
    with suppress(Crash):
        await export(service, store, "r2", Request(refetch=True), rows_max=1)
    store.restart()
    for run_id in ("r3", "r4"):
        service.now_us += HOUR_US
        await export(service, store, run_id, BACKFILL)
    assert final_participants(store) == dict.fromkeys(session.participants, 1)
