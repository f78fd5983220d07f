"""Where a Parquet file's columns lie, read from its footer.

PyArrow is not asked: where a column's metadata are encrypted, damaged or too few, its C++ part raises, its Python part
does not catch it, and the process ends (seen with PyArrow 26). Source: apache/parquet-format, `parquet.thrift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import SEEK_END
from typing import IO, Any

from exporter.thrift import Thrift, ThriftUnreadableError

#: Longer ones are not read: each column of each row group takes some hundred bytes.
FOOTER_BYTES_MAX = 4 << 20
_TAIL_BYTES, _LENGTH_BYTES = 8, 4
# Fields of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData.
_ROW_GROUPS, _COLUMNS, _METADATA = 4, 1, 3
_VALUES, _LENGTH, _DATA, _DICTIONARY = 5, 7, 9, 11


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column in one row group: how many values it has, where it begins and how long it is, both in bytes."""

    values: int
    offset: int
    size_bytes: int


def chunks_of(file: IO[bytes], column: int, columns: int) -> list[Chunk]:
    """The chunks of one of a file's ``columns``, a row group after another.

    The footer is one that PyArrow has read already, so it is there. Raises :class:`ThriftUnreadableError`.
    """
    groups = _footer(file).get(_ROW_GROUPS)
    return [_chunk(group, column, columns) for group in (groups if isinstance(groups, list) else ())]


def _footer(file: IO[bytes]) -> dict[int, Any]:
    end = file.seek(-_TAIL_BYTES, SEEK_END)
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if not 0 < length <= min(FOOTER_BYTES_MAX, end):
        raise ThriftUnreadableError(f"its footer has {length:,} bytes, and more than {FOOTER_BYTES_MAX:,} are not read")
    file.seek(end - length)
    try:
        return Thrift(file.read(length)).struct()
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
    if not all(isinstance(each, int) and each >= 0 for each in (values, length, data, dictionary)):
        raise ThriftUnreadableError("a column does not say where it lies")
    return Chunk(values, min(data, dictionary), length)  # type: ignore[arg-type, type-var] # whole numbers, all of them
