"""A lake in a directory.

::

    <lake>/events/…            what readers see
    <lake>/_log/…              records
    <lake>/_staged/events/…    staged files, their names ended by ``.<random>.part``
    <lake>/_aside/<random>     records on their way to a name

A staged file is synced, and renamed into place when it is published. A record takes its name by a hard link, which
fails where the name is taken; a rename would silently replace the other's. Nothing aside ends in ``.parquet``, since
readers' ``**`` looks there, too. What lies in ``_aside`` is never read; what a writer left there that died is removed a
day later, when leftovers are asked for.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.errors import ExportError, LakeBusy, LakeError, LakeRefused
from exporter.lake.store import Staged
from exporter.lake.stores.durable import Folders, sync_folder, write_new
from exporter.lake.stores.file_parts import read_part, read_whole
from exporter.lake.stores.keys import checked_key, checked_prefix
from exporter.machine.daemon_threads import DaemonThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

Result = TypeVar("Result")

_STAGED = "_staged"
_ASIDE = "_aside"
_ASIDE_S_MAX = 86_400.0
_AT_ONCE = 8
#: What a file takes on a slow disk, beside its bytes; and a walk through all of a large lake.
WORK_TIMEOUT_S, LIST_TIMEOUT_S = 60.0, 300.0
#: How long a lake is waited for in which an earlier piece of work hangs that ran out of time.
_AWAY_TIMEOUT_S = 5.0
_BYTES_PER_S_MIN = 1 << 20
#: Larger than any record, and any data file, that the exporter makes.
_RECORD_BYTES_MAX, _FILE_BYTES_MAX = 256 << 20, 1 << 30
_STAGED_NAME = re.compile(r"(.+)\.[0-9a-f]{16}\.part", re.DOTALL)
_ASIDE_NAME = re.compile(r"[0-9a-f]{32}")
_PASSING = frozenset({errno.EIO, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT, errno.ESTALE, errno.EBUSY})
#: What `link` says where the file system has none. Source: Linux man-pages, link(2).
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_ADVICE = {
    errno.EIO: "input/output error: look at the disk, or at its server, and run again",
    errno.ENOSPC: "the disk is full: make room, and run again",
    errno.EDQUOT: "the disk quota is used up: make room, and run again",
    errno.EFBIG: "the file is larger than the system allows: raise the limit (ulimit -f)",
    errno.EACCES: "no permission: let the user who runs this read and write there",
    errno.EPERM: "no permission: let the user who runs this read and write there",
    errno.EROFS: "the file system is read-only: mount it for writing, or set another `lake`",
    errno.EEXIST: "a file stands on its path where a directory should be: move it, or set another `lake`",
    errno.ENOTDIR: "a file stands on its path where a directory should be: move it, or set another `lake`",
    errno.EISDIR: "a directory stands where a file should be: move it, or set another `lake`",
    errno.ENAMETOOLONG: "its path is too long: set a `lake` with a shorter one",
    errno.EMFILE: "no more files may be open: raise the limit (ulimit -n)",
    errno.EXDEV: "parts of the lake lie on different file systems: keep it on one",
}


class DirectoryStore:
    """Keeps both protocols of :mod:`exporter.lake.store` under ``root``, which is made where it is missing.

    No call waits for ever: a piece of work ends after ``timeout_s`` and what a slow disk needs for its bytes, a list
    after some minutes. It is done in a thread, which does not keep the process where it hangs; eight work at once.
    Errors of the system become :class:`LakeBusy` where they may pass, and :class:`LakeRefused` else. ``wall_s`` is the
    time in seconds since the epoch, by which only the age of what lies aside is judged.
    """

    def __init__(self, root: Path, wall_s: Callable[[], float] = time.time, timeout_s: float = WORK_TIMEOUT_S) -> None:
        self._root = root
        self._timeout_s = timeout_s
        self._wall_s = wall_s
        self._folders = Folders(root)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._threads = DaemonThreads()
        self._hanging: list[Future[Any]] = []

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        """Write ``data`` aside, under a name that ends in nothing that readers look for."""
        name = f"{checked_key(key)}.{secrets.token_hex(8)}.part"
        slow_s = len(data) / _BYTES_PER_S_MIN
        await self._do(key, lambda: self._stage(self._path(f"{_STAGED}/{name}"), data), slow_s)
        return Staged(key, len(data), (name,))

    async def publish(self, staged: Staged) -> bool:
        """Rename the file into place."""
        return await self._do(staged.key, lambda: self._publish(staged))

    async def discard(self, staged: Staged) -> None:
        """Remove the file that stands aside."""
        await self._do(staged.key, lambda: _remove(self._staged_path(staged)))

    async def leftovers(self, table: str) -> list[Staged]:
        """List what stands under ``_staged/<table>/``."""
        return await self._do(table, lambda: self._leftovers(table), LIST_TIMEOUT_S)

    async def read(self, key: str) -> bytes | None:
        """Read the bytes under ``key``."""
        if key.startswith("_log/"):
            return await self._do(key, lambda: read_whole(self._path(key), _RECORD_BYTES_MAX))
        return await self._do(key, lambda: read_whole(self._path(key), _FILE_BYTES_MAX), LIST_TIMEOUT_S)

    async def read_range(self, key: str, begin: int, length: int) -> bytes | None:
        """Read a part of the file under ``key``."""
        return await self._do(key, lambda: read_part(self._path(key), begin, length))

    async def remove(self, key: str) -> None:
        """Remove a file."""
        await self._do(key, lambda: _remove(self._path(key)))

    async def create(self, key: str, body: bytes) -> bool:
        """Write aside and link; where the name is taken, compare what stands there."""
        return await self._do(key, lambda: self._create(key, body))

    async def refuses(self, key: str, body: bytes) -> bool:
        """Try the same link, which fails where the name is taken."""
        return not await self._do(key, lambda: self._take_name(key, body))

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        """List the names in the folder of ``prefix``, and below."""
        return await self._do(prefix, lambda: self._keys(prefix, after), LIST_TIMEOUT_S)

    async def delete(self, key: str) -> None:
        """Remove a record."""
        await self._do(key, lambda: _remove(self._path(key)))

    async def _do(self, key: str, work: Callable[[], Result], slow_s: float = 0.0) -> Result:
        """Do the work in a thread, for ``slow_s`` more than all work may take."""
        async with self._slots:
            working = self._threads.submit(work)
            try:
                async with asyncio.timeout(_AWAY_TIMEOUT_S if self._is_away() else self._timeout_s + slow_s):
                    return await asyncio.wrap_future(working)
            except ExportError:
                raise
            except Exception as error:
                if not working.done():
                    self._hanging.append(working)
                raise _translated(self._root, key, error) from error

    def _is_away(self) -> bool:
        """Whether work hangs that ran out of time. Scopes that wait for it in turn would keep the run for an hour."""
        self._hanging = [work for work in self._hanging if not work.done()]
        return bool(self._hanging)

    def _stage(self, aside: Path, data: bytes | memoryview) -> None:
        self._folders.make(aside.parent)
        write_new(aside, data)
        sync_folder(aside.parent)

    def _publish(self, staged: Staged) -> bool:
        if staged.size_bytes is None:  # a leftover: what is missing in it is not known
            return False
        target, aside = self._path(staged.key), self._staged_path(staged) if staged.handle else None
        if aside is not None and _size_bytes(target) is None and _size_bytes(aside) == staged.size_bytes:
            self._folders.make(target.parent)
            with suppress(FileNotFoundError):  # another publisher of the same file was faster
                aside.replace(target)
        if _size_bytes(target) != staged.size_bytes:
            return False
        # Synced even where it was published before: that writer may have died before it did.
        self._folders.make(target.parent)
        sync_folder(target.parent)
        return True

    def _leftovers(self, table: str) -> list[Staged]:
        self._sweep()
        names = [key.removeprefix(f"{_STAGED}/") for key in self._below(f"{_STAGED}/{table}")]
        found = [_STAGED_NAME.fullmatch(name) for name in sorted(names)]
        return [Staged(name[1], None, (name[0],)) for name in found if name]

    def _sweep(self) -> None:
        """Remove what has lain aside for a day: a record lies there for an instant, so its writer is dead."""
        oldest_s = self._wall_s() - _ASIDE_S_MAX
        own = [key for key in self._below(_ASIDE) if _ASIDE_NAME.fullmatch(key.removeprefix(f"{_ASIDE}/"))]
        for key in own:
            path = self._path(key)
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest_s:
                    path.unlink()

    def _create(self, key: str, body: bytes) -> bool:
        if not self._take_name(key, body) and read_whole(self._path(key), _RECORD_BYTES_MAX) != body:
            return False
        sync_folder(self._path(key).parent)
        return True

    def _take_name(self, key: str, body: bytes) -> bool:
        """Write a record aside and link it to its name; False where that is taken."""
        target = self._path(key)
        aside = self._path(f"{_ASIDE}/{secrets.token_hex(16)}")
        for path in (target, aside):
            self._folders.make(path.parent)
        write_new(aside, body)
        try:
            self._link(target, aside)
        except FileExistsError:
            return False
        finally:
            aside.unlink(missing_ok=True)
        return True

    def _link(self, target: Path, aside: Path) -> None:
        try:
            target.hardlink_to(aside)
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise LakeRefused(
                    f"the lake {self._root} can't keep records: its file system allows no hard links there; "
                    "set a `lake` on another"
                ) from error
            raise

    def _keys(self, prefix: str, after: str) -> list[str]:
        folder = checked_prefix(prefix).rpartition("/")[0]
        return sorted(
            key
            for key in self._below(folder)
            if key.startswith(prefix) and key > after and not key.startswith((f"{_STAGED}/", f"{_ASIDE}/"))
        )

    def _below(self, folder: str) -> Iterator[str]:
        """The keys of all files in a folder and below it; none where it is missing."""
        for parent, _, names in os.walk(self._path(folder) if folder else self._root, onerror=_raise_unless_missing):
            # Once a folder, not once a name: a log may have many.
            below = Path(parent).relative_to(self._root).as_posix()
            start = "" if below == "." else f"{below}/"
            yield from (start + name for name in names)

    def _staged_path(self, staged: Staged) -> Path:
        return self._path(f"{_STAGED}/{staged.handle[0]}")

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)


def _size_bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _translated(root: Path, key: str, error: Exception) -> LakeError:
    if not isinstance(error, OSError):  # of Python's own, such as for a path that holds a null character
        return LakeRefused(f"the lake {str(root)!r} can't be used: {error}")
    if isinstance(error, TimeoutError) and error.errno is None:
        return LakeBusy(f"the lake {root} does not answer (at {key}): is its file server away?")
    code = error.errno or 0
    message = f"the lake {root} refuses {key}: {_ADVICE.get(code) or os.strerror(code)}"
    return LakeBusy(message) if code in _PASSING else LakeRefused(message)
