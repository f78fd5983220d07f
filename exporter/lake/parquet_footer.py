"""What a Parquet file's footer says: where its columns lie, and what lies between which values.

PyArrow is not asked: where a column's metadata are encrypted, damaged or too few, its C++ part raises, its Python part
does not catch it, and the process ends (seen with PyArrow 26). Source: apache/parquet-format, `parquet.thrift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from os import SEEK_END
from typing import IO, Any

from exporter.lake.thrift import Thrift, ThriftUnreadableError

#: Longer ones are not read: each column of each row group takes some hundred bytes.
FOOTER_BYTES_MAX = 4 << 20
_MAGIC = b"PAR1"
_TAIL_BYTES, _LENGTH_BYTES = 8, 4
# Fields of FileMetaData, SchemaElement, RowGroup, ColumnChunk, ColumnMetaData and Statistics.
_SCHEMA, _ROW_GROUPS, _ENCRYPTION = 2, 4, 8
_NAME, _CHILDREN = 4, 5
_COLUMNS, _ROWS = 1, 3
_METADATA = 3
_KIND, _CODEC, _VALUES, _LENGTH, _DATA, _DICTIONARY, _STATISTICS = 1, 4, 5, 7, 9, 11, 12
_MAX, _MIN = 5, 6
# Kinds and codecs that there are.
_KINDS, _CODECS = range(8), range(8)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column in one row group: how many values it has, where it begins and how long it is, both in bytes."""

    values: int
    offset: int
    size_bytes: int


def chunks_of(file: IO[bytes], column: int, columns: int) -> list[Chunk]:
    """Read where one of a file's ``columns`` lies: its chunks, a row group after another.

    The footer is one that PyArrow has read already, so it is there. Raises :class:`ThriftUnreadableError`.
    """
    groups = _footer(file).get(_ROW_GROUPS)
    return [_chunk(group, column, columns) for group in (groups if isinstance(groups, list) else ())]


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group: its rows, and between which values each column lies, by its name, as far as the footer says it."""

    rows: int
    ranges: dict[str, tuple[bytes, bytes]]


def row_groups_of(data: bytes) -> list[RowGroup]:
    """Read the row groups of a whole file. Only where this succeeds is it safe to ask PyArrow about the footer.

    Every column of every row group is described, and lies in the file. Raises :class:`ThriftUnreadableError`.
    """
    if len(data) < _TAIL_BYTES + len(_MAGIC) or not (data.startswith(_MAGIC) and data.endswith(_MAGIC)):
        raise ThriftUnreadableError("it does not begin and end as Parquet does")
    return _groups_of(BytesIO(data), len(data), len(data))


def _groups_of(file: IO[bytes], end: int, length_max: int) -> list[RowGroup]:
    """The row groups that the footer of a file describes, which must lie before ``end``."""
    footer = _footer(file, length_max, has_texts=True)
    if footer.get(_ENCRYPTION) is not None:
        raise ThriftUnreadableError("it is encrypted")
    names, groups = _leaves(footer.get(_SCHEMA)), footer.get(_ROW_GROUPS)
    if not isinstance(groups, list):
        raise ThriftUnreadableError("its footer has no row groups")
    return [_row_group(group, names, end) for group in groups]


def footer_length_of(end: bytes) -> int:
    """Read from the last bytes of a file how many of them are its footer. Raises :class:`ThriftUnreadableError`."""
    length = int.from_bytes(end[-_TAIL_BYTES:-_LENGTH_BYTES], "little")
    if not end.endswith(_MAGIC) or not 0 < length <= FOOTER_BYTES_MAX:
        raise ThriftUnreadableError("it does not end as Parquet does")
    return length + _TAIL_BYTES


def footer_alone(end: bytes, size_bytes: int) -> bytes:
    """Make a file of the footer in the last bytes of a file of that size, good for PyArrow to read the footer from.

    Raises as `row_groups_of`.
    """
    alone = _MAGIC + end[-footer_length_of(end) :]
    _groups_of(BytesIO(alone), size_bytes, len(alone))
    return alone


def _leaves(schema: object) -> list[str]:
    """The names of the columns that values are kept of; of nested ones the whole path, with dots."""
    elements = schema if isinstance(schema, list) else []
    names: list[str] = []
    open_paths: list[tuple[str, int]] = []
    for index, element in enumerate(elements):
        name, children = (element.get(_NAME), element.get(_CHILDREN)) if isinstance(element, dict) else (None, None)
        if not isinstance(name, bytes) or (children is not None and not isinstance(children, int)):
            raise ThriftUnreadableError("its schema is not described")
        if index and not open_paths:
            raise ThriftUnreadableError("its schema goes on where it should end")
        path = name.decode(errors="replace")
        if index:
            parent, left = open_paths.pop()
            path = f"{parent}.{path}" if parent else path
            if left > 1:
                open_paths.append((parent, left - 1))
        if children:
            open_paths.append((path if index else "", children))
        elif index:
            names.append(path)
    if open_paths or not names:
        raise ThriftUnreadableError("its schema ends too early")
    return names


def _row_group(group: object, names: list[str], end: int) -> RowGroup:
    rows = group.get(_ROWS) if isinstance(group, dict) else None
    if not isinstance(rows, int) or rows < 0:
        raise ThriftUnreadableError("a row group has no number of rows")
    ranges = {}
    for column, name in enumerate(names):
        chunk, metadata = _chunk(group, column, len(names)), group[_COLUMNS][column][_METADATA]  # type: ignore[index] # as the chunk was
        if chunk.offset + chunk.size_bytes > end:
            raise ThriftUnreadableError("a column lies after the file's end")
        if metadata.get(_KIND) not in _KINDS or metadata.get(_CODEC) not in _CODECS:
            raise ThriftUnreadableError("a column is of no known kind")
        statistics = metadata.get(_STATISTICS)
        least, greatest = (statistics.get(_MIN), statistics.get(_MAX)) if isinstance(statistics, dict) else (None, None)
        if isinstance(least, bytes) and isinstance(greatest, bytes):
            ranges[name] = (least, greatest)
    return RowGroup(rows, ranges)


def _footer(file: IO[bytes], length_max: int = FOOTER_BYTES_MAX, *, has_texts: bool = False) -> dict[int, Any]:
    end = file.seek(-_TAIL_BYTES, SEEK_END)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if not 0 < length <= min(length_max, end):
        raise ThriftUnreadableError(f"its footer has {length:,} bytes, and more than {length_max:,} are not read")
    file.seek(end - length)
    try:
        return Thrift(file.read(length), has_texts=has_texts).struct()
    except IndexError:
        raise ThriftUnreadableError("its footer ends too early") from None


def _chunk(group: object, column: int, columns: int) -> Chunk:
    chunks = group.get(_COLUMNS) if isinstance(group, dict) else None
    if not isinstance(chunks, list) or len(chunks) != columns:
        raise ThriftUnreadableError("a row group has other columns than the schema")
    metadata = chunks[column].get(_METADATA) if isinstance(chunks[column], dict) else None
    if not isinstance(metadata, dict):
        raise ThriftUnreadableError("a column is encrypted, or not described")
    values, length, data = (metadata.get(number) for number in (_VALUES, _LENGTH, _DATA))
    dictionary = metadata.get(_DICTIONARY) or data
    if not all(isinstance(number, int) and number >= 0 for number in (values, length, data, dictionary)):
        raise ThriftUnreadableError("a column does not say where it lies")
    return Chunk(values, min(data, dictionary), length)  # type: ignore[arg-type, type-var] # whole numbers, all of them
