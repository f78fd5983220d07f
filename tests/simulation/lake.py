"""The lake of a simulated world, in memory, and how one process reaches it: late, in vain, or without an answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.errors import LakeBusy
from exporter.lake.store import Staged
from tests.simulation.loop import NOBODY
from tests.simulation.process import Killed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from random import Random

    from tests.simulation.laws import Laws
    from tests.simulation.process import SimulatedProcess

Done = TypeVar("Done")

_CHANGES = frozenset({"stage", "publish", "discard", "remove", "create", "refuses", "delete"})


class Lake:
    """What is in the lake. Each change happens at one instant, and the laws look at it."""

    def __init__(self, laws: Laws, *, ignores_conditions: bool = False) -> None:
        self.laws = laws
        self.ignores_conditions = ignores_conditions
        self.visible: dict[str, bytes] = {}
        self.staged: dict[str, tuple[Staged, bytes]] = {}
        self.records: dict[str, bytes] = {}
        self.born_s: dict[str, float] = {}
        self.dead_s: dict[str, float] = {}
        self._made = 0

    def stage(self, key: str, data: bytes) -> Staged:
        """Hold a file out of sight."""
        self._made += 1
        staged = Staged(key, len(data), (f"upload-{self._made}",))
        self.staged[staged.handle[0]] = (staged, data)
        return staged

    def publish(self, staged: Staged) -> bool:
        """Make a file visible, if it is there."""
        found = self.staged.get(staged.handle[0]) if staged.handle else None
        if found is not None and found[0].size_bytes == staged.size_bytes:
            del self.staged[staged.handle[0]]
            self.visible[staged.key] = found[1]
            self.born_s[staged.key] = self.laws.loop.time()
            self.laws.published(staged.key, found[1])
        return staged.key in self.visible

    def discard(self, staged: Staged) -> None:
        """Remove a staged file."""
        if self.staged.pop(staged.handle[0], None) is not None:
            self.laws.discarded(staged.key)

    def leftovers(self, table: str) -> list[Staged]:
        """What is staged."""
        return [
            Staged(staged.key, None, staged.handle)
            for staged, _ in self.staged.values()
            if staged.key.startswith(f"{table}/")
        ]

    def read(self, key: str) -> bytes | None:
        """A visible file, or a record."""
        return self.visible.get(key, self.records.get(key))

    def create(self, key: str, body: bytes) -> bool:
        """Make a record where there is none; where an equal one stands, it is taken for one's own."""
        if key in self.records and not self.ignores_conditions:
            return self.records[key] == body
        self.records[key] = body
        self.born_s[key] = self.laws.loop.time()
        self.dead_s.pop(key, None)
        self.laws.created(key, body)
        return True

    def keys(self, prefix: str, after: str) -> list[str]:
        """The keys of records and visible files, sorted."""
        return sorted(key for key in (*self.records, *self.visible) if key.startswith(prefix) and key > after)

    def stale_keys(self, prefix: str, after: str, then_s: float) -> list[str]:
        """The keys of an earlier moment."""
        return sorted(
            key
            for key, born_s in self.born_s.items()
            if key.startswith(prefix) and key > after and born_s <= then_s < self.dead_s.get(key, math.inf)
        )

    def refuses(self, key: str, body: bytes) -> bool:
        """Whether a record that is there can't be made once more."""
        is_refused = key in self.records and not self.ignores_conditions
        if not is_refused:
            self.records[key] = body
        return is_refused

    def remove(self, key: str) -> None:
        """Remove a visible file."""
        if self.visible.pop(key, None) is not None:
            self.laws.removed(key)

    def spoil(self, key: str, at: int | None) -> None:
        """Let a visible file be gone, or let one byte of it be another one."""
        data = self.visible.pop(key)
        self.laws.spoilt(key)
        if at is not None:
            at %= len(data)
            self.visible[key] = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    def delete(self, key: str) -> None:
        """Remove a record."""
        if self.records.pop(key, None) is not None:
            self.dead_s[key] = self.laws.loop.time()
            self.laws.deleted(key)


class LakeHandle:
    """The lake as one process has it: a store whose every operation takes a drawn time and may fail.

    An operation that was under way when its process died, or gave it up, may still arrive.
    """

    def __init__(self, lake: Lake, process: SimulatedProcess, trace: Callable[..., None]) -> None:
        self._lake = lake
        self._process = process
        self._trace = trace

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        kept = bytes(data)
        return await self._do("stage", key, lambda: self._lake.stage(key, kept))

    async def publish(self, staged: Staged) -> bool:
        return await self._do("publish", staged.key, lambda: self._lake.publish(staged))

    async def discard(self, staged: Staged) -> None:
        await self._do("discard", staged.key, lambda: self._lake.discard(staged))

    async def leftovers(self, table: str) -> list[Staged]:
        return await self._do("leftovers", table, lambda: self._lake.leftovers(table))

    async def read(self, key: str) -> bytes | None:
        return await self._do("read", key, lambda: self._lake.read(key))

    async def read_range(self, key: str, begin: int, length: int) -> bytes | None:
        data = await self.read(key)
        return None if data is None else data[begin : begin + length]

    async def remove(self, key: str) -> None:
        await self._do("remove", key, lambda: self._lake.remove(key))

    async def refuses(self, key: str, body: bytes) -> bool:
        return await self._do("refuses", key, lambda: self._lake.refuses(key, body))

    async def create(self, key: str, body: bytes) -> bool:
        return await self._do("create", key, lambda: self._lake.create(key, body))

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        random, faults = self._process.random, self._process.step.faults
        if faults.stale and random.random() < faults.stale:
            then_s = self._process.loop.time() - random.random() * 5.0
            return await self._do("keys (stale)", prefix, lambda: self._lake.stale_keys(prefix, after, then_s))
        return await self._do("keys", prefix, lambda: self._lake.keys(prefix, after))

    async def delete(self, key: str) -> None:
        await self._do("delete", key, lambda: self._lake.delete(key))

    async def _do(self, operation: str, key: str, act: Callable[[], Done]) -> Done:
        """Send an operation to the lake, and wait for its answer."""
        process, random, faults = self._process, self._process.random, self._process.step.faults
        if process.is_killed:
            raise Killed
        if operation in _CHANGES:
            self._lake.laws.changed(process.step, operation, key)
        loop = process.loop
        answer: asyncio.Future[Done] = loop.create_future()
        fate = random.random()
        is_failed = fate < faults.lake_failed
        is_lost = not is_failed and fate < faults.lake_failed + faults.lake_lost
        arrives_late = process.step.arrives_late and random.random() < 0.5

        def arrive() -> None:
            is_waited_for = not (process.is_killed or answer.cancelled())
            if not (is_waited_for or arrives_late):
                return
            done = None if is_failed else act()
            self._trace(process.name, operation, key, "fails" if is_failed else "answer lost" if is_lost else "")
            if is_waited_for:
                is_answered = not (is_failed or is_lost)
                given = done if is_answered else LakeBusy(f"{operation} {key}: no answer")
                loop.call_later(_delay_s(random), _settle, answer, given, context=NOBODY)
                process.count(is_change=operation in _CHANGES and not is_failed and _is_of_commits(key))

        loop.call_later(_delay_s(random), arrive, context=NOBODY)
        return await answer


class PlainLake(LakeHandle):
    """The lake at once and without a fault, for whoever checks it; ``without`` is left out of what it lists."""

    def __init__(self, lake: Lake, without: str = "/nothing/") -> None:
        self._lake = lake
        self._without = without

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        return [key for key in self._lake.keys(prefix, after) if self._without not in key]

    async def _do(self, operation: str, key: str, act: Callable[[], Done]) -> Done:  # noqa: ARG002 - as above
        return act()


def _is_of_commits(key: str) -> bool:
    """Whether a key is a record's or a data file's."""
    return "/records/" in key or not key.startswith("_log/")


def _delay_s(random: Random) -> float:
    draw = random.random()
    return draw * draw * 0.2


def _settle(answer: asyncio.Future[Any], given: object) -> None:
    if answer.done():
        return
    if isinstance(given, LakeBusy):
        answer.set_exception(given)
    else:
        answer.set_result(given)
