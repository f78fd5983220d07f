"""Fetch: every page of one unit's events.

A list whose page token is refused half-way starts over, once. A list that may have shifted under its reader (equal
events on different pages, of a session to which events may still be added) is read once more, and of each such event
the smaller count holds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from exporter.domain import Fetched, Session, Unit
from exporter.errors import TokenRefused
from exporter.identity import page_hashes
from exporter.pages import Pages
from exporter.threads import compute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.api.answers import Page

    Readings = Callable[[], AsyncIterator[Page]]


async def fetch(pages: Readings, unit: Unit, session: Session, final_from_us: int | None) -> Fetched:
    """All events of ``unit``; ``pages`` begins a new reading of its list each time it is called.

    ``final_from_us`` is the moment from which no event is added any more, None while the session is active. Raises
    whatever :class:`ApiError` ended the reading, and :class:`EventUnreadable` where a page is no list of events.
    """
    first = await _whole(pages, unit, session)
    is_final = final_from_us is not None and first.began_us >= final_from_us
    if is_final or not (doubtful := await _on_several_pages(first)):
        return first
    second = await _whole(pages, unit, session)
    doubtful |= await _on_several_pages(second)
    before, now = await _counts(first, doubtful), await _counts(second, doubtful)
    limits = {event: max(1, min(before[event], now[event])) for event in doubtful if event in now}
    return replace(second, limits=limits)


async def _whole(pages: Readings, unit: Unit, session: Session) -> Fetched:
    try:
        return await _read(pages(), unit, session)
    except TokenRefused:
        return await _read(pages(), unit, session)


async def _read(pages: AsyncIterator[Page], unit: Unit, session: Session) -> Fetched:
    bodies = Pages()
    began_us: int | None = None
    async for page in pages:
        began_us = page.served_us if began_us is None else began_us
        bodies.add(page.items)
    return Fetched(unit, session, bodies, began_us or 0, size_bytes=bodies.size_bytes)


async def _on_several_pages(fetched: Fetched) -> set[int]:
    """The identities of events that stand on more than one page."""
    if len(fetched.pages) == 1:
        return set()
    # Page by page, so that nobody else's work waits for a long list.
    pages = [await compute(_distinct, fetched.unit, page) for page in fetched.pages]
    return await compute(_in_several, pages)


def _distinct(unit: Unit, page: bytes) -> pa.Int64Array:
    return pc.unique(pa.array(page_hashes(unit, page), pa.int64()))


def _in_several(pages: list[pa.Int64Array]) -> set[int]:
    counted = pc.value_counts(pa.chunked_array(pages, pa.int64()))
    repeated = counted.filter(pc.greater(counted.field("counts"), 1))
    return set(repeated.field("values").to_pylist())


async def _counts(fetched: Fetched, events: set[int]) -> Counter[int]:
    """How often each of some events stands on the pages together."""
    counts = Counter[int]()
    for page in fetched.pages:
        counts.update(await compute(_those_of, events, fetched.unit, page))
    return counts


def _those_of(events: set[int], unit: Unit, page: bytes) -> list[int]:
    return [each for each in page_hashes(unit, page) if each in events]
