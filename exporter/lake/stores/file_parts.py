"""Reading files of a lake in a directory: whole, up to a bound, or a part."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from exporter.errors import LakeRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_whole(path: Path, size_bytes_max: int) -> bytes | None:
    """Read all of a file; None where there is none. Raises :class:`LakeRefused` for one that is larger, and OSError."""
    with _opened(path) as descriptor:
        if descriptor is None:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(size_bytes_max + 1)
    if len(data) > size_bytes_max:
        raise LakeRefused(f"{path} is larger than {size_bytes_max >> 20} MiB")
    return data


def read_part(path: Path, begin: int, length: int) -> bytes | None:
    """Read ``length`` bytes from ``begin`` on, fewer at the file's end; None where there is none. Raises as above."""
    with _opened(path) as descriptor:
        return None if descriptor is None else os.pread(descriptor, length, begin)


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """Open a file. What is none, such as a pipe, is refused, and not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        _check_is_file(path, os.fstat(descriptor).st_mode)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_is_file(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise LakeRefused(f"{path} is no file, but a pipe or a device: move it, or set another `lake`")
