"""What the log says of the past, and what a run will cost before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exporter.api.operations import Operation
from exporter.budget import Budget
from exporter.commit import SNAPSHOT_RECORDS
from exporter.errors import Refused
from exporter.exporting import ScopeExport
from exporter.ledger import ScopeLedger
from exporter.log_reader import read_state
from exporter.processes import is_gone, this_process
from exporter.request import Request, Stop
from exporter.settings import RunSettings
from exporter.status import statuses
from tests.doubles import (
    HOUR_US,
    SCOPE,
    STAGE,
    Crash,
    MemoryStore,
    Service,
    export,
    lake_rows,
    listed,
)

if TYPE_CHECKING:
    from exporter.estimate import Estimate


async def survey(service: Service, store: MemoryStore) -> Estimate:
    caller: Any = service
    ledger = ScopeLedger(SCOPE.region, SCOPE.account_id)
    ledger.calls = service.calls_by_operation
    scope_export = ScopeExport(
        scope=SCOPE,
        store=store,
        caller=caller,
        settings=RunSettings(),
        request=Request(),
        ledger=ledger,
        stop=Stop(),
        run_id="dry",
        budget=Budget(1),
        is_whole=True,
        service_time=service.service_time,
        clock=service.clock,
        process=this_process(),
        is_gone=is_gone,
    )
    return await scope_export.survey(listed(service, service.stages))


async def test_status_tells_the_runs_and_what_waits() -> None:
    """Runs come latest first, one that was killed is called cut short, and what is not sealed is named with its age."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 5})
    service.add("st-live", ended=False, events={"p1": 1})
    await export(service, store, "r1")

    def crash(operation: str, key: str) -> None:
        if operation == "create" and "/records/" in key and len(store.records) > 3:
            raise Crash

    store.after = crash
    try:
        await export(service, store, "r2")
    except (Crash, BaseExceptionGroup):
        store.restart()
    session = service.add("st-b", events={"p1": 2, "p2": 2})
    session.participants["p2"].error = Refused("denied", "AccessDeniedException")
    await export(service, store, "r3")
    service.now_us += 48 * HOUR_US
    await export(service, store, "r4")
    (status,) = await statuses(store, runs_max=10)
    assert [(run.run_id, run.outcome) for run in status.runs] == [
        ("r4", "partial"),
        ("r3", "partial"),
        ("r2", "cut short"),
        ("r1", "complete"),
    ]
    assert (status.sealed, status.waiting, status.active) == (1, 1, 1)
    assert status.rows == 8
    assert status.oldest_unsealed == f"{STAGE}/st-b"
    assert status.complete_until_us == session.ended_us
    assert status.failing == {f"{STAGE}/st-b/p2": 2.0}
    assert status.summary()["runs"][0]["summary"]["units"]["failed"] == 1


async def test_an_abandoned_unit_is_shown_for_ever() -> None:
    """A unit that was given up stays in the status after its session is sealed."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2, "p2": 2})
    session.participants["p2"].error = Refused("gone", "ResourceNotFoundException")
    await export(service, store, "r1")
    service.now_us += 31 * 24 * HOUR_US
    await export(service, store, "r2")
    await export(service, store, "r3")
    (status,) = await statuses(store, runs_max=10)
    assert status.sealed == 1
    assert status.abandoned == [f"{STAGE}/st-a/p2"]


async def test_a_dry_run_tells_units_and_calls_and_writes_nothing() -> None:
    """The plan counts what a run would fetch; no events are asked for, and the lake stays as it was."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 2, "p2": 2})
    service.add("st-b", events={"p1": 2})
    plan = await survey(service, store)
    assert plan.units == 3
    assert plan.calls[Operation.LIST_PARTICIPANT_EVENTS] == 3
    assert plan.is_assumed
    assert not any(call[0] is Operation.LIST_PARTICIPANT_EVENTS for call in service.calls)
    assert not store.records
    assert not store.visible
    await export(service, store, "r1")
    assert (await survey(service, store)).units == 0


async def test_snapshots_give_the_same_state_and_bound_what_is_read() -> None:
    """After many runs, a snapshot and the records behind it add up to what all records do, and few records are read."""
    service, store = Service(), MemoryStore()
    for night in range(SNAPSHOT_RECORDS):
        service.add(f"st-{night}", events={"p1": 1})
        await export(service, store, f"r{night}")
        service.now_us += HOUR_US
    bare = MemoryStore()
    bare.records = {key: body for key, body in store.records.items() if "/snapshots/" not in key}
    whole = await read_state(bare, SCOPE)
    read: list[str] = []
    store.before = lambda operation, key: read.append(key) if operation == "read" else None
    state = await read_state(store, SCOPE)
    assert msgspec.structs.replace(state, snapshot_number=0) == whole
    assert len(read) <= SNAPSHOT_RECORDS + 4
    assert len([key for key in store.records if "/snapshots/" in key]) <= 2
    assert lake_rows(store) == service.truth()
