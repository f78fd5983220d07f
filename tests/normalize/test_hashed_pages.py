"""Pages that are hashed before they are rows: the same identities and events, and a bound to what waits."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.decode import decode
from exporter.normalize.hashed_pages import DecodedEvents, HashedPages, decoded_of, hash_pages
from tests.support.page_hashes import page_hashes

UNIT = Unit("arn:aws:ivs:eu-west-1:123456789012:stage/abc", "st-a", "p1")
_event = st.fixed_dictionaries(
    {"name": st.sampled_from(["JOINED", "LEFT"])},
    optional={"eventTime": st.sampled_from(["2026-11-23T10:15:00Z", "soon"]), "somethingNew": st.integers(0, 1)},
)


def _pages(*pages: list[dict[str, object]]) -> tuple[bytes, ...]:
    return tuple(json.dumps(page).encode() for page in pages)


def _hashed(pages: tuple[bytes, ...]) -> HashedPages:
    return hash_pages(UNIT, pages)


@given(st.lists(st.lists(_event, max_size=3), max_size=4))
def test_each_page_has_the_hashes_that_it_has_alone(events: list[list[dict[str, object]]]) -> None:
    """Hashed together, odd events and empty pages among them; and the events are those of a decode."""
    pages = _pages(*events)
    hashed = _hashed(pages)
    assert [hashes.to_pylist() for hashes in hashed.hashes_by_page] == [page_hashes(UNIT, page) for page in pages]
    assert hashed.hashes.to_pylist() == [event for page in pages for event in page_hashes(UNIT, page)]
    assert (tuple(hashed), len(hashed)) == (pages, len(pages))
    assert decoded_of(FetchedUnit(UNIT, Session(UNIT.stage_arn, "st-a"), hashed, 0)) == decode(UNIT, pages)


def test_runs_in_several_threads_share_the_bound() -> None:
    """Two runs of one process, each in a thread of its own, keep and drop decoded events at the same time."""
    events, pages = DecodedEvents(1 << 30), _hashed(_pages([{"name": "JOINED"}]))
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def keep_some(_: int) -> None:
        waiting = [events.keep(replace(pages), 1) for _ in range(300)]
        assert all(each.decoded is not None for each in waiting)

    try:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(keep_some, range(20)))
    finally:
        sys.setswitchinterval(before_s)
    assert events.size_bytes == 0


def test_what_waits_has_a_bound() -> None:
    """Beyond it pages keep their hashes alone; what nobody holds any more takes no room."""
    events, pages = DecodedEvents(1_000), _pages([{"name": "JOINED"}])
    first = events.keep(_hashed(pages), 200)
    assert first.decoded is not None
    second = events.keep(_hashed(pages), 200)
    assert second.decoded is None
    assert second.hashes == first.hashes
    assert events.keep(second, 1) is second
    del first
    assert events.size_bytes == 0
    assert events.keep(_hashed(pages), 200).decoded is not None
