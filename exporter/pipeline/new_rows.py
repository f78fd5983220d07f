"""From fetched units to those rows of the table ``events`` that the lake lacks.

A unit too large for memory passes in pieces, and is whole with the last one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.compute import compute
from exporter.errors import EventUnreadable, FileDamaged
from exporter.normalize.decode import cut, decode
from exporter.normalize.events import EventRows, event_rows
from exporter.normalize.hashed_pages import HashedPages, hash_page
from exporter.normalize.hidden_identities import HiddenIdentities
from exporter.normalize.numbering import NO_IDS, extra_of, joined, nothing
from exporter.pipeline.comparison import LOOKUP_FAILURES, Comparison, compare, comparisons_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from exporter.commit_log.sealing import SessionProgress
    from exporter.model import FetchedUnit
    from exporter.normalize.columns import Stamp
    from exporter.normalize.events import Unreadable
    from exporter.normalize.numbering import Extra, Numbered
    from exporter.normalize.privacy import Privacy
    from exporter.pipeline.budget import LoopTurns
    from exporter.pipeline.known_events import KnownEvents, LookupFailure

#: Events of a unit, at most: a participant is connected for 24 hours, and a list ends after 20,000 pages of 100.
EVENTS_MAX = 2_000_000
# The event loop stands still meanwhile: ten milliseconds, or seventy where each event has a field that is unknown.
_TURN_SIZE_BYTES = 1 << 19


@dataclass(slots=True)
class UnitResult:
    """What became of one unit: how many events it has and how many of them the lake lacked, or why it has no rows."""

    progress: SessionProgress
    fetched: FetchedUnit
    events: int = 0
    lacked: int = 0
    error: Unreadable | LookupFailure | None = None


@dataclass(slots=True)
class NewEventRows:
    """Rows that the lake lacks, and the results of the units that are whole with them."""

    units: list[UnitResult]
    rows: pa.RecordBatch
    unknown_fields: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class EventRowMaker:
    """Makes rows of fetched units' events, as ``privacy`` lets them be written, without those that the lake holds.

    A unit with more raw bytes than ``piece_size_bytes`` passes in pieces of about that size. `take` and `pieces`
    raise :class:`LakeError` where what the lake holds can't be read.
    """

    known: KnownEvents
    turns: LoopTurns
    piece_size_bytes: int
    privacy: Privacy

    def is_large(self, fetched: FetchedUnit) -> bool:
        """Whether a unit passes in pieces."""
        return fetched.size_bytes > self.piece_size_bytes

    async def take(self, batch: Sequence[tuple[SessionProgress, FetchedUnit]], stamp: Stamp) -> NewEventRows:
        """Make the new rows of many units at once."""
        normal = await self._normalized([fetched for _, fetched in batch], stamp)
        lake_ids = await self.known.ids({fetched.unit: progress for progress, fetched in batch})
        comparisons = comparisons_of(batch, normal, lake_ids)

        reading = _InRows(normal.rows, hides=not self.privacy.keeps_all)
        numbered = await compare(comparisons, self.known, reading)
        units = [_result(comparison, numbered[comparison.unit]) for comparison in comparisons]
        rows = normal.rows
        if not all(comparison.is_plain for comparison in comparisons):
            rows = joined(_written(numbered[comparison.unit], comparison) for comparison in comparisons).of(rows)
        return NewEventRows(units, rows, normal.unknown_fields)

    async def pieces(
        self, progress: SessionProgress, fetched: FetchedUnit, stamp: Stamp
    ) -> AsyncIterator[NewEventRows]:
        """Make the new rows of one unit piece by piece; it is whole with the last one, which has its result.

        All of its events are numbered before the first piece. Raises :class:`EventUnreadable` and
        :class:`TemporaryFolderRefused` where the unit can't be read, and :class:`FileDamaged` where a file that holds
        rows of it can't: the pieces before are worth nothing then.
        """
        numbered = await self._numbered_whole(progress, fetched, stamp)
        start, end = 0, len(numbered.ids)
        async for normal in self.rows_by_piece(fetched, stamp):
            count = normal.slices.row_count
            rows = numbered.slice(start, count).of(normal.rows)
            start += count
            is_last = start == end
            units = [UnitResult(progress, fetched, len(numbered.ids), numbered.written)] if is_last else []
            yield NewEventRows(units, rows, normal.unknown_fields)

    async def rows_by_piece(self, fetched: FetchedUnit, stamp: Stamp) -> AsyncIterator[EventRows]:
        """Make all rows of one unit piece by piece. Raises the error of a piece that can't be read."""
        async for pages in self._pieces(fetched):
            piece = replace(fetched, pages=pages, size_bytes=sum(map(len, pages)))
            normal = await self._normalized([piece], stamp)
            if fetched.unit in normal.unreadable:
                raise normal.unreadable[fetched.unit]
            yield normal

    async def _normalized(self, fetched: Sequence[FetchedUnit], stamp: Stamp) -> EventRows:
        if sum(unit.size_bytes for unit in fetched) > _TURN_SIZE_BYTES:
            return await compute(event_rows, fetched, stamp, self.privacy)
        async with self.turns.take():
            return event_rows(fetched, stamp, self.privacy)

    async def _numbered_whole(self, progress: SessionProgress, fetched: FetchedUnit, stamp: Stamp) -> Numbered:
        """Say which events of a large unit are written, under which ids. Raises what `pieces` does."""
        hashes = await _hashes(fetched)
        lake_ids = (await self.known.ids({fetched.unit: progress}))[fetched.unit]
        if isinstance(lake_ids, LOOKUP_FAILURES):
            raise lake_ids
        comparison = Comparison(progress, fetched, range(len(hashes)), hashes, has_equals=True, lake_ids=lake_ids)
        numbered = (await compare([comparison], self.known, _InPages(self, stamp)))[fetched.unit]
        if isinstance(numbered, FileDamaged):
            raise numbered
        return numbered

    async def _pieces(self, fetched: FetchedUnit) -> AsyncIterator[tuple[bytes, ...]]:
        piece: list[bytes] = []
        room = self.piece_size_bytes
        async for page in self.small_pages(fetched):
            piece.append(page)
            room -= len(page)
            if room <= 0:
                yield tuple(piece)
                piece, room = [], self.piece_size_bytes
        if piece:
            yield tuple(piece)

    async def small_pages(self, fetched: FetchedUnit) -> AsyncIterator[bytes]:
        """A unit's pages, those that are larger than a piece cut into pages of about its size."""
        for page in fetched.pages:
            if len(page) <= self.piece_size_bytes:
                yield page
                continue
            parts = cut(page, self.piece_size_bytes)
            while part := await compute(next, parts, None):
                yield part


@dataclass(frozen=True, slots=True)
class _InRows:
    """Reads more of a batch's events from their rows."""

    rows: pa.RecordBatch
    hides: bool

    async def extras(self, comparison: Comparison, indexes: list[int]) -> Mapping[int, Extra]:
        column = self.rows.column("extra")
        return {index: extra_of(column[comparison.rows[index]].as_py()) for index in indexes}

    async def identities(self, comparison: Comparison) -> HiddenIdentities | None:
        if not self.hides:
            return None
        identities = HiddenIdentities()
        identities.add(self.rows.slice(comparison.rows.start, len(comparison.rows)))
        return identities


@dataclass(frozen=True, slots=True)
class _InPages:
    """Reads more of a large unit's events from its pages, which are read once more."""

    row_maker: EventRowMaker
    stamp: Stamp

    async def extras(self, comparison: Comparison, indexes: list[int]) -> Mapping[int, Extra]:
        found: dict[int, Extra] = {}
        wanted, start = set(indexes), 0
        async for page in self.row_maker.small_pages(comparison.fetched):
            decoded = await compute(decode, comparison.unit, (page,))
            for index, extra in decoded.extras.items():
                if start + index in wanted:
                    found[start + index] = extra_of(self.row_maker.privacy.extra_of(extra))
            start += len(decoded.events)
        return found

    async def identities(self, comparison: Comparison) -> HiddenIdentities | None:
        if self.row_maker.privacy.keeps_all:
            return None
        identities = HiddenIdentities()
        async for normal in self.row_maker.rows_by_piece(comparison.fetched, self.stamp):
            identities.add(normal.rows)
        return identities


async def _hashes(fetched: FetchedUnit) -> pa.Int64Array:
    """The identities of all events of a unit: 8 bytes for each. Raises :class:`EventUnreadable`."""
    by_page, count = [NO_IDS], 0
    async for hashes in _hashes_by_page(fetched):
        by_page.append(hashes)
        count += len(hashes)
        if count > EVENTS_MAX:
            raise EventUnreadable(f"it has more than {EVENTS_MAX:,} events")
    return pa.concat_arrays(by_page)


async def _hashes_by_page(fetched: FetchedUnit) -> AsyncIterator[pa.Int64Array]:
    if isinstance(fetched.pages, HashedPages):
        for hashes in fetched.pages.hashes_by_page:
            yield hashes
    else:
        for page in fetched.pages:
            yield (await compute(hash_page, fetched.unit, page)).hashes


def _result(comparison: Comparison, numbered: Numbered | FileDamaged) -> UnitResult:
    if isinstance(numbered, FileDamaged):
        return UnitResult(comparison.progress, comparison.fetched, error=numbered)
    if comparison.error:
        return UnitResult(comparison.progress, comparison.fetched, error=comparison.error)
    return UnitResult(comparison.progress, comparison.fetched, len(numbered.ids), numbered.written)


def _written(numbered: Numbered | FileDamaged, comparison: Comparison) -> Numbered:
    return nothing(comparison.hashes) if isinstance(numbered, FileDamaged) else numbered
