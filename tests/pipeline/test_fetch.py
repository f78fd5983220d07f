"""One unit's events: every page, once; and what a list that shifts under its reader is believed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import TokenRefused
from exporter.ivs.responses import Page
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.hashed_pages import HashedPages
from exporter.pipeline import fetch as fetching
from exporter.pipeline.fetch import fetch
from tests.support.page_hashes import page_hashes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STAGE = "arn:aws:ivs:us-east-1:111122223333:stage/abc"
UNIT = Unit(STAGE, "st-a", "p")


def event(second: int, **more: str) -> dict[str, Any]:
    return {"name": "JOINED", "eventTime": f"2026-11-23T10:00:{second:02d}Z", **more}


class Readings:
    """What each reading of the list gives, page by page; a number in place of a page refuses its token."""

    def __init__(self, *readings: list[list[dict[str, Any]] | None]) -> None:
        self.readings = list(readings)
        self.begun = 0

    async def pages(self) -> AsyncIterator[Page]:
        self.begun += 1
        for page in self.readings.pop(0):
            if page is None:
                raise TokenRefused("no such token", "ValidationException")
            yield Page(msgspec.json.encode(page), None, 100 * self.begun)


async def fetched_from(
    readings: Readings, ended_us: int | None = None, final_from_us: int | None = None
) -> FetchedUnit:
    return await fetch(readings.pages, UNIT, Session(STAGE, "st-a", 0, ended_us), final_from_us)


async def test_a_final_unit_is_read_once_whatever_is_equal_in_it() -> None:
    """Of a session that can get no more events, equal events on two pages are two events."""
    readings = Readings([[event(1), event(2)], [event(1)]])
    fetched = await fetched_from(readings, ended_us=10, final_from_us=20)
    assert readings.begun == 1
    assert seconds_on(fetched) == [[1, 2], [1]]


async def test_a_second_reading_that_is_final_is_believed_whole() -> None:
    """An event that came between the readings, and equals others, is not taken for one that a shift showed twice."""
    readings = Readings([[event(1), event(2)], [event(1)]], [[event(1), event(2)], [event(1), event(1)]])
    fetched = await fetched_from(readings, ended_us=10, final_from_us=150)
    assert readings.begun == 2
    assert fetched.began_us == 200
    assert seconds_on(fetched) == [[1, 2], [1, 1]]


async def test_equal_events_on_one_page_are_believed() -> None:
    """A list shifts between pages: what stands twice on one page is twice there."""
    readings = Readings([[event(1), event(1)], [event(2)]])
    assert seconds_on(await fetched_from(readings)) == [[1, 1], [2]]
    assert readings.begun == 1


@pytest.mark.parametrize(("ended_us", "final_from_us"), [(None, None), (10, 500)], ids=["active", "in its grace time"])
async def test_of_a_list_that_may_have_shifted_the_smaller_count_holds(
    ended_us: int | None, final_from_us: int | None
) -> None:
    """An event that was shown twice because another came between the pages is one event after a second reading."""
    readings = Readings(
        [[event(2), event(1)], [event(1), event(5), event(5)], [event(4)]],
        [[event(3), event(2), event(4)], [event(5), event(5)], [event(1), event(4)]],
    )
    fetched = await fetched_from(readings, ended_us, final_from_us)
    assert readings.begun == 2
    assert seconds_on(fetched) == [[3, 2, 4], [5, 5], [1]]
    assert isinstance(fetched.pages, HashedPages)
    assert Counter(fetched.pages.hashes.to_pylist()) == {hash_of(second): 1 + (second == 5) for second in range(1, 6)}
    assert fetched.size_bytes == sum(map(len, fetched.pages))


async def test_a_second_reading_that_has_shifted_is_not_believed_more_than_the_first() -> None:
    """What stood on one page, and stands on two in the second reading, counts as often as it did, and at least once."""
    readings = Readings([[event(1)], [event(1), event(2)]], [[event(1), event(2)], [event(2), event(3)], [event(3)]])
    assert seconds_on(await fetched_from(readings)) == [[1, 2], [3], []]


async def test_equal_events_that_say_more_than_the_columns_are_counted_apart() -> None:
    """Two events of one identity: a shift that shows the second twice is not taken for a third one, nor for the first.

    And where each reading shows another of them twice, neither is believed.
    """
    plain, marked = event(1), event(1, unheardOf="x")
    of_two = Readings([[plain, plain], [marked, event(2)]], [[event(3), plain], [plain, marked], [marked, event(2)]])
    assert seconds_on(await fetched_from(of_two)) == [[1, 1], [1, 2]]
    assert of_two.begun == 1
    shifted = Readings([[plain, marked], [marked, event(2)]], [[event(3), plain], [plain, marked], [event(2)]])
    fetched = await fetched_from(shifted)
    assert shifted.begun == 2
    assert seconds_on(fetched) == [[3, 1], [1], [2]]
    assert b"".join(fetched.pages).count(b"unheardOf") == 1


@pytest.mark.parametrize("size_bytes", [1, 1 << 20], ids=["in a file", "in memory"])
@given(
    history=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, "x", "y"])), max_size=12),
    grown=st.lists(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, "x"])), max_size=2), max_size=6),
    shifting=st.integers(1, 2),
)
def test_no_reading_of_a_growing_list_shows_an_event_too_many(
    history: list[Said], grown: list[list[Said]], shifting: int, size_bytes: int
) -> None:
    """Events come between the pages of one of the readings: what is believed is there, of each event all that it says.

    A list that shows the same event twice in both readings can't be told from one that has it twice.
    """
    growing = Growing(history, grown, shifting)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fetching, "MEMORY_SIZE_BYTES_MAX", size_bytes)
        fetched = asyncio.run(fetch(growing.pages, UNIT, Session(STAGE, "st-a", 0, None), None))
    believed = Counter(map(said, (each for page in fetched.pages for each in msgspec.json.decode(page))))
    assert believed <= Counter(growing.events)
    assert Counter(set(history)) <= believed
    if growing.begun == 1:
        assert Counter(history) <= believed


Said = tuple[int, str | None]


@dataclass
class Growing:
    """A list of pages of three events, the newest first; in one reading others are added before each next page."""

    events: list[Said]
    grown: list[list[Said]]
    shifting: int
    begun: int = 0

    async def pages(self) -> AsyncIterator[Page]:
        self.begun += 1
        start = 0
        while True:
            page = self.events[start : start + 3]
            yield Page(msgspec.json.encode([told(each) for each in page]), None, 100)
            start += 3
            if start >= len(self.events):
                break
            if self.begun == self.shifting and self.grown:
                self.events = [*self.grown.pop(0), *self.events]


def told(each: Said) -> dict[str, Any]:
    return event(each[0]) | ({} if each[1] is None else {"unheardOf": each[1]})


def said(event: dict[str, Any]) -> Said:
    return int(event["eventTime"][-3:-1]), event.get("unheardOf")


def seconds_on(fetched: FetchedUnit) -> list[list[int]]:
    """The seconds of the events on each page."""
    return [[said(each)[0] for each in msgspec.json.decode(page)] for page in fetched.pages]


def hash_of(second: int) -> int:
    (found,) = page_hashes(UNIT, msgspec.json.encode([event(second)]))
    return found


async def test_a_refused_token_starts_the_unit_over_once() -> None:
    """After a refusal the unit is read from its beginning, and what was read before it is not counted."""
    readings = Readings([[event(1)], None], [[event(1)], [event(2)]])
    fetched = await fetched_from(readings, ended_us=10, final_from_us=20)
    assert len(fetched.pages) == 2
    with pytest.raises(TokenRefused):
        await fetched_from(Readings([[event(1)], None], [[event(1)], None]))
