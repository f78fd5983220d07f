"""A crash at every step of a run, on a disk and on a real S3: the next run leaves each event once."""

from __future__ import annotations

import io
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from exporter.health.verify import Verified, verify
from exporter.lake.tables.events import EVENTS
from exporter.settings import RunSettings
from exporter.timestamps import text_of
from tests.lake.conftest import SEAWEEDFS
from tests.support.memory_store import Crash
from tests.support.runs import export
from tests.support.service import SECOND_US, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from exporter.lake.store import Store

SETTINGS = RunSettings(checkpoint_s=1e9)
OPERATIONS = ("stage", "publish", "discard", "leftovers", "read", "create", "keys", "delete")


class Failing:
    """A store whose process is gone at operation number ``step``: before it was done, or when nobody heard of it."""

    def __init__(self, store: Store, step: int, moment: str) -> None:
        self.store, self.step, self.moment, self.done = store, step, moment, 0

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name not in OPERATIONS:
            raise AttributeError(name)

        async def act(*arguments: object, **named: object) -> object:
            self.done += 1
            if self.done > self.step and self.moment == "before":
                raise Crash
            answer = await getattr(self.store, name)(*arguments, **named)
            if self.done > self.step:
                raise Crash
            return answer

        return act


def world() -> Service:
    """As small as may be, for it is exported twice a step: two stages, units below and above a page."""
    service = Service()
    service.add("st-0", events={"p0": 1, "p1": 4})
    service.add("st-active", ended=False, events={"p": 2})
    return service


async def rows_of(store: Store) -> Counter[tuple[str, ...]]:
    rows: Counter[tuple[str, ...]] = Counter()
    for key in await store.keys("events/"):
        data = await store.read(key)
        assert data is not None
        for row in pq.read_table(io.BytesIO(data)).to_pylist():
            moment = row["event_time"]
            time_text = text_of(int(moment.timestamp()) * SECOND_US + moment.microsecond)
            rows[row["session_id"], row["participant_id"], row["event_name"], time_text] += 1
    return rows


async def break_lease(store: Store) -> None:
    """The process that held the lease is gone; here it is this one, which lives on."""
    for key in await store.keys("_log/"):
        if "/lease/" in key:
            await store.delete(key)


async def crash_at(step: int, moment: str, store: Store) -> bool:
    """A run that crashes at a step, and one that does not; False where the first had fewer steps."""
    service = world()
    failing: Any = Failing(store, step, moment)
    try:
        await export(service, failing, "r1", rows_max=2, settings=SETTINGS)
    except (Crash, BaseExceptionGroup):
        pass
    else:
        return False
    assert not await rows_of(store) - service.truth()
    await break_lease(store)
    await export(service, store, "r2", rows_max=2, settings=SETTINGS)
    assert await rows_of(store) == service.truth(), f"wrong after a crash {moment} step {step}"
    assert await store.leftovers(EVENTS.name) == []
    assert [problem async for problem in verify(store, Verified())] == []
    return True


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_at_any_step_on_a_disk(
    moment: str, tmp_path: Path, open_at: Callable[..., Awaitable[Store]]
) -> None:
    """Dead between any two operations of a run with several checkpoints: before one, or after the same one."""
    step = 0
    while await crash_at(step, moment, await open_at(str(tmp_path / f"lake{step}"))):
        step += 2
    assert step > 25


@pytest.mark.slow
@SEAWEEDFS
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_at_many_steps_on_s3(
    moment: str,
    seaweedfs_endpoint: str,
    use_endpoint: Callable[[str], None],
    make_prefix: Callable[[], Awaitable[str]],
    open_at: Callable[..., Awaitable[Store]],
) -> None:
    """The same on a real S3, whose unfinished uploads are the staged files; every sixth step, for time's sake."""
    use_endpoint(seaweedfs_endpoint)
    step = 0 if moment == "before" else 3
    while await crash_at(step, moment, await open_at(await make_prefix())):
        step += 6
    assert step > 25
