"""What waits for a checkpoint is bounded in sessions, too, and not in rows alone; so is what waits to be rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from exporter.commit_log.reader import records_after
from exporter.ivs.operations import Operation
from exporter.settings import RunSettings, TableSettings
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import SCOPE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ivs.responses import Page
    from exporter.lake.store import Staged

_EVENT_SIZE_BYTES = 100_000
_UNITS = 60


@pytest.mark.parametrize("events", [{}, {"p1": 1}], ids=["without units", "of one event"])
async def test_many_small_sessions_are_committed_some_at_a_time(events: dict[str, int]) -> None:
    """Where a hundred rows may wait, no record tells of more than ten sessions, each of which weighs as ten rows."""
    service, store = Service(), MemoryStore()
    for number in range(35):
        service.add(f"st-{number}", events=events)
    await export(service, store, "r1", rows_max=100)
    told = [len(record.sessions) async for record in records_after(store, SCOPE, 0)]
    assert sum(told) >= 35
    assert max(told) <= 10


class SlowStore(MemoryStore):
    """Stages nothing before its service has had time to be asked for all that it will be asked for meanwhile."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service
        self.asked: list[int] = []

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        for _ in range(1_000):
            await asyncio.sleep(0)
        self.asked.append(self._service.calls_by_operation[Operation.LIST_PARTICIPANT_EVENTS])
        return await super().stage(key, data)


async def test_what_is_fetched_while_a_checkpoint_waits_for_details_has_a_bound() -> None:
    """A checkpoint that is due waits for details; large units that come meanwhile end the wait, and are committed."""
    service, store = Service(), MemoryStore()
    call, fetched_at_stage, can_be_answered = service.call, list[int](), asyncio.Event()

    async def answered(operation: Operation, params: Mapping[str, Any]) -> Page:
        if service.calls_by_operation[Operation.LIST_PARTICIPANT_EVENTS] == _UNITS:
            can_be_answered.set()
        if operation is Operation.GET_PARTICIPANT:
            await can_be_answered.wait()
        return await call(operation, params)

    def before(operation: str, key: str) -> None:
        if operation == "stage" and key.startswith("events/"):
            fetched_at_stage.append(service.calls_by_operation[Operation.LIST_PARTICIPANT_EVENTS])
            can_be_answered.set()

    service.call, store.before = answered, before  # type: ignore[method-assign] # a test's
    session = service.add("st-1", events={f"p{number}": 1 for number in range(_UNITS)})
    for participant in session.participants.values():
        participant.events[0]["unheardOf"] = "x" * _EVENT_SIZE_BYTES
    always = RunSettings(checkpoint_s=1e-300)
    await export(service, store, "r1", settings=always, tables=TableSettings(details=True))
    assert fetched_at_stage[0] <= 40
    assert lake_rows(store) == service.truth()


async def test_no_more_is_fetched_than_may_wait_while_the_lake_is_slow() -> None:
    """A mebibyte of pages waits for a slow lake, and what was under way then; not one unit in each slot besides."""
    service = Service()
    service.concurrency = 32
    store = SlowStore(service)
    session = service.add("st-1", events={f"p{number}": 1 for number in range(_UNITS)})
    for participant in session.participants.values():
        participant.events[0]["unheardOf"] = "x" * _EVENT_SIZE_BYTES
    await export(service, store, "r1", rows_max=1)
    assert store.asked[0] <= 20
    assert store.asked[-1] == _UNITS
    assert lake_rows(store) == service.truth()
