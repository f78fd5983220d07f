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

from exporter.compute import compute
from exporter.errors import TokenRefused
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.equals import repeated
from exporter.normalize.event_id import page_hash_column
from exporter.pipeline.page_spool import PageSpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.ivs.responses import Page

    Readings = Callable[[], AsyncIterator[Page]]


async def fetch(pages: Readings, unit: Unit, session: Session, final_from_us: int | None) -> FetchedUnit:
    """All events of ``unit``; ``pages`` begins a new reading of its list each time it is called.

    ``final_from_us`` is the moment from which no event is added any more, None while the session is active. Raises
    whatever :class:`ApiError` ended the reading, :class:`EventUnreadable` where a page is no list of events, and
    :class:`TemporaryFolderRefused` where the pages are many and can't be kept.
    """
    first = await _whole(pages, unit, session)
    is_final = final_from_us is not None and first.began_us >= final_from_us
    if is_final or len(first.pages) == 1:
        return first
    before = await _hashes(first)
    if not len(await compute(_on_several, before)):
        return replace(first, hashes=pa.concat_arrays(before))
    second = await _whole(pages, unit, session)
    now = await _hashes(second)
    if final_from_us is not None and second.began_us >= final_from_us:  # nothing shifts any more, and more is more
        return replace(second, hashes=pa.concat_arrays(now))
    limits = await compute(_limits, before, now)
    return replace(second, limits=limits, hashes=pa.concat_arrays(now))


async def _whole(pages: Readings, unit: Unit, session: Session) -> FetchedUnit:
    try:
        return await _read(pages(), unit, session)
    except TokenRefused:
        return await _read(pages(), unit, session)


async def _read(pages: AsyncIterator[Page], unit: Unit, session: Session) -> FetchedUnit:
    bodies = PageSpool()
    began_us: int | None = None
    async for page in pages:
        began_us = page.served_us if began_us is None else began_us
        bodies.add(page.items)
    return FetchedUnit(unit, session, bodies, began_us or 0, size_bytes=bodies.size_bytes)


async def _hashes(fetched: FetchedUnit) -> list[pa.Int64Array]:
    """The identities of the events of each page."""
    # Page by page, so that nobody else's work waits for a long list.
    hashes = [await compute(page_hash_column, fetched.unit, page) for page in fetched.pages]
    return hashes or [pa.array([], pa.int64())]


def _on_several(pages: list[pa.Int64Array]) -> pa.Int64Array:
    """The identities of events that stand on more than one page."""
    return repeated(pa.concat_arrays([pc.unique(page) for page in pages]))


def _limits(before: list[pa.Int64Array], now: list[pa.Int64Array]) -> dict[int, int]:
    """How many to believe of events that stand on several pages, where a second reading shows more than the first."""
    doubtful = pc.unique(pa.concat_arrays([_on_several(before), _on_several(now)]))
    counts = _counts(before, doubtful)
    return {event: max(1, counts[event]) for event, count in _counts(now, doubtful).items() if count > counts[event]}


def _counts(pages: list[pa.Int64Array], events: pa.Int64Array) -> Counter[int]:
    """How often each of some events stands on the pages together."""
    # One look at all pages: each look costs as much as there are events.
    hashes = pa.concat_arrays(pages)
    counted = pc.value_counts(hashes.filter(pc.is_in(hashes, value_set=events)))
    values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    return Counter(dict(zip(values, counts, strict=True)))
