"""Which of a unit's events are written, and under which ids. Pure.

An event's id is made of its identity's hash and of its number among the unit's events that are equal in identity
(see :mod:`exporter.normalize.event_id`). Of k equal events where the lake holds j, k - j are written, under the ids of
the lowest numbers that the lake lacks. They are those whose other fields, all of which are in the column ``extra``, the
lake lacks.

A lake may hold any of a family's numbers: a file that was lost may have had number 0, and another one number 1. Rows
whose ids none of the events at hand explain are asked for what they say of themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest

from exporter.normalize.equals import Equals, array_of, numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: What stands for the text in ``extra``: its hash, or None where there is none. Texts may be long, and are many.
Extra = int | None

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
    """Equal events of a unit, of which it must be decided which are written.

    ``places`` are theirs, in order, and ``many`` says how many to believe. Of the ids of their numbers ``held`` are
    those that the lake holds, and ``free`` the others, the lowest number first.
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
        limits: Mapping[int, int],
        held: pa.Int64Array = NO_IDS,
        *,
        has_equals: bool = True,
    ) -> None:
        """Compare a unit's events with the ids that the lake holds of it.

        ``hashes`` are their identities; of some of them no more events are believed than ``limits`` say.
        ``has_equals`` is False where no two are equal.
        """
        self._hashes = hashes
        self._limits = limits
        self._events = len(hashes)
        self._families: dict[int, _Family] = {}
        self._theirs: defaultdict[int, list[Extra]] = defaultdict(list)
        # Each event under its own number: so many as the lake lacks of these are written, unless a family is decided.
        self._ids = self._index.numbered() if has_equals else hashes
        self._is_written = pc.invert(pc.is_in(self._ids, value_set=held))
        if has_equals:
            limited = [each for each in limits if len(self._index.places(each)) > limits[each]]
            for event_hash in {*limited, *self._index.divided(self._is_written)}:
                self._families[event_hash] = self._family(event_hash)
                self._events -= len(self._families[event_hash].places) - self._families[event_hash].many
        self._hash_of = {
            each: event_hash
            for event_hash, family in self._families.items()
            if self._lacking(event_hash, family)
            for each in family.held
        }
        self.asked = pa.concat_arrays([pa.array(self._hash_of, pa.int64()), self._not_explained(held)])

    def learn(self, rows: Iterable[LakeRow]) -> None:
        """Take what some of the lake's rows with the ids in ``asked`` say, until all have been told."""
        for row in rows:
            event_hash = self._hash_of.get(row.event_id, row.event_hash)
            if event_hash not in self._families and self._index.places(event_hash):
                self._families[event_hash] = self._family(event_hash)
            if event_hash in self._families:
                self._theirs[event_hash].append(row.extra)

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
            return Numbered(self._ids, self._is_written, self._events)
        ids, is_written = numbers_of(self._ids), bytearray(self._is_written.cast(pa.uint8()).to_pylist())
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
        return Numbered(array_of(ids), pa.array(is_written, pa.uint8()).cast(pa.bool_()), self._events)

    @cached_property
    def _index(self) -> Equals:
        return Equals(self._hashes)

    def _family(self, event_hash: int) -> _Family:
        places = self._index.places(event_hash)
        family = _Family(places, min(len(places), self._limits.get(event_hash, len(places))))
        for place in places:
            each = self._ids[place].as_py()
            (family.free if self._is_written[place].as_py() else family.held).append(each)
        return family

    def _lacking(self, event_hash: int, family: _Family) -> int:
        """How many of a family the lake lacks."""
        held = max(len(self._theirs.get(event_hash, ())), len(family.held))
        return max(0, family.many - held)

    def _not_explained(self, held: pa.Int64Array) -> pa.Int64Array:
        """The ids that the lake holds and no event here has, where that can matter."""
        if not len(held) or not self._is_written.true_count:
            return NO_IDS
        return held.filter(pc.invert(pc.is_in(held, value_set=self._ids)))


def number(
    hashes: Sequence[int], extras: Sequence[Extra], limits: Mapping[int, int], lake: Iterable[LakeRow]
) -> Numbered:
    """What is to be written of a unit whose events are all at hand, with all rows that the lake holds of it."""
    rows = {row.event_id: row for row in lake}
    column = pa.array(hashes, pa.int64())
    numbering = Numbering(column, limits, pa.array(rows, pa.int64()))
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
