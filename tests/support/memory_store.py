"""A lake in memory, and failures at each of its operations."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from exporter.errors import StagedGone
from exporter.lake.store import Staged

if TYPE_CHECKING:
    from collections.abc import Callable


Done = TypeVar("Done")


class Crash(BaseException):
    """The process is gone. It is no `Exception`, so that nothing but the test can catch it."""


class MemoryStore:
    """A lake in memory. ``before`` and ``after`` are called with each operation's name, and may raise.

    As on S3, a file is staged in two steps, and may be discarded between them.
    """

    def __init__(self) -> None:
        self.visible: dict[str, bytes] = {}
        self.staged: dict[str, tuple[Staged, bytes]] = {}
        self.records: dict[str, bytes] = {}
        self.uploads = itertools.count()
        #: The rows of each file's bytes as they were last read: tests ask for them after each step.
        self._read: dict[str, tuple[bytes, list[dict[str, Any]]]] = {}
        self.before: Callable[[str, str], None] = lambda *_: None
        self.after: Callable[[str, str], None] = lambda *_: None

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        staged = await self._do("stage", key, lambda: self._stage(key, bytes(data)))
        return await self._do("upload", key, lambda: self._upload(staged))

    async def publish(self, staged: Staged) -> bool:
        return await self._do("publish", staged.key, lambda: self._publish(staged))

    async def discard(self, staged: Staged) -> None:
        await self._do("discard", staged.key, lambda: self.staged.pop(staged.handle[0], None) and None)

    async def leftovers(self, table: str) -> list[Staged]:
        found = [staged for staged, _ in self.staged.values() if staged.key.startswith(table + "/")]
        return await self._do("leftovers", table, lambda: found)

    async def read(self, key: str) -> bytes | None:
        return await self._do("read", key, lambda: self.visible.get(key, self.records.get(key)))

    async def read_range(self, key: str, begin: int, length: int) -> bytes | None:
        data = self.visible.get(key)
        return await self._do("read", key, lambda: None if data is None else data[begin : begin + length])

    async def remove(self, key: str) -> None:
        await self._do("remove", key, lambda: self.visible.pop(key, None) and None)

    async def create(self, key: str, body: bytes) -> bool:
        return await self._do("create", key, lambda: self.records.setdefault(key, body) == body)

    async def refuses(self, key: str, body: bytes) -> bool:
        return await self._do("refuses", key, lambda: self._refuses(key, body))

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        everything = [*self.records, *self.visible]
        found = sorted(key for key in everything if key.startswith(prefix) and key > after)
        return await self._do("keys", prefix, lambda: found)

    async def delete(self, key: str) -> None:
        await self._do("delete", key, lambda: self.records.pop(key, None) and None)

    async def _do(self, operation: str, key: str, act: Callable[[], Done]) -> Done:
        await asyncio.sleep(0)
        self.before(operation, key)
        done = act()
        self.after(operation, key)
        return done

    def _refuses(self, key: str, body: bytes) -> bool:
        is_there = key in self.records
        self.records.setdefault(key, body)
        return is_there

    def _stage(self, key: str, data: bytes) -> Staged:
        staged = Staged(key, len(data), (f"{key}#{next(self.uploads)}",))
        self.staged[staged.handle[0]] = (staged, data)
        return staged

    def _upload(self, staged: Staged) -> Staged:
        if staged.handle[0] not in self.staged:
            raise StagedGone(f"something else ended the upload of {staged.key}")
        return staged

    def _publish(self, staged: Staged) -> bool:
        found = self.staged.pop(staged.handle[0], None) if staged.handle else None
        if found is not None:
            self.visible[staged.key] = found[1]
        return staged.key in self.visible

    def restart(self) -> None:
        """Let the failures end, and the process that held a lease be gone."""
        self.before = self.after = lambda *_: None
        for key in [key for key in self.records if "/lease/" in key]:
            del self.records[key]

    def files(self, table: str = "events") -> dict[str, bytes]:
        """The visible files of a table, by key, in their order."""
        return {key: self.visible[key] for key in sorted(self.visible) if key.startswith(f"{table}/")}

    def rows(self, table: str = "events") -> list[dict[str, Any]]:
        """What any reader of the lake sees of a table."""
        return [row for key, data in self.files(table).items() for row in self._rows_of(key, data)]

    def _rows_of(self, key: str, data: bytes) -> list[dict[str, Any]]:
        read = self._read.get(key)
        if read is None or read[0] is not data:
            # Threads would cost more than they bring: most files have a few rows.
            table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
            self._read[key] = read = (data, table.to_pylist())
        return read[1]


@dataclass
class Failing:
    """Raises ``error`` at the operation numbered ``step``, and at each one after it: the process is gone."""

    step: int
    error: BaseException
    done: int = 0

    def __call__(self, _operation: str, _key: str) -> None:
        self.done += 1
        if self.has_failed:
            raise self.error

    @property
    def has_failed(self) -> bool:
        return self.done > self.step
