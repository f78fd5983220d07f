"""Repair and retention on real stores: what is moved, removed and replaced there is what the doubles say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.process import is_gone, this_process
from exporter.discovery.request import Request
from exporter.health.problems import ProblemKind
from exporter.health.repair import Repair
from exporter.health.retention import accept_missing, parse_partitions
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.settings import RunSettings
from tests.lake.test_crashes_on_real_stores import rows_of
from tests.support.runs import export
from tests.support.service import DAY_US, HOUR_US, SECOND_US, STAGE, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from exporter.lake.store import Store

SETTINGS = RunSettings(checkpoint_s=1e9)
YESTERDAY = "events/event_date=2026-11-22/"


def world() -> Service:
    """Sessions of two stages around midnight."""
    service = Service()
    for stage in (STAGE, f"{STAGE}2"):
        session = service.add("st-a", stage=stage)
        session.started_us, session.ended_us = DAY_US - 2 * SECOND_US, DAY_US + HOUR_US
        service.join(session, "p1", 5)
        service.join(session, "p2", 3)
    return service


async def kinds(store: Store) -> set[ProblemKind]:
    return {problem.kind async for problem in verify(store, Verified())}


async def put(store: Store, key: str, data: bytes) -> None:
    """Something else puts a file there."""
    await store.remove(key)
    assert await store.publish(await store.stage(key, data))


async def test_a_lake_is_mended_where_it_is(
    store: Store, tmp_path: Path, open_at: Callable[..., Awaitable[Store]]
) -> None:
    """Of files around midnight one is damaged, one is gone, and all are there a second time; then a record is gone."""
    service, other = world(), await open_at(str(tmp_path / "other"))
    for run_id, into in (("r1", store), ("r2", other)):
        await export(service, into, run_id, rows_max=2, settings=SETTINGS)
    files = await store.keys("events/")
    await put(store, files[0], b"PAR1")
    await store.remove(files[-1])
    for key in await other.keys("events/"):
        data = await other.read(key)
        assert data is not None
        await put(store, key, data)
    upkeep = Upkeep(store, "repair1", service.clock, this_process(), is_gone)
    assert await kinds(store) == {ProblemKind.DAMAGED, ProblemKind.MISSING, ProblemKind.UNNAMED}
    assert (await Repair(upkeep).run()).left == []
    assert await store.read(f"_damaged/{files[0]}") == b"PAR1"
    await export(service, store, "r3", settings=SETTINGS)
    assert await rows_of(store) == service.truth()
    records = [key for key in await store.keys("_log/") if "/records/" in key]
    await store.delete(records[1])
    assert await kinds(store) == {ProblemKind.LOG}
    again = Upkeep(store, "repair2", service.clock, this_process(), is_gone)
    assert (await Repair(again).run()).left == []
    assert len(await store.keys("_damaged/repair2/")) == len(records) - 1
    await export(service, store, "r4", Request(refetch=True), settings=SETTINGS)
    assert await rows_of(store) == service.truth()
    assert await kinds(store) == set()


async def test_a_partition_that_was_removed_stays_away(store: Store) -> None:
    """The log knows it, and a refetch does not bring it back."""
    service = world()
    await export(service, store, "r1", settings=SETTINGS)
    gone = await store.keys(YESTERDAY)
    for key in gone:
        await store.remove(key)
    upkeep = Upkeep(store, "upkeep", service.clock, this_process(), is_gone)
    assert await accept_missing(upkeep, [parse_partitions("event_date=..2026-11-22")]) == gone
    await export(service, store, "r2", Request(refetch=True), settings=SETTINGS)
    assert await store.keys(YESTERDAY) == []
    assert await kinds(store) == set()
