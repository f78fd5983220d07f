"""Runs one after another into one lake: every event once, and no call that is not needed."""

from __future__ import annotations

from exporter.discovery.request import Request
from exporter.errors import Refused
from exporter.ivs.operations import Operation
from exporter.model import Outcome
from exporter.settings import RunSettings
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, STAGE, Service, lake_rows

DAYS_31_US = 31 * 24 * HOUR_US


async def test_a_first_run_brings_every_event_once() -> None:
    """Sessions with many, few and no events are in the lake, and the ledger adds up."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 7, "p2": 1, "p3": 0})
    service.add("st-b", events={})
    ledger = await export(service, store, "r1")
    assert lake_rows(store) == service.truth()
    assert ledger.units_found == 3
    assert ledger.outcomes == {Outcome.EXPORTED: 2, Outcome.EMPTY: 1}
    assert ledger.sessions_sealed == 2
    assert ledger.events_written == 8
    assert ledger.is_complete


async def test_a_second_night_asks_for_nothing_that_is_sealed() -> None:
    """Where nothing is new, the stages and their sessions are listed, and nothing else."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 7})
    await export(service, store, "r1")
    service.calls.clear()
    ledger = await export(service, store, "r2")
    assert {call[0] for call in service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}
    assert ledger.sessions_sealed == 1
    assert ledger.units_found == 0
    assert ledger.is_complete
    assert ledger.events_written == 0


async def test_an_active_session_grows_and_its_rows_are_added_once() -> None:
    """What an active session has is exported; later runs add what is new, in whatever order the answer comes."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", ended=False, events={"p1": 4})
    first = await export(service, store, "r1")
    assert first.sessions_active == 1
    assert lake_rows(store) == service.truth()
    service.join(session, "p1", 5)
    service.join(session, "p2", 1)
    service.newest_first = True
    ledger = await export(service, store, "r2")
    assert lake_rows(store) == service.truth()
    assert ledger.events_written == 6
    again = await export(service, store, "r3")
    assert again.outcomes == {Outcome.UNCHANGED: 2}
    session.ended_us = service.now_us
    service.now_us += HOUR_US
    sealed = await export(service, store, "r4")
    assert sealed.sessions_sealed == 1
    assert lake_rows(store) == service.truth()


async def test_a_session_in_its_grace_time_is_not_sealed() -> None:
    """Events may come for a while after the end: the next run asks once more, and then no more."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2})
    session.ended_us = service.now_us - 60_000_000
    assert (await export(service, store, "r1")).sessions_sealed == 0
    service.join(session, "p1", 1)
    service.now_us += HOUR_US
    assert (await export(service, store, "r2")).sessions_sealed == 1
    assert lake_rows(store) == service.truth()


async def test_a_failed_unit_keeps_its_session_open_and_comes_again() -> None:
    """A refused unit fails by name; its session is not sealed, and the next run asks for that unit alone."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2, "p2": 2})
    session.participants["p2"].error = Refused("denied", "AccessDeniedException")
    ledger = await export(service, store, "r1")
    assert ledger.outcomes == {Outcome.EXPORTED: 1, Outcome.FAILED: 1}
    assert [failure.unit for failure in ledger.failures] == [f"{STAGE}/st-a/p2"]
    assert not ledger.is_complete
    session.participants["p2"].error = None
    service.calls.clear()
    again = await export(service, store, "r2")
    assert again.outcomes == {Outcome.UNCHANGED: 1, Outcome.EXPORTED: 1}
    assert again.sessions_sealed == 1
    assert not any("p1" in call for call in service.calls)
    assert lake_rows(store) == service.truth()


async def test_a_unit_refused_for_thirty_days_is_abandoned() -> None:
    """After `give_up_days` a refused unit is abandoned: no failure any more, and not in the way of sealing."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2, "p2": 2})
    session.participants["p2"].error = Refused("gone", "ResourceNotFoundException")
    await export(service, store, "r1")
    service.now_us += DAYS_31_US
    ledger = await export(service, store, "r2")
    assert ledger.outcomes == {Outcome.UNCHANGED: 1, Outcome.ABANDONED: 1}
    assert ledger.is_complete
    assert ledger.sessions_sealed == 1


async def test_a_session_that_vanishes_is_reported_once() -> None:
    """A known session that is not sealed and no longer listed makes one run partial, and one only."""
    service, store = Service(), MemoryStore()
    service.add("st-a", ended=False, events={"p1": 2})
    service.add("st-b", events={"p1": 1})
    await export(service, store, "r1")
    del service.stages[STAGE]["st-a"]
    ledger = await export(service, store, "r2")
    assert ledger.sessions_vanished == 1
    assert not ledger.is_complete
    assert "in the lake: 2 rows of 1 unit" in ledger.failures[0].message
    assert (await export(service, store, "r3")).is_complete


async def test_a_session_that_comes_back_is_not_doubled() -> None:
    """Listed, gone, and listed again: its rows are in the lake once, sealed or not."""
    service, store = Service(), MemoryStore()
    sealed = service.add("st-a", events={"p1": 2})
    active = service.add("st-b", ended=False, events={"p1": 3})
    await export(service, store, "r1")
    service.stages[STAGE].clear()
    await export(service, store, "r2")
    service.stages[STAGE] = {"st-a": sealed, "st-b": active}
    await export(service, store, "r3")
    assert lake_rows(store) == service.truth()


async def test_a_refetch_adds_what_the_lake_lacks_and_nothing_else() -> None:
    """Asked for again, a sealed session gives the event that came late, and no row twice."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2, "p2": 2})
    await export(service, store, "r1")
    service.join(session, "p1", 1)
    assert (await export(service, store, "r2")).events_written == 0
    ledger = await export(service, store, "r3", Request(refetch=True))
    assert ledger.events_written == 1
    assert lake_rows(store) == service.truth()
    assert (await export(service, store, "r4", Request(refetch=True))).events_written == 0


async def test_of_equal_events_the_one_is_added_whose_other_fields_the_lake_lacks() -> None:
    """Three events that differ in an unknown field alone are one identity: each of them comes into the lake, once."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", ended=False, events={"p1": 1})
    (event,) = session.participants["p1"].events
    session.participants["p1"].events = [{**event, "new": "b"}]
    await export(service, store, "r1")
    session.participants["p1"].events = [{**event, "new": name} for name in "abc"]
    assert (await export(service, store, "r2")).events_written == 2
    assert sorted(row["extra"] for row in store.rows()) == ['{"new":"a"}', '{"new":"b"}', '{"new":"c"}']
    assert len({row["event_id"] for row in store.rows()}) == 3
    assert (await export(service, store, "r3")).events_written == 0


async def test_a_file_that_is_gone_unseals_its_sessions() -> None:
    """A staged file that was removed before it was published is noticed at the next start, and fetched again."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 2})
    await export(service, store, "r1")
    store.visible.clear()
    records = [key for key in store.records if "/records/" in key]
    # As if the run had ended between its commit and the publication: the closing record was never written.
    del store.records[records[-1]]
    await export(service, store, "r2")
    assert lake_rows(store) == service.truth()


async def test_small_checkpoints_give_the_same_rows() -> None:
    """Many commits in one run, each of whole units, are one export."""
    service, store = Service(), MemoryStore()
    for number in range(5):
        service.add(f"st-{number}", events={f"p{unit}": unit for unit in range(6)})
    ledger = await export(service, store, "r1", rows_max=1, settings=RunSettings(checkpoint_s=0.001))
    assert lake_rows(store) == service.truth()
    assert ledger.sessions_sealed == 5
    assert ledger.units_done == ledger.units_found == 30


async def test_complete_until_is_the_oldest_end_that_is_not_sealed() -> None:
    """Once all is sealed the lake is complete up to the listing; with a failed unit, up to its session's end."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 2})
    assert (await export(service, store, "r1")).complete_until_us == service.now_us
    service.now_us += HOUR_US
    session = service.add("st-b", events={"p1": 2})
    session.participants["p1"].error = Refused("denied", "AccessDeniedException")
    service.now_us += HOUR_US
    assert (await export(service, store, "r2")).complete_until_us == session.ended_us


async def test_a_refetch_of_many_stages_writes_nothing_twice() -> None:
    """Many stages ask at once what the lake holds of what is sealed: all are told the whole of it."""
    service, store = Service(), MemoryStore()
    for number in range(8):
        for session in range(3):
            service.add(f"st-{number}-{session}", events={"p1": 3, "p2": 2}, stage=f"{STAGE}{number}")
    await export(service, store, "r1")
    ledger = await export(service, store, "r2", Request(refetch=True))
    assert ledger.outcomes == {Outcome.UNCHANGED: 48}
    assert lake_rows(store) == service.truth()


async def test_sessions_of_many_stages_that_come_back_are_known_again() -> None:
    """Sessions of several stages are missing from the lists for one night and are listed again: nothing is doubled."""
    service, store = Service(), MemoryStore()
    for number in range(6):
        service.add(f"st-{number}", events={"p1": 3}, stage=f"{STAGE}{number}")
    await export(service, store, "r1")
    hidden = {arn: sessions for arn, sessions in service.stages.items() if sessions}
    service.stages = {arn: {} for arn in hidden}
    await export(service, store, "r2")
    service.stages = hidden
    service.calls.clear()
    await export(service, store, "r3")
    assert lake_rows(store) == service.truth()
    assert not any(call[0] is Operation.LIST_PARTICIPANT_EVENTS for call in service.calls)
