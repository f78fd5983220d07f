"""Units whose rows stand one after another in columns that they share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, chain, pairwise, repeat
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.model import Unit

    Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class UnitSlices:
    """Units in the order of their rows, with the range of the rows of each of them.

    The ranges leave no row out. That of a unit without rows is empty. A unit may stand here twice.
    """

    units: tuple[Unit, ...]
    ranges: tuple[range, ...]

    @classmethod
    def of(cls, counts: Iterable[tuple[Unit, int]]) -> UnitSlices:
        """Lay out units one after another, each with its number of rows."""
        units: list[Unit] = []
        lengths: list[int] = []
        for unit, length in counts:
            units.append(unit)
            lengths.append(length)
        return cls(tuple(units), tuple(range(*bounds) for bounds in pairwise(accumulate(lengths, initial=0))))

    def among(self, units: Iterable[Unit]) -> UnitSlices:
        """The same rows among more ``units``, which are in the same order; those that are new have no rows."""
        counts = dict(zip(self.units, self.counts, strict=True))
        return UnitSlices.of((unit, counts.get(unit, 0)) for unit in units)

    def __iter__(self) -> Iterator[tuple[Unit, range]]:
        return zip(self.units, self.ranges, strict=True)

    @property
    def row_count(self) -> int:
        """The number of rows of all units together."""
        return self.ranges[-1].stop if self.ranges else 0

    @property
    def counts(self) -> list[int]:
        """The number of rows of each unit."""
        return [len(rows) for rows in self.ranges]

    def per_row(self, of_units: Iterable[Value]) -> Iterator[Value]:
        """Repeat a value of each unit for each of the unit's rows."""
        return chain.from_iterable(map(repeat, of_units, map(len, self.ranges)))

    def unit_of_row(self) -> pa.Int32Array:
        """The index among ``units`` for each row."""
        return pa.array(list(self.per_row(range(len(self.units)))), pa.int32())

    def of_column(self, column: pa.Array) -> Iterator[tuple[Unit, pa.Array]]:
        """Each unit with its part of a column, which is not copied."""
        for unit, rows in self:
            yield unit, column.slice(rows.start, len(rows))
