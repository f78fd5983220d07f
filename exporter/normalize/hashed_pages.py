"""Pages whose events were hashed before rows are made of them: to see whether their list has shifted.

Hashing takes a decode. Where a unit is small its decoded events are kept, so that each page is decoded once; decoded
events take some three times their JSON, so those that wait in a process have a bound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import finalize

import pyarrow as pa

from exporter.normalize.decode import cut, decode, decode_page
from exporter.normalize.event_id import hash_column
from exporter.normalize.event_model import Decoded
from exporter.normalize.shifts import content_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import FetchedUnit, RawPages, Unit

# Of everyday events 2.7 bytes for each byte of JSON, of events with tokens 4.
_SIZE_BYTES_PER_JSON_BYTE = 4
# A decoded event takes some ten times its JSON.
_SLICE_SIZE_BYTES = 1 << 20


class HashedPage(NamedTuple):
    """The hashes of a page's events: those of their identities, and those of all that they say."""

    hashes: pa.Int64Array
    contents: pa.Int64Array


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class HashedPages:
    """Pages of a unit that can be read any number of times, and the hashes of the events on each of them.

    ``hashes_by_page`` are those of their identities, ``contents_by_page`` those of all that they say. ``decoded`` are
    the events themselves, where they are kept.
    """

    pages: RawPages
    hashes_by_page: tuple[pa.Int64Array, ...]
    contents_by_page: tuple[pa.Int64Array, ...]
    decoded: Decoded | None = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pages)

    def __len__(self) -> int:
        return len(self.pages)

    @property
    def hashes(self) -> pa.Int64Array:
        """The identities of all events, in order."""
        return pa.concat_arrays([pa.array([], pa.int64()), *self.hashes_by_page])


class DecodedEvents:
    """The decoded events that wait for their rows, in all scopes of a process, whose runs may be in several threads.

    The mutable state: what those take that are kept, and of them the sizes of those that were dropped since it was
    last looked at.
    """

    def __init__(self, size_bytes_max: int) -> None:
        self._size_bytes_max = size_bytes_max
        self._kept_bytes = 0
        # Pages are dropped at any moment and in any thread, also while the lock is held: so nothing waits for it then.
        self._dropped: deque[int] = deque()
        self._lock = Lock()

    @property
    def size_bytes(self) -> int:
        """About how much memory they take together."""
        with self._lock:
            return self._settled()

    def keep(self, pages: HashedPages, json_size_bytes: int) -> HashedPages:
        """Return the pages with their decoded events where there is room for these, else without.

        They count until the pages are dropped.
        """
        if pages.decoded is None:
            return pages
        size_bytes = _SIZE_BYTES_PER_JSON_BYTE * json_size_bytes
        with self._lock:
            if self._settled() + size_bytes > self._size_bytes_max:
                return replace(pages, decoded=None)
            self._kept_bytes += size_bytes
        finalize(pages, self._dropped.append, size_bytes).atexit = False
        return pages

    def _settled(self) -> int:
        """What is kept, now that what was dropped is taken off."""
        while self._dropped:
            self._kept_bytes -= self._dropped.popleft()
        return self._kept_bytes


def hash_pages(unit: Unit, pages: RawPages) -> HashedPages:
    """Decode and hash the pages of a small unit. Raises :class:`~exporter.errors.EventUnreadable`."""
    decoded, ends = Decoded(), [0]
    for page in pages:
        decode_page(unit, page, decoded)
        ends.append(len(decoded.events))
    hashes = hash_column(unit, decoded.events)
    contents = content_column(hashes, decoded.extras)
    return HashedPages(pages, _cut(hashes, ends), _cut(contents, ends), decoded)


def hash_page(unit: Unit, page: bytes) -> HashedPage:
    """Hash the events of one page, without making rows of them: 16 bytes an event, 8 where none says anything more.

    A page of any size takes the memory of a small one beside its own. Raises
    :class:`~exporter.errors.EventUnreadable` where it can't be read.
    """
    parts = [_hashed(unit, part) for part in cut(page, _SLICE_SIZE_BYTES)]
    if len(parts) == 1:
        return parts[0]
    return HashedPage(*map(pa.concat_arrays, zip(*parts, strict=True)))


def decoded_of(fetched: FetchedUnit) -> Decoded:
    """A unit's events, decoded now unless they have been kept. Raises :class:`~exporter.errors.EventUnreadable`."""
    pages = fetched.pages
    if isinstance(pages, HashedPages) and pages.decoded is not None:
        return pages.decoded
    return decode(fetched.unit, tuple(pages))


def _hashed(unit: Unit, page: bytes) -> HashedPage:
    decoded = decode(unit, (page,))
    hashes = hash_column(unit, decoded.events)
    return HashedPage(hashes, content_column(hashes, decoded.extras))


def _cut(column: pa.Int64Array, ends: list[int]) -> tuple[pa.Int64Array, ...]:
    return tuple(column.slice(start, end - start) for start, end in pairwise(ends))
