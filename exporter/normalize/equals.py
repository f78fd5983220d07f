"""Which events of a unit are equal, and which number each of them has. Pure; 16 bytes an event."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

import pyarrow as pa

from exporter.lake.arrow import pc
from exporter.normalize.event_id import event_id

_AT_ONCE = 65_536


class Equals:
    """The events of a unit by their hashes, ``hashes`` being in the order of the answer."""

    def __init__(self, hashes: pa.Int64Array) -> None:
        self._column = hashes
        # Equal ones stay in the order of the answer: Arrow's sort is stable.
        self._order = pc.sort_indices(hashes)
        self._sorted = hashes.take(self._order)
        self._hashes = numbers_of(self._sorted)
        # The indexes among the sorted ones of those that equal the one before them.
        same = pc.equal(self._sorted.slice(1), self._sorted.slice(0, max(0, len(hashes) - 1)))
        self._later = pc.add(pc.indices_nonzero(same), 1)

    def of(self, event_hash: int) -> list[int]:
        """The indexes of the events with a hash, in order."""
        start, end = bisect_left(self._hashes, event_hash), bisect_right(self._hashes, event_hash)
        found: list[int] = self._order.slice(start, end - start).to_pylist()
        return found

    def ids(self) -> pa.Int64Array:
        """The events' ids, those of equal events by their numbers."""
        if not len(self._later):
            return self._column
        ids, last, number = numbers_of(self._column), -1, 0
        for start in range(0, len(self._later), _AT_ONCE):
            later = self._later.slice(start, _AT_ONCE)
            for at, index in zip(later.to_pylist(), self._order.take(later).to_pylist(), strict=True):
                number = number + 1 if at == last + 1 else 1
                ids[index], last = event_id(self._hashes[at], number), at
        return array_of(ids)

    def divided(self, flags: pa.BooleanArray) -> list[int]:
        """The hashes of equal events that are not all flagged alike."""
        in_order = flags.take(self._order)
        before = in_order.take(pc.subtract(self._later, 1))
        is_other = pc.xor(in_order.take(self._later), before)
        found: list[int] = pc.unique(self._sorted.take(self._later.filter(is_other))).to_pylist()
        return found


def repeated(hashes: pa.Int64Array) -> pa.Int64Array:
    """The hashes that are there more than once."""
    # Counting takes some hundred bytes for each different hash, so of many it is done for a part at a time.
    parts = 1 << (len(hashes) // _AT_ONCE).bit_length()
    if parts == 1:
        return _repeated(hashes)
    part = pc.bit_wise_and(hashes, parts - 1)
    return pa.concat_arrays([_repeated(hashes.filter(pc.equal(part, number))) for number in range(parts)])


def _repeated(hashes: pa.Int64Array) -> pa.Int64Array:
    counted = pc.value_counts(hashes)
    return counted.field("values").filter(pc.greater(counted.field("counts"), 1))


def numbers_of(column: pa.Int64Array) -> array[int]:
    """A column's numbers, to be changed."""
    copied = array("q")
    size_bytes = copied.itemsize
    data = column.buffers()[1]
    if data is not None:
        copied.frombytes(memoryview(data)[column.offset * size_bytes : (column.offset + len(column)) * size_bytes])
    return copied


def array_of(numbers: array[int]) -> pa.Int64Array:
    """Numbers as a column, without a copy."""
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])
