"""The rows in memory are bounded over all scopes: the fullest ones commit."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from exporter.budget import Budget, Share
from exporter.channel import Channel
from exporter.clock import Clock
from exporter.commit import Journal
from exporter.ledger import ScopeLedger
from exporter.state import ScopeState
from exporter.writer import Writer
from tests.doubles import SCOPE, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_fullest_scope_is_woken_when_the_bound_is_reached() -> None:
    """Of three scopes that hold a hundred rows together, the one with the most is woken, and none before."""
    budget = Budget(100)
    woken: list[str] = []
    first, second, third = (budget.share(partial(woken.append, name)) for name in "abc")
    first.hold(30)
    second.hold(60)
    assert woken == []
    third.hold(10)
    assert woken == ["b"]
    second.hold(0)
    first.hold(80)
    assert woken == ["b"]
    third.hold(20)
    assert woken == ["b", "a"]


def test_more_scopes_are_woken_until_half_of_the_bound_is_on_its_way() -> None:
    """Who was woken is not woken again before it has committed; while it does so, others may have to as well."""
    budget = Budget(100)
    woken: list[str] = []
    shares = [budget.share(partial(woken.append, name)) for name in "abcd"]
    for share in shares:
        share.hold(30)
    assert woken == ["a"]
    shares[0].hold(35)
    assert woken == ["a", "b"]
    shares[3].hold(30)
    assert woken == ["a", "b", "c"]
    shares[3].hold(30)
    assert woken == ["a", "b", "c"]
    shares[1].hold(0)
    shares[1].hold(30)
    assert woken == ["a", "b", "c", "b"]


class CapturingBudget(Budget):
    """Hands out how its writer is woken."""

    def share(self, wake: Callable[[], None]) -> Share:
        self.wake = wake
        return super().share(wake)


async def test_a_writer_can_be_woken_at_any_moment() -> None:
    """Also while it is waking up: other scopes fill up just then."""
    store, budget, ledger = MemoryStore(), CapturingBudget(100), ScopeLedger(SCOPE.region)
    journal, works = Journal(store, SCOPE, "r1", ScopeState()), Channel[Any](1)
    clock = Clock(lambda: 0.0, lambda: 0, asyncio.sleep, lambda: 0.5)
    writing = asyncio.create_task(Writer(store, journal, ledger, 1e9, budget, clock, lambda: 0).write(works))
    for _ in range(20):
        budget.wake()
        await asyncio.sleep(0)
    await works.close()
    await writing
