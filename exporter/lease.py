"""The lease of a scope: it saves a second run its work. Correctness rests on fencing and compare-and-set, not on it.

A lease is a record under ``_log/<scope>/lease/``. Renewing makes the next number and removes the last; the greatest
number counts. Its holder is dead when its process is gone, where that can be seen from here, and else when the lease
has not changed for ``lease_s`` on the clock of whoever waits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import structlog

from exporter.errors import Held, LakeError
from exporter.processes import Process  # noqa: TC001 - msgspec reads it to decode a holder
from exporter.records import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.clock import Clock
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
    """One run's claim on one scope. ``is_gone`` says whether a process has ended, None where that can't be seen."""

    records: Records
    scope: Scope
    holder: Holder
    clock: Clock
    is_gone: Callable[[Process], bool | None]
    lease_s: float = LEASE_S
    _renewing: asyncio.Task[None] | None = None
    # Held while the lease is changed, so that it is never given back between a renewal's two halves.
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def acquire(self, *, wait: bool) -> bool:
        """Hold the scope, renewed, until `release`; always True.

        Where another run holds it, its end is waited for with ``wait``; without, :class:`Held` is raised: at once where
        its process can be seen from here, and else when it renews its lease. One that does neither is dead.
        """
        await self._acquire(wait=wait)
        self._renewing = asyncio.create_task(self._renew())
        return True

    async def release(self) -> None:
        """Give the scope back, where it is still this run's."""
        async with self._changing:
            if self._renewing is not None:
                self._renewing.cancel()
                await asyncio.gather(self._renewing, return_exceptions=True)
            with suppress(LakeError):
                for key in await self.records.keys(self._prefix):
                    if await self._is_ours(key):
                        await self.records.delete(key)

    async def _acquire(self, *, wait: bool) -> None:
        seen, seen_s = "", 0.0
        told: Holder | None = None
        while True:
            asked_s = self.clock.monotonic_s()
            keys = await self.records.keys(self._prefix)
            newest = keys[-1] if keys else ""
            is_renewed = bool(seen and newest) and newest != seen
            if newest != seen:
                seen, seen_s = newest, self.clock.monotonic_s()
            body = await self.records.read(newest) if newest else None
            holder = None if body is None else _decoded(body)
            # An unreadable lease is somebody's, too.
            gone = body is None or (None if holder is None else self.is_gone(holder.process))
            if gone or (gone is None and asked_s - seen_s >= self.lease_s):
                if await self._take(keys):
                    return
                continue
            if (is_renewed or gone is False) and not wait:
                raise Held(_told(self.scope, holder))
            if holder != told:
                told = holder
                _log.info("scope_waited_for", reason=_told(self.scope, holder))
            await self.clock.sleep(_POLL_S)

    async def _take(self, keys: list[str]) -> bool:
        """Make the lease behind ``keys``, and remove those; False where another run was faster."""
        own = self._key(number_of(keys[-1]) + 1 if keys else 1)
        if not await self.records.create(own, msgspec.json.encode(self.holder)):
            return False
        # Whoever paused before that may have made a number that others have used and left behind.
        if (await self.records.keys(self._prefix))[-1:] != [own]:
            await self.records.delete(own)
            return False
        for key in keys:
            await self.records.delete(key)
        return True

    async def _renew(self) -> None:
        while True:
            await self.clock.sleep(self.lease_s / _RENEWALS_A_LEASE)
            try:
                async with self._changing:
                    keys = await self.records.keys(self._prefix)
                    is_ours = bool(keys) and await self._is_ours(keys[-1]) and await self._take(keys)
            except LakeError as error:
                _log.warning("lease_not_renewed", scope=str(self.scope), error=str(error))
            else:
                if not is_ours:
                    _log.warning("lease_lost", scope=str(self.scope))
                    return

    async def _is_ours(self, key: str) -> bool:
        body = await self.records.read(key)
        return body is not None and _decoded(body) == self.holder

    @property
    def _prefix(self) -> str:
        return f"_log/{self.scope}/lease/"

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}.json"


def _decoded(body: bytes) -> Holder | None:
    """Who holds a lease; None where it can't be read."""
    try:
        return msgspec.json.decode(body, type=Holder)
    except msgspec.MsgspecError:
        return None


def _told(scope: Scope, holder: Holder | None) -> str:
    if holder is None:
        return f"{scope} is held by another run"
    process = holder.process
    return f"{scope} is held by run {holder.run_id}, process {process.pid} on {process.host}, since {holder.since}"
