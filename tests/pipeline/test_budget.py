"""The rows in memory are bounded over all scopes: the fullest ones commit."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from exporter.commit_log.journal import Journal
from exporter.commit_log.reader import records_after
from exporter.commit_log.state import ScopeState
from exporter.ledger import ScopeLedger
from exporter.machine.clock import Clock
from exporter.pipeline import writer as writer_module
from exporter.pipeline.budget import Budget, Share
from exporter.pipeline.channel import Channel
from exporter.pipeline.committer import Committer
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.writer import Writer
from exporter.settings import RunSettings
from tests.support import runs
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import SCOPE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.lake.store import Staged


def test_the_fullest_scope_is_woken_when_the_bound_is_reached() -> None:
    """Of three scopes that hold a hundred rows together, the one with the most is woken, and none before."""
    budget = Budget(100)
    woken: list[str] = []
    first, second, third = (budget.share(partial(woken.append, name)) for name in "abc")
    first.use(30)
    second.use(60)
    assert woken == []
    third.use(10)
    assert woken == ["b"]
    second.use(0)
    first.use(80)
    assert woken == ["b"]
    third.use(20)
    assert woken == ["b", "a"]


def test_more_scopes_are_woken_until_half_of_the_bound_is_on_its_way() -> None:
    """Who was woken is not woken again before it has committed; while it does so, others may have to as well."""
    budget = Budget(100)
    woken: list[str] = []
    shares = [budget.share(partial(woken.append, name)) for name in "abcd"]
    for share in shares:
        share.use(30)
    assert woken == ["a"]
    shares[0].use(35)
    assert woken == ["a", "b"]
    shares[3].use(30)
    assert woken == ["a", "b", "c"]
    shares[3].use(30)
    assert woken == ["a", "b", "c"]
    shares[1].use(0)
    shares[1].use(30)
    assert woken == ["a", "b", "c", "b"]


class CapturingBudget(Budget):
    """Hands out how its writer is woken."""

    def share(self, wake: Callable[[], None]) -> Share:
        self.wake = wake
        return super().share(wake)


async def test_a_writer_can_be_woken_at_any_moment() -> None:
    """Also while it is waking up: other scopes fill up just then."""
    store, budget, ledger = MemoryStore(), CapturingBudget(100), ScopeLedger(SCOPE.region)
    journal, deliveries = Journal(store, SCOPE, "r1", ScopeState()), Channel[Any](1)
    clock = Clock(lambda: 0.0, lambda: 0, asyncio.sleep, lambda: 0.5)
    context = runs.a_context(store, budget, clock, "r1", settings=RunSettings(checkpoint_s=1e9))
    known_events = KnownEvents(store, budget.known)
    committer = Committer(context, journal, ledger, known_events, lambda: 0, listed_stages={})
    writer = Writer(context, committer, ledger, known_events, lambda: 0)
    writing = asyncio.create_task(writer.write(deliveries))
    for _ in range(20):
        budget.wake()
        await asyncio.sleep(0)
    await deliveries.close()
    await writing


class Watching(Budget):
    """Notes the most that waited at any time."""

    most_bytes = 0

    def settle(self) -> None:
        Watching.most_bytes = max(Watching.most_bytes, sum(share.size_bytes for share in self._shares))
        super().settle()


@pytest.mark.parametrize("participants", [1, 60], ids=["in one unit", "in many units"])
async def test_what_waits_is_weighed(participants: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows with long texts are committed when their bytes are many, though they are few."""
    monkeypatch.setattr(runs, "Budget", Watching)
    Watching.most_bytes = 0
    service, store = Service(), MemoryStore()
    session = service.add("st-wide", events={f"p{number}": 240 // participants for number in range(participants)})
    for name, participant in session.participants.items():
        for place, event in enumerate(participant.events):
            event["errorCode"] = f"{name} {place} " * 1_000
    await export(service, store, "r1", rows_max=5_000, settings=RunSettings(checkpoint_s=1e9))
    assert lake_rows(store) == service.truth()
    assert len(store.visible) >= 3
    assert Watching.most_bytes < 3 * 5_000 * runs.ROW_SIZE_BYTES


def test_what_a_scope_held_that_is_over_is_the_others_room() -> None:
    """A scope that failed with rows in memory holds nothing any more, and is not asked to commit."""
    budget = Budget(100)
    woken: list[str] = []
    first, second = (budget.share(partial(woken.append, name)) for name in "ab")
    first.use(90)
    first.give_back()
    second.use(50)
    assert woken == []
    second.use(100)
    assert woken == ["b"]
    first.give_back()


class WakingStore(MemoryStore):
    """Wakes the writer while its files are being staged."""

    budget: CapturingBudget | None = None

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        if self.budget is not None:
            self.budget.wake()
        return await super().stage(key, data)


async def test_a_call_to_commit_that_comes_while_committing_is_answered_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wakes a scope that commits already means what it commits: it does not commit the next unit by itself."""
    service, store, budget = Service(), WakingStore(), CapturingBudget(200_000)
    monkeypatch.setattr(runs, "Budget", lambda *_, **__: budget)
    monkeypatch.setattr(writer_module, "_BATCH_SIZE_BYTES", 1)
    store.budget = budget
    service.concurrency = 1
    service.add("st-1", events={f"p{number}": 1 for number in range(40)})
    await export(service, store, "r1", settings=RunSettings(checkpoint_s=1e9))
    told = [record async for record in records_after(store, SCOPE, 0) if record.files]
    assert lake_rows(store) == service.truth()
    assert len(told) > 2
    assert all(sum(file.rows for file in record.files) > 1 for record in told[:-1])
