"""The raw pages of one unit: in memory while they are few, in a temporary file once they are many."""

from __future__ import annotations

import tempfile
import weakref
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from exporter.errors import TemporaryFolderRefused
from exporter.telemetry.logger import Logger
from exporter.text import counted, plain, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_log = Logger(__name__)

#: More than this stands in a file: some 20 pages. Dozens of units may be under way at once.
MEMORY_SIZE_BYTES_MAX = 256 << 10

_PROBE = bytes(range(256)) * 16


class PageSpool:
    """Pages in the order in which they were added; they can be read any number of times, also at the same time.

    All methods raise :class:`TemporaryFolderRefused` where the temporary file can't be made, written or read.
    """

    def __init__(self, memory_size_bytes_max: int = MEMORY_SIZE_BYTES_MAX) -> None:
        self._memory_size_bytes_max = memory_size_bytes_max
        self._buffered: list[bytes] = []
        self._lengths: list[int] = []
        self._file: IO[bytes] | None = None
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[bytes]:
        file = self._file
        if file is None:
            yield from self._buffered
            return
        start = 0
        for length in self._lengths:
            yield _read(file, start, length)
            start += length

    def add(self, page: bytes) -> None:
        """Add a page."""
        if self._file is None and self.size_bytes + len(page) <= self._memory_size_bytes_max:
            self._buffered.append(page)
        else:
            self._write(page)
        self._lengths.append(len(page))
        self.size_bytes += len(page)

    def _write(self, page: bytes) -> None:
        with temporary_folder():
            if self._file is None:
                self._file = new_temporary_file(self)
                self._file.writelines(self._buffered)
                self._buffered = []
            self._file.write(page)


def new_temporary_file(owner: object) -> IO[bytes]:
    """An empty file without a name, which is gone together with ``owner``. Raises OSError."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its owner does
    weakref.finalize(owner, _close, file.close)
    return file


@contextmanager
def temporary_folder() -> Iterator[None]:
    """Name the temporary folder, and the variable that says where it is, in whatever the system refuses."""
    try:
        yield
    except OSError as error:
        raise TemporaryFolderRefused(_refusal(error)) from error


def warn_of_temporary_folder() -> None:
    """Say in the log where the temporary folder can't be used.

    No run ends for it: only units with many pages need a temporary file, and they fail by their own names.
    """
    if problem := temporary_folder_problem():
        _log.warning("temporary folder", problem=problem, needed_by="participants with more than 256 KiB of events")


def temporary_folder_problem() -> str:
    """Write a few bytes to the temporary folder and read them back: what is wrong with it, and what to set; or ""."""
    try:
        pages = PageSpool(memory_size_bytes_max=0)
        pages.add(_PROBE)
        is_sound = list(pages) == [_PROBE]
    except TemporaryFolderRefused as error:
        return str(error)
    return "" if is_sound else f"the temporary folder gives back other bytes than were written; {_REMEDY}"


_REMEDY = "set TMPDIR to a folder that can be written and has room"


def _refusal(error: OSError) -> str:
    try:
        folder = tempfile.gettempdir()
    except OSError as none:  # its text names all the folders that were tried
        return f"no temporary folder can be written: {plain(reason_of(none))}; {_REMEDY}"
    return f"the temporary folder {plain(folder)} can't be used: {plain(reason_of(error))}; {_REMEDY}"


def _read(file: IO[bytes], start: int, length: int) -> bytes:
    with temporary_folder():
        file.seek(start)
        page = file.read(length)
        if len(page) < length:
            raise OSError(f"a file in it is {counted(length - len(page), 'byte')} short")
    return page


def _close(close: Callable[[], None]) -> None:
    with suppress(OSError):  # what could not be written was said when it was read or written
        close()
