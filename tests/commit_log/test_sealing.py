"""When a session is sealed, what unseals it, and what the lake may call complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.commit_log.reader import read_state
from exporter.discovery.request import Request
from exporter.discovery.target_list import Targets
from exporter.errors import EventUnreadable, GaveUp, Refused
from exporter.health.status import statuses
from exporter.ivs.operations import Operation
from exporter.model import Outcome
from exporter.pipeline.stop import Stop
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, SECOND_US, STAGE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ivs.responses import Page


TARGETS = Targets({STAGE: {"st-a": "p1"}})


async def test_an_end_is_noted_though_nothing_was_fetched() -> None:
    """A known session that has ended since, and whose unit fails, holds `complete_until` back."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", ended=False, events={"p1": 2})
    await export(service, store, "r1")
    session.ended_us = service.now_us + HOUR_US
    service.now_us += 2 * HOUR_US
    service.join(session, "p1", 3)
    session.participants["p1"].error = GaveUp("no answer")
    assert (await export(service, store, "r2")).complete_until_us == session.ended_us


async def test_a_stopped_run_calls_nothing_complete() -> None:
    """A run that was asked to stop does not say how far the lake is complete."""
    service, store, stop = Service(), MemoryStore(), Stop()
    service.add("st-a", events={"p1": 2})
    for number in range(9):
        service.add(f"st-empty{number}", events={})
    service.add("st-z", events={"p1": 2})
    store.before = lambda operation, _: stop.ask("SIGTERM") if operation == "stage" else None
    assert (await export(service, store, "r1", rows_max=1, stop=stop)).complete_until_us is None
    assert (await read_state(store, SCOPE)).complete_until_us is None


async def test_what_was_fetched_whole_is_committed_at_a_stop() -> None:
    """Units that wait for the writer when the stop comes are written, not deferred."""
    service, store, stop = Service(), MemoryStore(), Stop()
    service.concurrency = 32
    service.add("st-a", events={f"p{unit}": 2 for unit in range(100)})
    fetched: set[str] = set()
    call = service.call

    async def count(operation: Operation, params: Mapping[str, Any]) -> Page:
        page = await call(operation, params)
        if operation is Operation.LIST_PARTICIPANT_EVENTS:
            fetched.add(params["participantId"])
        return page

    service.call = count  # type: ignore[method-assign] # to see what was answered
    store.before = lambda operation, _: stop.ask("SIGTERM") if operation == "stage" else None
    ledger = await export(service, store, "r1", rows_max=1, stop=stop)
    # Those whose answer came in the very turn of the stop have not been taken from their callers.
    assert ledger.outcomes[Outcome.EXPORTED] >= len(fetched) - 2
    assert ledger.outcomes[Outcome.DEFERRED] == ledger.units_found - ledger.outcomes[Outcome.EXPORTED]


async def test_a_fetch_before_the_end_is_never_final() -> None:
    """A unit fetched while its session was active is asked for again, though the clock was ahead then."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", ended=False, events={"p1": 2})
    service.now_us += 24 * HOUR_US
    await export(service, store, "r1")
    service.now_us -= 24 * HOUR_US
    service.join(session, "p1", 3)
    session.ended_us = service.now_us
    await export(service, store, "r2")
    assert lake_rows(store) == service.truth()


async def test_a_session_that_comes_back_is_known_though_the_clock_was_behind() -> None:
    """What was let go of under a clock that was ten hours behind is not taken for new."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", ended=False, events={"p1": 5})
    service.now_us -= 10 * HOUR_US
    await export(service, store, "r1")
    service.stages[STAGE].clear()
    await export(service, store, "r2")
    service.now_us += 10 * HOUR_US
    service.stages[STAGE]["st-a"] = session
    await export(service, store, "r3")
    assert lake_rows(store) == service.truth()


async def test_time_never_goes_back() -> None:
    """Under a clock that went back a little, an ended session is sealed all the same, and `complete_until` stays."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 1})
    before = (await export(service, store, "r1")).complete_until_us
    service.add("st-b", events={"p1": 1})
    service.now_us -= 600 * SECOND_US
    ledger = await export(service, store, "r2")
    assert ledger.sessions_sealed == 2
    assert before is not None
    assert ledger.complete_until_us is not None
    assert ledger.complete_until_us >= before


async def test_a_far_date_does_not_end_the_grace_time() -> None:
    """Answers that are dated years ahead seal nothing early, in that run or later, and tell nothing complete."""
    service, store = Service(), MemoryStore()
    stages = [f"{STAGE}{number}" for number in range(3)]
    for number, stage in enumerate(stages):
        session = service.add(f"st-{number}", events={"p1": 2, "p2": 1}, stage=stage)
        session.ended_us = service.now_us - 60 * SECOND_US
    right, service.date = service.date, lambda: "Mon, 24 Nov 2036 12:00:00 GMT"
    ledger = await export(service, store, "r1")
    assert ledger.sessions_sealed == 0
    assert (await read_state(store, SCOPE)).latest_us == service.now_us
    service.date = right
    for number, stage in enumerate(stages):
        service.join(service.stages[stage][f"st-{number}"], "p1", 3)
    service.now_us += HOUR_US
    assert (await export(service, store, "r2")).sessions_sealed == 3
    assert lake_rows(store) == service.truth()


async def test_a_log_that_is_far_ahead_is_not_obeyed() -> None:
    """What the log says of a time that has not come seals nothing, and is not handed on as `complete_until`."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 1})
    service.now_us += 24 * HOUR_US
    await export(service, store, "r1")
    service.now_us -= 24 * HOUR_US
    session = service.add("st-b", events={"p1": 1}, stage=f"{STAGE}2")
    session.ended_us = service.now_us - 60 * SECOND_US
    ledger = await export(service, store, "r2")
    assert ledger.complete_until_us == session.ended_us
    service.join(session, "p1", 3)
    service.now_us += HOUR_US
    await export(service, store, "r3")
    assert lake_rows(store) == service.truth()


async def test_a_refetch_leaves_sealed_sessions_sealed() -> None:
    """Of one unit, of one that AWS has forgotten, or cut short: the next night makes no call below the list."""
    service, store, stop = Service(), MemoryStore(), Stop()
    session = service.add("st-a", events={"p1": 2, "p2": 2})
    service.add("st-b", events={"p1": 2}, stage=STAGE)
    await export(service, store, "r1")
    await export(service, store, "r2", Request(targets=TARGETS, refetch=True))
    session.participants["p2"].error = Refused("forgotten", "ResourceNotFoundException")
    assert not (await export(service, store, "r3", Request(refetch=True))).is_complete
    service.on_call = lambda operation, _: (
        stop.ask("SIGTERM") if operation is Operation.LIST_PARTICIPANT_EVENTS else None
    )
    await export(service, store, "r4", Request(refetch=True), stop=stop)
    service.on_call = lambda *_: None
    service.calls.clear()
    ledger = await export(service, store, "r5")
    assert ledger.is_complete
    assert {call[0] for call in service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}


async def test_a_sealed_session_that_comes_back_is_sealed() -> None:
    """Missing from one list and there again, a sealed session is asked for nothing, then and later."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2})
    await export(service, store, "r1")
    del service.stages[STAGE]["st-a"]
    await export(service, store, "r2")
    service.stages[STAGE]["st-a"] = session
    service.calls.clear()
    for run_id in ("r3", "r4"):
        assert (await export(service, store, run_id)).sessions_sealed == 1
    assert {call[0] for call in service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}


async def test_a_session_is_sealed_once() -> None:
    """With commits after every unit, a session is counted as sealed one time."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 2})
    ledger = await export(service, store, "r1", rows_max=1)
    assert ledger.sessions_sealed == ledger.sessions_found == 1


async def test_a_wrong_target_is_not_known_afterwards() -> None:
    """A session that only a list of targets named, and that AWS does not know, is not reported as vanished later."""
    service, store = Service(), MemoryStore()
    service.add("st-b", events={"p1": 1})
    service.on_call = lambda _, params: _refuse(params)
    assert (await export(service, store, "r1", Request(targets=TARGETS))).outcomes == {Outcome.FAILED: 1}
    service.on_call = lambda *_: None
    ledger = await export(service, store, "r2")
    assert ledger.sessions_vanished == 0
    assert ledger.is_complete


async def test_a_named_unit_without_events_is_known_afterwards() -> None:
    """A list of targets names it, no list of sessions can be had: the next run knows that there was nothing."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 0})
    service.refuse(Operation.LIST_STAGE_SESSIONS, "AccessDeniedException")
    for run_id, outcome in (("r1", Outcome.EMPTY), ("r2", Outcome.UNCHANGED)):
        assert (await export(service, store, run_id, Request(targets=TARGETS))).outcomes == {outcome: 1}


def _refuse(params: Mapping[str, Any]) -> None:
    if params.get("sessionId") == "st-a":
        raise Refused("no such session", "ResourceNotFoundException")


async def test_a_late_joiner_within_the_grace_time_is_found() -> None:
    """A session is sealed by a listing after its grace time, not by one before it."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 1})
    session.ended_us = service.now_us - 60 * SECOND_US
    await export(service, store, "r1")
    service.join(session, "p2", 1)
    service.now_us += HOUR_US
    await export(service, store, "r2")
    assert lake_rows(store) == service.truth()


async def test_every_failure_is_counted_over_the_nights() -> None:
    """A unit that can't be read fails for days, and `status` says for how many."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 1})
    session.participants["p1"].events[0]["eventTime"] = "long ago"
    for night in range(4):
        ledger = await export(service, store, f"r{night}")
        assert [failure.error for failure in ledger.failures] == [EventUnreadable.kind]
        service.now_us += 24 * HOUR_US
    (status,) = await statuses(store, 1)
    assert status.units.failing == {f"{STAGE}/st-a/p1": 3.0}


async def test_a_session_whose_participants_are_refused_is_given_up_in_the_end() -> None:
    """A listing that AWS refuses for `give_up_days` is abandoned like a unit, and no longer holds the lake back."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 1})
    service.refuse(Operation.LIST_PARTICIPANTS, "ResourceNotFoundException")
    assert not (await export(service, store, "r1")).is_complete
    service.now_us += 31 * 24 * HOUR_US
    ledger = await export(service, store, "r2")
    assert ledger.is_complete
    assert ledger.complete_until_us == service.now_us
    (status,) = await statuses(store, 1)
    assert status.units.abandoned == [f"{STAGE}/st-a"]


async def test_a_unit_that_fails_in_a_refetch_leaves_its_sealed_session_as_it_was() -> None:
    """What is sealed stays so in the log, unit by unit: later runs ask for none of it, and a later refetch succeeds."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2, "p2": 2})
    service.add("st-b", events={"p1": 2})
    await export(service, store, "r1")
    before = await read_state(store, SCOPE)
    session.participants["p2"].error = GaveUp("no answer")
    assert not (await export(service, store, "r2", Request(refetch=True))).is_complete
    after = await read_state(store, SCOPE)
    assert (after.open, after.sealed, after.abandoned) == (before.open, before.sealed, before.abandoned)
    session.participants["p2"].error = None
    assert (await export(service, store, "r3", Request(refetch=True))).is_complete
    assert lake_rows(store) == service.truth()


async def test_a_second_reading_that_is_final_counts_in_full() -> None:
    """Of equal events on several pages the smaller count of two readings holds, unless nothing can shift any more.

    One more of them comes between the readings, and the grace time ends: the second reading is all that there is.
    """
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 1})
    session.ended_us = service.now_us - 890 * SECOND_US
    events = session.participants["p1"].events
    events += [dict(events[0]) for _ in range(3)]

    def between(operation: Operation, params: Mapping[str, Any]) -> None:
        if operation is Operation.LIST_PARTICIPANT_EVENTS and "nextToken" in params and len(events) == 4:
            events.append(dict(events[0]))
            service.now_us += 20 * SECOND_US

    service.on_call = between
    await export(service, store, "r1")
    service.now_us += HOUR_US
    await export(service, store, "r2")
    assert lake_rows(store) == service.truth()


@pytest.mark.parametrize("way", ["a later end", "the end is gone"])
async def test_a_session_that_is_opened_again_knows_its_participants(way: str) -> None:
    """Its log has let go of them, its files have not: one that the list lacks now is fetched all the same."""
    service, store = Service(), MemoryStore()
    sessions = [service.add(f"st-{name}", events={"p1": 2, "p2": 2, "p3": 1}) for name in "abc"]
    await export(service, store, "r1")
    ended_us = sessions[0].ended_us
    assert ended_us is not None
    for session in sessions:
        session.ended_us = None if way == "the end is gone" else ended_us + HOUR_US
    service.now_us += 2 * HOUR_US
    for session in sessions[:2]:
        service.join(session, "p2", 1)
    service.unlisted = {"p2"}
    await export(service, store, "r2")
    assert lake_rows(store) == service.truth()
    for session in sessions:
        session.ended_us = ended_us + HOUR_US
    await export(service, store, "r3")
    service.unlisted = set()
    await export(service, store, "r4")
    assert lake_rows(store) == service.truth()
    assert sum(map(len, (await read_state(store, SCOPE)).sealed.values())) == 3


async def test_a_refetch_counts_what_is_sealed() -> None:
    """Sessions that are sealed are counted so, whether they are asked for again or not."""
    service, store = Service(), MemoryStore()
    for name in "abcd":
        service.add(f"st-{name}", events={"p1": 2})
    service.add("st-active", ended=False, events={"p1": 1})
    assert (await export(service, store, "r1")).sessions_sealed == 4
    assert (await export(service, store, "r2", Request(refetch=True))).sessions_sealed == 4
    assert (await export(service, store, "r3")).sessions_sealed == 4
