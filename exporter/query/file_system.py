"""A lake's files as DuckDB sees them: a file system that shows the tables' files, and has no way to write.

It is the only one that a query can reach. So whatever a statement asks for, nothing but the lake's data is read, and no
file is made, changed or removed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NoReturn

from fsspec import AbstractFileSystem

from exporter.errors import ExportError, FileLost, UsageError
from exporter.query.own_files import own_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.query.files import LakeFiles, ReadableFile

PROTOCOL = "lake"
#: Where the lake lies for DuckDB. Its own address stands in no statement, so nothing in that can be misread.
ROOT = f"{PROTOCOL}://data"
_READ_ONLY = "a query reads the lake and writes nothing: take its answer from standard output (--format csv or json)"
#: No data file ever changes.
_MODIFIED = datetime(2020, 1, 1, tzinfo=UTC)


class LakeFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The files of the tables, listed once. ``failure`` is what an error of DuckDB's was made of, if it was ours."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, files: LakeFiles, tables: tuple[str, ...]) -> None:
        """List the files of ``tables``. Raises :class:`LakeError`."""
        super().__init__()
        self._files = files
        self.has_log = files.has_log()
        self.sizes: Mapping[str, Mapping[str, int]] = {table: own_files(table, files.sizes(table)) for table in tables}
        self.failure: ExportError | None = None

    def glob(self, path: str, **_: Any) -> list[str]:  # noqa: ANN401 - fsspec's own
        """Name the files that a pattern means; ``**`` and ``*`` go over folders."""
        pattern = _key_of(path)
        keys = self.sizes.get(pattern.partition("/")[0], {})
        return [f"{ROOT}/{key}" for key in keys if fnmatchcase(key, pattern)]

    def info(self, path: str, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - fsspec's own
        """Say what is known of a file."""
        return {"name": path, "size": self._size_bytes(_key_of(path)), "type": "file"}

    def modified(self, path: str) -> datetime:  # noqa: ARG002 - the same of all
        """Give the time of the last change."""
        return _MODIFIED

    def isdir(self, path: str) -> bool:  # noqa: ARG002 - the same of all
        """Nothing is a folder."""
        return False

    def isfile(self, path: str) -> bool:
        """Whether there is such a file."""
        key = _key_of(path)
        return key in self.sizes.get(key.partition("/")[0], {})

    def open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> ReadableFile:  # noqa: ANN401 - fsspec's own
        """Open a file for reading, and none for anything else."""
        if mode != "rb":
            self._refuse()
        key = _key_of(path)
        try:
            return self._files.open(key, self._size_bytes(key))
        except ExportError as error:
            self.failure = error
            raise

    def mkdir(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - fsspec's own
        """Refuse."""
        self._refuse()

    mv = rm = rm_file = makedirs = mkdir

    def _size_bytes(self, key: str) -> int:
        try:
            return self.sizes.get(key.partition("/")[0], {})[key]
        except KeyError:
            self.failure = FileLost(f"the lake's tables have no file {key}")
            raise self.failure from None

    def _refuse(self) -> NoReturn:
        self.failure = UsageError(_READ_ONLY)
        raise self.failure


def _key_of(path: str) -> str:
    return path.removeprefix(f"{ROOT}/")
