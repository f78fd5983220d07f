"""Files of `stages`, `sessions` and `participants` that are gone or changed are mended, or stay away on purpose."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state
from exporter.discovery.request import Request
from exporter.health.problems import ProblemKind
from exporter.health.repair import Repair
from exporter.health.retention import accept_missing, parse_partitions
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import DAY_US, HOUR_US, SCOPE, SECOND_US, STAGE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = ("stages", "sessions", "participants")
OF_THE_DATE = ("sessions/session_date=2026-11-22/", "participants/session_date=2026-11-22/")


async def lake_of() -> tuple[Service, MemoryStore]:
    """Two sealed sessions of one stage, one of them from the day before."""
    service, store = Service(), MemoryStore()
    old = service.add("st-old", events={"p1": 3, "p2": 2}, stage=STAGE)
    old.started_us, old.ended_us = DAY_US - 2 * SECOND_US, DAY_US + HOUR_US
    service.add("st-new", events={"p1": 3}, stage=STAGE)
    await export(service, store, "r1")
    return service, store


def rows(store: MemoryStore, table: str) -> list[dict[str, Any]]:
    return [
        row
        for key, data in sorted(store.visible.items())
        if key.startswith(f"{table}/")
        for row in pq.read_table(io.BytesIO(data)).to_pylist()
    ]


def named(store: MemoryStore, table: str) -> set[tuple[str, ...]]:
    """What a table has final rows of; of stages any."""
    ids = {"stages": ("stage_arn",), "sessions": ("session_id",), "participants": ("session_id", "participant_id")}
    return {tuple(row[name] for name in ids[table]) for row in rows(store, table) if row.get("is_final", True)}


def upkeep_of(service: Service, store: MemoryStore) -> Upkeep:
    return Upkeep(store, "upkeep", service.clock, this_process(), is_gone)


async def kinds(store: MemoryStore) -> list[ProblemKind]:
    return [problem.kind async for problem in verify(store, Verified())]


def remove(store: MemoryStore, *prefixes: str) -> list[str]:
    gone = sorted(key for key in store.visible if key.startswith(prefixes))
    for key in gone:
        del store.visible[key]
    return gone


def cut(store: MemoryStore, prefix: str) -> list[str]:
    changed = sorted(key for key in store.visible if key.startswith(prefix))
    for key in changed:
        store.visible[key] = store.visible[key][:-1]
    return changed


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("harm", "kind"), [(remove, ProblemKind.MISSING), (cut, ProblemKind.DAMAGED)], ids=["gone", "changed"]
)
async def test_what_is_lost_is_written_again(
    table: str, harm: Callable[[MemoryStore, str], list[str]], kind: ProblemKind
) -> None:
    """Verify finds it, repair says so in the log, and the next run makes up for it: the tables say what they said."""
    service, store = await lake_of()
    before = {name: named(store, name) for name in TABLES}
    events = lake_rows(store)
    harmed = harm(store, f"{table}/")
    assert await kinds(store) == [kind] * len(harmed)
    assert (await Repair(upkeep_of(service, store)).run()).left == []
    assert await kinds(store) == []
    await export(service, store, "r2")
    assert {name: named(store, name) for name in TABLES} == before
    assert lake_rows(store) == events
    assert set((await read_state(store, SCOPE)).sealed[STAGE]) == {"st-old", "st-new"}
    assert await kinds(store) == []
    counts = {name: len(rows(store, name)) for name in TABLES}
    ledger = await export(service, store, "r3")
    assert ledger.outcome == "nothing"
    assert {name: len(rows(store, name)) for name in TABLES} == counts


async def accepted(service: Service, store: MemoryStore, *texts: str) -> list[str]:
    return await accept_missing(upkeep_of(service, store), [parse_partitions(text) for text in texts])


async def test_what_was_removed_on_purpose_stays_away() -> None:
    """Not brought back by a night, a refetch, a backfill, or a session that is opened again; others' rows come."""
    service, store = await lake_of()
    gone = remove(store, *OF_THE_DATE)
    assert {key.partition("/")[0] for key in gone} == {"sessions", "participants"}
    assert await accepted(service, store, "session_date=2026-11-22") == gone
    assert await kinds(store) == []
    await export(service, store, "r2")
    await export(service, store, "r3", Request(refetch=True))
    await export(service, store, "r4", Request(backfill_tables=True))
    assert not [key for key in store.visible if key.startswith(OF_THE_DATE)]
    events = lake_rows(store)
    remove(store, "events/")
    await Repair(upkeep_of(service, store)).run()
    await export(service, store, "r5")
    assert not [key for key in store.visible if key.startswith(OF_THE_DATE)]
    assert lake_rows(store) == events
    assert set((await read_state(store, SCOPE)).sealed[STAGE]) == {"st-old", "st-new"}
    assert named(store, "participants") == {("st-new", "p1")}
    assert await kinds(store) == []


async def test_stages_that_were_removed_on_purpose_have_a_row_when_they_change() -> None:
    """The log remembers what the last row said."""
    service, store = await lake_of()
    day = next(key.split("/")[1] for key in store.visible if key.startswith("stages/"))
    gone = remove(store, "stages/")
    assert await accepted(service, store, day) == gone
    await export(service, store, "r2", Request(refetch=True))
    assert rows(store, "stages") == []
    service.now_us += 24 * HOUR_US
    service.names[STAGE] = ("renamed", {})
    await export(service, store, "r3")
    assert [row["stage_name"] for row in rows(store, "stages")] == ["renamed"]
    assert await kinds(store) == []
