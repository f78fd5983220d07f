"""What a Parquet file's pages will take when they are read, from their headers alone.

A column's metadata may say anything, and a page of some bytes can unpack to gigabytes. A page's header says how long
it is unpacked, and the reader makes room for just that. Source: apache/parquet-format, `parquet.thrift`, and Thrift's
compact protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DICTIONARY_PAGE = 2
_DATA_PAGE, _INDEX_PAGE, _DATA_PAGE_V2 = 0, 1, 3
#: Encodings of `parquet.thrift`.
PLAIN, PLAIN_DICTIONARY, DELTA_LENGTH_BYTE_ARRAY, RLE_DICTIONARY = 0, 2, 6, 8
_HEADER_BYTES = 1 << 13
_HEADER_BYTES_MAX = 1 << 20
_DEPTH_MAX = 8
_INT_BYTES_MAX = 10
# Thrift's compact types are numbered: 1, 2 flags; 3 to 6 whole numbers; 7 doubles; 8 texts; 12 structs. The headers of
# pages hold no lists, sets or maps.
_STOP, _TRUE, _DOUBLE = 0, 1, 7
_DOUBLE_BYTES = 8
# Fields of PageHeader, and of the headers in it.
_TYPE, _UNPACKED, _PACKED = 1, 2, 3
_INNER = {_DATA_PAGE: 5, DICTIONARY_PAGE: 7, _DATA_PAGE_V2: 8}
_VALUES = 1
_ENCODING = {_DATA_PAGE: 2, DICTIONARY_PAGE: 2, _DATA_PAGE_V2: 4}


class PagesUnreadableError(Exception):
    """The headers of a column's pages can't be read."""


@dataclass(frozen=True, slots=True)
class PageSize:
    """One page: its kind, its values, how they are encoded, and its length, unpacked."""

    kind: int
    values: int
    encoding: int
    size_bytes: int


def page_sizes(file: IO[bytes], offset: int, length: int) -> Iterator[PageSize]:
    """The pages of a column's chunk, which begins at ``offset`` and is ``length`` bytes long.

    Raises :class:`PagesUnreadableError`.
    """
    end = offset + length
    while offset < end:
        header, header_bytes = _read_header(file, offset, end)
        packed, unpacked, kind = header.get(_PACKED), header.get(_UNPACKED), header.get(_TYPE)
        if not isinstance(packed, int) or not isinstance(unpacked, int) or packed < 0 or unpacked < 0:
            raise PagesUnreadableError("a page has no length")
        offset += header_bytes + packed
        if kind == _INDEX_PAGE:
            continue
        if kind not in _INNER:
            raise PagesUnreadableError("a page is of no known kind")
        inner = header.get(_INNER[kind])
        inner = inner if isinstance(inner, dict) else {}
        values, encoding = inner.get(_VALUES), inner.get(_ENCODING[kind])
        if not isinstance(values, int) or not isinstance(encoding, int):
            raise PagesUnreadableError("a page does not say what it holds")
        yield PageSize(kind, values, encoding, unpacked)


def _read_header(file: IO[bytes], offset: int, end: int) -> tuple[dict[int, Any], int]:
    """A page's header, and how long it is."""
    wanted = _HEADER_BYTES
    while True:
        file.seek(offset)
        data = file.read(min(wanted, end - offset))
        reader = _Thrift(data)
        try:
            return reader.struct(), reader.index
        except IndexError:
            if len(data) < wanted or wanted >= _HEADER_BYTES_MAX:
                raise PagesUnreadableError("a page's header does not end") from None
            wanted *= 4


class _Thrift:
    """Reads Thrift's compact protocol. Raises IndexError where the bytes end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.index = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """The fields of a struct, by their ids; texts are passed over."""
        if depth > _DEPTH_MAX:
            raise PagesUnreadableError("a page's header is nested too deeply")
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) & 15 != _STOP:
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:  # noqa: ANN401 - what a field holds
        match kind:
            case 1 | 2:  # a flag, which its type says
                return kind == _TRUE
            case 3 | 4 | 5 | 6:
                return self._zigzag()
            case 7 | 8:
                return self._skip(_DOUBLE_BYTES if kind == _DOUBLE else self._varint())
            case 12:
                return self.struct(depth + 1)
            case _:
                raise PagesUnreadableError("a page's header holds a field of no known kind")

    def _byte(self) -> int:
        value = self._data[self.index]
        self.index += 1
        return value

    def _skip(self, count: int) -> None:
        self.index += count
        if self.index > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = 0
        for place in range(_INT_BYTES_MAX):
            byte = self._byte()
            value |= (byte & 127) << (7 * place)
            if byte < 128:  # noqa: PLR2004 - the bit that says that more follow
                return value
        raise PagesUnreadableError("a page's header holds a number that does not end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
