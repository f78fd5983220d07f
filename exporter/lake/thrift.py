"""Thrift's compact protocol, as far as Parquet's metadata uses it.

Source: apache/thrift, `thrift-compact-protocol.md`.
"""

from __future__ import annotations

from typing import Any

_DEPTH_MAX = 8
_INT_BYTES_MAX = 10
# Types are numbered: 1, 2 flags; 3 to 6 whole numbers; 7 doubles; 8 texts; 9, 10 lists and sets; 12 structs. Parquet
# has no maps.
_STOP, _TRUE = 0, 1
_DOUBLE_BYTES = 8
_LENGTH_FOLLOWS = 15


class ThriftUnreadableError(Exception):
    """The bytes are no struct that can be read."""


class Thrift:
    """Reads Thrift's compact protocol; texts as bytes, or, without ``has_texts``, not at all.

    Raises IndexError where the bytes end too early.
    """

    def __init__(self, data: bytes, *, has_texts: bool = False) -> None:
        self._data = data
        self._has_texts = has_texts
        self.index = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read the fields of a struct, by their ids; what is passed over is None."""
        if depth > _DEPTH_MAX:
            raise ThriftUnreadableError("the metadata is nested too deeply")
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
            case 7:
                return self._skip(_DOUBLE_BYTES)
            case 8:
                return self._text()
            case 9 | 10:
                return self._list(depth)
            case 12:
                return self.struct(depth + 1)
            case _:
                raise ThriftUnreadableError("the metadata holds a field of no known kind")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        length = head >> 4 if head >> 4 < _LENGTH_FOLLOWS else self._varint()
        if length > len(self._data) - self.index:  # each value takes a byte at least
            raise IndexError
        if head & 15 in {1, 2}:  # flags are written out in a list
            return [self._byte() == _TRUE for _ in range(length)]
        return [self._value(head & 15, depth) for _ in range(length)]

    def _byte(self) -> int:
        value = self._data[self.index]
        self.index += 1
        return value

    def _text(self) -> bytes | None:
        length = self._varint()
        start = self.index
        self._skip(length)
        return self._data[start : self.index] if self._has_texts else None

    def _skip(self, count: int) -> None:
        self.index += count
        if self.index > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        value = 0
        for index in range(_INT_BYTES_MAX):
            byte = self._byte()
            value |= (byte & 127) << (7 * index)
            if byte < 128:  # noqa: PLR2004 - the bit that says that more follow
                return value
        raise ThriftUnreadableError("the metadata holds a number that does not end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
