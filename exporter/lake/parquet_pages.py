"""What a Parquet file's pages will take when they are read, from their headers alone.

A column's metadata may say anything, and a page of some bytes can unpack to gigabytes. A page's header says how long
it is unpacked, and the reader makes room for just that. Source: apache/parquet-format, `parquet.thrift`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from exporter.lake.thrift import Thrift, ThriftUnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator

DICTIONARY_PAGE = 2
_DATA_PAGE, _INDEX_PAGE, _DATA_PAGE_V2 = 0, 1, 3
#: Encodings of `parquet.thrift`.
PLAIN, PLAIN_DICTIONARY, DELTA_LENGTH_BYTE_ARRAY, RLE_DICTIONARY = 0, 2, 6, 8
_HEADER_BYTES = 1 << 13
_HEADER_BYTES_MAX = 1 << 20
# Fields of PageHeader, and of the headers in it.
_TYPE, _UNPACKED, _PACKED = 1, 2, 3
_INNER = {_DATA_PAGE: 5, DICTIONARY_PAGE: 7, _DATA_PAGE_V2: 8}
_VALUES = 1
_ENCODING = {_DATA_PAGE: 2, DICTIONARY_PAGE: 2, _DATA_PAGE_V2: 4}


@dataclass(frozen=True, slots=True)
class PageSize:
    """One page: its kind, its values, how they are encoded, and its length, unpacked."""

    kind: int
    values: int
    encoding: int
    size_bytes: int


def page_sizes(file: IO[bytes], offset: int, length: int) -> Iterator[PageSize]:
    """Read how large the pages of a column's chunk are, which begins at ``offset`` and is ``length`` bytes long.

    Raises :class:`ThriftUnreadableError`.
    """
    end = offset + length
    while offset < end:
        header, header_bytes = _read_header(file, offset, end)
        packed, unpacked, kind = header.get(_PACKED), header.get(_UNPACKED), header.get(_TYPE)
        if not isinstance(packed, int) or not isinstance(unpacked, int) or packed < 0 or unpacked < 0:
            raise ThriftUnreadableError("a page has no length")
        offset += header_bytes + packed
        if kind == _INDEX_PAGE:
            continue
        if kind not in _INNER:
            raise ThriftUnreadableError("a page is of no known kind")
        inner = header.get(_INNER[kind])
        inner = inner if isinstance(inner, dict) else {}
        values, encoding = inner.get(_VALUES), inner.get(_ENCODING[kind])
        if not isinstance(values, int) or not isinstance(encoding, int):
            raise ThriftUnreadableError("a page does not say what it holds")
        yield PageSize(kind, values, encoding, unpacked)


def _read_header(file: IO[bytes], offset: int, end: int) -> tuple[dict[int, Any], int]:
    """A page's header, and how long it is."""
    wanted = _HEADER_BYTES
    while True:
        file.seek(offset)
        data = file.read(min(wanted, end - offset))
        reader = Thrift(data)
        try:
            return reader.struct(), reader.index
        except IndexError:
            if len(data) < wanted or wanted >= _HEADER_BYTES_MAX:
                raise ThriftUnreadableError("a page's header does not end") from None
            wanted *= 4
