"""A lease that is held: it is renewed, its loss is noticed, and it is given back. All time is the test's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from exporter.errors import Held, LakeBusy
from exporter.lease import LEASE_S
from tests.doubles import MemoryStore
from tests.exporting.lease_runs import FOREIGN, PREFIX, Pausing, Run, holders

if TYPE_CHECKING:
    from exporter.store import Records


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ["keys", "read", "create", "delete"])
async def test_a_renewal_that_fails_is_tried_again(operation: str, moment: str) -> None:
    """Whatever part of it the lake refuses, or does and does not answer, the run holds its scope and renews it."""
    lake = MemoryStore()
    run = Run(lake)
    await run.acquire()

    def fail(done: str, _key: str) -> None:
        if done == operation:
            raise LakeBusy("no answer")

    for _ in range(3):
        setattr(lake, moment, fail)
        assert await run.renew() == ["lease_not_renewed"]
        lake.before = lake.after = lambda *_: None
        [*_, before] = await lake.keys(PREFIX)
        assert await run.renew() == []
        [after] = await lake.keys(PREFIX)
        assert after > before
    with pytest.raises(Held):
        await Run(lake, "r2").acquire()
    await run.lease.release()
    assert await holders(lake) == []


@pytest.mark.parametrize("renewals", [0, 1, 5])
async def test_a_lost_lease_is_noticed_by_the_next_renewal(renewals: int, records: Records) -> None:
    """A run that slept and was overtaken sees so, however often the other has renewed, and leaves that lease alone."""
    sleeper, other = Run(records, "sleeper", FOREIGN), Run(records, "other")
    await sleeper.acquire()
    assert await other.acquire() >= LEASE_S
    for _ in range(renewals):
        assert await other.renew() == []
    assert await sleeper.renew() == ["lease_lost"]
    assert not sleeper.asleep.is_set(), "it tries again"
    assert await holders(records) == ["other"]
    await sleeper.lease.release()
    assert await holders(records) == ["other"]
    assert await other.renew() == []
    await other.lease.release()


async def test_release_removes_only_its_own(records: Records) -> None:
    """A run that slept, was overtaken, and whose number a third run's lease has now, leaves that one alone."""
    sleeper, other, third = Run(records, "sleeper", FOREIGN), Run(records, "other"), Run(records, "third")
    await sleeper.acquire()
    [key] = await records.keys(PREFIX)
    await other.acquire()
    await other.lease.release()
    await third.acquire()
    assert await records.keys(PREFIX) == [key]
    await sleeper.lease.release()
    assert await holders(records) == ["third"]
    await third.lease.release()


async def test_a_lease_is_not_taken_back_after_another_run_has_come_and_gone(records: Records) -> None:
    """Whoever has lost a lease may no longer commit, and is in nobody's way."""
    sleeper, other = Run(records, "sleeper", FOREIGN), Run(records, "other")
    await sleeper.acquire()
    await other.acquire()
    await other.lease.release()
    assert await sleeper.renew() == ["lease_lost"]
    assert await holders(records) == []
    await sleeper.lease.release()


async def test_a_lake_that_refuses_to_remove_a_lease_fails_no_run() -> None:
    """The run is over; its process will be gone, or its lease no longer change."""
    lake = MemoryStore()
    run = Run(lake)
    await run.acquire()

    def fail(_operation: str, _key: str) -> None:
        raise LakeBusy("no answer")

    lake.before = fail
    await run.lease.release()


async def test_a_lease_is_not_left_behind_by_a_renewal_under_way() -> None:
    """A run that gives its lease back in the midst of renewing it leaves none, neither the old nor the new."""
    lake = MemoryStore()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        if run.is_holding:
            reached.set()
            await go_on.wait()

    run = Run(Pausing(lake, pause))
    await run.acquire()
    renewing = asyncio.create_task(run.renew())
    await reached.wait()
    releasing = asyncio.create_task(run.lease.release())
    await a_while()
    go_on.set()
    await releasing
    await a_while()
    renewing.cancel()
    assert await holders(lake) == []


async def a_while() -> None:
    """Time enough for whatever is not held up."""
    for _ in range(100):
        await asyncio.sleep(0)
