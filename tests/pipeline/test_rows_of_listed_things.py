"""Rows of stages, sessions and participants: when they are written, and what may not be said too early."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from exporter.commit_log.reader import read_state
from exporter.discovery.listings import ListingPage
from exporter.discovery.request import Request
from exporter.discovery.target_list import Targets
from exporter.errors import Refused
from exporter.ivs.operations import Operation
from exporter.normalize.listed_model import ListedStage
from exporter.settings import RunSettings, TableSettings
from tests.support import runs
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, SECOND_US, STAGE, Service, SessionDouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

REFETCH = Request(refetch=True)


def a_session() -> tuple[Service, MemoryStore, SessionDouble]:
    service = Service()
    return service, MemoryStore(), service.add("st-1", events={"a": 2, "b": 1}, stage=STAGE)


def final_rows(store: MemoryStore, table: str) -> list[dict[str, Any]]:
    return [row for row in store.rows(table) if row["is_final"]]


def newest_session(store: MemoryStore) -> dict[str, Any]:
    return max(final_rows(store, "sessions"), key=lambda row: row["exported_at"])


# Stages.


async def named(_service: Service, arns: Iterable[str]) -> AsyncIterator[ListingPage]:
    """Stages that the settings name, as a run has them then: no list is asked for."""
    yield ListingPage(stages=[ListedStage(arn) for arn in arns])


async def test_a_stage_that_is_named_and_not_listed_keeps_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of its name and tags, which is no news of them."""
    service, store, _ = a_session()
    await export(service, store, "r1")
    service.add("st-2", events={"c": 1}, stage=STAGE)
    monkeypatch.setattr(runs, "listed", named)
    await export(service, store, "r2")
    assert [row["stage_name"] for row in store.rows("stages")] == ["one"]
    assert [row["stage_name"] for row in store.rows("sessions")] == ["one", "one"]


async def test_sessions_show_their_stage_where_its_own_table_is_switched_off() -> None:
    service, store, _ = a_session()
    await export(service, store, "r1", tables=TableSettings(stages=False))
    assert [(row["stage_name"], row["stage_tags"]) for row in store.rows("sessions")] == [("one", [("team", "tests")])]
    assert store.rows("stages") == []


# Ends.


async def test_a_session_that_ended_later_after_all_has_newer_final_rows() -> None:
    """The first final rows rest on answers from before that end."""
    service, store, session = a_session()
    session.participants["a"].error = Refused("refused", "AccessDeniedException")
    await export(service, store, "r1")
    assert len(final_rows(store, "participants")) == 2
    service.now_us += HOUR_US
    session.ended_us = service.now_us - 60 * SECOND_US
    await export(service, store, "r2")
    assert len(final_rows(store, "participants")) == 2
    service.now_us += HOUR_US
    session.participants["a"].error = None
    ledger = await export(service, store, "r3")
    assert ledger.sessions_sealed == 1
    assert Counter(row["run_id"] for row in final_rows(store, "participants")) == {"r1": 2, "r3": 2}
    assert [row["run_id"] for row in final_rows(store, "sessions")] == ["r3"]


async def test_where_a_list_shows_two_ends_no_row_is_final() -> None:
    service, store, session = a_session()
    later = SessionDouble(session.started_us, service.now_us - 60 * SECOND_US, session.participants)
    service.repeated[STAGE] = ("st-1", later)
    await export(service, store, "r1")
    assert [row["is_final"] for row in store.rows("participants")] == [False, False]
    assert final_rows(store, "sessions") == []


# Counts.


async def test_a_participant_that_a_refetch_finds_is_counted_though_it_has_no_events() -> None:
    service, store, session = a_session()
    await export(service, store, "r1")
    for run_id in ("r2", "r3"):
        service.join(session, "c", 0)
        service.now_us += HOUR_US
        await export(service, store, run_id, REFETCH)
    assert newest_session(store)["participant_count"] == 3
    assert [row["run_id"] for row in final_rows(store, "sessions")] == ["r1", "r2"]
    assert Counter(row["participant_id"] for row in final_rows(store, "participants")) == {"a": 1, "b": 1, "c": 1}


async def test_a_session_whose_list_was_given_up_is_complete_once_a_refetch_has_listed_it() -> None:
    """Until then no row says so; from then on neither the log nor `status` counts it as abandoned."""
    service, store, session = a_session()
    service.refuse(Operation.LIST_PARTICIPANTS, "ValidationException")
    settings = RunSettings(give_up_days=1.0)
    for run_id in ("r1", "r2", "r3"):
        await export(service, store, run_id, settings=settings)
        service.now_us += 25 * HOUR_US
    assert [row["is_complete"] for row in final_rows(store, "sessions")] == [False]
    service.on_call = lambda *_: None
    service.join(session, "a")
    await export(service, store, "r4", REFETCH, settings=settings)
    newest = newest_session(store)
    assert (newest["run_id"], newest["event_count"]) == ("r4", 4)
    assert (newest["is_complete"], newest["participant_count"]) == (True, len(session.participants))
    assert not (await read_state(store, SCOPE)).abandoned


# Targets.


async def test_a_listed_participant_of_a_session_that_only_a_target_names_has_a_row() -> None:
    """Also where none of them can be fetched: that they are listed shows that there is such a session."""
    service, store, session = a_session()
    for participant in session.participants.values():
        participant.error = Refused("refused", "ValidationException")

    def refuse(operation: Operation, _params: Mapping[str, Any]) -> None:
        if operation is Operation.LIST_STAGE_SESSIONS:
            raise Refused("refused", "AccessDeniedException")

    service.on_call = refuse
    await export(service, store, "r1", Request(targets=Targets({STAGE: {"st-1": ""}})))
    assert {row["participant_id"] for row in store.rows("participants")} == {"a", "b"}


# Seals.


@pytest.mark.parametrize("rows_max", [1, 5, 20])
async def test_no_session_is_sealed_before_the_rows_of_its_participants_are_made(rows_max: int) -> None:
    """All units are final, from a run before the grace time was over; a commit comes in the middle of their list."""
    service, store = Service(), MemoryStore()
    service.page_size = 2
    names = [f"p{number}" for number in range(9)]
    session = service.add("st-1", events=dict.fromkeys(names, 1), stage=STAGE)
    ended_us = session.ended_us = service.now_us - 890 * SECOND_US

    def later(operation: Operation, _params: Mapping[str, Any]) -> None:
        if operation is Operation.LIST_PARTICIPANT_EVENTS and service.now_us < ended_us + 901 * SECOND_US:
            service.now_us += 20 * SECOND_US

    service.on_call = later
    await export(service, store, "r1", rows_max=rows_max)
    service.on_call = lambda *_: None
    for run_id in ("r2", "r3"):
        service.now_us += HOUR_US
        await export(service, store, run_id, rows_max=rows_max)
    assert [(row["event_count"], row["is_complete"]) for row in final_rows(store, "sessions")] == [(9, True)]
    assert sorted(row["participant_id"] for row in final_rows(store, "participants")) == names
