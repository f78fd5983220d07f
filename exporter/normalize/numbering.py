"""Which of a unit's events are written, and under which ids. Pure.

An event's id is made of its identity's hash and of its number among the unit's events that are equal in identity
(see :mod:`exporter.normalize.event_id`). Of k equal events where the lake holds j, k - j are written, under the ids of
the lowest numbers that the lake lacks. They are those whose other fields, all of which are in the column ``extra``, the
lake lacks.

A lake may hold any of a family's numbers: a file that was lost may have had number 0, and another one number 1. So
rows whose ids none of the events at hand explain are read: their columns say which event they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
from xxhash import xxh3_64_intdigest

from exporter.lake.arrow import pc
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
    """

    ids: pa.Int64Array
    is_written: pa.BooleanArray

    @property
    def written(self) -> int:
        """How many events are written."""
        count: int = self.is_written.true_count
        return count

    def slice(self, start: int, length: int) -> Numbered:
        """What is written of some of the events."""
        return Numbered(self.ids.slice(start, length), self.is_written.slice(start, length))

    def of(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Those of the events' rows that are written, with their ids."""
        rows = rows.set_column(rows.schema.get_field_index("event_id"), "event_id", self.ids)
        return rows if self.written == len(self.ids) else rows.filter(self.is_written)


@dataclass(slots=True)
class _Family:
    """Equal events of a unit, of which it must be decided which are written.

    ``indexes`` are theirs among the unit's events, in order. Of the ids of their numbers, ``in_lake`` are those that
    the lake holds, and ``free`` the others, the lowest number first.
    """

    indexes: Sequence[int]
    in_lake: list[int] = field(default_factory=list)
    free: list[int] = field(default_factory=list)


class Numbering:
    """The numbering of one unit's events, in steps, since what some of them need must be read first.

    ``asked`` are ids of rows of the lake: `learn` takes these rows, then `undecided` are the events whose other fields
    `settle` needs.
    """

    def __init__(self, hashes: pa.Int64Array, lake_ids: pa.Int64Array = NO_IDS, *, has_equals: bool = True) -> None:
        """Compare a unit's events with the ids that the lake holds of it.

        ``hashes`` are their identities. ``has_equals`` is False where no two are equal.
        """
        self._hashes = hashes
        self._families: dict[int, _Family] = {}
        self._lake_extras: defaultdict[int, list[Extra]] = defaultdict(list)
        # Each event under its own number: those of them that the lake lacks are written, unless a family is decided.
        self._ids = self._index.ids() if has_equals else hashes
        self._is_written = pc.invert(pc.is_in(self._ids, value_set=lake_ids))
        if has_equals:
            for event_hash in self._index.divided(self._is_written):
                self._families[event_hash] = self._family(event_hash)
        self._hash_of = {
            lake_id: event_hash
            for event_hash, family in self._families.items()
            if self._lacking(event_hash, family)
            for lake_id in family.in_lake
        }
        self.asked = pa.concat_arrays([pa.array(self._hash_of, pa.int64()), self._not_explained(lake_ids)])

    def learn(self, rows: Iterable[LakeRow]) -> None:
        """Take some of the lake's rows with the ids in ``asked``; all of them in the end."""
        for row in rows:
            event_hash = self._hash_of.get(row.event_id, row.event_hash)
            if event_hash not in self._families and self._index.of(event_hash):
                self._families[event_hash] = self._family(event_hash)
            if event_hash in self._families:
                self._lake_extras[event_hash].append(row.extra)

    def undecided(self) -> list[int]:
        """The indexes of the events whose other fields matter: some of their equals are written, and not all."""
        return [
            index
            for event_hash, family in self._families.items()
            if 0 < self._lacking(event_hash, family) < len(family.indexes)
            for index in family.indexes
        ]

    def settle(self, extras: Mapping[int, Extra]) -> Numbered:
        """Decide, with the other fields of the events that are `undecided`, by their index."""
        if not self._families:
            return Numbered(self._ids, self._is_written)
        ids, is_written = numbers_of(self._ids), bytearray(self._is_written.cast(pa.uint8()).to_pylist())
        for event_hash, family in self._families.items():
            for index in family.indexes:
                is_written[index] = False
            for index, free in zip(self._chosen(event_hash, family, extras), family.free, strict=False):
                ids[index], is_written[index] = free, True
        return Numbered(array_of(ids), pa.array(is_written, pa.uint8()).cast(pa.bool_()))

    def _chosen(self, event_hash: int, family: _Family, extras: Mapping[int, Extra]) -> Sequence[int]:
        """The indexes of those of a family that are written."""
        lacking = self._lacking(event_hash, family)
        # 1. The lake lacks none.
        if not lacking:
            return ()
        # 2. It lacks all.
        if lacking >= len(family.indexes):
            return family.indexes
        # 3. It lacks some: those whose other fields it lacks.
        ours = [extras.get(index) for index in family.indexes]
        return [family.indexes[chosen] for chosen in choose(ours, self._lake_extras.get(event_hash, ()), lacking)]

    @cached_property
    def _index(self) -> Equals:
        return Equals(self._hashes)

    def _family(self, event_hash: int) -> _Family:
        family = _Family(self._index.of(event_hash))
        for index in family.indexes:
            (family.free if self._is_written[index].as_py() else family.in_lake).append(self._ids[index].as_py())
        return family

    def _lacking(self, event_hash: int, family: _Family) -> int:
        """How many of a family the lake lacks."""
        in_lake = max(len(self._lake_extras.get(event_hash, ())), len(family.in_lake))
        return max(0, len(family.indexes) - in_lake)

    def _not_explained(self, lake_ids: pa.Int64Array) -> pa.Int64Array:
        """The ids that the lake holds and no event here has, where that can matter."""
        if not len(lake_ids) or not self._is_written.true_count:
            return NO_IDS
        return lake_ids.filter(pc.invert(pc.is_in(lake_ids, value_set=self._ids)))


def number(hashes: Sequence[int], extras: Sequence[Extra], lake: Iterable[LakeRow]) -> Numbered:
    """Say what is written of a unit, with all its events and all rows that the lake holds of it at hand."""
    rows = {row.event_id: row for row in lake}
    numbering = Numbering(pa.array(hashes, pa.int64()), pa.array(rows, pa.int64()))
    numbering.learn([rows[lake_id] for lake_id in numbering.asked.to_pylist()])
    return numbering.settle({index: extras[index] for index in numbering.undecided()})


def plain(hashes: pa.Int64Array) -> Numbered:
    """Every event written under its hash: there are no equal ones, and the lake holds nothing of their unit."""
    return Numbered(hashes, pa.repeat(pa.scalar(value=True), len(hashes)))


def nothing(hashes: pa.Int64Array) -> Numbered:
    """Nothing written, of a unit that has failed."""
    return Numbered(hashes, pa.repeat(pa.scalar(value=False), len(hashes)))


def joined(of_units: Iterable[Numbered]) -> Numbered:
    """What is to be written of many units, one after another; of one at least."""
    numbered = list(of_units)
    ids = pa.concat_arrays([unit.ids for unit in numbered])
    is_written = pa.concat_arrays([unit.is_written for unit in numbered])
    return Numbered(ids, is_written)


def choose(ours: Sequence[Extra], theirs: Iterable[Extra], count: int) -> list[int]:
    """Choose which ``count`` of our equal events are written: those whose other fields the lake lacks.

    Where these are more, one of each kind comes before a second, and what has other fields before what has none.
    Returns indexes of ``ours``; what these say does not depend on their order.
    """
    in_lake, seen = Counter(theirs), Counter[Extra]()
    ranked: list[tuple[int, bool, int, int]] = []
    for index, extra in enumerate(ours):
        seen[extra] += 1
        if seen[extra] > in_lake[extra]:
            ranked.append((seen[extra] - in_lake[extra], extra is None, extra or 0, index))
    return sorted(index for *_, index in sorted(ranked)[:count])
