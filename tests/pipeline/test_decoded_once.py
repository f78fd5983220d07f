"""Each page of a small unit is decoded once, also where the list may have shifted; a large unit's events don't wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.discovery.request import Request
from exporter.normalize import decode as decode_module
from exporter.normalize.hashed_pages import DecodedEvents
from exporter.pipeline import fetch as fetch_module
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import Service, lake_rows

if TYPE_CHECKING:
    from exporter.model import Unit
    from exporter.normalize.event_model import Event


class Decodes:
    """Counts the pages that are decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._decode = decode_module._known_events  # noqa: SLF001 - every way to decode comes through it
        monkeypatch.setattr(decode_module, "_known_events", self._counted)

    def _counted(self, unit: Unit, page: bytes) -> list[Event] | None:
        self.count += 1
        return self._decode(unit, page)


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> Decodes:
    return Decodes(monkeypatch)


@pytest.mark.parametrize("ended", [False, True], ids=["active", "ended"])
async def test_ten_pages_are_decoded_ten_times(decodes: Decodes, *, ended: bool) -> None:
    """Of a session that goes on they are hashed first, to see whether the list has shifted."""
    service, store = Service(), MemoryStore()
    service.add("st-a", ended=ended, events={"p1": 30, "p2": 1})
    await export(service, store, "r1")
    assert decodes.count == 10 + 1
    assert lake_rows(store) == service.truth()
    await export(service, store, "r2", Request(refetch=True))
    assert decodes.count == 2 * (10 + 1)
    assert lake_rows(store) == service.truth()


async def test_a_list_that_is_read_twice_is_decoded_as_often_as_it_is_read(decodes: Decodes) -> None:
    """Two equal events stand on different pages: the list is read again, and both readings are decoded."""
    service, store = Service(), MemoryStore()
    session = service.add("st-a", ended=False, events={"p1": 30})
    session.participants["p1"].events[-1] = session.participants["p1"].events[0]
    await export(service, store, "r1")
    assert decodes.count == 10 + 10
    assert lake_rows(store) == service.truth()


async def test_without_room_for_decoded_events_pages_are_decoded_again(
    decodes: Decodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for nothing: the rows are the same, for twice the work."""
    monkeypatch.setattr(fetch_module, "_decoded_events", DecodedEvents(0))
    service, store = Service(), MemoryStore()
    service.add("st-a", ended=False, events={"p1": 30})
    await export(service, store, "r1")
    assert decodes.count == 10 + 10
    assert lake_rows(store) == service.truth()


async def test_the_events_of_a_unit_in_a_temporary_file_do_not_wait(
    decodes: Decodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit with more raw bytes than stand in memory keeps its hashes alone."""
    monkeypatch.setattr(fetch_module, "MEMORY_SIZE_BYTES_MAX", 1_000)
    service, store = Service(), MemoryStore()
    service.add("st-a", ended=False, events={"p1": 30})
    await export(service, store, "r1")
    assert decodes.count == 10 + 10
    assert lake_rows(store) == service.truth()
