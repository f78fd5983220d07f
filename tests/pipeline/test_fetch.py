"""One unit's events: every page, once; and what a list that shifts under its reader is believed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.errors import TokenRefused
from exporter.ivs.responses import Page
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.hashed_pages import HashedPages
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
    assert not fetched.limits
    assert len(fetched.pages) == 2


async def test_a_second_reading_that_is_final_is_believed_whole() -> None:
    """An event that came between the readings, and equals others, is not taken for one that a shift showed twice."""
    readings = Readings([[event(1), event(2)], [event(1)]], [[event(1), event(2)], [event(1), event(1)]])
    fetched = await fetched_from(readings, ended_us=10, final_from_us=150)
    assert readings.begun == 2
    assert fetched.began_us == 200
    assert not fetched.limits


async def test_equal_events_on_one_page_are_believed() -> None:
    """A list shifts between pages: what stands twice on one page is twice there."""
    readings = Readings([[event(1), event(1)], [event(2)]])
    assert not (await fetched_from(readings)).limits
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
    assert b"10:00:03" in b"".join(fetched.pages)
    assert isinstance(fetched.pages, HashedPages)
    assert Counter(fetched.pages.hashes.to_pylist()) == {
        hash_of(second): 1 + (second in (4, 5)) for second in range(1, 6)
    }
    assert fetched.limits == {hash_of(4): 1}


async def test_a_second_reading_that_has_shifted_is_not_believed_more_than_the_first() -> None:
    """What stood on one page, and stands on two in the second reading, counts as often as it did, and at least once."""
    readings = Readings([[event(1)], [event(1), event(2)]], [[event(1), event(2)], [event(2), event(3)], [event(3)]])
    fetched = await fetched_from(readings)
    assert fetched.limits == {hash_of(2): 1, hash_of(3): 1}


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
