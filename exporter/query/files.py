"""The data files of a lake as a query reads them: which there are, and any part of one. Nothing here can write."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections import OrderedDict
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from exporter.errors import FileLost, LakeRefused
from exporter.lake.stores.open import is_on_s3, open_s3_store

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from exporter.aws.sessions import MakeSession
    from exporter.lake.stores.s3.store import S3Store
    from exporter.settings import S3Settings

    Result = TypeVar("Result")

_SUFFIX = ".parquet"
_LOG = "_log"
#: DuckDB reads a file's end once for each mention of a table, and a view mentions tables many times.
_REMEMBERED_BYTES, _REMEMBERED_BYTES_MAX = 64 << 10, 32 << 20


class ReadableFile(Protocol):
    """A file, open for reading, as DuckDB uses one."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position."""
        ...

    def tell(self) -> int:
        """Give the position."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Read on from the position; raises :class:`LakeError`."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class LakeFiles(Protocol):
    """The data files of a lake. A key is a path relative to its root. Both methods raise :class:`LakeError`."""

    def sizes(self, table: str) -> Mapping[str, int]:
        """List a table's files, sorted by their keys, with their sizes in bytes."""
        ...

    def open(self, key: str, size_bytes: int) -> ReadableFile:
        """Open a file of that size."""
        ...

    def has_log(self) -> bool:
        """Whether the exporter's own log lies there, as it does in an empty lake, too."""
        ...


@contextmanager
def open_files(address: str, make_session: MakeSession, s3: S3Settings) -> Iterator[LakeFiles]:
    """Open the files of the lake at ``address``, as `open_store` opens a store, and with what it raises."""
    if not is_on_s3(address):
        yield DirectoryFiles(Path(address))
        return
    with _event_loop() as loop:
        opening = open_s3_store(address, make_session, s3)
        store = loop.run(opening.__aenter__())
        try:
            yield S3Files(store, address, loop)
        finally:
            loop.run(opening.__aexit__(None, None, None))


class DirectoryFiles:
    """The files of a lake in the directory ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def sizes(self, table: str) -> Mapping[str, int]:
        """Walk through the table's folder; none is one without files."""
        found: dict[str, int] = {}
        try:
            for folder, _, names in os.walk(self._root / table, onerror=_raise_but_for_missing):
                for name in names:
                    path = Path(folder, name)
                    if name.endswith(_SUFFIX):
                        with suppress(FileNotFoundError):  # it has just been replaced
                            found[path.relative_to(self._root).as_posix()] = path.stat().st_size
        except OSError as error:
            raise _refused(error) from error
        return dict(sorted(found.items()))

    def open(self, key: str, size_bytes: int) -> ReadableFile:
        """Open the file itself."""
        try:
            descriptor = os.open(self._root / key, os.O_RDONLY)
        except FileNotFoundError as error:
            raise _lost(key) from error
        except OSError as error:
            raise _refused(error) from error

        def read(begin: int, length: int) -> bytes:
            try:
                return os.pread(descriptor, length, begin)
            except OSError as error:
                raise LakeRefused(f"{self._root / key} can't be read: {error.strerror}") from error

        return _File(size_bytes, read, partial(os.close, descriptor))

    def has_log(self) -> bool:
        """Whether there is a folder of that name."""
        return (self._root / _LOG).is_dir()


class S3Files:
    """The files of a lake on S3, read by the exporter's own calls: with its credentials, proxies and second tries."""

    def __init__(self, store: S3Store, address: str, loop: EventLoop) -> None:
        self._store = store
        self._address = address
        self._loop = loop
        self._remembered: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._remembered_bytes = 0
        self._lock = threading.Lock()

    def sizes(self, table: str) -> Mapping[str, int]:
        """List the objects below the table's prefix."""
        found = self._loop.run(self._store.sizes(f"{table}/"))
        return {key: found[key] for key in sorted(found) if key.endswith(_SUFFIX)}

    def open(self, key: str, size_bytes: int) -> ReadableFile:
        """Ask for nothing yet."""
        return _File(size_bytes, partial(self._read, key))

    def has_log(self) -> bool:
        """Whether there is an object below that prefix."""
        return bool(self._loop.run(self._store.keys(f"{_LOG}/")))

    def _read(self, key: str, begin: int, length: int) -> bytes:
        """Read a part of an object; small parts are remembered, for the same ones are read again and again.

        Raises :class:`FileLost`, and :class:`LakeError`.
        """
        part = (key, begin, length)
        with self._lock:
            if (known := self._remembered.get(part)) is not None:
                self._remembered.move_to_end(part)
                return known
        data = self._loop.run(self._store.read_range(*part))
        if data is None:
            raise _lost(key)
        if len(data) != length:
            raise LakeRefused(f"{self._address}: {length:,} bytes of {key} were asked for, and {len(data):,} came")
        if length <= _REMEMBERED_BYTES:
            self._remember(part, data)
        return data

    def _remember(self, part: tuple[str, int, int], data: bytes) -> None:
        with self._lock:
            if part not in self._remembered:
                self._remembered[part] = data
                self._remembered_bytes += len(data)
            while self._remembered_bytes > _REMEMBERED_BYTES_MAX:
                self._remembered_bytes -= len(self._remembered.popitem(last=False)[1])


class _File:
    """A file that is open for reading, by several threads at once: each has its own position.

    DuckDB lets its threads share a file, and goes to a position in one step and reads in another. ``read`` takes where
    to begin, and how many bytes.
    """

    def __init__(
        self, size_bytes: int, read: Callable[[int, int], bytes], close: Callable[[], None] = lambda: None
    ) -> None:
        self._size_bytes = size_bytes
        self._read = read
        self._own = threading.local()
        self._closing = [close]

    def __del__(self) -> None:
        self.close()  # DuckDB 2.0 lets go of files without it

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position; nothing is read."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size_bytes}[whence]
        self._own.position = begin + offset
        return begin + offset

    def tell(self) -> int:
        """Give the position."""
        position: int = getattr(self._own, "position", 0)
        return position

    def read(self, size: int = -1, /) -> bytes:
        """Read on from the position, up to the end."""
        begin = self.tell()
        left = max(0, self._size_bytes - begin)
        length = left if size < 0 else min(size, left)
        data = self._read(begin, length) if length else b""
        self._own.position = begin + len(data)
        return data

    def close(self) -> None:
        """Let go of the file, once."""
        while self._closing:
            self._closing.pop()()


class EventLoop:
    """An event loop in a thread of its own, for those who wait in other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lake", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for the outcome of some work."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the thread, when nothing is under way any more."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def _event_loop() -> Iterator[EventLoop]:
    loop = EventLoop()
    try:
        yield loop
    finally:
        loop.close()


def _raise_but_for_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _refused(error: OSError) -> LakeRefused:
    is_file = isinstance(error, NotADirectoryError)
    remedy = "name the lake's folder with --lake" if is_file else "let the user who runs this read the lake"
    return LakeRefused(f"{error.filename}: {error.strerror}: {remedy}")


def _lost(key: str) -> FileLost:
    return FileLost(f"{key} went away while it was read: ask again; if it is still so, `ivs-export verify` says more")
