"""Data files of a table, read by ranges wherever they lie: in the lake, or where a catalog wants its tables. It blocks.

Their footers are checked before PyArrow reads them, which a broken one could end the process by.
"""

from __future__ import annotations

from functools import partial
from io import SEEK_CUR, SEEK_END, SEEK_SET, BytesIO, RawIOBase
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from exporter.catalog.compacted import originals_in, unreadable
from exporter.errors import FileLost, LakeBusy
from exporter.lake.arrow import pq
from exporter.lake.parquet_footer import footer_alone, footer_length_of
from exporter.lake.parquet_values import check_values
from exporter.lake.thrift import ThriftUnreadableError
from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile as ListedFile

    from exporter.catalog.changes import LoggedFile
    from exporter.catalog.compacted import TablePlaces
    from exporter.catalog.file_io import OpenLake
    from exporter.lake.tables.table import Table

#: Smaller files are read at once.
_WHOLE_BYTES_MAX = 4 << 20
_TAIL_BYTES = 8


class RangeFile(RawIOBase):
    """A file that is read by ranges, as PyArrow takes it. ``read_range`` gives bytes from a position on."""

    def __init__(self, read_range: Callable[[int, int], bytes], size_bytes: int) -> None:
        super().__init__()
        self._read_range = read_range
        self._size_bytes = size_bytes
        self._position = 0
        self._whole = read_range(0, size_bytes) if size_bytes <= _WHOLE_BYTES_MAX else None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Let the next read begin there."""
        self._position = offset + {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._size_bytes}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read up to that number of bytes."""
        left = max(0, self._size_bytes - self._position)
        length = left if size < 0 else min(size, left)
        begin, self._position = self._position, self._position + length
        if self._whole is not None:
            return self._whole[begin : begin + length]
        return self._read_range(begin, length) if length else b""


def open_file(lake: OpenLake, io: FileIO, url: str, size_bytes: int) -> RangeFile:
    """Open a data file. Reading raises :class:`FileLost` where it is gone, and :class:`LakeError`."""
    key = lake.key_of(url)
    read = partial(_read_elsewhere, io, url) if key is None else partial(lake.read_range, key)

    def read_range(begin: int, length: int) -> bytes:
        found = read(begin, length)
        if found is None:
            raise FileLost(
                f"{url} is listed, and gone: `ivs-export repair` lets go of a file of the lake,"
                " `ivs-export publish --rebuild` of a merged one"
            )
        return found

    return RangeFile(read_range, size_bytes)


def _read_elsewhere(io: FileIO, url: str, begin: int, length: int) -> bytes | None:
    try:
        with io.new_input(url).open() as stream:
            stream.seek(begin)
            return stream.read(length)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LakeBusy(f"{url} can't be read: {one_line(str(error))}") from error


def footer_of(file: RangeFile, url: str) -> Any:  # noqa: ANN401 - PyArrow has no types
    """Read a file's footer, as a file of PyArrow's without rows. Raises :class:`FileDamaged`, and as `open_file`."""
    size_bytes = file.seek(0, SEEK_END)
    try:
        file.seek(max(0, size_bytes - _TAIL_BYTES))
        needed = footer_length_of(file.read())
        file.seek(max(0, size_bytes - needed))
        return pq.ParquetFile(BytesIO(footer_alone(file.read(), size_bytes)))
    except (ThriftUnreadableError, pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(url, str(error)) from error


def rows_of(table: Table, file: RangeFile, url: str, rows: int) -> Iterator[pa.RecordBatch]:
    """Read a file's rows as the table has them, a row group at a time; columns that it lacks are null.

    Raises :class:`FileDamaged` where it does not have ``rows`` rows, or has ids of another kind; and as `open_file`.
    """
    # Not `footer.schema`: that one and the footer hold each other, 50 KiB a file until the garbage collector comes.
    opened = footer_of(file, url)
    footer, there = opened.metadata, set(opened.schema_arrow.names)
    said = footer.metadata or {}
    if footer.num_rows != rows:
        raise unreadable(url, f"it has {footer.num_rows:,} rows, and the table says {rows:,}")
    if any(said.get(name.encode(), b"").decode(errors="replace") != value for name, value in table.metadata.items()):
        raise unreadable(url, "its rows have ids of another kind")
    texts = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name in there]
    file.seek(0)
    try:
        with pq.ParquetFile(
            pa.PythonFile(file, "r"), metadata=footer, read_dictionary=texts, pre_buffer=True
        ) as opened:
            for group in range(opened.num_row_groups):
                for batch in opened.read_row_group(group, use_threads=False).to_batches():
                    check_values(table, batch)
                    yield _fitted(table, batch, there)
    except (pa.ArrowException, OSError, ValueError) as error:  # PyArrow's own word for a broken page is OSError
        raise unreadable(url, str(error)) from error


def originals_of(places: TablePlaces, lake: OpenLake, io: FileIO, listed: ListedFile) -> list[LoggedFile]:
    """Read which of the lake's files a compacted file was made of. Raises :class:`FileDamaged` and as `open_file`."""
    url = listed.file_path
    day = places.compacted_date(url)
    assert day is not None  # noqa: S101 - the caller has asked
    footer = footer_of(open_file(lake, io, url, listed.file_size_in_bytes), url).metadata
    return originals_in(places.table, url, day, footer.metadata)


def _fitted(table: Table, batch: pa.RecordBatch, there: set[str]) -> pa.RecordBatch:
    columns = [batch.column(field.name) if field.name in there else pa.nulls(batch.num_rows) for field in table.schema]
    return pa.RecordBatch.from_arrays(columns, names=table.schema.names)
