"""Files and folders that outlive a loss of power: bytes are synced, and so is each folder that gained a name."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: What some FUSE and shared folders say where a folder can't be synced; a file's sync is never passed over. PostgreSQL
#: (`fsync_fname`, src/common/file_utils.c) and borg (`sync_dir`, platform/base.py) go on there as well.
_NO_SYNC_OF_FOLDERS = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})


class Folders:
    """Makes the folders below ``root``, ``root`` itself, and what is missing above it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[Path] = set()

    def make(self, folder: Path) -> None:
        """Make a folder and those above it; then their names are durable.

        That a folder is there does not show that its name is synced: another writer may have made it a moment ago. So
        its name is synced when this process first meets it.
        """
        if folder in self._durable and folder.is_dir():
            return
        if self._root in folder.parents or not folder.parent.exists():
            self.make(folder.parent)
        folder.mkdir(exist_ok=True)
        self._sync_name(folder)
        self._durable.add(folder)

    def _sync_name(self, folder: Path) -> None:
        if self._root in folder.parents:
            sync_folder(folder.parent)
            return
        with suppress(PermissionError):  # what is above the lake need not be ours to open
            sync_folder(folder.parent)


def write_new(path: Path, data: bytes | memoryview) -> None:
    """Write a file that does not exist yet, and sync its bytes, not its name.

    What could not be written whole is removed.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):  # the first error says more
            path.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make durable which names a folder holds, where the file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC_OF_FOLDERS:
            raise
    finally:
        os.close(descriptor)
