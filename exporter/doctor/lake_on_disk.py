"""What a lake in a directory rests on: hard links, synced folders, renames, and the right to write.

Where there is a lake, trials are made in it, under `_log/trial-…`; else in a folder of their own, in the lake's place
or in the nearest folder above it that is there. All is removed again.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from exporter.doctor.check import Check, Examination
from exporter.doctor.lake_kind import check_kind
from exporter.errors import LakeRefused
from exporter.lake.identity import TRIAL, TRIAL_BODY
from exporter.lake.stores.directory import DirectoryStore
from exporter.machine.daemon_threads import DaemonThreads
from exporter.machine.image import is_in_own_layer
from exporter.text import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeVar

    from exporter.settings import Settings

    Result = TypeVar("Result")

#: How long a piece of work may take: a file server that is away never answers.
WORK_S = 4.0
_ROOM_BYTES = 1 << 30
_MIB = 1 << 20
_OWN_FOLDERS = ("_staged/_log", "_staged", "_aside", "_log")
_AWAY = "look whether the file server is there, and the mount"
_NO_SYNC = "this file system can't sync a folder: a loss of power may take the names of the last files"


class LakeOnDisk:
    """The checks of one lake; an asynchronous context manager, that makes nothing yet.

    ``run_id`` is no other's. The mutable state: where trials are made, which folders were there before, and the checks
    that are being made: a thread that writes goes on when its check is cancelled.
    """

    def __init__(self, settings: Settings, run_id: str, work_s: float = WORK_S) -> None:
        self._settings = settings
        self._lake = Path(settings.lake)
        self._key = f"{TRIAL}{run_id}.json"
        self._own_name = f".ivs-export-trial-{run_id}"
        self._work_s = work_s
        self._threads = DaemonThreads()
        self._root: Path | None = None
        self._before: frozenset[str] = frozenset()
        self._making: set[asyncio.Task[Check]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._making:
            await asyncio.wait(self._making, timeout=self._work_s)
            await self._cancel_all()
        if self._root is not None:
            with suppress(TimeoutError, OSError):
                await self._do(self._clear)

    async def _cancel_all(self) -> None:
        """Cancel the checks that are still being made: what they wait for does not answer."""
        for making in self._making:
            making.cancel()
        await asyncio.gather(*self._making, return_exceptions=True)

    def examinations(self) -> list[Examination]:
        """The checks, in their order."""
        return [
            self._examination("lake-folder", self.check_folder),
            self._examination("lake-kind", self.check_kind, "lake-folder"),
            self._examination("lake-links", self.check_links, "lake-folder"),
            self._examination("lake-sync", self.check_sync, "lake-links"),
            self._examination("lake-files", self.check_files, "lake-links"),
        ]

    async def check_folder(self) -> Check:
        """Find the folder that is there, and what room it has."""
        folder = await self._do(self._nearest)
        is_there = folder == self._lake
        has_log = is_there and await self._do((self._lake / "_log").is_dir)
        root = folder if has_log else folder / self._own_name
        self._before = frozenset(await self._do(lambda: [name for name in _OWN_FOLDERS if (root / name).exists()]))
        self._root = root
        free_bytes = (await self._do(lambda: shutil.disk_usage(folder))).free
        where = "" if is_there else f", which is made in {folder}"
        detail = f"{self._lake}{where}, {free_bytes // _MIB:,} MiB free"
        if is_in_own_layer(self._settings.lake):
            own = f"{self._lake} lies in the container's own layer, and would be gone with it"
            return Check("lake-folder", "failed", own, "mount a folder or a volume there")
        if free_bytes < _ROOM_BYTES:
            return Check("lake-folder", "warning", detail, "make room")
        return Check("lake-folder", "ok", detail)

    async def check_kind(self) -> Check:
        """See that the lake is one that a run with these settings goes on with."""
        return await check_kind(DirectoryStore(self._lake, timeout_s=self._work_s), self._settings)

    async def check_links(self) -> Check:
        """Make a record by a hard link, once more, and read it back."""
        store = self._store()
        if not await store.create(self._key, TRIAL_BODY):
            raise LakeRefused(f"{self._key} can't be made, though it is not there: no lake can be kept in this place")
        if not await store.refuses(self._key, TRIAL_BODY):
            raise LakeRefused(f"{self._lake}: a hard link replaces what is there: a record can be made twice")
        if await store.read(self._key) != TRIAL_BODY or self._key not in await store.keys(TRIAL):
            raise LakeRefused(f"{self._key} was made and is not found as it was written: no lake can be kept there")
        await store.delete(self._key)
        return Check("lake-links", "ok", "a record can be made once only")

    async def check_sync(self) -> Check:
        """Sync a folder: that its names outlive a loss of power."""
        assert self._root is not None, "found first"  # noqa: S101 - for the type checker
        folder = self._root
        try:
            await self._do(lambda: _sync(folder))
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
                raise LakeRefused(f"the lake {self._lake} can't be synced: {error.strerror}") from error
            return Check("lake-sync", "warning", _NO_SYNC, "keep the lake on a file system that can, or accept that")
        return Check("lake-sync", "ok", "files and folders outlive a loss of power, as the file system says")

    async def check_files(self) -> Check:
        """Stage a file, publish it by a rename, read it, and remove it."""
        store = self._store()
        staged = await store.stage(self._key, TRIAL_BODY)
        is_there = await store.publish(staged) and await store.read(self._key) == TRIAL_BODY
        await store.remove(self._key)
        if not is_there:
            raise LakeRefused(f"{self._lake}: a file that was renamed into its place is not there")
        return Check("lake-files", "ok", "staged, published, read and removed")

    def _store(self) -> DirectoryStore:
        assert self._root is not None, "found first"  # noqa: S101 - for the type checker
        return DirectoryStore(self._root, timeout_s=self._work_s)

    def _nearest(self) -> Path:
        """The lake's folder, or the nearest above it that is there. Raises :class:`LakeRefused` for a file there."""
        for path in (self._lake, *self._lake.absolute().parents):
            if path.is_dir():
                return path
            if path.exists():
                raise LakeRefused(f"the lake {self._lake}: {path} is a file: move it, or set another `lake`")
        raise LakeRefused(f"the lake {self._lake}: no folder above it is there")

    def _clear(self) -> None:
        """Remove what the trials have made; in a lake only what was not there before."""
        assert self._root is not None, "found first"  # noqa: S101 - for the type checker
        if self._root.name == self._own_name:
            shutil.rmtree(self._root, ignore_errors=True)
            return
        for path in (self._root / self._key, *self._root.glob(f"_staged/{self._key}.*.part")):
            path.unlink(missing_ok=True)
        for name in _OWN_FOLDERS:
            if name not in self._before:
                with suppress(OSError):  # a run that has begun meanwhile uses it
                    (self._root / name).rmdir()

    async def _do(self, work: Callable[[], Result]) -> Result:
        """Do work in a thread that does not keep the process where it hangs. Raises TimeoutError, too."""
        async with asyncio.timeout(self._work_s):
            return await asyncio.wrap_future(self._threads.submit(work))

    def _examination(self, name: str, check: Callable[[], Coroutine[Any, Any, Check]], *needs: str) -> Examination:
        async def examine() -> Check:
            making = asyncio.ensure_future(check())
            self._making.add(making)
            making.add_done_callback(self._making.discard)
            try:
                return await asyncio.shield(making)
            except TimeoutError:
                return Check(name, "failed", f"the lake {self._lake} does not answer", _AWAY)
            except OSError as error:
                raise LakeRefused(f"the lake {self._lake} can't be used: {reason_of(error)}") from error

        return Examination(name, examine, needs)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
