"""From fetched units to the rows that the lake lacks. A unit too large for memory passes in pieces, and stays whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from exporter.identity import event_id
from exporter.normalize import Normalized, Stamp, normalize
from exporter.present import Present, align, lacking, partly_held
from exporter.threads import compute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from exporter.domain import Fetched
    from exporter.errors import EventUnreadable
    from exporter.tracking import Tracked
    from exporter.turns import Turns


# The event loop stands still meanwhile: ten milliseconds, or seventy where each event has a field that is unknown.
_TURN_SIZE_BYTES = 1 << 19


@dataclass(slots=True)
class UnitTaken:
    """What came of one unit: its events, those of them that the lake lacked, or why it can't be read."""

    tracked: Tracked
    fetched: Fetched
    events: int = 0
    lacked: int = 0
    error: EventUnreadable | None = None


@dataclass(slots=True)
class Taken:
    """Some units, or a piece of one, and the rows of them that the lake lacks."""

    units: list[UnitTaken]
    rows: pa.RecordBatch
    unknown_fields: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Intake:
    """Normalizes what was fetched, and leaves out what is in the lake already.

    A unit with more raw bytes than ``piece_size_bytes`` passes in pieces of about that size.
    """

    present: Present
    turns: Turns
    piece_size_bytes: int

    def is_large(self, fetched: Fetched) -> bool:
        """Whether a unit passes in pieces."""
        return fetched.size_bytes > self.piece_size_bytes

    async def take(self, batch: Sequence[tuple[Tracked, Fetched]], stamp: Stamp) -> Taken:
        """The rows of many units at once."""
        normal = await self._normalized([fetched for _, fetched in batch], stamp)
        return await self._taken(batch, normal)

    async def pieces(self, tracked: Tracked, fetched: Fetched, stamp: Stamp) -> AsyncIterator[Taken]:
        """One unit, piece by piece.

        Raises :class:`EventUnreadable` at the first piece that can't be read: those before it are worth nothing then.
        """
        seen = pa.chunked_array([], pa.int64())
        for pages in _pieces(fetched.pages, self.piece_size_bytes):
            piece = replace(fetched, pages=pages, limits={}, size_bytes=sum(map(len, pages)))
            normal = await self._normalized([piece], stamp)
            if fetched.unit in normal.unreadable:
                raise normal.unreadable[fetched.unit]
            hashes = pa.array(normal.hashes, pa.int64())
            normal = await compute(_numbered_on, normal, hashes, seen, fetched.limits)
            seen = pa.chunked_array([*seen.chunks, hashes])
            yield await self._taken([(tracked, piece)], normal)

    async def _normalized(self, fetched: Sequence[Fetched], stamp: Stamp) -> Normalized:
        if sum(each.size_bytes for each in fetched) > _TURN_SIZE_BYTES:
            return await compute(normalize, fetched, stamp)
        async with self.turns.take():
            return normalize(fetched, stamp)

    async def _taken(self, batch: Sequence[tuple[Tracked, Fetched]], normal: Normalized) -> Taken:
        rows, lacked = await self._lacking(batch, normal)
        units = [
            UnitTaken(tracked, fetched, normal.counts[place], lacked[place], normal.unreadable.get(fetched.unit))
            for place, (tracked, fetched) in enumerate(batch)
        ]
        return Taken(units, rows, normal.unknown_fields)

    async def _lacking(
        self, batch: Sequence[tuple[Tracked, Fetched]], normal: Normalized
    ) -> tuple[pa.RecordBatch, list[int]]:
        """The rows of a batch that the lake does not hold yet, and how many of each unit."""
        units = [(tracked, fetched.unit.participant_id) for tracked, fetched in batch]
        rows, ids = normal.rows, normal.rows.column("event_id")
        held = await self.present.mask(units, normal.counts, ids)
        if equals := partly_held(normal.equals, held):
            known = [ids[place].as_py() for places in equals for place in places if held[place]]
            rows = align(rows, equals, held, await self.present.extras([tracked for tracked, _ in units], known))
        return lacking(rows, normal.counts, held)


def _pieces(pages: Iterable[bytes], size_bytes: int) -> Iterator[tuple[bytes, ...]]:
    piece: list[bytes] = []
    room = size_bytes
    for page in pages:
        piece.append(page)
        room -= len(page)
        if room <= 0:
            yield tuple(piece)
            piece, room = [], size_bytes
    if piece:
        yield tuple(piece)


def _numbered_on(
    normal: Normalized, hashes: pa.Int64Array, seen: pa.ChunkedArray, limits: Mapping[int, int]
) -> Normalized:
    """A piece whose equal events go on from the numbers that earlier pieces gave, as far as ``limits`` allow."""
    earlier = Counter(seen.filter(pc.is_in(seen, value_set=hashes)).to_pylist())
    if not earlier and not limits:
        return normal
    number = Counter(earlier)
    ids, kept = [], []
    for each in normal.hashes:
        ids.append(event_id(each, number[each]))
        kept.append(number[each] < limits.get(each, number[each] + 1))
        number[each] += 1
    rows = normal.rows.set_column(normal.rows.schema.get_field_index("event_id"), "event_id", pa.array(ids, pa.int64()))
    # Which of a piece's equals are whose is told by their ids alone from here on.
    return replace(normal, rows=rows.filter(pa.array(kept)), counts=[sum(kept)], equals=[])
