"""What is believed of a list that may have shifted while it was read. Pure.

An event that is added while a list is read moves others to the next page, where they are read again. So a reading may
show an event on two pages that is there once. It never misses one that was there when it began. Of events that say the
same and stand on several pages, no more are believed than each of two readings shows, and one at least.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING

import pyarrow as pa
from xxhash import xxh3_64_intdigest

from exporter.lake.arrow import pc
from exporter.normalize.decode import raw_events
from exporter.normalize.equals import Equals, array_of, numbers_of, repeated
from exporter.normalize.event_id import event_id

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

_NONE: pa.Int64Array = pa.array([], pa.int64())


def content_column(hashes: pa.Int64Array, extras: Mapping[int, str]) -> pa.Int64Array:
    """Hash all that events say: what their identities' ``hashes`` stand for, and their ``extras``, by their index."""
    if not extras:
        return hashes
    contents = numbers_of(hashes)
    for index, extra in extras.items():
        contents[index] = event_id(contents[index], xxh3_64_intdigest(extra.encode("utf-8", "surrogatepass")))
    return array_of(contents)


def on_several(contents_by_page: Sequence[pa.Int64Array]) -> pa.Int64Array:
    """Return what stands on more than one page."""
    return repeated(pa.concat_arrays([_NONE, *map(pc.unique, contents_by_page)]))


def doubted(before: Sequence[pa.Int64Array], now: Sequence[pa.Int64Array]) -> dict[int, set[int]]:
    """Return which events of the second of two readings are not believed: their indexes on a page, by the page's.

    ``before`` and ``now`` are the contents of each reading's pages.
    """
    doubtful = pc.unique(pa.concat_arrays([on_several(before), on_several(now)]))
    counts = _counts(before, doubtful)
    believed = {
        content: max(1, counts[content])
        for content, count in _counts(now, doubtful).items()
        if count > max(1, counts[content])
    }
    found: defaultdict[int, set[int]] = defaultdict(set)
    if believed:
        starts = [0, *accumulate(map(len, now))]
        events = Equals(pa.concat_arrays(list(now)))
        for content, count in believed.items():
            for index in events.of(content)[count:]:
                page = bisect_right(starts, index) - 1
                found[page].add(index - starts[page])
    return dict(found)


def without(page: bytes, indexes: Container[int]) -> bytes:
    """The page without the events at ``indexes``."""
    return b"[" + b",".join(event for index, event in enumerate(raw_events(page)) if index not in indexes) + b"]"


def _counts(contents_by_page: Sequence[pa.Int64Array], contents: pa.Int64Array) -> Counter[int]:
    """How often some contents stand on all pages together."""
    # One look at all pages: a look costs as much as there are events.
    on_pages = pa.concat_arrays([_NONE, *contents_by_page])
    counted = pc.value_counts(on_pages.filter(pc.is_in(on_pages, value_set=contents)))
    values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    return Counter(dict(zip(values, counts, strict=True)))
