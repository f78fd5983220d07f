"""A run that is killed at any operation of the lake, and the nights after it: each row once, each final row there."""

from __future__ import annotations

from collections import Counter

import pytest

from exporter.settings import RunSettings
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, Service, lake_rows
from tests.support.table_rows import check_once, rows_of

SETTINGS = RunSettings(checkpoint_s=1e9)


def world() -> Service:
    """Two sessions that are over, one that goes on, and one that has just ended."""
    service = Service()
    service.add("st-over", events={"a": 2, "b": 3, "c": 0})
    service.add("st-empty", events={})
    service.add("st-active", ended=False, events={"a": 1, "b": 4})
    just_ended = service.add("st-ended", events={"a": 2})
    just_ended.ended_us = service.now_us - 60_000_000
    return service


async def night(service: Service, store: MemoryStore, name: str) -> None:
    await export(service, store, name, rows_max=4, settings=SETTINGS)


@pytest.mark.parametrize("killed_night", [1, 2])
@pytest.mark.parametrize("step", range(1, 120, 4))
async def test_a_run_that_is_killed_leaves_no_row_twice_and_none_out(step: int, killed_night: int) -> None:
    service, store = world(), MemoryStore()
    for number in range(1, 5):
        if number == killed_night:
            store.before = Failing(step, Crash())
        try:
            await night(service, store, f"n{number}")
        except* Crash:
            pass
        store.restart()
        check_once(store)
        if number == 1:
            for session in (each["st-active"] for each in service.stages.values() if "st-active" in each):
                service.join(session, "c", 2)
                session.ended_us = service.now_us + HOUR_US
        service.now_us += 24 * HOUR_US
    assert lake_rows(store) == service.truth()
    final = Counter(
        (row["session_id"], row["participant_id"]) for row in rows_of(store, "participants") if row["is_final"]
    )
    assert final == Counter(
        (session_id, name)
        for sessions in service.stages.values()
        for session_id, session in sessions.items()
        for name in session.participants
    )
    sessions = [row for row in rows_of(store, "sessions") if row["is_final"]]
    assert Counter(row["session_id"] for row in sessions) == Counter(("st-over", "st-empty", "st-active", "st-ended"))
    assert all(row["is_complete"] for row in sessions)
