"""A lake in a directory.

A file is written aside under ``_staged/``, synced, and renamed into place when it is published. A record is written
aside and takes its name by a hard link, which fails where the name is taken; a rename would silently replace the
other's.
Every folder that gains or loses a name is synced.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from exporter.errors import LakeBusy, LakeError, LakeRefused
from exporter.store import Staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")

_STAGED = "_staged"
_ASIDE = "_aside"
_ASIDE_S_MAX = 86_400.0
_AT_ONCE = 8
_PASSING = frozenset({errno.EIO, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.ESTALE, errno.EBUSY})
_ADVICE = {
    errno.ENOSPC: "the disk is full: make room, and run again",
    errno.EDQUOT: "the disk quota is used up: make room, and run again",
    errno.EACCES: "no permission: let the user who runs this write there",
    errno.EPERM: "no permission: let the user who runs this write there",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "something on its path is a file, not a directory",
    errno.EISDIR: "a directory stands where a file should be",
    errno.ENAMETOOLONG: "its path is too long",
}


class DirectoryStore:
    """Keeps both protocols of :mod:`exporter.store` under ``root``, which is made where it is missing.

    Work on files is done in threads, so many at once at most. Errors of the system become :class:`LakeBusy` where they
    may pass, and :class:`LakeRefused` else.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        """Write ``data`` aside, durably, under a name that ends in nothing that readers look for."""
        name = f"{key}.{secrets.token_hex(8)}.part"
        await self._do(key, lambda: _write_new(self._path(f"{_STAGED}/{name}"), data))
        return Staged(key, len(data), (name,))

    async def publish(self, staged: Staged) -> bool:
        """Rename the file into place."""
        return await self._do(staged.key, lambda: self._publish(staged))

    async def discard(self, staged: Staged) -> None:
        """Remove the file that stands aside."""
        await self._do(staged.key, lambda: _remove(self._staged_path(staged)))

    async def leftovers(self, table: str) -> list[Staged]:
        """What stands under ``_staged/<table>/``."""
        return await self._do(table, lambda: list(self._leftovers(table)))

    async def read(self, key: str) -> bytes | None:
        """The bytes under ``key``."""
        return await self._do(key, lambda: _read(self._path(key)))

    async def create(self, key: str, body: bytes) -> bool:
        """Write aside and link; where the name is taken, compare what stands there."""
        return await self._do(key, lambda: self._create(key, body))

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        """The keys below the folder of ``prefix``."""
        return await self._do(prefix, lambda: sorted(key for key in self._below(prefix) if key > after))

    async def delete(self, key: str) -> None:
        """Remove a record."""
        await self._do(key, lambda: _remove(self._path(key)))

    async def _do(self, key: str, work: Callable[[], Result]) -> Result:
        async with self._slots:
            try:
                return await asyncio.to_thread(work)
            except OSError as error:
                raise _translated(self._root, key, error) from error

    def _publish(self, staged: Staged) -> bool:
        target = self._path(staged.key)
        made = _make_folder(target.parent)
        try:
            self._staged_path(staged).replace(target)
        except FileNotFoundError:
            # Published already, perhaps by a process that died before it synced the folder.
            if not target.exists():
                return False
        _sync_folders(made, target.parent)
        _sync(self._staged_path(staged).parent)
        return True

    def _leftovers(self, table: str) -> Iterator[Staged]:
        self._sweep()
        folder = self._path(f"{_STAGED}/{table}")
        for path in sorted(folder.rglob("*.part")):
            name = path.relative_to(self._root / _STAGED).as_posix()
            key = name.rsplit(".", 2)[0]
            with suppress(FileNotFoundError):  # published or discarded since it was listed
                yield Staged(key, path.stat().st_size, (name,))

    def _create(self, key: str, body: bytes) -> bool:
        target = self._path(key)
        aside = self._path(f"{_ASIDE}/{secrets.token_hex(16)}")
        made = _make_folder(target.parent)
        _write_new(aside, body)
        try:
            target.hardlink_to(aside)
        except FileExistsError:
            return _read(target) == body
        finally:
            aside.unlink(missing_ok=True)
        _sync_folders(made, target.parent)
        return True

    def _sweep(self) -> None:
        """Remove what writers left aside who died while they made a record; a live one needs it for an instant."""
        oldest_s = time.time() - _ASIDE_S_MAX
        for path in self._path(_ASIDE).glob("*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest_s:
                    path.unlink()

    def _below(self, prefix: str) -> Iterator[str]:
        folder = self._path(prefix.rpartition("/")[0])
        if not folder.is_dir():
            return
        for parent, _, names in os.walk(folder, onerror=_raise):
            for name in names:
                key = Path(parent, name).relative_to(self._root).as_posix()
                if key.startswith(prefix):
                    yield key

    def _staged_path(self, staged: Staged) -> Path:
        return self._path(f"{_STAGED}/{staged.handle[0]}")

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if key.startswith("/") or ".." in parts or "\0" in key:
            raise LakeError(f"{key[:200]!r} is no key of a lake")
        return self._root.joinpath(*parts)


def _write_new(path: Path, data: bytes | memoryview) -> None:
    """Write a file that does not exist, durably; what could not be written whole is removed."""
    made = _make_folder(path.parent)
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    _sync_folders(made, path.parent)


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and what is missing above it; gives back the folders that gained a name."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [each.parent for each in missing]


def _sync_folders(made: list[Path], folder: Path) -> None:
    for each in (folder, *made):
        _sync(each)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        _sync(path.parent)


def _raise(error: OSError) -> None:
    raise error


def _translated(root: Path, key: str, error: OSError) -> LakeError:
    code = error.errno or 0
    reason = _ADVICE.get(code) or os.strerror(code)
    message = f"the lake {root} refuses {key}: {reason}"
    return LakeBusy(message) if code in _PASSING else LakeRefused(message)
