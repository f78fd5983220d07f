"""Events that can't be given a time: kept once, named each night, and in nobody's way."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from exporter.commit_log.archive import fold_entries
from exporter.commit_log.reader import read_state, records_after
from exporter.commit_log.records import SessionEntry
from exporter.discovery.request import Request
from exporter.discovery.target_list import Targets
from exporter.errors import EventUndated, GaveUp, LakeError, Refused
from exporter.health.status import statuses
from exporter.health.verify import Verified, verify
from exporter.ivs.operations import Operation
from exporter.lake.tables import TABLES
from exporter.model import Outcome
from exporter.settings import RunSettings
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, SECOND_US, STAGE, Service, SessionDouble, lake_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ivs.responses import Page
    from exporter.ledger import ScopeLedger

DAY_US = 24 * HOUR_US
STAGES = [f"{STAGE}{number}" for number in range(3)]
BAD: list[dict[str, Any]] = [
    {"name": "LEFT", "participantId": "p2"},
    {"name": "LEFT", "participantId": "p2", "eventTime": "long ago"},
    {"name": "LEFT", "participantId": "p2", "eventTime": None, "new": {"a": [1, "\n\"'\\"]}},
    {"name": "LEFT", "participantId": "p2", "eventTime": 1795392000, "attributes": "\ud800"},
]


def world(stages: tuple[int, ...] = (0, 1, 2)) -> tuple[Service, MemoryStore, SessionDouble]:
    """Stages with two sessions each; the odd one has a participant with good and bad events."""
    service = Service()
    for number in stages:
        for session in range(2):
            service.add(f"st-{number}-{session}", events={"p1": 2, "p2": 4}, stage=STAGES[number])
    odd = service.stages[STAGES[1]]["st-1-0"]
    odd.participants["p2"].events[2:2] = deepcopy(BAD)
    return service, MemoryStore(), odd


def rejects(store: MemoryStore) -> list[dict[str, Any]]:
    """The lines of all files of rejects that stand in the lake."""
    files = [body for key, body in store.visible.items() if key.startswith("_rejects/")]
    return [json.loads(line) for body in files for line in body.splitlines()]


def texts(events: list[dict[str, Any]]) -> Counter[str]:
    return Counter(json.dumps(event, sort_keys=True) for event in events)


def dated(service: Service) -> Counter[tuple[str, ...]]:
    """The truth without the events that have no time."""
    good = Service()
    good.stages = {
        stage: {
            session_id: SessionDouble(
                session.started_us,
                session.ended_us,
                {
                    name: type(participant)([event for event in participant.events if is_dated(event)])
                    for name, participant in session.participants.items()
                },
            )
            for session_id, session in sessions.items()
        }
        for stage, sessions in service.stages.items()
    }
    return good.truth()


def is_dated(event: Mapping[str, Any]) -> bool:
    return str(event.get("eventTime", "")).startswith("20")


async def night(service: Service, store: MemoryStore, run_id: str, days: float = 1.0, **others: Any) -> ScopeLedger:
    service.now_us += int(days * DAY_US)
    ledger = await export(service, store, run_id, **others)
    assert lake_rows(store) == dated(service)
    assert [problem async for problem in verify(store, Verified())] == []
    return ledger


@pytest.mark.parametrize("rows_max", [1, 1_000_000])
async def test_readable_events_are_exported_and_the_others_kept_once(rows_max: int) -> None:
    """The unit fails by name each night, its rejects are kept as they came, and no night adds them again."""
    service, store, odd = world()
    for number in range(3):
        ledger = await night(service, store, f"r{number}", rows_max=rows_max)
        assert ledger.outcomes[Outcome.FAILED] == 1
        ((name, kind, message),) = [(each.unit, each.error, each.message) for each in ledger.failures]
        assert (name, kind) == (f"{STAGES[1]}/st-1-0/p2", EventUndated.kind)
        assert message.startswith("4 of 8 events have no eventTime")
        assert (ledger.sessions_sealed, ledger.complete_until_us) == (5, odd.ended_us)
        assert ledger.events_fetched == (8 if number else dated(service).total() + len(BAD))
        kept = rejects(store)
        assert texts([line["event"] for line in kept]) == texts(BAD)
        assert {(line["stage_arn"], line["session_id"], line["participant_id"], line["run_id"]) for line in kept} == {
            (STAGES[1], "st-1-0", "p2", "r0")
        }
        assert all("eventTime" in line["reason"] for line in kept)


async def test_a_record_names_the_file_and_no_table_holds_it() -> None:
    """It is committed as data files are, in a folder of its own, and counts as no row."""
    service, store, _ = world()
    ledger = await night(service, store, "r1")
    records = [record async for record in records_after(store, SCOPE)]
    named = [file for record in records for file in record.files if file.table == "_rejects"]
    assert [file.key for file in named] == [key for key in store.visible if not key.endswith(".parquet")]
    assert all(file.key.endswith(".jsonl") and file.key.startswith("_rejects/") for file in named)
    assert {file.rows for file in named} == {0}
    state = await read_state(store, SCOPE)
    assert ledger.events_written == dated(service).total()
    assert state.rows == sum(len(store.rows(table.name)) for table in TABLES)


async def test_new_rejects_are_added_and_equal_ones_counted() -> None:
    """A reject that comes later is kept, too; two that are equal are two, in whatever order and form they come."""
    service, store, odd = world()
    odd.ended_us = None
    await night(service, store, "r1")
    events = odd.participants["p2"].events
    events.append(dict(reversed(BAD[0].items())))
    events.reverse()
    await night(service, store, "r2")
    assert texts([line["event"] for line in rejects(store)]) == texts([*BAD, BAD[0]])
    await night(service, store, "r3")
    assert len(rejects(store)) == 5


async def test_it_is_given_up_after_the_sessions_end_and_seals() -> None:
    """`give_up_days` after the end the unit is abandoned, the session sealed, and known to have had a reject."""
    service, store, _ = world()
    await night(service, store, "r1")
    assert (await night(service, store, "r2", days=28.0)).outcomes[Outcome.FAILED] == 1
    ledger = await night(service, store, "r3")
    assert ledger.outcomes[Outcome.ABANDONED] == 1
    assert ledger.is_complete
    assert (ledger.sessions_sealed, ledger.complete_until_us) == (6, service.now_us)
    assert len(rejects(store)) == len(BAD)
    (status,) = await statuses(store, 1)
    assert status.units.abandoned == [f"{STAGES[1]}/st-1-0/p2"]
    lines = [line async for record in records_after(store, SCOPE) for line in record.sessions]
    assert {(line.session_id, line.status) for line in lines if line.has_rejects} == {
        ("st-1-0", "open"),
        ("st-1-0", "sealed"),
    }
    assert (await night(service, store, "r4")).events_fetched == 0


async def test_it_is_not_given_up_before_its_grace_time() -> None:
    """However little `give_up_days` is, what may still come is waited for."""
    service, store, odd = world()
    odd.ended_us = service.now_us - 60 * SECOND_US
    settings = RunSettings(give_up_days=1e-9)
    ledger = await night(service, store, "r1", days=0.0, settings=settings)
    assert ledger.outcomes[Outcome.FAILED] == 1
    service.join(odd, "p2", 3)
    assert (await night(service, store, "r2", settings=settings)).outcomes[Outcome.ABANDONED] == 1


async def test_a_reject_that_is_mended_is_exported() -> None:
    """Once all of its events have times the unit is whole; that its session had a reject is known for ever."""
    service, store, odd = world()
    await night(service, store, "r1")
    for event in odd.participants["p2"].events:
        if not is_dated(event):
            event["eventTime"] = "2026-11-23T11:00:00Z"
            event.pop("attributes", None)
    ledger = await night(service, store, "r2")
    assert ledger.is_complete
    assert ledger.sessions_sealed == 6
    assert len(rejects(store)) == len(BAD)
    lines = [line async for record in records_after(store, SCOPE) for line in record.sessions]
    assert any(line.has_rejects and line.status == "sealed" for line in lines)


@pytest.mark.parametrize("request_", [Request(refetch=True), Request()], ids=str)
async def test_a_session_that_is_opened_again_keeps_its_rejects_once(request_: Request) -> None:
    """Refetched, or opened by a later end: what is kept already is known, though the units are not."""
    service, store, odd = world()
    await night(service, store, "r1", days=31.0)
    assert (await read_state(store, SCOPE)).is_sealed(STAGES[1], "st-1-0")
    odd.ended_us = service.now_us - HOUR_US if not request_.refetch else odd.ended_us
    await night(service, store, "r2", request=request_)
    assert len(rejects(store)) == len(BAD)


async def test_a_page_that_is_no_list_of_events_fails_its_unit_whole() -> None:
    """Nothing of it is exported, and nothing kept: it is no event."""
    service, store, odd = world()
    odd.participants["p2"].events.append("no object")  # type: ignore[arg-type] # what is wrong with it
    ledger = await export(service, store, "r1")
    assert ledger.outcomes[Outcome.FAILED] == 1
    assert not rejects(store)
    assert ("st-1-0", "p2") not in {row[:2] for row in lake_rows(store)}


async def test_every_crash_leaves_each_reject_once() -> None:
    """Killed at every second operation of the store, before or after it: the next run leaves what a whole one would."""
    whole = 0
    for moment in ("before", "after"):
        for step in range(0, 200, 2):
            service, store, _ = world(stages=(1,))
            failing = Failing(step, Crash())
            setattr(store, moment, failing)
            with suppress(Crash, LakeError, BaseExceptionGroup):
                await export(service, store, "r1", rows_max=3)
            store.restart()
            await night(service, store, "r2", rows_max=3)
            assert texts([line["event"] for line in rejects(store)]) == texts(BAD)
            assert not store.staged
            if not failing.has_failed:
                whole += 1
                break
    assert whole == 2


async def test_a_file_of_rejects_that_is_lost_is_written_anew() -> None:
    """Gone before it was visible: the record is taken back, and the unit's rejects are kept again."""
    service, store, _ = world()
    publish = store.publish

    async def lose(staged: Any) -> bool:
        if staged.key.startswith("_rejects/"):
            store.staged.pop(staged.handle[0], None)
            raise Crash
        return await publish(staged)

    store.publish = lose  # type: ignore[method-assign] # the moment of the loss
    with pytest.raises((Crash, BaseExceptionGroup)):
        await export(service, store, "r1")
    store.publish = publish  # type: ignore[method-assign] # as it was
    store.restart()
    await night(service, store, "r2")
    assert texts([line["event"] for line in rejects(store)]) == texts(BAD)


@pytest.mark.parametrize("reject_id", ["f" * 17, "-1", "1_0", "zz", "é"])
async def test_a_reject_whose_id_is_garbled_is_kept_anew(reject_id: str) -> None:
    """A line that says nothing of which event it has ends no run: the event is kept once more."""
    service, store, _ = world()
    await export(service, store, "r1")
    (key,) = store.files("_rejects")
    first = rejects(store)[0]["reject_id"]
    store.visible[key] = store.visible[key].replace(first.encode(), reject_id.encode())
    await export(service, store, "r2")
    assert [line["reject_id"] for line in rejects(store)].count(first) == 1


async def test_a_failing_page_does_not_cost_the_rejects() -> None:
    """A night in which the unit can't be fetched leaves what is kept, and the next one adds nothing."""
    service, store, odd = world()
    await night(service, store, "r1")
    odd.participants["p2"].error = GaveUp("500s")
    await night(service, store, "r2")
    odd.participants["p2"].error = None
    await night(service, store, "r3")
    assert len(rejects(store)) == len(BAD)


async def test_that_there_was_a_reject_is_known_for_ever() -> None:
    """Whatever a later record says of the session, its archive remembers."""
    service, store, _ = world()
    await night(service, store, "r1")
    record = [each async for each in records_after(store, SCOPE) if each.files][-1]
    lines: dict[tuple[str, str], SessionEntry] = {}
    fold_entries(lines, record)
    fold_entries(lines, structs.replace(record, sessions=(SessionEntry(STAGES[1], "st-1-0", "sealed"),), files=()))
    assert {session_id for (_, session_id), line in lines.items() if line.has_rejects} == {"st-1-0"}


async def test_a_refetch_that_meets_a_reject_takes_back_that_its_session_is_complete() -> None:
    """A sealed session that was complete stays sealed, and its newest row says that something of it has no time."""
    service, store = Service(), MemoryStore()
    session = service.add("st-1", events={"p2": 2}, stage=STAGE)
    await night(service, store, "r1")
    session.participants["p2"].events.append(BAD[0])
    for run_id in ("r2", "r3"):
        await night(service, store, run_id, request=Request(refetch=True))
    assert [(row["run_id"], row["is_complete"], row["is_final"]) for row in store.rows("sessions")] == [
        ("r1", True, True),
        ("r2", False, True),
    ]


@pytest.mark.slow
async def test_many_rejects_are_kept_in_files_of_bounded_size() -> None:
    """A unit of very many events without a time, some of them huge, is kept whole, in pieces."""
    service, store, odd = world()
    service.page_size = 10_000
    many = [{"name": "LEFT", "number": number} for number in range(30_000)]
    many[100] = {"name": "LEFT", "huge": "x" * 6_000_000}
    odd.participants["p2"].events += many
    await night(service, store, "r1")
    await night(service, store, "r2")
    assert len(rejects(store)) == len(BAD) + len(many)
    sizes = [len(body) for key, body in store.visible.items() if key.startswith("_rejects/")]
    assert len(sizes) > 3
    assert max(sizes) < 11_000_000


class OneUnit(Targets):
    """A list of targets with one unit, of the session that no list shows."""

    def sessions(self, stage_arn: str) -> list[str] | None:
        return super().sessions(stage_arn) if stage_arn == STAGES[1] else []


async def test_a_session_that_no_list_shows_is_committed_with_its_rejects() -> None:
    """AWS gave events of a session that only a list of targets names, so there is such a session."""
    service, store, odd = world()
    service.stages[STAGES[1]]["st-gone"] = odd
    call = service.call

    async def call_without_list(operation: Operation, params: Mapping[str, Any]) -> Page:
        if operation is Operation.LIST_STAGE_SESSIONS:
            raise Refused("denied", "AccessDeniedException")
        return await call(operation, params)

    service.call = call_without_list  # type: ignore[method-assign] # the list is denied
    targets = OneUnit({STAGES[1]: {"st-gone": "p2"}})
    ledger = await export(service, store, "r1", Request(targets=targets))
    assert ledger.outcomes[Outcome.FAILED] == 1
    assert lake_rows(store).total() == 4
    assert len(rejects(store)) == len(BAD)
