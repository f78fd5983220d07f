"""Which of a unit's events are written, and under which ids. Pure.

An event's id is made of its identity's hash and of its number among the unit's events that are equal in identity
(see :mod:`exporter.identity`). Of k equal events where the lake holds j, k - j are written, under the ids of the lowest
numbers that the lake lacks. They are those whose other fields, all of which are in the column ``extra``, the lake
lacks.

A lake may hold any of a family's numbers: a file that was lost may have had number 0, and another one number 1. Rows
whose ids none of the events at hand explain are asked for what they say of themselves.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest

from exporter.identity import event_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: What stands for the text in ``extra``: its hash, or None where there is none. Texts may be long, and are many.
Extra = int | None

_COUNTED_AT_ONCE = 65_536

NO_IDS: pa.Int64Array = pa.array([], pa.int64())


def extra_of(text: str | None) -> Extra:
    """What stands for a text in ``extra``."""
    return None if text is None else xxh3_64_intdigest(text.encode())


@dataclass(frozen=True, slots=True)
class LakeRow:
    """A row that the lake holds: its id, the hash of its identity, and its other fields."""

    event_id: int
    event_hash: int
    extra: Extra


@dataclass(frozen=True, slots=True)
class Numbered:
    """What is to be written of one unit.

    ``ids`` has an id for each of its events, in their order, and ``is_written`` says of each whether it is written.
    ``events`` counts those that are believed: all but the ones beyond the unit's limits.
    """

    ids: pa.Int64Array
    is_written: pa.BooleanArray
    events: int

    @property
    def written(self) -> int:
        """How many events are written."""
        count: int = self.is_written.true_count
        return count

    def slice(self, start: int, length: int) -> Numbered:
        """The same of some of the events, which all count as believed."""
        return Numbered(self.ids.slice(start, length), self.is_written.slice(start, length), length)

    def of(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Those of the events' rows that are written, with their ids."""
        rows = rows.set_column(rows.schema.get_field_index("event_id"), "event_id", self.ids)
        return rows if self.written == len(self.ids) else rows.filter(self.is_written)


@dataclass(slots=True)
class _Family:
    """Equal events of a unit: their ``places`` in order, how ``many`` to believe, and the ids of the lowest numbers.

    ``held`` are those of the ids that the lake holds, and ``free`` the others, the lowest number first.
    """

    places: Sequence[int]
    many: int
    held: list[int] = field(default_factory=list)
    free: list[int] = field(default_factory=list)


class Numbering:
    """The numbering of one unit's events, in steps, since what some of them need must be read first.

    ``asked`` are ids of rows of the lake. Once `learn` has been told of those rows, `places` are those of the events
    whose other fields must be known to `settle`.
    """

    def __init__(
        self,
        hashes: pa.Int64Array,
        equals: Mapping[int, Sequence[int]],
        limits: Mapping[int, int],
        held: pa.Int64Array = NO_IDS,
    ) -> None:
        """Compare a unit's events with the ids that the lake holds of it.

        ``hashes`` are their identities, and ``equals`` has the places of those of which there are several. Of some
        hashes no more events are believed than ``limits`` say.
        """
        self._hashes = hashes
        self._events = len(hashes)
        self._ids = hashes
        is_held = pc.is_in(hashes, value_set=held)
        self._is_written = pc.invert(is_held)
        self._families: dict[int, _Family] = {}
        if equals:
            self._number(equals, limits, held)
        self._hash_of = {
            each: event_hash
            for event_hash, family in self._families.items()
            if family.held and family.free
            for each in family.held
        }
        self.asked = pa.concat_arrays([pa.array(self._hash_of, pa.int64()), self._not_explained(held, is_held)])
        self._theirs: defaultdict[int, list[Extra]] = defaultdict(list)

    def learn(self, rows: Sequence[LakeRow]) -> None:
        """Take what some of the lake's rows with the ids in ``asked`` say, until all have been told."""
        told = [(self._hash_of.get(row.event_id, row.event_hash), row.extra) for row in rows]
        at = pc.index_in(pa.array([event_hash for event_hash, _ in told], pa.int64()), value_set=self._hashes)
        for (event_hash, extra), place in zip(told, at.to_pylist(), strict=True):
            if place is not None:
                if event_hash not in self._families:
                    free = [event_hash] if self._is_written[place].as_py() else []
                    self._families[event_hash] = _Family([place], 1, [], free)
                self._theirs[event_hash].append(extra)

    def places(self) -> list[int]:
        """The places of the events whose other fields matter: some of their equals are written, and not all."""
        return [
            place
            for event_hash, family in self._families.items()
            if 0 < self._lacking(event_hash, family) < len(family.places)
            for place in family.places
        ]

    def settle(self, extras: Mapping[int, Extra]) -> Numbered:
        """Decide, with the other fields of the events at the places that `learn` asked for."""
        if not self._families:
            return Numbered(self._hashes, self._is_written, self._events)
        ids, is_written = _buffer_of(self._hashes), bytearray(self._is_written.cast(pa.uint8()).to_pylist())
        for event_hash, family in self._families.items():
            lacking = self._lacking(event_hash, family)
            chosen: Iterable[int] = family.places
            if lacking < len(family.places):
                ours = [extras.get(place) for place in family.places] if lacking else ()
                chosen = [family.places[each] for each in choose(ours, self._theirs.get(event_hash, ()), lacking)]
            for place in family.places:
                is_written[place] = False
            for place, free in zip(chosen, family.free, strict=False):
                ids[place], is_written[place] = free, True
        return Numbered(_array_of(ids), pa.array(is_written, pa.uint8()).cast(pa.bool_()), self._events)

    def _lacking(self, event_hash: int, family: _Family) -> int:
        """How many of a family the lake lacks."""
        held = max(len(self._theirs.get(event_hash, ())), len(family.held))
        return max(0, family.many - held)

    def _number(self, equals: Mapping[int, Sequence[int]], limits: Mapping[int, int], held: pa.Int64Array) -> None:
        """Make the families' ids, and see which of them the lake holds."""
        for event_hash, places in equals.items():
            many = min(len(places), limits.get(event_hash, len(places)))
            self._events -= len(places) - many
            self._families[event_hash] = _Family(places, many)
        numbered = array("q", (event_id(each, n) for each, of in self._families.items() for n in range(of.many)))
        is_held = iter(pc.is_in(_array_of(numbered), value_set=held).to_pylist())
        ids = iter(numbered)
        for family in self._families.values():
            for _ in range(family.many):
                (family.held if next(is_held) else family.free).append(next(ids))

    def _not_explained(self, held: pa.Int64Array, is_held: pa.BooleanArray) -> pa.Int64Array:
        """The ids that the lake holds and no event here has, where that can matter."""
        if not len(held):
            return NO_IDS
        explained = [self._hashes.filter(is_held)]
        if self._families:
            explained.append(pa.array([each for family in self._families.values() for each in family.held], pa.int64()))
        unexplained = held.filter(pc.invert(pc.is_in(held, value_set=pa.concat_arrays(explained))))
        is_lacking = self._is_written.true_count or any(family.free for family in self._families.values())
        return unexplained if is_lacking else NO_IDS


def number(
    hashes: Sequence[int], extras: Sequence[Extra], limits: Mapping[int, int], lake: Iterable[LakeRow]
) -> Numbered:
    """What is to be written of a unit whose events are all at hand, with all rows that the lake holds of it."""
    rows = {row.event_id: row for row in lake}
    column = pa.array(hashes, pa.int64())
    numbering = Numbering(column, equals_of(column), limits, pa.array(rows, pa.int64()))
    numbering.learn([rows[each] for each in numbering.asked.to_pylist()])
    return numbering.settle({place: extras[place] for place in numbering.places()})


def plain(hashes: pa.Int64Array) -> Numbered:
    """Every event written under its hash: there are no equal ones, and the lake holds nothing of their unit."""
    return Numbered(hashes, pa.repeat(pa.scalar(value=True), len(hashes)), len(hashes))


def nothing(hashes: pa.Int64Array) -> Numbered:
    """Nothing written, of a unit that has failed."""
    return Numbered(hashes, pa.repeat(pa.scalar(value=False), len(hashes)), 0)


def joined(numbered: Sequence[Numbered]) -> Numbered:
    """What is to be written of many units, one after another."""
    ids = pa.concat_arrays([each.ids for each in numbered])
    is_written = pa.concat_arrays([each.is_written for each in numbered])
    return Numbered(ids, is_written, sum(each.events for each in numbered))


def equals_of(hashes: pa.Int64Array) -> dict[int, list[int]]:
    """The places of a unit's events that are equal in identity, by their hash; mostly there are none."""
    several = repeated(hashes)
    if not len(several):
        return {}
    groups: defaultdict[int, list[int]] = defaultdict(list)
    places = pc.indices_nonzero(pc.is_in(hashes, value_set=several))
    for place, event_hash in zip(places.to_pylist(), hashes.take(places).to_pylist(), strict=True):
        groups[event_hash].append(place)
    return dict(groups)


def repeated(hashes: pa.Int64Array) -> pa.Int64Array:
    """Those of some hashes that are there more than once."""
    # Counting takes some hundred bytes for each different hash, so of many it is done for a part at a time.
    parts = 1 << (len(hashes) // _COUNTED_AT_ONCE).bit_length()
    if parts == 1:
        return _repeated(hashes)
    part = pc.bit_wise_and(hashes, parts - 1)
    return pa.concat_arrays([_repeated(hashes.filter(pc.equal(part, each))) for each in range(parts)])


def _repeated(hashes: pa.Int64Array) -> pa.Int64Array:
    counted = pc.value_counts(hashes)
    return counted.field("values").filter(pc.greater(counted.field("counts"), 1))


def choose(ours: Sequence[Extra], theirs: Iterable[Extra], count: int) -> list[int]:
    """The places of the ``count`` of our equal events that are to be written: those whose other fields the lake lacks.

    Where these are more, one of each kind comes before a second, and what has other fields before what has none; it
    does not depend on their order.
    """
    held, seen = Counter(theirs), Counter[Extra]()
    ranked: list[tuple[int, bool, int, int]] = []
    for place, extra in enumerate(ours):
        seen[extra] += 1
        if seen[extra] > held[extra]:
            ranked.append((seen[extra] - held[extra], extra is None, extra or 0, place))
    return sorted(place for *_, place in sorted(ranked)[:count])


def _buffer_of(column: pa.Int64Array) -> array[int]:
    copied = array("q")
    size_bytes = copied.itemsize
    data = column.buffers()[1]
    if data is not None:
        copied.frombytes(memoryview(data)[column.offset * size_bytes : (column.offset + len(column)) * size_bytes])
    return copied


def _array_of(numbers: array[int]) -> pa.Int64Array:
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])
