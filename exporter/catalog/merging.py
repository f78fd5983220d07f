"""Merge files of a table into one, beside the lake. It blocks; what it makes is listed by nobody yet.

Rows are read a row group at a time while they are written to a temporary file, so that it takes the memory of a few row
groups, however many files there are and however large they become.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

import pyarrow as pa

from exporter.catalog.changes import LoggedFile
from exporter.catalog.compacted import ORIGINALS_KEY, originals_text
from exporter.catalog.file_ends import end_of
from exporter.catalog.foreign_errors import asking
from exporter.catalog.listed_files import FileLister
from exporter.catalog.table_files import open_file, originals_of, rows_of
from exporter.errors import FileLost, TemporaryFolderRefused
from exporter.lake.parquet import encode_into
from exporter.text import one_line, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyiceberg.manifest import DataFile as ListedFile
    from pyiceberg.table import Table as IcebergTable

    from exporter.catalog.compacted import TablePlaces
    from exporter.catalog.compaction import Merge
    from exporter.catalog.file_io import OpenLake


#: What is written at once where a catalog wants its tables elsewhere.
_PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge with its result as the table will list it."""

    merge: Merge
    listed: ListedFile

    @property
    def url(self) -> str:
        """Where the result lies."""
        return str(self.listed.file_path)

    @property
    def sources(self) -> set[str]:
        """Where the files are whose rows it has."""
        return {part.url for part in self.merge.parts}


@dataclass(frozen=True, slots=True)
class Merger:
    """Merges files of one table, which stands as it was loaded, and lists them so.

    ``properties`` are the catalog's: none is shown.
    """

    lake: OpenLake
    found: IcebergTable
    places: TablePlaces
    listed: Mapping[str, ListedFile]
    properties: Mapping[str, str]

    def merged(self, merge: Merge, url: str) -> Merged:
        """Make one file of several, at a place of the table's own.

        Raises :class:`FileLost` and :class:`FileDamaged` for one that can't be read, and :class:`LakeError`.
        """
        table = self.places.table
        with asking(f"merge files of {table.name}", self.properties), self._encoded(merge) as body:
            key = self.lake.key_of(url)
            made = LoggedFile("", table.name, key or url, merge.date, merge.rows, len(body))
            merged = Merged(merge, FileLister(self.found.metadata).listed(made, end_of(body), url))
            if key is not None:
                self.lake.create_large(key, body)
            else:
                self._create_elsewhere(url, body)
        return merged

    @contextmanager
    def _encoded(self, merge: Merge) -> Iterator[memoryview]:
        """The merged file, written to a temporary one and read from there: it need not fit into memory.

        Raises :class:`TemporaryFolderRefused`.
        """
        table = self.places.table
        originals = [file for part in merge.parts for file in self._originals(merge, self.listed[part.url])]
        metadata = {**table.metadata, ORIGINALS_KEY: originals_text(originals)}
        with ExitStack() as stack:
            with _using_temporary_folder():
                spool = stack.enter_context(tempfile.TemporaryFile())
                encode_into(pa.PythonFile(spool, "w"), table, self._rows(merge), merge.rows, metadata=metadata)
                spool.flush()
                whole = stack.enter_context(mmap(spool.fileno(), 0, access=ACCESS_READ))
            yield stack.enter_context(memoryview(whole))

    def _create_elsewhere(self, url: str, body: memoryview) -> None:
        with self.found.io.new_output(url).create() as stream:
            for begin in range(0, len(body), _PIECE_BYTES):
                stream.write(bytes(body[begin : begin + _PIECE_BYTES]))

    def _originals(self, merge: Merge, listed: ListedFile) -> list[LoggedFile]:
        """The files of the lake whose rows a listed file has: itself, where it is one of them."""
        if self.places.compacted_date(listed.file_path) is not None:
            return originals_of(self.places, self.lake, self.found.io, listed)
        key, name = self.lake.key_of(listed.file_path), self.places.table.name
        if key is None:
            raise FileLost(f"{listed.file_path} lies outside of the lake")
        return [LoggedFile("", name, key, merge.date, listed.record_count, listed.file_size_in_bytes)]

    def _rows(self, merge: Merge) -> Iterator[pa.RecordBatch]:
        for part in merge.parts:
            file = open_file(self.lake, self.found.io, part.url, self.listed[part.url].file_size_in_bytes)
            yield from rows_of(self.places.table, file, part.url, part.rows)


@contextmanager
def _using_temporary_folder() -> Iterator[None]:
    """Raise :class:`TemporaryFolderRefused` where the system refuses what the block does."""
    try:
        yield
    except OSError as error:
        raise TemporaryFolderRefused(
            f"no temporary file can be written ({one_line(reason_of(error))}): "
            "set TMPDIR to a folder that can be written and has room"
        ) from error
