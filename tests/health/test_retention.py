"""Partitions that were removed on purpose: the log is told, and nothing brings them back."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state, records_after
from exporter.discovery.request import Request
from exporter.errors import LakeRefused, ScopeHeld, UsageError
from exporter.health.retention import Partitions, accept_missing, parse_partitions
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.lake.data_files import DataFile
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import DAY_US, HOUR_US, SCOPE, SECOND_US, STAGE, Service, lake_rows

YESTERDAY, TODAY = "events/event_date=2026-11-22/", "events/event_date=2026-11-23/"
TWO = f"{STAGE}2"


async def lake_of() -> tuple[Service, MemoryStore]:
    """Sessions of two stages around midnight, all sealed but one."""
    service, store = Service(), MemoryStore()
    for stage in (STAGE, TWO):
        session = service.add("st-old", stage=stage)
        session.started_us, session.ended_us = DAY_US - 2 * SECOND_US, DAY_US + HOUR_US
        service.join(session, "p1", 5)
        service.join(session, "p2", 3)
        service.add("st-new", events={"p1": 3}, stage=stage)
    active = service.add("st-active", ended=False, stage=TWO)
    active.started_us = DAY_US - SECOND_US
    service.join(active, "p1", 4)
    await export(service, store, "r1", rows_max=8)
    return service, store


def remove(store: MemoryStore, prefix: str) -> list[str]:
    """Somebody's retention removes a partition."""
    gone = sorted(key for key in store.visible if key.startswith(prefix))
    for key in gone:
        del store.visible[key]
    return gone


async def accept(service: Service, store: MemoryStore, *texts: str) -> list[str]:
    upkeep = Upkeep(store, "upkeep", service.clock, this_process(), is_gone)
    return await accept_missing(upkeep, [parse_partitions(text) for text in texts])


async def problems(store: MemoryStore) -> list[str]:
    return [f"{problem.key}: {problem.message}" async for problem in verify(store, Verified())]


async def test_what_was_removed_on_purpose_is_no_problem_and_does_not_come_back() -> None:
    """Not by the next night, whose active session has rows there, and not by a refetch; what is new is exported."""
    service, store = await lake_of()
    gone = remove(store, YESTERDAY)
    assert len(await problems(store)) == len(gone)
    rows = lake_rows(store)
    assert await accept(service, store, "event_date=2026-11-22") == gone
    assert await problems(store) == []
    state = await read_state(store, SCOPE)
    assert set(state.sealed[STAGE]) == {"st-old", "st-new"}
    service.join(service.stages[TWO]["st-active"], "p1", 2)
    service.add("st-late", events={"p9": 2}, stage=STAGE)
    await export(service, store, "r2")
    await export(service, store, "r3", Request(refetch=True))
    assert (lake_rows(store) - rows).total() == 4
    assert not [key for key in store.visible if key.startswith(YESTERDAY)]
    assert await problems(store) == []
    retired = [key async for record in records_after(store, SCOPE) for key in record.retired]
    assert retired == gone


async def test_a_session_that_is_opened_again_stays_without_what_was_removed() -> None:
    """A file of another date is lost: its session is asked for again, and the removed date stays away."""
    service, store = await lake_of()
    remove(store, YESTERDAY)
    await accept(service, store, "event_date=..2026-11-22")
    await export(service, store, "r2", Request(refetch=True))
    assert not [key for key in store.visible if key.startswith(YESTERDAY)]
    session = service.stages[STAGE]["st-old"]
    service.join(session, "p1", 1)
    await export(service, store, "r3", Request(refetch=True))
    assert not [key for key in store.visible if key.startswith(YESTERDAY)]


async def test_a_file_that_is_there_stays_named() -> None:
    """Only what is absent is let go of, within the dates that were said."""
    service, store = await lake_of()
    kept = min(key for key in store.visible if key.startswith(YESTERDAY))
    data = store.visible[kept]
    remove(store, YESTERDAY)
    remove(store, TODAY)
    store.visible[kept] = data
    accepted = await accept(service, store, "event_date=2026-11-01..2026-11-22")
    assert accepted
    assert kept not in accepted
    assert all(key.startswith(YESTERDAY) for key in accepted)
    assert {line.split("/")[1] for line in await problems(store)} == {"event_date=2026-11-23"}


async def test_an_absence_is_seen_by_itself() -> None:
    """A list that shows nothing proves nothing, and what can't be read is not absent."""
    service, store = await lake_of()

    class Blind(MemoryStore):
        async def keys(self, prefix: str, after: str = "") -> list[str]:
            found = await super().keys(prefix, after)
            return [] if prefix.startswith("events/") else found

    blind = Blind()
    blind.visible, blind.records = store.visible, store.records
    records = dict(store.records)
    assert await accept(service, blind, "event_date=2026-11-22") == []
    assert store.records == records, "nothing was written for nothing"
    gone = remove(store, YESTERDAY)

    def refuse(operation: str, key: str) -> None:
        if operation == "read" and key == gone[0]:
            raise LakeRefused("403")

    store.before = refuse
    with pytest.raises(LakeRefused):
        await accept(service, store, "event_date=2026-11-22")
    assert store.records == records


async def test_a_scope_that_is_held_is_not_told() -> None:
    """It is said so; nothing is written."""
    service, store = await lake_of()
    remove(store, YESTERDAY)
    holder = {"process": this_process(), "run_id": "r", "since": "now"}
    store.records[f"_log/{SCOPE}/lease/000000000001.json"] = msgspec.json.encode(holder)
    records = dict(store.records)
    with pytest.raises(ScopeHeld):
        await accept(service, store, "event_date=2026-11-22")
    assert store.records == records


@pytest.mark.parametrize("day", ["", "today", "2025-13-45", "2025-01-01x"])
def test_a_record_with_a_date_that_is_none(day: str) -> None:
    """Its file lies in no range of dates, whatever the record says."""
    file = DataFile("events", f"events/event_date={day}/x.parquet", day, 1, 1, "", ())
    assert not parse_partitions("event_date=2025-01-01..2025-12-31").holds(file)


@pytest.mark.parametrize(
    ("text", "partitions"),
    [
        ("event_date=2025-01-01", Partitions("event_date", date(2025, 1, 1), date(2025, 1, 1))),
        (" event_date=2025-01-01..2025-02-01 ", Partitions("event_date", date(2025, 1, 1), date(2025, 2, 1))),
        ("event_date=..2025-02-01", Partitions("event_date", None, date(2025, 2, 1))),
        ("session_date=2025-01-01..", Partitions("session_date", date(2025, 1, 1), None)),
        ("exported_date=2025-01-01", Partitions("exported_date", date(2025, 1, 1), date(2025, 1, 1))),
    ],
)
def test_partitions_are_read(text: str, partitions: Partitions) -> None:
    """One date, or a range with both of its ends in it; an end may be open."""
    assert parse_partitions(text) == partitions


@pytest.mark.parametrize(
    "text",
    [
        "",
        "event_date",
        "event_date=",
        "event_date=..",
        "date=2025-01-01",
        "event_date=2025-13-01",
        "2025-01-01",
        "event_date=2025-02-01..2025-01-01",
        "event_date=20250101",
        "event_date=2025-01-01...2025-01-02",
        "event_date=2025-01-012025-01-02",
        "event_date=*",
        "events/event_date=2025-01-01",
    ],
)
def test_what_is_no_partition_is_refused(text: str) -> None:
    """With words that say how it is written."""
    with pytest.raises(UsageError, match="--accept-missing"):
        parse_partitions(text)
