"""What the log says of the past, and what a run will cost before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from exporter.commit_log.journal import SNAPSHOT_RECORDS
from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state
from exporter.discovery.request import Request
from exporter.errors import Refused
from exporter.health.repair import Repair
from exporter.health.retention import accept_missing, parse_partitions
from exporter.health.status import statuses
from exporter.health.upkeep import Upkeep
from exporter.ivs.operations import Operation
from exporter.settings import RunSettings
from tests.support.memory_store import Crash, MemoryStore
from tests.support.runs import export, survey
from tests.support.service import HOUR_US, SCOPE, STAGE, STAGES, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ivs.responses import Page


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
    session = service.add("st-b", events={"p1": 2, "p2": 2}, stage=STAGE)
    session.participants["p2"].error = Refused("denied", "AccessDeniedException")
    await export(service, store, "r3")
    service.now_us += 48 * HOUR_US
    await export(service, store, "r4")
    (status,) = await statuses(store, 10, service.now_us, is_gone)
    assert [(run.run_id, run.outcome) for run in status.runs] == [
        ("r4", "partial"),
        ("r3", "partial"),
        ("r2", "cut short"),
        ("r1", "complete"),
    ]
    assert (status.sessions.sealed, status.sessions.waiting, status.sessions.active) == (1, 1, 1)
    assert status.lake.rows["events"] == 8
    assert status.sessions.oldest is not None
    assert status.sessions.oldest.name == f"{STAGE}/st-b"
    assert status.sessions.complete_until_us == session.ended_us
    assert status.units.failing == {f"{STAGE}/st-b/p2": 2.0}
    assert status.summary()["runs"][0]["summary"]["units"]["failed"] == 1


async def with_a_unit_given_up() -> tuple[Service, MemoryStore]:
    """A session of two units, one of which was refused for so long that the second run gave it up."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={"p1": 2, "p2": 2})
    session.participants["p2"].error = Refused("gone", "ResourceNotFoundException")
    await export(service, store, "r1")
    service.now_us += 31 * 24 * HOUR_US
    await export(service, store, "r2")
    return service, store


async def test_an_abandoned_unit_is_shown_for_ever() -> None:
    """A unit that was given up stays in the status after its session is sealed."""
    service, store = await with_a_unit_given_up()
    await export(service, store, "r3")
    (status,) = await statuses(store, 10, service.now_us, is_gone)
    assert status.sessions.sealed == 1
    assert status.units.abandoned == [f"{STAGE}/st-a/p2"]


async def test_a_run_that_goes_on_is_running() -> None:
    """By its lease: one that is renewed, or whose process is there, goes on; else the run was cut short."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 1})
    await export(service, store, "r1")
    seen: list[str] = []
    is_seen: list[bool] = []

    async def look(process_gone: bool | None, later_us: int = 0) -> str:
        (status,) = await statuses(store, 2, service.now_us + later_us, lambda _: process_gone)
        assert [run.run_id for run in status.runs] == ["r2", "r1"]
        return status.runs[0].outcome

    async def watch(_operation: Operation, _params: Mapping[str, Any]) -> None:
        if not is_seen:
            is_seen.append(True)
            quarter_us = HOUR_US // 4
            for gone, later_us in ((False, 0), (True, 0), (None, 0), (None, quarter_us + 1), (None, -quarter_us - 1)):
                seen.append(await look(gone, later_us))

    calls = service.call

    async def call(operation: Operation, params: Mapping[str, Any]) -> Page:
        await watch(operation, params)
        return await calls(operation, params)

    service.call = call  # type: ignore[method-assign] # a look in the midst of the run
    service.add("st-b", events={"p1": 1})
    await export(service, store, "r2")
    assert seen == ["running", "cut short", "running", "cut short", "cut short"]
    assert await look(process_gone=None) == "complete"


async def test_all_sessions_that_ever_were_sealed_or_vanished_are_counted() -> None:
    """Also those that AWS no longer lists, in several stages, and those that came back."""
    service, store = Service(), MemoryStore()
    two = STAGE.replace("one", "two")
    for number in range(6):
        service.add(f"st-{number}", events={"p1": 1}, stage=(STAGE, two)[number % 2])
    service.add("st-live", ended=False, events={"p1": 1}, stage=two)
    await export(service, store, "r1")
    came_back = service.stages[STAGE].pop("st-0")
    service.stages[two].clear()
    await export(service, store, "r2")
    (status,) = await statuses(store, 1)
    assert (status.sessions.sealed, status.sessions.vanished, status.sessions.active) == (6, 1, 0)
    service.stages[STAGE]["st-0"] = came_back
    service.add("st-9", events={"p1": 1})
    await export(service, store, "r3")
    (status,) = await statuses(store, 1)
    assert (status.sessions.sealed, status.sessions.vanished, status.sessions.active) == (7, 1, 0)
    assert [run.run_id for run in status.runs] == ["r3"]


async def test_a_run_of_many_checkpoints_is_shown() -> None:
    """However many records it has, it is one run."""
    service, store = Service(), MemoryStore()
    for number in range(12):
        service.add(f"st-{number}", events={"p1": 1})
    await export(service, store, "r1", settings=RunSettings(checkpoint_s=1e-9))
    (status,) = await statuses(store, 5)
    assert (await read_state(store, SCOPE)).number > 6
    assert [(run.run_id, run.outcome) for run in status.runs] == [("r1", "complete")]


async def test_what_failed_and_what_was_given_up_is_counted_and_the_first_named() -> None:
    """However many units there are, the object holds some by name, and the count of all."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", events={f"p{number:03}": 1 for number in range(150)})
    for participant in session.participants.values():
        participant.error = Refused("gone", "ResourceNotFoundException")
    await export(service, store, "r1")
    service.now_us += 48 * HOUR_US
    await export(service, store, "r2")
    (status,) = await statuses(store, 1, service.now_us)
    shown = status.summary()
    assert (shown["failing"], len(shown["failing_days"]), shown["abandoned_count"]) == (150, 100, 0)
    assert shown["oldest_unsealed_age_s"] == 49 * 3_600
    service.now_us += 31 * 24 * HOUR_US
    await export(service, store, "r3")
    (status,) = await statuses(store, 1, service.now_us)
    shown = status.summary()
    assert (shown["failing"], shown["abandoned_count"], len(shown["abandoned"])) == (0, 150, 100)
    assert shown["oldest_unsealed_age_s"] is None


async def test_a_refetch_that_is_refused_again_does_not_take_back_that_a_unit_was_given_up() -> None:
    """A sealed session is asked for again, and the unit that was given up is refused once more: it is shown still."""
    service, store = await with_a_unit_given_up()
    ledger = await export(service, store, "r3", Request(refetch=True))
    assert not ledger.is_complete
    (status,) = await statuses(store, runs_max=10)
    assert status.sessions.sealed == 1
    assert status.units.abandoned == [f"{STAGE}/st-a/p2"]


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


def an_upkeep(service: Service, store: MemoryStore, run_id: str) -> Upkeep:
    return Upkeep(store, run_id, service.clock, this_process(), is_gone)


async def two_days() -> tuple[Service, MemoryStore]:
    """Sessions of two days in two stages, and a lake after two runs."""
    service, store = Service(), MemoryStore()
    service.add("st-a", events={"p1": 2}, stage=STAGE)
    service.add("st-b", events={"p1": 2}, stage=STAGES[1])
    await export(service, store, "r1")
    service.now_us += 24 * HOUR_US
    service.add("st-c", events={"p1": 2}, stage=STAGES[1])
    await export(service, store, "r2")
    return service, store


async def test_a_date_that_was_removed_on_purpose_is_covered_no_more() -> None:
    """First and last date are those of files that the log names now; what removed them is shown as what it was."""
    service, store = await two_days()
    [before] = await statuses(store, 10)
    for key in [key for key in store.visible if f"={before.lake.first_date}/" in key]:
        del store.visible[key]
    await accept_missing(an_upkeep(service, store, "r3"), [parse_partitions(f"event_date={before.lake.first_date}")])
    [after] = await statuses(store, 10)
    assert (after.lake.first_date, after.lake.last_date) == (before.lake.last_date, before.lake.last_date)
    told = [(run.run_id, run.command, run.outcome) for run in after.runs]
    assert told == [("r3", "verify --accept-missing", "complete"), ("r2", "run", "complete"), ("r1", "run", "complete")]


async def test_a_repair_is_no_run_that_did_nothing() -> None:
    """It is listed as a repair."""
    service, store = await two_days()
    del store.visible[min(key for key in store.visible if key.startswith("events/"))]
    await Repair(an_upkeep(service, store, "r3")).run()
    [status] = await statuses(store, 1)
    assert [(run["run_id"], run["command"], run["outcome"]) for run in status.summary()["runs"]] == [
        ("r3", "repair", "complete")
    ]


async def test_a_scope_whose_log_is_damaged_hides_no_other() -> None:
    """It is named with what is wrong and what to do; the others are shown."""
    _, store = await two_days()
    other = f"_log/{SCOPE.account_id}-eu-west-1/records/"
    store.records[f"{other}000000000002.json"] = b"{}"
    damaged, sound = await statuses(store, 1)
    assert (str(damaged.scope), sound.scope, sound.error) == (f"{SCOPE.account_id}-eu-west-1", SCOPE, None)
    error = damaged.summary()["error"]
    assert error["error"] == "log_damaged"
    assert "repair" in error["message"]
    assert sound.lake.rows["events"] == 6
