"""A lease that is held: it is renewed, its loss is noticed, and it is given back. All time is the test's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from exporter.commit_log.lease import LEASE_S
from exporter.errors import LakeBusy, ScopeHeld
from tests.commit_log.lease_runs import FOREIGN, PREFIX, Pausing, Run, holders
from tests.support.logs import capture_logs
from tests.support.memory_store import MemoryStore

if TYPE_CHECKING:
    from exporter.lake.store import Records


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
    with pytest.raises(ScopeHeld):
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


async def test_what_is_not_ours_among_leases_is_passed_over(records: Records) -> None:
    """A desktop's file and a sync tool's copies hold nobody up, stay where they are, and are named once."""
    names = [".DS_Store", "000000000001 (copy).json", "000000000009.json~", "x"]
    for name in names:
        await records.create(PREFIX + name, b"?")
    run = Run(records)
    with capture_logs() as logs:
        assert await run.acquire() == 0
    assert [(line["event"], sorted(line["names"])) for line in logs] == [("files_passed_over", sorted(names))]
    assert await run.renew() == []
    with pytest.raises(ScopeHeld):
        await Run(records, "r2").acquire()
    await run.lease.release()
    assert await records.keys(PREFIX) == sorted(PREFIX + name for name in names)


async def test_a_lake_whose_lists_show_nothing_ends_the_run() -> None:
    """Where a lease is there and no list shows it, tries have an end, and time passes between them."""
    lake = MemoryStore()
    await Run(lake, "r0", FOREIGN).acquire()
    hiding = Hiding(lake)
    run = Run(hiding)
    with pytest.raises(LakeBusy, match="no lease can be made"):
        await run.acquire()
    assert hiding.lists <= 12
    assert run.waited_s >= 5


async def test_a_run_that_is_stopped_while_it_takes_the_scope_gives_it_back() -> None:
    """Where it is cancelled before it knows whether the lake made its lease, none is left: its process may live on."""
    lake = MemoryStore()
    going, arrived = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        arrived.set()
        await going.wait()

    taking = asyncio.create_task(Run(Pausing(lake, pause)).acquire())
    await arrived.wait()
    taking.cancel()
    await asyncio.sleep(0)
    going.set()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await holders(lake) == []
    assert await Run(lake, "r2").acquire() == 0


async def test_a_lake_that_hangs_does_not_keep_a_run_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Giving the lease back has a bound in time, also behind a renewal that never comes back."""
    monkeypatch.setattr("exporter.commit_log.lease._RELEASE_S", 0.01)
    lake = MemoryStore()
    run = Run(Hanging(lake))
    await run.acquire()
    run.records.is_hanging = True
    run.turn.set()
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await run.lease.release()


class Hiding(MemoryStore):
    """A lake that keeps records, and whose lists are empty."""

    def __init__(self, lake: MemoryStore) -> None:
        super().__init__()
        self.records, self.lists = lake.records, 0

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        self.lists += 1
        return (await super().keys(prefix, after))[:0]


class Hanging(MemoryStore):
    """A lake that does not answer any more once ``is_hanging`` is set."""

    def __init__(self, lake: MemoryStore) -> None:
        super().__init__()
        self.records, self.is_hanging = lake.records, False

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        if self.is_hanging:
            await asyncio.Event().wait()
        return await super().keys(prefix, after)
