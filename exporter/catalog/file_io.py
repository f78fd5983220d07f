"""PyIceberg's way to files: the lake's own store, with its credentials, second tries, limits and options.

PyIceberg calls from threads and wants answers at once; the store is asked in the event loop that it was opened in.
Only what lies below the tables' own place is ever written or removed, whatever PyIceberg asks for: the lake's files are
safe from it. That place is below the lake; where a catalog wants it elsewhere, PyIceberg reaches it by itself.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream
from pyiceberg.io.pyarrow import PyArrowFileIO

from exporter.errors import LakeRefused, StagedGone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import TypeVar

    from exporter.catalog.wanted import Places
    from exporter.lake.store import Store

    Result = TypeVar("Result")

_OPEN_LAKE = "ivs-export.open-lake"
_METADATA = ".metadata.json"


class OwnFileGone(FileNotFoundError):
    """A file that a table keeps in the lake is not there."""

    def __init__(self, location: str) -> None:
        super().__init__(f"{location} is not there")
        self.location = location


class OpenLake:
    """A lake that is open in a running event loop, for those who wait in other threads.

    ``places`` are the URLs of the lake and of the tables. What PyIceberg takes for useless, a commit may rest on all
    the same, whose answer was lost: such files are unsure, each thread's own, until that is known.
    """

    def __init__(self, places: Places, store: Store) -> None:
        self.places = places
        self._unsure = threading.local()
        self._store = store
        self._loop = asyncio.get_running_loop()

    def key_of(self, location: str) -> str | None:
        """The key of a file in the lake; None where it lies elsewhere."""
        key = location.removeprefix(f"{self.places.lake}/")
        return None if key == location else key

    def read(self, key: str) -> bytes | None:
        """Read a file of the lake; None where there is none."""
        return self._wait(self._store.read(key))

    def read_range(self, key: str, begin: int, length: int) -> bytes | None:
        """Read a part of a file of the lake; None where there is none."""
        return self._wait(self._store.read_range(key, begin, length))

    def create(self, key: str, body: bytes) -> bool:
        """Make a file; False where another one is there."""
        return self._wait(self._store.create(key, body))

    def create_large(self, key: str, body: memoryview) -> None:
        """Make a file of the tables' own that may be large, in parts; its name is new."""
        self.check_own(f"{self.places.lake}/{key}")
        self._wait(self._create_large(key, body))

    def delete(self, key: str) -> None:
        """Remove a file of a table."""
        self._wait(self._store.delete(key))

    def check_own(self, location: str) -> None:
        """Raise :class:`LakeRefused` where a file is none of the tables' own: others are never written or removed."""
        if not location.startswith(f"{self.places.tables}/") or ".." in location.split("/"):
            raise LakeRefused(
                f"{location} does not lie below {self.places.tables}/: nothing else is written or removed"
            )

    def note_unsure(self, remove: Callable[[], None]) -> None:
        """Note how to remove a file that a lost commit may rest on."""
        self._unsure.removals = [*self._removals(), remove]

    def settle_unsure(self, *, are_useless: bool) -> None:
        """Remove this thread's unsure files, or keep them."""
        removals, self._unsure.removals = self._removals(), []
        for remove in removals if are_useless else ():
            remove()

    async def _create_large(self, key: str, body: memoryview) -> None:
        staged = await self._store.stage(key, body)
        if not await self._store.publish(staged):
            raise StagedGone(f"something else removed {key} before it was whole")

    def _removals(self) -> list[Callable[[], None]]:
        removals: list[Callable[[], None]] = getattr(self._unsure, "removals", [])
        return removals

    def _wait(self, asked: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()


@contextmanager
def opened_for_catalogs(places: Places, store: Store) -> Iterator[tuple[OpenLake, dict[str, str]]]:
    """Open the lake for PyIceberg; gives it, and the properties by which a catalog reads and writes there.

    Must be entered in the event loop that the store was opened in.
    """
    lake, token = OpenLake(places, store), secrets.token_hex(8)
    _open[token] = lake
    try:
        yield lake, {"py-io-impl": f"{__name__}.{LakeIO.__name__}", _OPEN_LAKE: token}
    finally:
        del _open[token]


# PyIceberg makes its own objects, of a class's name and of texts: this is how they find the lake.
_open: dict[str, OpenLake] = {}


class LakeIO(FileIO):
    """Files of an open lake, and those of tables that lie elsewhere."""

    def __init__(self, properties: dict[str, str]) -> None:
        super().__init__(properties)
        self._lake = _open[properties[_OPEN_LAKE]]
        self._elsewhere = PyArrowFileIO(properties)

    def new_input(self, location: str) -> InputFile:
        """A file to read, wherever it is: whose a table is shows in what describes it."""
        key = self._lake.key_of(location)
        return self._elsewhere.new_input(location) if key is None else _Input(location, self._lake, key)

    def new_output(self, location: str) -> OutputFile:
        """A file to make."""
        self._lake.check_own(location)
        key = self._lake.key_of(location)
        return self._elsewhere.new_output(location) if key is None else _Output(location, self._lake, key)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Remove a file of the table's own; what a lost commit may rest on is only noted as unsure."""
        name = location if isinstance(location, str) else location.location
        self._lake.check_own(name)
        key = self._lake.key_of(name)
        remove = partial(self._elsewhere.delete, name) if key is None else partial(self._lake.delete, key)
        if name.endswith(_METADATA):
            remove()
        else:
            self._lake.note_unsure(remove)


class _Input(InputFile):
    def __init__(self, location: str, lake: OpenLake, key: str) -> None:
        super().__init__(location)
        self._lake = lake
        self._key = key
        self._body: bytes | None = None

    def __len__(self) -> int:
        return len(self._read())

    def exists(self) -> bool:
        return self._lake.read(self._key) is not None

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002, FBT001, FBT002 - PyIceberg's own
        return BytesIO(self._read())

    def _read(self) -> bytes:
        if self._body is None:
            self._body = self._lake.read(self._key)
        if self._body is None:
            raise OwnFileGone(self.location)
        return self._body


class _Output(OutputFile):
    def __init__(self, location: str, lake: OpenLake, key: str) -> None:
        super().__init__(location)
        self._lake = lake
        self._key = key
        self._size_bytes = 0

    def __len__(self) -> int:
        return self._size_bytes

    def exists(self) -> bool:
        return self._lake.read(self._key) is not None

    def to_input_file(self) -> InputFile:
        return _Input(self.location, self._lake, self._key)

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: ARG002, FBT001, FBT002 - names are unique for ever
        return _Stream(self)

    def finish(self, body: bytes) -> None:
        """Make the file of what was written."""
        if not self._lake.create(self._key, body):
            raise FileExistsError(f"{self.location} is there already")
        self._size_bytes = len(body)


class _Stream(BytesIO):
    """Bytes on their way to a file, which is made when they end; where the writer fails, none is."""

    def __init__(self, output: _Output) -> None:
        super().__init__()
        self._output = output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            super().close()

    def close(self) -> None:
        """Make the file."""
        if not self.closed:
            body = self.getvalue()
            super().close()
            self._output.finish(body)
