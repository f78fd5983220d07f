"""The raw pages of one unit: in memory while they are few, in a temporary file once they are many."""

from __future__ import annotations

import tempfile
import weakref
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: More than this stands in a file: some 20 pages. Dozens of units may be under way at once.
MEMORY_SIZE_BYTES_MAX = 256 << 10


class Pages:
    """Pages in the order in which they were added; they can be read any number of times, one reading at a time."""

    def __init__(self, memory_size_bytes_max: int = MEMORY_SIZE_BYTES_MAX) -> None:
        self._memory_size_bytes_max = memory_size_bytes_max
        self._held: list[bytes] = []
        self._lengths: list[int] = []
        self._file: IO[bytes] | None = None
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[bytes]:
        if self._file is None:
            yield from self._held
            return
        self._file.seek(0)
        for length in self._lengths:
            yield self._file.read(length)

    def add(self, page: bytes) -> None:
        """Add a page. Raises OSError where the temporary file can't be written."""
        self._lengths.append(len(page))
        self.size_bytes += len(page)
        if self._file is not None:
            self._file.write(page)
            return
        self._held.append(page)
        if self.size_bytes > self._memory_size_bytes_max:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the pages do
            weakref.finalize(self, self._file.close)
            self._file.writelines(self._held)
            self._held = []
