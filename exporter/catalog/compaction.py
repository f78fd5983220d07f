"""Plan which files of a table are merged: by date, and by size. Pure.

A second plan right after the first finds nothing: files are put where they fit first, so no two results of one plan
fit together, and what is merged weighs as much as its parts did, however much smaller it has become.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from exporter.catalog.compacted import Part

#: Originals of one compacted file, at most: its footer names each, and every reader reads that.
ORIGINALS_MAX = 1_000
#: A file with this share of the target stays as it is.
_NEAR = 0.75


@dataclass(frozen=True, slots=True)
class Merge:
    """Files of one date that become one."""

    date: str
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """The rows that they have together."""
        return sum(part.rows for part in self.parts)

    @property
    def size_bytes(self) -> int:
        """The size of the originals."""
        return sum(part.size_bytes for part in self.parts)


def merges_of(parts: Iterable[Part], target_bytes: int, originals_max: int = ORIGINALS_MAX) -> list[Merge]:
    """Work out which files become one: of one date, of ``target_bytes`` together at most, and at least two."""
    of_dates: defaultdict[str, list[_Bin]] = defaultdict(list)
    for part in sorted(parts, key=lambda part: (part.date, part.url)):
        if part.size_bytes >= _NEAR * target_bytes:
            continue
        bins = of_dates[part.date]
        if not any(there.takes(part, target_bytes, originals_max) for there in bins):
            bins.append(_Bin([part], part.size_bytes, part.originals))
    return [
        Merge(date, tuple(there.parts)) for date, bins in of_dates.items() for there in bins if len(there.parts) > 1
    ]


def batches_of(merges: Iterable[Merge], size_bytes_max: int, files_max: int) -> Iterator[list[Merge]]:
    """Cut a plan into what one commit takes: so much of work is lost where a process dies. One merge stays whole."""
    batch: list[Merge] = []
    size_bytes = files = 0
    for merge in merges:
        if batch and (size_bytes + merge.size_bytes > size_bytes_max or files + len(merge.parts) > files_max):
            yield batch
            batch, size_bytes, files = [], 0, 0
        batch.append(merge)
        size_bytes += merge.size_bytes
        files += len(merge.parts)
    if batch:
        yield batch


@dataclass(slots=True)
class _Bin:
    """Files that fit together so far."""

    parts: list[Part]
    size_bytes: int
    originals: int

    def takes(self, part: Part, size_bytes_max: int, originals_max: int) -> bool:
        """Take a file, where it fits."""
        size_bytes, originals = self.size_bytes + part.size_bytes, self.originals + part.originals
        if size_bytes > size_bytes_max or originals > originals_max:
            return False
        self.parts.append(part)
        self.size_bytes, self.originals = size_bytes, originals
        return True
