"""A unit too large for memory: its pages stand in a file, it passes in pieces, and it is committed whole or not."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import Fetched, Session, Unit
from exporter.intake import Intake
from exporter.normalize import Stamp, normalize
from exporter.pages import Pages
from exporter.present import Present
from exporter.times import text_of
from exporter.tracking import Tracked
from tests.doubles import DAY_US, SECOND_US, STAGE, MemoryStore

UNIT = Unit(STAGE, "st-a", "p1")
SESSION = Session(STAGE, "st-a", DAY_US, DAY_US)
STAMP = Stamp("r1", DAY_US)


def fetched(events: list[dict[str, Any]], page_size: int, limits: dict[int, int] | None = None) -> Fetched:
    pages = Pages(memory_size_bytes_max=200)
    for start in range(0, len(events), page_size):
        pages.add(msgspec.json.encode(events[start : start + page_size]))
    return Fetched(UNIT, SESSION, pages, DAY_US, limits or {}, pages.size_bytes)


def an_event(second: int) -> dict[str, Any]:
    return {"name": "JOINED", "participantId": "p1", "eventTime": text_of(DAY_US + second * SECOND_US)}


@given(st.lists(st.binary(max_size=80), max_size=30), st.integers(0, 300))
def test_pages_come_back_as_they_were_added(added: list[bytes], most_bytes: int) -> None:
    """In memory or in a file, any number of readings gives the same pages."""
    pages = Pages(most_bytes)
    for page in added:
        pages.add(page)
    assert list(pages) == list(pages) == added
    assert len(pages) == len(added)
    assert pages.size_bytes == sum(map(len, added))


@pytest.mark.parametrize("limits", [{}, {0: 2}], ids=["no limit", "a limit"])
@pytest.mark.parametrize("seed", range(5))
async def test_in_pieces_or_at_once_the_rows_are_the_same(seed: int, limits: dict[int, int]) -> None:
    """Equal events in different pieces are numbered on, and a limit counts over all pieces."""
    draw = random.Random(seed)
    events = [an_event(draw.randrange(40)) for _ in range(300)]
    whole = normalize([fetched(events, 7)], STAMP)
    most = {whole.hashes[place]: count for place, count in limits.items()}
    at_once = normalize([fetched(events, 7, most)], STAMP)
    tracked = Tracked(SESSION, 0)
    taken = await Intake(Present(MemoryStore()), piece_size_bytes=1_000).take(
        [(tracked, fetched(events, 7, most))], STAMP
    )
    assert len(taken.rows) > 5
    ids = [each for rows in taken.rows for each in rows.column("event_id").to_pylist()]
    assert sorted(ids) == sorted(at_once.rows.column("event_id").to_pylist())
    (unit,) = taken.units
    assert unit.events == unit.lacked == len(ids)


async def test_one_piece_that_cannot_be_read_fails_the_whole_unit() -> None:
    """An event without a time in the last piece: no row of the unit is given on."""
    events = [*(an_event(second) for second in range(100)), {"name": "JOINED", "participantId": "p1"}]
    tracked = Tracked(SESSION, 0)
    taken = await Intake(Present(MemoryStore()), piece_size_bytes=1_000).take([(tracked, fetched(events, 7))], STAMP)
    assert taken.rows == []
    assert taken.units[0].error is not None
