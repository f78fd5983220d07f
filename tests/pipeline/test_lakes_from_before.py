"""A lake that a program before the four tables wrote: it is read, goes on, and gets the rows that it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.discovery.request import Request
from exporter.errors import Refused
from exporter.health.status import statuses
from exporter.health.verify import Verified, verify
from exporter.settings import RunSettings, TableSettings
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, STAGES, Service, lake_rows
from tests.support.table_rows import check_once, newest, rows_of

if TYPE_CHECKING:
    from tests.support.service import SessionDouble

LAKE = Path(__file__).parents[1] / "data" / "lake-before-tables"
SETTINGS = RunSettings(give_up_days=0.5)
BACKFILL = Request(backfill_tables=True)
BELOW_THE_LISTS = {"ListParticipants", "ListParticipantEvents", "GetParticipant"}


def old_world() -> tuple[Service, SessionDouble]:
    """The world as the lake's last run found it, a day later; and its active session."""
    service = Service()
    service.add("st-sealed", events={"p1": 4, "p2": 2, "p-empty": 0}, stage=STAGES[0])
    service.add("st-second", events={"p1": 3}, stage=STAGES[1])
    refused = service.add("st-abandoned", events={"ok": 2, "gone": 1}, stage=STAGES[1])
    refused.participants["gone"].error = Refused("no such participant", "ResourceNotFoundException")
    active = service.add("st-active", ended=False, events={"a1": 2, "a2": 1}, stage=STAGES[2])
    service.join(active, "a1")
    service.join(active, "a3")
    service.now_us += 3 * 24 * HOUR_US
    return service, active


def old_lake() -> MemoryStore:
    store = MemoryStore()
    for path in LAKE.rglob("*.*"):
        key = path.relative_to(LAKE).as_posix()
        (store.visible if key.startswith("events/") else store.records)[key] = path.read_bytes()
    return store


async def lacking(store: MemoryStore) -> int:
    (status,) = await statuses(store, 1)
    return status.sessions.without_rows


async def test_a_lake_from_before_is_made_up_for_and_equals_a_new_one() -> None:
    """But for the session that AWS no longer lists: it has one final row, of which nothing is counted."""
    service, active = old_world()
    old, new = old_lake(), MemoryStore()
    assert await lacking(old) == 4
    for night in range(3):
        for name, store in (("old", old), ("new", new)):
            request = BACKFILL if (name, night) == ("old", 1) else Request()
            await export(service, store, f"{name}-{night + 4}", request, settings=SETTINGS)
        active.ended_us = active.ended_us or service.now_us
        service.now_us += 24 * HOUR_US
    assert [problem async for problem in verify(old, Verified())] == []
    unlisted = (STAGES[1], "st-unlisted")
    assert {row for row in lake_rows(old) if row[0] != "st-unlisted"} == set(lake_rows(new))
    sessions = newest(old, "sessions")
    gone = sessions.pop(unlisted)
    assert (gone["is_final"], gone["is_complete"]) == (True, False)
    assert [gone[f"{name}_count"] for name in ("participant", "event", "abandoned")] == [None] * 3
    assert gone["session_start"] is not None
    for key, row in newest(new, "sessions").items():
        assert sessions.pop(key) == row
    assert sessions == {}
    assert newest(old, "participants") == newest(new, "participants")
    assert newest(old, "stages") == newest(new, "stages")
    check_once(old)
    check_once(new)
    assert await lacking(old) == 0


async def test_without_being_asked_a_run_makes_up_for_nothing() -> None:
    service, _ = old_world()
    old = old_lake()
    await export(service, old, "old-4", settings=SETTINGS)
    assert {session for _, session in newest(old, "sessions")} == {"st-active"}
    assert await lacking(old) == 4


async def test_a_second_backfill_asks_for_nothing_and_writes_nothing() -> None:
    service, _ = old_world()
    old = old_lake()
    await export(service, old, "old-4", BACKFILL, settings=SETTINGS)
    visible = set(old.visible)
    service.calls.clear()
    service.stages.pop(STAGES[2])  # what is active is asked for anyway
    await export(service, old, "old-5", BACKFILL, settings=SETTINGS)
    assert not {call[0] for call in service.calls} & BELOW_THE_LISTS
    assert {key for key in set(old.visible) - visible if not key.startswith("stages/")} == set()
    check_once(old)


@pytest.mark.parametrize("step", range(0, 130, 3))
async def test_a_backfill_that_is_killed_and_run_again_writes_no_row_twice(step: int) -> None:
    """Killed before any operation of the lake, and each commit is of few rows."""
    service, _ = old_world()
    old = old_lake()
    old.before = Failing(step, Crash())
    try:
        await export(service, old, "old-4", BACKFILL, rows_max=1, settings=SETTINGS)
    except* Crash:
        pass
    old.restart()
    await export(service, old, "old-5", BACKFILL, rows_max=1, settings=SETTINGS)
    check_once(old)
    assert len([row for row in rows_of(old, "sessions") if row["is_final"]]) == 4
    assert {name[1:] for name, row in newest(old, "participants").items() if row["is_final"]} == {
        ("st-sealed", "p1"),
        ("st-sealed", "p2"),
        ("st-sealed", "p-empty"),
        ("st-second", "p1"),
        ("st-abandoned", "ok"),
        ("st-abandoned", "gone"),
    }
    assert await lacking(old) == 0


@pytest.mark.parametrize("request_", [BACKFILL, Request(refetch=True)])
async def test_a_participant_that_no_list_showed_before_has_its_row_with_its_events(request_: Request) -> None:
    """Where these are refused it has none, for nobody would ask again; once they come, the session is complete."""
    service, _ = old_world()
    service.unlisted = {"p1"}
    new = MemoryStore()
    await export(service, new, "new-1", settings=SETTINGS)
    if request_.backfill_tables:
        no_tables = TableSettings(stages=False, sessions=False, participants=False)
        new = MemoryStore()
        await export(service, new, "new-1", settings=SETTINGS, tables=no_tables)
    service.unlisted = set()
    late = service.stages[STAGES[0]]["st-sealed"].participants["p1"]
    key = (STAGES[0], "st-sealed", "p1")
    late.error = Refused("not now", "ValidationException")
    await export(service, new, "new-2", request_, settings=SETTINGS)
    assert key not in newest(new, "participants")
    late.error = None
    await export(service, new, "new-3", Request(refetch=True), settings=SETTINGS)
    assert newest(new, "participants")[key]["is_final"]
    row = newest(new, "sessions")[key[:2]]
    assert (row["participant_count"], row["event_count"], row["is_complete"]) == (3, 6, True)
    assert (
        sum(
            each["participant_id"] == "p1" and each["session_id"] == "st-sealed"
            for each in rows_of(new, "participants")
        )
        == 1
    )
