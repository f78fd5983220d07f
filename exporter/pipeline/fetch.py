"""Fetch: every page of one unit's events.

A list whose page token is refused half-way starts over, once. A list may shift while it is read: an event that is added
moves others to the next page, where they are read again. So events that say the same on different pages, of a session
to which events may still be added, have the list read once more, and the smaller of the two counts holds for them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.compute import compute
from exporter.errors import TokenRefused
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.hashed_pages import DecodedEvents, HashedPages, hash_page, hash_pages
from exporter.normalize.shifts import doubted, on_several, without
from exporter.pipeline.page_spool import MEMORY_SIZE_BYTES_MAX, PageSpool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Mapping

    from exporter.ivs.responses import Page

    Readings = Callable[[], AsyncIterator[Page]]


# Beyond this, in all scopes, pages are decoded again when rows are made of them: 32 MiB are some 600 everyday pages.
_decoded_events = DecodedEvents(32 << 20)


async def fetch(pages: Readings, unit: Unit, session: Session, final_from_us: int | None) -> FetchedUnit:
    """Fetch all events of ``unit``; ``pages`` begins a new reading of its list each time it is called.

    ``final_from_us`` is the moment from which no event is added any more, None while the session is active. Raises
    whatever :class:`ApiError` ended the reading, :class:`EventUnreadable` where a page is no list of events, and
    :class:`TemporaryFolderRefused` where the pages are many and can't be kept.
    """
    first = await _whole(pages, unit, session)
    # 1. The list can't have shifted: it is final, or has one page.
    if _is_final(first, final_from_us) or len(first.pages) == 1:
        return first
    hashed = await _hashed(first)
    before = hashed.contents_by_page
    # 2. It shows no event on two pages: where it has shifted, nothing came of it.
    if not len(await compute(on_several, before)):
        return _with_hashes(first, hashed)
    del first, hashed  # the second reading shall not stand in memory beside the first
    second = await _whole(pages, unit, session)
    hashed = await _hashed(second)
    # 3. It has become final meanwhile: nothing shifts any more, and what has become more is more.
    if _is_final(second, final_from_us):
        return _with_hashes(second, hashed)
    # 4. It may have shifted: of the events that stand on several pages, the smaller count holds.
    if by_page := await compute(doubted, before, hashed.contents_by_page):
        second = await _without(second, by_page)
        hashed = await _hashed(second)
    return _with_hashes(second, hashed)


def _is_final(fetched: FetchedUnit, final_from_us: int | None) -> bool:
    return final_from_us is not None and fetched.began_us >= final_from_us


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


async def _without(fetched: FetchedUnit, doubted_by_page: Mapping[int, Container[int]]) -> FetchedUnit:
    believed = PageSpool()
    for number, page in enumerate(fetched.pages):
        indexes = doubted_by_page.get(number)
        believed.add(await compute(without, page, indexes) if indexes else page)
    return replace(fetched, pages=believed, size_bytes=believed.size_bytes)


async def _hashed(fetched: FetchedUnit) -> HashedPages:
    """The pages with the identities of their events, and with the events themselves where they are few."""
    if fetched.size_bytes <= MEMORY_SIZE_BYTES_MAX:
        return await compute(hash_pages, fetched.unit, fetched.pages)
    # Page by page, so that other work does not wait for a long list.
    by_page = [await compute(hash_page, fetched.unit, page) for page in fetched.pages]
    return HashedPages(fetched.pages, tuple(page.hashes for page in by_page), tuple(page.contents for page in by_page))


def _with_hashes(fetched: FetchedUnit, hashed: HashedPages) -> FetchedUnit:
    return replace(fetched, pages=_decoded_events.keep(hashed, fetched.size_bytes))
