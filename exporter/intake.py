"""From fetched units to the rows that the lake lacks. A unit too large for memory passes in pieces, and stays whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from exporter.identity import event_id
from exporter.normalize import Normalized, Stamp, normalize
from exporter.present import Present, align, lacking, partly_held

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from exporter.domain import Fetched
    from exporter.errors import EventUnreadable
    from exporter.tracking import Tracked

#: A unit with more raw bytes than this is taken in pieces.
PIECE_SIZE_BYTES = 4 << 20


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
    """Some units, and the rows of them that the lake lacks."""

    units: list[UnitTaken]
    rows: list[pa.RecordBatch] = field(default_factory=list)
    unknown_fields: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Intake:
    """Normalizes what was fetched, and leaves out what is in the lake already."""

    present: Present
    piece_size_bytes: int = PIECE_SIZE_BYTES

    def is_large(self, fetched: Fetched) -> bool:
        """Whether a unit has to be taken alone."""
        return fetched.size_bytes > self.piece_size_bytes

    async def take(self, batch: Sequence[tuple[Tracked, Fetched]], stamp: Stamp) -> Taken:
        """The rows of many units at once, or of one that is large."""
        if len(batch) == 1 and self.is_large(batch[0][1]):
            return await self._take_large(*batch[0], stamp)
        normal = await asyncio.to_thread(normalize, [fetched for _, fetched in batch], stamp)
        rows, lacked = await self._lacking(batch, normal)
        units = [
            UnitTaken(tracked, fetched, normal.counts[place], lacked[place], normal.unreadable.get(fetched.unit))
            for place, (tracked, fetched) in enumerate(batch)
        ]
        return Taken(units, [rows], normal.unknown_fields)

    async def _take_large(self, tracked: Tracked, fetched: Fetched, stamp: Stamp) -> Taken:
        """One unit, piece by piece. Nothing of it is given on before all of it could be read."""
        unit = UnitTaken(tracked, fetched)
        taken = Taken([unit])
        seen: list[pa.Int64Array] = []
        for pages in _pieces(fetched.pages, self.piece_size_bytes):
            piece = replace(fetched, pages=pages, limits={})
            normal = await asyncio.to_thread(normalize, [piece], stamp)
            taken.unknown_fields += normal.unknown_fields
            if fetched.unit in normal.unreadable:
                return Taken([replace(unit, events=0, lacked=0, error=normal.unreadable[fetched.unit])])
            hashes = pa.array(normal.hashes, pa.int64())
            normal = await asyncio.to_thread(_numbered_on, normal, hashes, seen, fetched.limits)
            seen.append(hashes)
            rows, (lacked,) = await self._lacking([(tracked, piece)], normal)
            unit.events += normal.counts[0]
            unit.lacked += lacked
            taken.rows.append(rows)
        return taken

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
    normal: Normalized, hashes: pa.Int64Array, seen: Sequence[pa.Int64Array], limits: Mapping[int, int]
) -> Normalized:
    """A piece whose equal events go on from the numbers that earlier pieces gave, as far as ``limits`` allow."""
    earlier: Counter[int] = Counter()
    for part in seen:
        earlier.update(part.filter(pc.is_in(part, value_set=hashes)).to_pylist())
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
