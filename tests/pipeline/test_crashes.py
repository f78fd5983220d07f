"""A crash at every step: whatever operation of the lake is the last, the next run leaves each event once."""

from __future__ import annotations

from itertools import count

import pytest

from exporter.errors import LakeBusy, LakeError, Overtaken
from exporter.settings import RunSettings
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export
from tests.support.service import Service, lake_rows

SETTINGS = RunSettings(checkpoint_s=1e9)


def world() -> Service:
    """As small as may be, for it is exported twice a step: three stages, units below and above a page."""
    service = Service()
    for number in range(2):
        service.add(f"st-{number}", events={"p0": 1, "p1": 2, "p2": 4})
    service.add("st-active", ended=False, events={"p": 2})
    return service


async def run(service: Service, store: MemoryStore, run_id: str) -> None:
    await export(service, store, run_id, rows_max=2, settings=SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_at_any_step_costs_no_event_and_doubles_none(moment: str) -> None:
    """The process dies between any two operations of a run with many checkpoints: before one, or after the same one.

    At no time does a reader see a row twice; the next run brings what is missing, and leaves nothing behind.
    """
    for step in count(step=2):
        service, store = world(), MemoryStore()
        failing = Failing(step, Crash())
        setattr(store, moment, failing)
        raised = None
        try:
            await run(service, store, "r1")
        except (Crash, BaseExceptionGroup) as error:
            raised = error
        if not failing.has_failed:  # how many operations there are depends on the moment
            break
        assert raised is not None, f"nothing was raised at step {step}"
        assert not lake_rows(store) - service.truth(), f"doubled at step {step}"
        store.restart()
        await run(service, store, "r2")
        assert lake_rows(store) == service.truth(), f"wrong after a crash at step {step}"
        assert not store.staged, f"left behind after a crash at step {step}"
    assert step > 40


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_lake_that_refuses_at_any_step_ends_the_run_with_an_error(moment: str) -> None:
    """An operation that fails, or whose answer is lost, and every one after it: the run raises, the next one heals."""
    release = 3  # a lease that can't be given back fails no run
    for step in count(step=3):
        service, store = world(), MemoryStore()
        failing = Failing(step, LakeBusy("no answer"))
        setattr(store, moment, failing)
        raised = None
        try:
            await run(service, store, "r1")
        except LakeError as error:
            raised = error
        if raised is None and failing.done <= step + release:
            break
        assert raised is not None, f"nothing was raised at step {step}"
        assert not lake_rows(store) - service.truth()
        store.restart()
        await run(service, store, "r2")
        assert lake_rows(store) == service.truth()
        assert not store.staged
    assert step > 40


async def test_a_writer_that_slept_through_its_lease_commits_nothing() -> None:
    """A run that is overtaken while it sleeps wakes up, commits nothing, and removes what it staged."""
    service, store = world(), MemoryStore()
    overtaken = False

    async def overtake() -> None:
        other = MemoryStore()
        other.__dict__ = store.__dict__.copy()
        other.restart()
        await run(service, other, "r2")

    create = store.create

    async def sleep_before_the_first_commit(key: str, body: bytes) -> bool:
        nonlocal overtaken
        if not overtaken and key.endswith("records/000000000002.json"):
            overtaken = True
            await overtake()
        return await create(key, body)

    store.create = sleep_before_the_first_commit  # type: ignore[method-assign] # the moment of the long sleep
    with pytest.raises(Overtaken):
        await run(service, store, "r1")
    assert overtaken
    assert lake_rows(store) == service.truth()
    assert not store.staged
    await run(service, store, "r3")
    assert lake_rows(store) == service.truth()
