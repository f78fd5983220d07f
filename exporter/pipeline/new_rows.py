"""From fetched units to the rows that the lake lacks. A unit too large for memory passes in pieces, and stays whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from exporter.compute import compute
from exporter.errors import EventUnreadable, FileDamaged, TemporaryFolderRefused
from exporter.normalize.decode import cut, decode
from exporter.normalize.equals import repeated
from exporter.normalize.event_id import page_hash_column
from exporter.normalize.events import Normalized, Stamp, normalize
from exporter.normalize.hashed_pages import HashedPages
from exporter.normalize.numbering import NO_IDS, Extra, Numbered, Numbering, extra_of, joined, nothing, plain
from exporter.pipeline.known_events import AskedRows, KnownEvents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from exporter.commit_log.sealing import SessionProgress
    from exporter.model import FetchedUnit, Unit
    from exporter.normalize.events import Unreadable
    from exporter.pipeline.budget import LoopTurns
    from exporter.pipeline.known_events import NotHad

    #: What stands in ``extra`` of some of a unit's events, by their places.
    ExtrasOf = Callable[["_Part", list[int]], Awaitable[Mapping[int, Extra]]]

#: Events of a unit, at most: a participant is connected for 24 hours, and a list ends after 20,000 pages of 100.
EVENTS_MAX = 2_000_000
# The event loop stands still meanwhile: ten milliseconds, or seventy where each event has a field that is unknown.
_TURN_SIZE_BYTES = 1 << 19
_NOT_HAD = (TemporaryFolderRefused, FileDamaged)


@dataclass(slots=True)
class UnitResult:
    """What came of one unit: its events, those of them that the lake lacked, or why it can't be read."""

    tracked: SessionProgress
    fetched: FetchedUnit
    events: int = 0
    lacked: int = 0
    error: Unreadable | NotHad | None = None


@dataclass(slots=True)
class NewRows:
    """Rows that the lake lacks, and the units that are taken whole with them."""

    units: list[UnitResult]
    rows: pa.RecordBatch
    unknown_fields: Counter[str] = field(default_factory=Counter)


class _Part(NamedTuple):
    """One unit among others: its rows begin at ``start``.

    ``held`` are the ids that the lake holds of it.
    """

    tracked: SessionProgress
    fetched: FetchedUnit
    start: int
    hashes: pa.Int64Array
    has_equals: bool
    held: pa.Int64Array
    error: Unreadable | NotHad | None = None

    @property
    def is_plain(self) -> bool:
        """Whether every event is written, under its hash."""
        return not (self.has_equals or len(self.held) or self.error)


@dataclass(slots=True)
class RowMaker:
    """Normalizes what was fetched, and leaves out what is in the lake already.

    A unit with more raw bytes than ``piece_size_bytes`` passes in pieces of about that size. Both ways of taking units
    raise :class:`LakeError` where what the lake holds can't be read.
    """

    present: KnownEvents
    turns: LoopTurns
    piece_size_bytes: int

    def is_large(self, fetched: FetchedUnit) -> bool:
        """Whether a unit passes in pieces."""
        return fetched.size_bytes > self.piece_size_bytes

    async def take(self, batch: Sequence[tuple[SessionProgress, FetchedUnit]], stamp: Stamp) -> NewRows:
        """The rows of many units at once."""
        normal = await self._normalized([fetched for _, fetched in batch], stamp)
        held = await self.present.ids([(tracked, fetched.unit.participant_id) for tracked, fetched in batch])
        parts = _parts(batch, normal, held)

        async def extras(part: _Part, places: list[int]) -> Mapping[int, Extra]:
            column = normal.rows.column("extra")
            return {place: extra_of(column[part.start + place].as_py()) for place in places}

        numbered = await self._numbered(parts, extras)
        units = [
            UnitResult(part.tracked, part.fetched, error=each)
            if isinstance(each, FileDamaged)
            else UnitResult(part.tracked, part.fetched, each.events, each.written, part.error)
            for part, each in zip(parts, numbered, strict=True)
        ]
        if all(part.is_plain for part in parts):
            return NewRows(units, normal.rows, normal.unknown_fields)
        kept = [
            nothing(part.hashes) if isinstance(each, FileDamaged) else each
            for part, each in zip(parts, numbered, strict=True)
        ]
        return NewRows(units, joined(kept).of(normal.rows), normal.unknown_fields)

    async def pieces(self, tracked: SessionProgress, fetched: FetchedUnit, stamp: Stamp) -> AsyncIterator[NewRows]:
        """One unit, piece by piece; it is whole with the last one, which names it.

        All of its events are numbered before the first piece. Raises :class:`EventUnreadable` and
        :class:`TemporaryFolderRefused` where it can't be read, and :class:`FileDamaged` where a file that holds rows of
        it can't: the pieces before are worth nothing then.
        """
        hashes = await self._hashes(fetched)
        (held,) = await self.present.ids([(tracked, fetched.unit.participant_id)])
        if isinstance(held, _NOT_HAD):
            raise held
        part = _Part(tracked, fetched, 0, hashes, has_equals=True, held=held)
        (numbered,) = await self._numbered([part], self._extras_in_pages)
        if isinstance(numbered, FileDamaged):
            raise numbered
        start = 0
        async for pages in self._pieces(fetched):
            piece = replace(fetched, pages=pages, limits={}, size_bytes=sum(map(len, pages)))
            normal = await self._normalized([piece], stamp)
            if fetched.unit in normal.unreadable:
                raise normal.unreadable[fetched.unit]
            rows = numbered.slice(start, normal.slices.row_count).of(normal.rows)
            start += normal.slices.row_count
            is_last = start == len(hashes)
            units = [UnitResult(tracked, fetched, numbered.events, numbered.written)] if is_last else []
            yield NewRows(units, rows, normal.unknown_fields)

    async def _normalized(self, fetched: Sequence[FetchedUnit], stamp: Stamp) -> Normalized:
        if sum(each.size_bytes for each in fetched) > _TURN_SIZE_BYTES:
            return await compute(normalize, fetched, stamp)
        async with self.turns.take():
            return normalize(fetched, stamp)

    async def _numbered(self, parts: Sequence[_Part], extras: ExtrasOf) -> list[Numbered | FileDamaged]:
        """What is to be written of each unit, by what the lake holds of it; or which file of it is damaged."""
        numbered: list[Numbered | FileDamaged]
        numbered = [plain(part.hashes) if part.is_plain else nothing(part.hashes) for part in parts]
        open_parts = {place: part for place, part in enumerate(parts) if not (part.is_plain or part.error)}
        numberings = await compute(_compared, open_parts) if open_parts else {}
        units = {parts[place].fetched.unit: each for place, each in numberings.items()}
        asked = {
            part.fetched.unit: AskedRows(numberings[place].asked, part.tracked.event_files)
            for place, part in open_parts.items()
        }
        damaged: dict[Unit, FileDamaged] = {}
        async for unit, rows in self.present.rows(asked):
            if isinstance(rows, FileDamaged):
                damaged[unit] = rows
            else:
                units[unit].learn(rows)
        for place, numbering in numberings.items():
            if error := damaged.get(parts[place].fetched.unit):
                numbered[place] = error
                continue
            places = numbering.places()
            told = await extras(parts[place], places) if places else {}
            numbered[place] = numbering.settle(told)
        return numbered

    async def _hashes(self, fetched: FetchedUnit) -> pa.Int64Array:
        """The identities of all events of a unit: 8 bytes for each."""
        count, by_page = 0, [NO_IDS]
        async for hashes in _hashes_by_page(fetched):
            count += len(hashes)
            if count > EVENTS_MAX:
                raise EventUnreadable(f"it has more than {EVENTS_MAX:,} events")
            by_page.append(hashes)
        return pa.concat_arrays(by_page)

    async def _extras_in_pages(self, part: _Part, places: list[int]) -> Mapping[int, Extra]:
        """What stands in ``extra`` of some events of a large unit."""
        found: dict[int, Extra] = {}
        wanted, start = set(places), 0
        async for page in self._slices(part.fetched):
            decoded = await compute(decode, part.fetched.unit, (page,))
            for place, extra in decoded.extras.items():
                if start + place in wanted:
                    found[start + place] = extra_of(extra)
            start += len(decoded.events)
        return found

    async def _pieces(self, fetched: FetchedUnit) -> AsyncIterator[tuple[bytes, ...]]:
        piece: list[bytes] = []
        room = self.piece_size_bytes
        async for page in self._slices(fetched):
            piece.append(page)
            room -= len(page)
            if room <= 0:
                yield tuple(piece)
                piece, room = [], self.piece_size_bytes
        if piece:
            yield tuple(piece)

    async def _slices(self, fetched: FetchedUnit) -> AsyncIterator[bytes]:
        """A unit's pages, none of them much larger than a piece."""
        for page in fetched.pages:
            if len(page) <= self.piece_size_bytes:
                yield page
                continue
            parts = cut(page, self.piece_size_bytes)
            while part := await compute(next, parts, None):
                yield part


async def _hashes_by_page(fetched: FetchedUnit) -> AsyncIterator[pa.Int64Array]:
    if isinstance(fetched.pages, HashedPages):
        for hashes in fetched.pages.hashes_by_page:
            yield hashes
    else:
        for page in fetched.pages:
            yield await compute(page_hash_column, fetched.unit, page)


def _parts(
    batch: Sequence[tuple[SessionProgress, FetchedUnit]], normal: Normalized, held: Sequence[pa.Int64Array | NotHad]
) -> list[_Part]:
    """The units of a batch, each with its part of the rows."""
    hashes = normal.rows.column("event_id")
    several = repeated(hashes)
    is_repeated = pc.is_in(hashes, value_set=several) if len(several) else None
    parts = []
    for (tracked, fetched), rows, ids in zip(batch, normal.slices.ranges, held, strict=True):
        start, count = rows.start, len(rows)
        error = normal.unreadable.get(fetched.unit) or (ids if isinstance(ids, _NOT_HAD) else None)
        held_ids = NO_IDS if isinstance(ids, _NOT_HAD) else ids
        has_equals = is_repeated is not None and is_repeated.slice(start, count).true_count > 0
        parts.append(_Part(tracked, fetched, start, hashes.slice(start, count), has_equals, held_ids, error))
    return parts


def _compared(parts: Mapping[int, _Part]) -> dict[int, Numbering]:
    return {place: _numbering_of(part) for place, part in parts.items()}


def _numbering_of(part: _Part) -> Numbering:
    return Numbering(part.hashes, part.fetched.limits, part.held, has_equals=part.has_equals)
