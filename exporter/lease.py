"""The lease of a scope: it saves a second run its work. Correctness rests on fencing and compare-and-set, not on it.

A lease is a record under ``_log/<scope>/lease/``. Renewing makes the next number and removes the last; the greatest
number counts. Its holder is dead when its process is gone, where that can be seen from here, and else when the lease
has not changed for ``lease_s`` on the clock of whoever waits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from exporter.errors import Held, LakeError
from exporter.processes import Process, is_gone
from exporter.records import number_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.domain import Scope
    from exporter.store import Records

LEASE_S = 60.0
_RENEWALS_A_LEASE = 4
_POLL_S = 2.0
_log = structlog.get_logger()


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease: which run of which process, and since when."""

    process: Process
    run_id: str
    since: str


@dataclass(slots=True)
class Lease:
    """One run's claim on one scope. ``clock`` is monotonic, in seconds."""

    records: Records
    scope: Scope
    holder: Holder
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    lease_s: float = LEASE_S
    _number: int = 0
    _renewing: asyncio.Task[None] | None = None

    async def acquire(self, *, wait: bool) -> bool:
        """Hold the scope, renewed, until `release`; always True.

        Raises :class:`Held` where another run holds it, unless ``wait``: then that run's end is waited for.
        """
        await self._acquire(wait=wait)
        self._renewing = asyncio.create_task(self._renew())
        return True

    async def release(self) -> None:
        """Give the scope back."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        with suppress(LakeError):
            await self.records.delete(self._key(self._number))

    async def _acquire(self, *, wait: bool) -> None:
        seen, seen_s = "", self.clock()
        while True:
            keys = await self.records.keys(self._prefix)
            newest = keys[-1] if keys else ""
            if newest != seen:
                if seen and newest and not wait:
                    raise Held(_told(self.scope, await self._holder(newest)))
                seen, seen_s = newest, self.clock()
            holder = await self._holder(newest) if newest else None
            gone = True if holder is None else is_gone(holder.process)
            if gone or (gone is None and self.clock() - seen_s >= self.lease_s):
                if await self._take(keys):
                    return
                continue
            if gone is False and not wait:
                raise Held(_told(self.scope, holder))
            await self.sleep(_POLL_S)

    async def _take(self, keys: list[str]) -> bool:
        """Take the next number; False where another run was faster."""
        number = number_of(keys[-1]) + 1 if keys else 1
        if not await self.records.create(self._key(number), msgspec.json.encode(self.holder)):
            return False
        self._number = number
        for key in keys:
            await self.records.delete(key)
        return True

    async def _renew(self) -> None:
        while True:
            await self.sleep(self.lease_s / _RENEWALS_A_LEASE)
            try:
                is_ours = await self._take([self._key(self._number)])
            except LakeError as error:
                _log.warning("lease_not_renewed", scope=str(self.scope), error=str(error))
            else:
                if not is_ours:
                    _log.warning("lease_lost", scope=str(self.scope))
                    return

    async def _holder(self, key: str) -> Holder | None:
        """Who holds the lease; None where it was given back, or can't be read."""
        body = await self.records.read(key)
        try:
            return None if body is None else msgspec.json.decode(body, type=Holder)
        except msgspec.MsgspecError:
            return None

    @property
    def _prefix(self) -> str:
        return f"_log/{self.scope}/lease/"

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}.json"


def _told(scope: Scope, holder: Holder | None) -> str:
    if holder is None:
        return f"{scope} is held by another run"
    process = holder.process
    return f"{scope} is held by run {holder.run_id}, process {process.pid} on {process.host}, since {holder.since}"
