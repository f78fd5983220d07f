"""The ids of sessions that are compared: 8 bytes an id, in memory while there is room, else in one temporary file."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from exporter.normalize.numbering import NO_IDS
from exporter.pipeline.page_spool import new_temporary_file, temporary_folder

if TYPE_CHECKING:
    from exporter.model import SessionKey

#: What is in memory of all sessions of a process, at most.
KNOWN_SIZE_BYTES_MAX = 32 << 20

_ID_SIZE_BYTES = 8
# An entry of a dictionary with its name and a number; three numbers for each part.
_PARTICIPANT_SIZE_BYTES = 200
_PART_NUMBERS, _NO_PART = 3, -1
_PART_SIZE_BYTES = 8 * _PART_NUMBERS


class SpillFile:
    """A temporary file that only grows, and is gone together with its owner.

    Both methods raise :class:`TemporaryFolderRefused` where the file can't be made, written or read. One thread at a
    time may call them.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._size_bytes = 0

    def append(self, data: bytes | bytearray | memoryview) -> int:
        """Write ``data`` and return where it begins."""
        start = self._size_bytes
        with temporary_folder():
            if self._file is None:
                self._file = new_temporary_file(self)
            self._file.seek(start)
            self._file.write(data)
        self._size_bytes += len(data)
        return start

    def read(self, start: int, size_bytes: int) -> bytes:
        """Read what was written from ``start`` on."""
        with temporary_folder():
            if self._file is None:
                raise OSError("a file in it was never made")
            self._file.seek(start)
            data = self._file.read(size_bytes)
            if len(data) < size_bytes:
                raise OSError("a file in it is short")
        return data


class SessionIds:
    """The ids of the rows that the lake holds of one session, by participant."""

    def __init__(self, file: SpillFile) -> None:
        self._file = file
        self._buffered: bytearray | None = bytearray()
        # Where ids stand, in the buffer or in the file: the start and size of each part, and the part before it of the
        # same participant; and the last part of each participant. There may be 100,000 of them.
        self._parts = array("q")
        self._last_part: dict[str, int] = {}
        self._index_size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """About how much is in memory."""
        return len(self._buffered or b"") + self._index_size_bytes

    @property
    def is_spilled(self) -> bool:
        """Whether the ids are in the file."""
        return self._buffered is None

    def add(self, participant_id: str, ids: pa.Int64Array) -> None:
        """Add ids of one participant's rows."""
        data = _bytes_of(ids)
        if self._buffered is None:
            start = self._file.append(data)
        else:
            start = len(self._buffered)
            self._buffered += data
        if participant_id not in self._last_part:
            self._index_size_bytes += _PARTICIPANT_SIZE_BYTES
        self._index_size_bytes += _PART_SIZE_BYTES
        part = len(self._parts)
        self._parts.extend((start, len(data), self._last_part.get(participant_id, _NO_PART)))
        self._last_part[participant_id] = part

    def of(self, participant_id: str) -> pa.Int64Array:
        """The ids of one participant's rows."""
        found: list[bytes] = []
        part = self._last_part.get(participant_id, _NO_PART)
        while part != _NO_PART:
            start, size_bytes, part = self._parts[part : part + _PART_NUMBERS]
            found.append(self._read(start, size_bytes))
        data = b"".join(reversed(found))
        if not data:
            return NO_IDS
        return pa.Array.from_buffers(pa.int64(), len(data) // _ID_SIZE_BYTES, [None, pa.py_buffer(data)])

    def spill(self) -> None:
        """Move the ids from memory to the file."""
        if self._buffered is not None:
            base = self._file.append(self._buffered)
            self._buffered = None
            for part in range(0, len(self._parts), _PART_NUMBERS):
                self._parts[part] += base

    def _read(self, start: int, size_bytes: int) -> bytes:
        if self._buffered is None:
            return self._file.read(start, size_bytes)
        return bytes(self._buffered[start : start + size_bytes])


class KnownIds:
    """The ids of sessions that were read from the lake, for all scopes of a process: a cache.

    When all that is kept takes more than ``size_bytes_max``, the sessions that were used longest ago leave, but never
    the last one. A batch has its own references, so none of its ids disappear; a later batch reads them again.
    ``loading_size_bytes`` is what sessions take that are being read, and are not kept yet.
    """

    def __init__(self, size_bytes_max: int = KNOWN_SIZE_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        self._sessions: OrderedDict[SessionKey, SessionIds] = OrderedDict()
        self._size_bytes = 0
        self.loading_size_bytes = 0
        self.file = SpillFile()

    @property
    def is_full(self) -> bool:
        """Whether what is being read shall stand in the file."""
        # Half of the room is for what is being read, whatever is kept.
        return self.loading_size_bytes > self._size_bytes_max // 2

    def get(self, session: SessionKey) -> SessionIds | None:
        """The ids of a session, or None where they are not kept."""
        ids = self._sessions.get(session)
        if ids is not None:
            self._sessions.move_to_end(session)
        return ids

    def keep(self, session: SessionKey, ids: SessionIds) -> None:
        """Keep all ids of a session, and let go of what was used longest ago."""
        self.forget(session)
        self._sessions[session] = ids
        self._size_bytes += ids.size_bytes
        while self._size_bytes > self._size_bytes_max // 2 and len(self._sessions) > 1:
            self.forget(next(iter(self._sessions)))

    def forget(self, session: SessionKey) -> None:
        """Let go of a session that needs no more comparing."""
        ids = self._sessions.pop(session, None)
        if ids is not None:
            self._size_bytes -= ids.size_bytes


def _bytes_of(ids: pa.Int64Array) -> memoryview:
    if not len(ids):
        return memoryview(b"")
    start = ids.offset * _ID_SIZE_BYTES
    return memoryview(ids.buffers()[1])[start : start + len(ids) * _ID_SIZE_BYTES]
