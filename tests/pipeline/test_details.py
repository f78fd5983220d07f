"""Details of participants, asked for beside the events: whatever they answer, every participant has its row."""

from __future__ import annotations

import asyncio
import io
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from exporter.discovery.request import Request
from exporter.discovery.target_list import Targets
from exporter.errors import GaveUp, Refused, Starved
from exporter.ivs.operations import Operation
from exporter.ivs.retry import RetryingCaller
from exporter.pipeline.stop import Stop
from exporter.settings import QuotaSettings, RetrySettings, RunSettings, TableSettings
from tests.support.memory_store import MemoryStore
from tests.support.runs import export, survey
from tests.support.service import HOUR_US, STAGE, Service, passing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.ivs.responses import Page
    from exporter.ledger import ScopeLedger
    from exporter.machine.clock import Clock

DETAILS = TableSettings(details=True)
BACKFILL = Request(backfill_tables=True)


def rows(store: MemoryStore, table: str = "participants") -> list[dict[str, Any]]:
    """The rows of a table, the newest last."""
    return [
        row
        for key, data in sorted(store.visible.items(), key=lambda item: item[0].rpartition("/")[2])
        if key.startswith(f"{table}/")
        for row in pq.read_table(io.BytesIO(data)).to_pylist()
    ]


def details_in(store: MemoryStore) -> Counter[str]:
    return Counter(row["details"] for row in rows(store))


def rows_at_records(store: MemoryStore) -> list[tuple[set[str], set[str]]]:
    """The participants that have events, and those that have rows, whenever a record is about to be made."""
    seen: list[tuple[set[str], set[str]]] = []

    def look(operation: str, key: str) -> None:
        if operation == "create" and "/records/" in key:
            seen.append(
                (
                    {row["participant_id"] for row in rows(store, "events")},
                    {row["participant_id"] for row in rows(store)},
                )
            )

    store.before = look
    return seen


def answering(answer: Callable[[str], Exception | None]) -> Callable[[Operation, Mapping[str, Any]], None]:
    """What GetParticipant is answered, by participant; None for its details."""

    def on_call(operation: Operation, params: Mapping[str, Any]) -> None:
        if operation is Operation.GET_PARTICIPANT and (error := answer(params["participantId"])) is not None:
            raise error

    return on_call


def causes(ledger: ScopeLedger) -> list[tuple[str, int]]:
    return [(failure.error, failure.count) for failure in ledger.failures]


async def test_each_row_is_asked_for_once_and_a_sealed_session_never_again() -> None:
    """One call for each row that is written, and the row has what it answered."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={f"p{index}": 2 for index in range(7)})
    ledger = await export(service, store, "r1", tables=DETAILS)
    assert service.calls_by_operation[Operation.GET_PARTICIPANT] == 7
    assert {(row["browser_name"], tuple(row["attributes"]), row["is_final"]) for row in rows(store)} == {
        ("Firefox", (("plan", "free"),), True)
    }
    assert details_in(store) == {"fetched": 7}
    assert ledger.is_complete
    await export(service, store, "r2", tables=DETAILS)
    assert service.calls_by_operation[Operation.GET_PARTICIPANT] == 7


async def test_nothing_is_asked_for_where_details_are_off() -> None:
    """`off` stands in the rows, and no call is made."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={"a": 1, "b": 1})
    await export(service, store, "r1")
    assert details_in(store) == {"off": 2}
    assert not service.calls_by_operation[Operation.GET_PARTICIPANT]


async def test_a_participant_that_aws_has_forgotten_is_no_failure() -> None:
    """A 404 is an answer."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={"a": 1, "b": 1})
    service.on_call = answering(lambda name: Refused("gone", "ResourceNotFoundException") if name == "a" else None)
    ledger = await export(service, store, "r1", tables=DETAILS)
    assert details_in(store) == {"not_found": 1, "fetched": 1}
    assert not ledger.failures


async def test_denied_details_are_one_failure_and_a_backfill_asks_again() -> None:
    """Denied is a cause of the scope, and its rows say so; once allowed, a backfill adds rows with details."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={f"p{index}": 1 for index in range(5)}, stage=STAGE)
    service.on_call = answering(lambda _: Refused("denied", "AccessDeniedException"))
    ledger = await export(service, store, "r1", tables=DETAILS)
    assert details_in(store) == {"denied": 5}
    assert causes(ledger) == [("refused", 1)]
    assert not ledger.is_complete

    before = Counter(service.calls_by_operation)
    ledger = await export(service, store, "r2", BACKFILL, tables=DETAILS)  # denied again: no row more
    assert details_in(store) == {"denied": 5}
    assert causes(ledger) == [("refused", 1)]
    assert service.calls_by_operation[Operation.LIST_PARTICIPANT_EVENTS] == before[Operation.LIST_PARTICIPANT_EVENTS]

    service.on_call = answering(lambda name: Refused("denied", "AccessDeniedException") if name == "p0" else None)
    await export(service, store, "r3", BACKFILL, tables=DETAILS)
    assert details_in(store) == {"denied": 5, "fetched": 4}
    service.on_call = lambda *_: None
    ledger = await export(service, store, "r4", BACKFILL, tables=DETAILS)
    assert ledger.is_complete
    newest = {row["participant_id"]: (row["details"], row["is_final"], row["browser_name"]) for row in rows(store)}
    assert set(newest.values()) == {("fetched", True, "Firefox")}
    assert details_in(store) == {"denied": 5, "fetched": 5}
    assert len(rows(store, "sessions")) == 1

    before = Counter(service.calls_by_operation)
    await export(service, store, "r5", BACKFILL, tables=DETAILS)
    assert service.calls_by_operation - before == {Operation.LIST_STAGE_SESSIONS: 1}


class SlowDetails(Service):
    """Answers for details only when all that can be done without them is done."""

    async def call(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        if operation is Operation.GET_PARTICIPANT:
            for _ in range(300):
                await asyncio.sleep(0)
        return await super().call(operation, params)


async def test_details_that_fail_again_hold_back_no_row_of_their_session() -> None:
    """A backfill makes the row that a session lacks, also where a checkpoint comes before the details are refused."""
    service, store = SlowDetails(), MemoryStore()
    service.add("st-1", events={"a": 1, "b": 1}, stage=STAGE)
    service.on_call = answering(lambda _: Refused("denied", "AccessDeniedException"))
    await export(service, store, "r1", tables=TableSettings(details=True, sessions=False))
    assert details_in(store) == {"denied": 2}
    assert not rows(store, "sessions")
    always = RunSettings(checkpoint_s=1e-300)
    await export(service, store, "r2", BACKFILL, tables=DETAILS, settings=always)
    assert [row["is_final"] for row in rows(store, "sessions")] == [True]


@pytest.mark.parametrize("more_events", [0, 1])
@pytest.mark.parametrize("details", [True, False])
async def test_a_refetch_forgets_no_details_that_are_lacking(more_events: int, *, details: bool) -> None:
    """It asks for none of a sealed session's, whatever events it finds; the backfill after it does, for all of them."""
    service, store = Service(), MemoryStore()
    session = service.add("st-1", events={f"p{index}": 1 for index in range(5)}, stage=STAGE)
    service.on_call = answering(lambda name: Refused("denied", "AccessDeniedException") if name < "p3" else None)
    await export(service, store, "r1", tables=DETAILS)
    assert details_in(store) == {"denied": 3, "fetched": 2}
    service.on_call = lambda *_: None
    for name in ("p1", "p4"):
        service.join(session, name, more_events)
    before = service.calls_by_operation[Operation.GET_PARTICIPANT]
    await export(service, store, "r2", Request(refetch=True), tables=TableSettings(details=details))
    assert service.calls_by_operation[Operation.GET_PARTICIPANT] == before
    await export(service, store, "r3", BACKFILL, tables=DETAILS)
    assert details_in(store) == {"denied": 3, "fetched": 5}
    await export(service, store, "r4", BACKFILL, tables=DETAILS)
    assert details_in(store) == {"denied": 3, "fetched": 5}


async def test_details_that_fail_to_the_end_fail_by_name() -> None:
    """The row says `failed`, and the failure names the participant."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={"a": 1, "b": 1})
    service.on_call = answering(lambda name: GaveUp("gave up after 8 tries: reset", "reset") if name == "a" else None)
    ledger = await export(service, store, "r1", tables=DETAILS)
    assert details_in(store) == {"failed": 1, "fetched": 1}
    assert causes(ledger) == [("gave_up", 1)]
    service.on_call = lambda *_: None
    await export(service, store, "r2", BACKFILL, tables=DETAILS)
    assert details_in(store) == {"failed": 1, "fetched": 2}


async def test_a_night_seals_nothing_for_details_alone_to_be_asked_again() -> None:
    """What was denied of an active session is asked for with its final row, and a backfill has nothing to do."""
    service, store = Service(), MemoryStore()
    session = service.add("st-1", ended=False, events={"a": 1, "b": 1})
    service.on_call = answering(lambda _: Refused("denied", "AccessDeniedException"))
    await export(service, store, "r1", tables=DETAILS)
    session.ended_us = service.now_us
    service.now_us += 2 * HOUR_US
    service.on_call = lambda *_: None
    await export(service, store, "r2", tables=DETAILS)
    assert [(row["details"], row["is_final"]) for row in rows(store)] == [
        ("denied", False),
        ("denied", False),
        ("fetched", True),
        ("fetched", True),
    ]
    before = Counter(service.calls_by_operation)
    await export(service, store, "r3", BACKFILL, tables=DETAILS)
    assert not (service.calls_by_operation - before)[Operation.GET_PARTICIPANT]


class Noting:
    """A client in front of the service double that notes when each operation is asked, by ``clock``."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self.service_time = service.service_time
        self.asked_s: dict[Operation, list[float]] = defaultdict(list)
        self._service = service
        self._clock = clock

    async def ask(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        self.asked_s[operation].append(self._clock.monotonic_s())
        return await self._service.call(operation, params)


async def test_details_leave_the_reserve_of_their_quota() -> None:
    """Of 5 a second a run with a fifth in reserve takes 4 in any time, and two more: of GetParticipant, too."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={f"p{index}": 1 for index in range(60)})
    clock = passing(service)
    client: Any = Noting(service, clock)
    quota = QuotaSettings(calls_per_second=5.0, reserve=0.2)
    ledger = await export(
        service,
        store,
        "r1",
        tables=DETAILS,
        call_with=lambda ledger: RetryingCaller(client, quota, RetrySettings(), 32, clock, ledger),
    )
    assert ledger.is_complete
    assert details_in(store) == {"fetched": 60}
    for operation in (Operation.GET_PARTICIPANT, Operation.LIST_PARTICIPANT_EVENTS):
        asked_s = client.asked_s[operation]
        assert len(asked_s) == 60
        for first, since_s in enumerate(asked_s):
            for last, until_s in enumerate(asked_s[first:], first):
                assert last - first + 1 <= 4.0 * (until_s - since_s) + 2.0 + 1e-6


async def test_throttled_details_let_the_events_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where GetParticipant is never answered, all events are fetched, and the run ends without waiting for it."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={f"p{index}": 4 for index in range(40)})
    monkeypatch.setattr("exporter.pipeline.fan_out._TO_DESCRIBE_WAITING_MAX", 10)
    slow = asyncio.Event()
    call = service.call

    async def answered(operation: Operation, params: Mapping[str, Any]) -> Any:
        if operation is Operation.GET_PARTICIPANT:
            service.rate_of_details = 0.1
            await slow.wait()
        return await call(operation, params)

    monkeypatch.setattr(service, "call", answered)
    async with asyncio.timeout(60):
        ledger = await export(service, store, "r1", tables=DETAILS)
    assert ledger.events_written == 160
    assert details_in(store) == {"failed": 40}
    assert causes(ledger) == [("deferred", 40)]
    assert "--backfill-tables" in ledger.failures[0].message
    monkeypatch.setattr(service, "call", call)
    service.rate_of_details = service.rate
    await export(service, store, "r2", BACKFILL, tables=DETAILS)
    assert details_in(store) == {"failed": 40, "fetched": 40}


async def test_a_row_is_committed_with_its_events_and_waits_for_its_details_until_then() -> None:
    """At each checkpoint there is a row of every participant whose events it has."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={f"p{index:02}": 3 for index in range(12)})
    seen = rows_at_records(store)
    await export(service, store, "r1", rows_max=20, tables=DETAILS)
    assert len(seen) > 3
    assert all(events <= participants for events, participants in seen)
    assert details_in(store) == {"fetched": 12}


async def test_participants_that_targets_alone_name_have_rows_no_later_than_their_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No list shows them: their details are their rows, and the checkpoint with their events waits for these."""
    service, store = Service(), MemoryStore()
    call = service.call

    async def answered(operation: Operation, params: Mapping[str, Any]) -> Any:
        if operation is Operation.GET_PARTICIPANT:
            for _ in range(500):
                await asyncio.sleep(0)  # events are there first
        return await call(operation, params)

    monkeypatch.setattr(service, "call", answered)
    names = [f"p{index:02}" for index in range(12)]
    service.add("st-1", events=dict.fromkeys(names, 3))
    seen = rows_at_records(store)
    request = Request(targets=Targets({STAGE: {"st-1": " ".join(names)}}))
    await export(service, store, "r1", request, settings=RunSettings(checkpoint_s=1e-9), tables=DETAILS)
    assert not service.calls_by_operation[Operation.LIST_PARTICIPANTS]
    assert len(seen) > 3
    assert all(events <= participants for events, participants in seen)
    assert details_in(store) == {"fetched": 12}


async def test_details_that_come_after_the_events_of_a_target_make_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is later than its events would leave them unexplained: a run that lists the participant writes it."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={"a": 3, "b": 3})
    monkeypatch.setattr("exporter.pipeline.writer._DETAILS_WAIT_S", 0.0)
    seen = rows_at_records(store)
    call, is_committed = service.call, asyncio.Event()
    store.after = lambda operation, key: (
        is_committed.set() if "/events/" in f"/{key}" and operation == "publish" else None
    )

    async def answered(operation: Operation, params: Mapping[str, Any]) -> Any:
        if operation is Operation.GET_PARTICIPANT or params.get("participantId") == "b":
            await is_committed.wait()
        return await call(operation, params)

    monkeypatch.setattr(service, "call", answered)
    request = Request(targets=Targets({STAGE: {"st-1": "a b"}}))
    ledger = await export(service, store, "r1", request, settings=RunSettings(checkpoint_s=1e-9), tables=DETAILS)
    assert all(events <= participants | {"a"} for events, participants in seen)
    assert {row["participant_id"] for row in rows(store)} == {"b"}
    assert causes(ledger) == [("deferred", 1)]
    await export(service, store, "r2", tables=DETAILS)
    assert {row["participant_id"] for row in rows(store)} == {"a", "b"}


async def test_a_stop_fails_only_the_details_that_events_can_not_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop commits what was fetched with a row that says `failed`; the other rows are left to the next run."""
    service, store, stop = Service(), MemoryStore(), Stop()
    service.add("st-1", events={f"p{index:02}": 3 for index in range(12)})
    call, never = service.call, asyncio.Event()

    async def answered(operation: Operation, params: Mapping[str, Any]) -> Any:
        if operation is Operation.GET_PARTICIPANT:
            await never.wait()
        if operation is Operation.LIST_PARTICIPANT_EVENTS and params["participantId"] >= "p06":
            stop.ask("SIGTERM")
            await never.wait()
        return await call(operation, params)

    monkeypatch.setattr(service, "call", answered)
    async with asyncio.timeout(10):
        await export(service, store, "r1", tables=DETAILS, stop=stop)
    with_events = {row["participant_id"] for row in rows(store, "events")}
    assert {row["participant_id"] for row in rows(store)} == with_events
    assert set(details_in(store)) <= {"failed"}
    monkeypatch.setattr(service, "call", call)
    await export(service, store, "r2", tables=DETAILS)
    assert details_in(store) == Counter(failed=len(with_events), fetched=12 - len(with_events)) - Counter()
    await export(service, store, "r3", BACKFILL, tables=DETAILS)
    assert details_in(store)["fetched"] == 12


async def test_a_session_that_was_sealed_without_rows_gets_all_of_them_in_one_commit() -> None:
    """However many checkpoints come meanwhile: a session is not marked as filled before all its rows are there."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={f"p{index:02}": 1 for index in range(30)}, stage=STAGE)
    off = TableSettings(stages=False, sessions=False, participants=False)
    await export(service, store, "r1", tables=off)
    counts: list[int] = []

    def look(operation: str, key: str) -> None:
        if operation == "create" and "/records/" in key:
            counts.append(len(rows(store)))

    store.before = look
    settings = RunSettings(checkpoint_s=1e-9)
    await export(service, store, "r2", BACKFILL, settings=settings, tables=DETAILS)
    assert set(counts) <= {0, 30}
    assert details_in(store) == {"fetched": 30}
    assert [(row["is_complete"], row["participant_count"]) for row in rows(store, "sessions")] == [(True, 30)]


async def test_the_plan_counts_the_calls_for_details() -> None:
    """As many as the run makes."""
    service, store = Service(), MemoryStore()
    service.add("st-1", events={f"p{index}": 1 for index in range(9)})
    plan = await survey(service, store, tables=DETAILS)
    assert plan.calls[Operation.GET_PARTICIPANT] == 9
    service.on_call = answering(lambda _: Starved("GetParticipant met only throttles"))
    await export(service, store, "r1", tables=DETAILS)
    assert details_in(store) == {"failed": 9}
    assert (await survey(service, store, BACKFILL, DETAILS)).calls[Operation.GET_PARTICIPANT] == 9
