"""The ends of data files, where their footers are: read as the log says that they are, from the lake alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import FileDamaged, FileLost
from exporter.lake.parquet_footer import footer_length_of
from exporter.lake.thrift import ThriftUnreadableError

if TYPE_CHECKING:
    from exporter.catalog.changes import LoggedFile
    from exporter.lake.store import Files

#: What is read of a file's end at once: footers are some 10 KiB long.
_END_BYTES = 32 << 10
_TAIL_BYTES = 8


async def read_end(files: Files, file: LoggedFile) -> bytes:
    """Read the end of a data file, with its whole footer.

    Raises :class:`FileLost` where it is gone, :class:`FileDamaged` where it does not end so, and :class:`LakeError`.
    """
    length = min(_END_BYTES, file.size_bytes)
    end = await _read(files, file, length)
    try:
        needed = footer_length_of(end)
    except ThriftUnreadableError as error:
        raise damaged(file, str(error)) from error
    if needed <= len(end):
        return end
    return await _read(files, file, min(needed, file.size_bytes))


async def _read(files: Files, file: LoggedFile, length: int) -> bytes:
    end = await files.read_range(file.key, file.size_bytes - length, length)
    if end is None:
        raise FileLost(f"{file.key} is named by the log, and gone: `ivs-export repair` lets go of it")
    return end


def end_of(data: memoryview) -> bytes:
    """The end of a whole file, with its footer. Raises :class:`ThriftUnreadableError`."""
    return bytes(data[-footer_length_of(bytes(data[-_TAIL_BYTES:])) :])


def damaged(file: LoggedFile, reason: str) -> FileDamaged:
    """The error for a data file that is not what the log says of it."""
    return FileDamaged(f"{file.key} is damaged: {reason}; `ivs-export verify` says more")
