"""What is kept of the lake's ids is bounded, and a batch has all that it needs, whatever is dropped meanwhile."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from exporter.commit_log.records import UnitState
from exporter.commit_log.sealing import SessionProgress
from exporter.commit_log.state import SessionState
from exporter.discovery.request import Request
from exporter.lake.parquet import encode
from exporter.lake.tables.events import EVENTS
from exporter.model import Session, Unit
from exporter.normalize.columns import Stamp
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.known_ids import KnownIds, SessionIds, SpillFile
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import DAY_US, STAGE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

STAMP = Stamp("r1", DAY_US)
_ids = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), _ids), max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from("ab"))),
)
def test_ids_come_back_from_memory_and_from_the_file(
    added: list[tuple[str, str, list[int]]], spills: list[tuple[int, str]]
) -> None:
    """Two sessions that share a file, each moved to it at any moment, give all ids as they were added."""
    file = SpillFile()
    sessions = {"a": SessionIds(file), "b": SessionIds(file)}
    expected: dict[tuple[str, str], list[int]] = {}
    for place, (session, participant, ids) in enumerate(added):
        for _, spilled in (each for each in spills if each[0] == place):
            sessions[spilled].spill()
        sessions[session].add(participant, pa.array([0, *ids, 0], pa.int64()).slice(1, len(ids)))
        expected.setdefault((session, participant), []).extend(ids)
    for session in "ab":
        for participant in "xyz":
            assert sessions[session].of(participant).to_pylist() == expected.get((session, participant), [])


def test_what_was_used_longest_ago_is_let_go_of() -> None:
    """Sessions are kept up to a bound, and the last one always."""
    known, file = KnownIds(2 * 1_000), SpillFile()
    sessions = {name: SessionIds(file) for name in "abc"}
    for name in "ab":
        sessions[name].add("p", pa.array(range(20), pa.int64()))
        known.keep((STAGE, name), sessions[name])
    assert known.get((STAGE, "a")) is sessions["a"]
    sessions["c"].add("p", pa.array(range(20), pa.int64()))
    known.keep((STAGE, "c"), sessions["c"])
    assert [name for name in "abc" if known.get((STAGE, name))] == ["a", "c"]
    sessions["b"].add("p", pa.array(range(1_000), pa.int64()))
    known.keep((STAGE, "b"), sessions["b"])
    assert [name for name in "abc" if known.get((STAGE, name))] == ["b"]
    known.forget((STAGE, "b"))
    assert known.get((STAGE, "b")) is None


def a_lake(
    sessions: int, participants: int, rows: int
) -> tuple[MemoryStore, list[SessionProgress], dict[Unit, list[int]]]:
    """A lake with two files that hold rows of all sessions, half of the rows of each participant in each of them."""
    store, ids, keys = MemoryStore(), dict[Unit, list[int]](), ["events/0.parquet", "events/1.parquet"]
    for place, key in enumerate(keys):
        batches = []
        for session in range(sessions):
            for participant in range(participants):
                unit = Unit(STAGE, f"st-{session}", f"p{participant}")
                first = (2 * (session * participants + participant) + place) * rows
                own = list(range(first, first + rows))
                ids.setdefault(unit, []).extend(own)
                batches.append(_batch(unit, own))
        store.visible[key] = encode(EVENTS, batches).to_pybytes()
    units = {f"p{participant}": UnitState(rows=2 * rows) for participant in range(participants)}
    tracked = [
        SessionProgress(Session(STAGE, f"st-{number}", DAY_US), 0, SessionState(units=units, files=keys))
        for number in range(sessions)
    ]
    return store, tracked, ids


def _batch(unit: Unit, ids: list[int]) -> pa.RecordBatch:
    columns = {name: pa.nulls(len(ids)) for name in EVENTS.schema.names} | {
        "event_id": pa.array(ids, pa.int64()),
        "event_time": pa.array([DAY_US] * len(ids), EVENTS.schema.field("event_time").type),
        "stage_arn": pa.array([unit.stage_arn] * len(ids)).dictionary_encode(),
        "session_id": pa.array([unit.session_id] * len(ids)).dictionary_encode(),
        "participant_id": pa.array([unit.participant_id] * len(ids)).dictionary_encode(),
    }
    return pa.RecordBatch.from_pydict(columns)


async def _asked(present: KnownEvents, units: Sequence[tuple[SessionProgress, str]]) -> list[list[int]]:
    found = await present.ids({Unit(*tracked.session.key, name): tracked for tracked, name in units})
    return [ids.to_pylist() for ids in found.values() if isinstance(ids, pa.Array)]


async def test_a_batch_has_all_it_needs_however_little_is_kept() -> None:
    """Batches of units of all sessions at once, where not one session's ids fit: each unit has its own."""
    store, tracked, ids = a_lake(sessions=6, participants=3, rows=40)
    present = KnownEvents(store, KnownIds(0))
    for participant in ("p0", "p2", "p0"):
        units = [(session, participant) for session in tracked]
        expected = [ids[Unit(STAGE, session.session.session_id, participant)] for session in tracked]
        assert await _asked(present, units) == expected


async def test_each_file_is_read_once_for_sessions_that_are_kept() -> None:
    """What fits is not read again; a session that is over is let go of."""
    store, tracked, _ = a_lake(sessions=4, participants=3, rows=40)
    reads: list[str] = []
    store.before = lambda operation, key: reads.append(key) if operation == "read" else None
    present = KnownEvents(store)
    for participant in ("p0", "p1", "p2"):
        await _asked(present, [(session, participant) for session in tracked])
    assert reads == ["events/0.parquet", "events/1.parquet"]
    present.forget(tracked[0].session.key)
    await _asked(present, [(tracked[0], "p0")])
    assert len(reads) == 4


async def test_what_was_read_of_a_file_goes_without_the_garbage_collector() -> None:
    """A stage that never sleeps has a file for each day: thousands of footers would wait for the collector."""
    store, tracked, _ = a_lake(sessions=1, participants=2, rows=40)
    gc.collect()
    gc.disable()
    try:
        await _asked(KnownEvents(store), [(tracked[0], "p0")])
        held = [type(thing).__name__ for thing in gc.get_objects() if type(thing).__module__ == "pyarrow._parquet"]
    finally:
        gc.enable()
    assert [name for name in held if name in {"FileMetaData", "ParquetSchema"}] == []


async def test_scopes_that_read_at_once_share_what_is_kept() -> None:
    """Two readers of different sessions, at once and with no room: neither lacks what the other has let go of."""
    store, tracked, ids = a_lake(sessions=4, participants=2, rows=40)
    known = KnownIds(0)
    presents = [KnownEvents(store, known), KnownEvents(store, known)]
    sessions = [tracked[:2], tracked[2:]]
    for participant in ("p0", "p1"):
        found = await asyncio.gather(
            *(
                _asked(present, [(session, participant) for session in own])
                for present, own in zip(presents, sessions, strict=True)
            )
        )
        expected = [[ids[Unit(STAGE, each.session.session_id, participant)] for each in own] for own in sessions]
        assert found == expected


async def test_runs_whose_active_sessions_are_more_than_is_kept() -> None:
    """Two active sessions that are compared in every run, with no room for either: each event is there once."""
    service, store = Service(), MemoryStore()
    sessions = [
        service.add(f"st-{number}", ended=False, events={f"p{each}": 30 for each in range(5)}) for number in range(2)
    ]
    for night in range(3):
        await export(service, store, f"r{night}", Request(), rows_max=50, known=KnownIds(0))
        assert lake_rows(store) == service.truth()
        for session in sessions:
            service.join(session, "p1", 3)
