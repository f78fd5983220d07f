"""A unit too large for memory: its pages stand in a file, it passes in pieces, and it is committed whole or not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.commit_log.records import Record, decode_record
from exporter.commit_log.sealing import SessionProgress
from exporter.discovery.request import Request
from exporter.errors import LakeRefused
from exporter.model import FetchedUnit, Outcome, Session, Unit
from exporter.normalize.columns import Stamp
from exporter.normalize.privacy import KEEP_ALL
from exporter.pipeline.budget import LoopTurns
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.new_rows import EventRowMaker
from exporter.pipeline.page_spool import PageSpool
from exporter.settings import RunSettings
from exporter.timestamps import text_of
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import DAY_US, SECOND_US, STAGE, Service, lake_rows

UNIT = Unit(STAGE, "st-a", "p1")
SESSION = Session(STAGE, "st-a", DAY_US, DAY_US)
STAMP = Stamp("r1", DAY_US)
SETTINGS = RunSettings(checkpoint_s=1e9)


def fetched(events: list[dict[str, Any]], page_size: int) -> FetchedUnit:
    pages = PageSpool(memory_size_bytes_max=200)
    for start in range(0, len(events), page_size):
        pages.add(msgspec.json.encode(events[start : start + page_size]))
    return FetchedUnit(UNIT, SESSION, pages, DAY_US, pages.size_bytes)


def an_event(second: int) -> dict[str, Any]:
    return {"name": "JOINED", "participantId": "p1", "eventTime": text_of(DAY_US + second * SECOND_US)}


@given(st.lists(st.binary(max_size=80), max_size=30), st.integers(0, 300))
def test_pages_come_back_as_they_were_added(added: list[bytes], most_bytes: int) -> None:
    """In memory or in a file, any number of readings gives the same pages."""
    pages = PageSpool(most_bytes)
    for page in added:
        pages.add(page)
    assert list(pages) == list(pages) == added
    assert len(pages) == len(added)
    assert pages.size_bytes == sum(map(len, added))


def records_with_events(store: MemoryStore) -> list[Record]:
    records = [decode_record(key, body) for key, body in store.records.items() if "/records/" in key]
    return [record for record in records if any(file.table == "events" for file in record.files)]


async def test_a_large_unit_is_staged_in_files_and_committed_in_one_record() -> None:
    """A unit of many times the rows that may be held stands in several files, all named by one record."""
    service, store = Service(), MemoryStore()
    service.add("st-large", events={"p1": 40})
    ledger = await export(service, store, "r1", rows_max=4, settings=SETTINGS)
    (record,) = records_with_events(store)
    assert len([file for file in record.files if file.table == "events"]) > 5
    of_sessions = [index for index, file in enumerate(record.files) if file.table != "stages"]
    assert [line.files for line in record.sessions] == [tuple(of_sessions)]
    assert lake_rows(store) == service.truth()
    assert (ledger.events_written, ledger.files) == (40, len(store.visible))
    await export(service, store, "r2", Request(refetch=True), rows_max=4, settings=SETTINGS)
    assert lake_rows(store) == service.truth()


async def test_one_piece_with_an_event_without_a_time_begins_the_unit_anew() -> None:
    """It is in the last piece: what was staged is removed, and the other events are committed, each once."""
    service, store = Service(), MemoryStore()
    service.add("st-whole", events={"p1": 2})
    session = service.add("st-broken", events={"p1": 40})
    truth = service.truth()
    session.participants["p1"].events.append({"name": "JOINED", "participantId": "p1", "isNew": True})
    staged: list[str] = []
    store.after = lambda operation, key: staged.append(key) if operation == "stage" else None
    ledger = await export(service, store, "r1", rows_max=4, settings=SETTINGS)
    assert len([key for key in staged if key.startswith("events/")]) > len(store.files()) > 5
    assert lake_rows(store) == truth
    assert not store.staged
    assert ledger.outcomes == {Outcome.EXPORTED: 1, Outcome.FAILED: 1}
    assert not ledger.unknown_fields
    assert (ledger.events_fetched, ledger.events_written) == (43, 42)


async def test_a_lake_that_refuses_a_large_unit_s_file_gets_rid_of_those_before_it() -> None:
    """The third of a unit's files can't be staged: the first two are discarded, and the run fails."""
    service, store = Service(), MemoryStore()
    service.add("st-large", events={"p1": 40})
    staged: list[str] = []

    def refuse_the_third(operation: str, key: str) -> None:
        if operation == "stage" and key.startswith("events/"):
            if len(staged) == 2:
                raise LakeRefused("full")
            staged.append(key)

    store.before = refuse_the_third
    with pytest.raises(LakeRefused):
        await export(service, store, "r1", rows_max=4, settings=SETTINGS)
    assert len(staged) == 2
    assert not store.staged
    assert not store.files()


async def test_a_page_larger_than_a_piece_passes_in_pieces() -> None:
    """One page of many events, as no service sends it: it is cut, and all of its events are there."""
    unit = fetched([an_event(second) for second in range(500)], 500)
    assert len(unit.pages) == 1
    intake = EventRowMaker(KnownEvents(MemoryStore()), LoopTurns(), piece_size_bytes=5_000, privacy=KEEP_ALL)
    pieces = [piece async for piece in intake.pieces(SessionProgress(SESSION, 0), unit, STAMP)]
    assert len(pieces) > 5
    assert max(piece.rows.num_rows for piece in pieces) < 100
    assert sum(piece.rows.num_rows for piece in pieces) == 500
    assert [taken.events for piece in pieces for taken in piece.units] == [500]
