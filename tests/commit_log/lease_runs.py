"""Runs that want one scope, on time that the test makes pass."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.commit_log.lease import LEASE_S, Holder, Lease
from exporter.commit_log.process import Process, is_gone, this_process
from exporter.machine.clock import Clock
from tests.support.logs import capture_logs
from tests.support.memory_store import MemoryStore
from tests.support.service import SCOPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.lake.store import Records

PREFIX = f"_log/{SCOPE}/lease/"
RENEWAL_S = LEASE_S / 4
POLL_S = 2.0
SINCE = "2026-11-23T12:00:00Z"
HERE = this_process()
FOREIGN = msgspec.structs.replace(HERE, host="elsewhere")


async def nothing(_now_s: float) -> None:
    """Nothing happens meanwhile."""


@dataclass
class Run:
    """A run that wants the scope. While it waits, its sleeps end at once; ``meanwhile`` is what others do then.

    Once it holds the scope, its sleep before a renewal lasts until `renew`.
    """

    records: Any
    run_id: str = "r1"
    process: Process = HERE
    meanwhile: Callable[[float], Awaitable[None]] = nothing
    now_s: float = 1e6
    waited_s: float = 0.0
    is_holding: bool = False
    lease: Lease = field(init=False)

    def __post_init__(self) -> None:
        self.asleep, self.turn = asyncio.Event(), asyncio.Event()
        holder = Holder(self.process, self.run_id, SINCE)
        self.lease = Lease(
            self.records, SCOPE, holder, Clock(lambda: self.now_s, lambda: 0, self.sleep, lambda: 0.5), is_gone
        )

    async def sleep(self, seconds: float) -> None:
        if self.is_holding:
            assert seconds == RENEWAL_S
            self.asleep.set()
            await self.turn.wait()
            self.turn.clear()
        else:
            self.now_s += seconds
            self.waited_s += seconds
            await self.meanwhile(self.waited_s)

    async def acquire(self, *, wait: bool = False) -> float:
        """Hold the scope; gives the seconds that it took."""
        await self.lease.acquire(wait=wait)
        self.is_holding = True
        return self.waited_s

    async def renew(self) -> list[str]:
        """Let one renewal happen; gives the complaints that it logs."""
        with capture_logs() as logs:
            async with asyncio.timeout(60):
                await self.asleep.wait()
                self.asleep.clear()
                self.turn.set()
                while not (self.asleep.is_set() or _are_last(logs)):  # noqa: ASYNC110 - the last sets no event
                    await asyncio.sleep(0)
        return [line["event"] for line in logs]


def _are_last(logs: list[Any]) -> bool:
    """Whether the run has found out that it renews no more."""
    return any(line["event"] == "lease_lost" for line in logs)


class Pausing(MemoryStore):
    """A lake on which something else happens before a lease is made, which it is though nobody may wait for it."""

    def __init__(self, lake: MemoryStore, pause: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.records, self.pause = lake.records, pause

    async def create(self, key: str, body: bytes) -> bool:
        return await asyncio.shield(asyncio.ensure_future(self._create_later(key, body)))

    async def _create_later(self, key: str, body: bytes) -> bool:
        await self.pause()
        return await super().create(key, body)


async def put(records: Records, process: Process, number: int = 1, since: str = SINCE) -> None:
    """A lease of somebody's; a number above 1 renews that of the number before."""
    body = msgspec.json.encode(Holder(process, "r0", since))
    assert await records.create(f"{PREFIX}{number:012d}.json", body)
    await records.delete(f"{PREFIX}{number - 1:012d}.json")


async def holders(records: Records) -> list[str]:
    """The runs whose leases there are, in the leases' order."""
    bodies = [await records.read(key) for key in await records.keys(PREFIX)]
    return [msgspec.json.decode(body or b"", type=Holder).run_id for body in bodies]
