"""PyIceberg's way to files: the lake's own store, with its credentials, second tries, limits and options.

PyIceberg calls from threads and wants answers at once; the store is asked in the event loop that it was opened in.
Only what lies below ``_iceberg/`` is ever written or removed, whatever PyIceberg asks for: the lake's files are safe
from it.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from exporter.catalog.wanted import url_of_lake
from exporter.errors import LakeRefused

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from typing import TypeVar

    from exporter.lake.store import Store

    Result = TypeVar("Result")

#: Where tables keep what describes them, below the lake.
FOLDER = "_iceberg"
_OPEN_LAKE = "ivs-export.open-lake"
_METADATA = ".metadata.json"


class OpenLake:
    """A lake that is open in a running event loop, for those who wait in other threads.

    ``root`` is the lake's URL, without a slash at its end. What PyIceberg takes for useless, a commit may rest on all
    the same, whose answer was lost: such files are unsure, each thread's own, until that is known.
    """

    def __init__(self, root: str, store: Store) -> None:
        self.root = root
        self._unsure = threading.local()
        self._store = store
        self._loop = asyncio.get_running_loop()

    def read(self, location: str) -> bytes | None:
        """Read a file of the lake; None where there is none."""
        return self._wait(self._store.read(self._key(location)))

    def create(self, location: str, body: bytes) -> bool:
        """Make a file below ``_iceberg/``; False where another one is there."""
        return self._wait(self._store.create(self._own_key(location), body))

    def delete(self, location: str) -> None:
        """Remove a file below ``_iceberg/``; what a lost commit may rest on is only noted as unsure."""
        key = self._own_key(location)
        if key.endswith(_METADATA):
            self._wait(self._store.delete(key))
        else:
            self._unsure.keys = [*self._unsure_keys(), key]

    def settle_unsure(self, *, are_useless: bool) -> None:
        """Remove this thread's unsure files, or keep them."""
        keys, self._unsure.keys = self._unsure_keys(), []
        for key in keys if are_useless else ():
            self._wait(self._store.delete(key))

    def url_of(self, key: str) -> str:
        """Where a file of the lake is, for all engines."""
        return f"{self.root}/{key}"

    def _unsure_keys(self) -> list[str]:
        keys: list[str] = getattr(self._unsure, "keys", [])
        return keys

    def _key(self, location: str) -> str:
        key = location.removeprefix(f"{self.root}/")
        if key == location:
            raise LakeRefused(f"{location} is not in the lake {self.root}: nothing else is read or written")
        return key

    def _own_key(self, location: str) -> str:
        key = self._key(location)
        if not key.startswith(f"{FOLDER}/") or ".." in key.split("/"):
            raise LakeRefused(
                f"{location} does not lie below {self.root}/{FOLDER}/: a catalog writes and removes nothing else"
            )
        return key

    def _wait(self, asked: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()


@contextmanager
def opened_for_catalogs(address: str, store: Store) -> Iterator[tuple[OpenLake, dict[str, str]]]:
    """Open the lake for PyIceberg; gives it, and the properties by which a catalog reads and writes there.

    Must be entered in the event loop that the store was opened in. Raises as `url_of_lake`.
    """
    lake, token = OpenLake(url_of_lake(address), store), secrets.token_hex(8)
    _open[token] = lake
    try:
        yield lake, {"py-io-impl": f"{__name__}.{LakeIO.__name__}", _OPEN_LAKE: token}
    finally:
        del _open[token]


# PyIceberg makes its own objects, of a class's name and of texts: this is how they find the lake.
_open: dict[str, OpenLake] = {}


class LakeIO(FileIO):
    """Files of an open lake."""

    def __init__(self, properties: dict[str, str]) -> None:
        super().__init__(properties)
        self._lake = _open[properties[_OPEN_LAKE]]

    def new_input(self, location: str) -> InputFile:
        """A file to read."""
        return _Input(location, self._lake)

    def new_output(self, location: str) -> OutputFile:
        """A file to make."""
        return _Output(location, self._lake)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Remove a file of the table's own, or note that it may go."""
        self._lake.delete(location if isinstance(location, str) else location.location)


class _Input(InputFile):
    def __init__(self, location: str, lake: OpenLake) -> None:
        super().__init__(location)
        self._lake = lake
        self._body: bytes | None = None

    def __len__(self) -> int:
        return len(self._read())

    def exists(self) -> bool:
        return self._lake.read(self.location) is not None

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002, FBT001, FBT002 - PyIceberg's own
        return BytesIO(self._read())

    def _read(self) -> bytes:
        if self._body is None:
            self._body = self._lake.read(self.location)
        if self._body is None:
            raise FileNotFoundError(f"{self.location} is not there")
        return self._body


class _Output(OutputFile):
    def __init__(self, location: str, lake: OpenLake) -> None:
        super().__init__(location)
        self._lake = lake
        self._size_bytes = 0

    def __len__(self) -> int:
        return self._size_bytes

    def exists(self) -> bool:
        return self._lake.read(self.location) is not None

    def to_input_file(self) -> InputFile:
        return _Input(self.location, self._lake)

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: ARG002, FBT001, FBT002 - names are unique for ever
        return _Stream(self)

    def finish(self, body: bytes) -> None:
        """Make the file of what was written."""
        if not self._lake.create(self.location, body):
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
