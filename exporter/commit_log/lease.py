"""The lease of a scope: it saves a second run its work. Correctness rests on fencing and compare-and-set, not on it.

A lease is a record under ``_log/<scope>/lease/``. Renewing makes the next number and removes the last; the greatest
number counts. Its holder is dead when its process is gone, where that can be seen from here, and else when the lease
has not changed for ``lease_s`` on the clock of the run that waits.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.layout import number_of, numbered, pass_over
from exporter.commit_log.process import Process
from exporter.errors import LakeBusy, LakeError, ScopeHeld
from exporter.json_errors import UNREADABLE
from exporter.telemetry.logger import Logger
from exporter.timestamps import MINUTE_US

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.lake.store import Records
    from exporter.machine.clock import Clock
    from exporter.model import Scope

LEASE_S = 60.0
_RENEWALS_A_LEASE = 4
_POLL_S = 2.0
#: Losses, at least half a second apart, after which something is wrong with the lake.
_LOSSES_MAX = 10
_LOSS_S = 1.0
#: How long a lake may take until a lease is released. It saves work, and is not worth more: the process ends anyway.
_RELEASE_S = 3.0
_WAIT_FOR_IT = "run again when it has ended, or with --wait"
_CLOCKS_APART_US = 15 * MINUTE_US
_log = Logger(__name__)


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease: which run of which process, and since when."""

    process: Process
    run_id: str
    since: str


class Claim(Holder, frozen=True):
    """A lease as it stands in the lake. ``renewed_us`` is the holder's local time; older programs leave it out."""

    renewed_us: int | None = None


async def read_claim(records: Records, scope: Scope) -> Claim | None:
    """The lease of a scope; None where there is none, or none that can be read."""
    body = await _newest(records, scope)
    try:
        return None if body is None else msgspec.json.decode(body, type=Claim)
    except UNREADABLE:
        return None


def is_alive(claim: Claim, is_gone: Callable[[Process], bool | None], now_us: int) -> bool:
    """Whether a lease's holder seems to be at work, for somebody who looks once and does not wait.

    ``now_us`` is the local time; the clocks of two machines are taken to be a quarter of an hour apart at most.
    """
    gone = is_gone(claim.process)
    if gone is not None:
        return not gone
    return claim.renewed_us is None or abs(now_us - claim.renewed_us) <= _CLOCKS_APART_US


@dataclass(slots=True)
class Lease:
    """One run's claim on one scope. ``is_gone`` says whether a process has ended, None where that can't be seen.

    The mutable state: ``_renewing`` is the task that renews the lease, None while the scope is not held; ``_changing``
    is locked while the lease is changed, so that it is never released between a renewal's two halves; ``_passed_over``
    are others' files that were named in a warning; ``_is_tried`` says that a lease may have been made.
    """

    records: Records
    scope: Scope
    holder: Holder
    clock: Clock
    is_gone: Callable[[Process], bool | None]
    lease_s: float = LEASE_S
    _renewing: asyncio.Task[None] | None = field(init=False, default=None)
    _changing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _passed_over: set[str] = field(init=False, default_factory=set)
    _is_tried: bool = field(init=False, default=False)

    async def acquire(self, *, wait: bool) -> None:
        """Hold the scope, renewed, until `release`.

        Waits for the end of another run that holds it, where ``wait`` is set. Raises :class:`ScopeHeld` where it is
        not: at once where that run's process can be seen from here, and else when it renews its lease; a holder that
        does neither is dead. Raises :class:`LakeBusy` where no lease can be made though none is seen.
        """
        try:
            await self._acquire(wait=wait)
        except (asyncio.CancelledError, LakeError):
            if self._is_tried:
                await self.release()  # one may have been made, and this process may live on
            raise
        self._renewing = asyncio.create_task(self._renew())

    async def release(self) -> None:
        """Release the scope, where it is still this run's; within seconds, whatever the lake does."""
        with suppress(LakeError, TimeoutError):
            async with asyncio.timeout(_RELEASE_S), self._changing:
                await self._stop_renewing()
                for key in await self._keys():
                    if await self._is_ours(key):
                        await self.records.delete(key)
        await self._stop_renewing()

    async def _stop_renewing(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)

    async def _acquire(self, *, wait: bool) -> None:
        seen, seen_s = "", 0.0
        named: Holder | str | None = None
        losses = 0
        while True:
            asked_s = self.clock.monotonic_s()
            keys = await self._keys()
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
                losses += 1
                if losses == _LOSSES_MAX:
                    raise LakeBusy(
                        f"{self.scope}: no lease can be made, though the lake's lists show no run that has one"
                    )
                await self.clock.sleep(_LOSS_S * (0.5 + self.clock.draw()))
                continue
            if (is_renewed or gone is False) and not wait:
                raise ScopeHeld(_held_by(self.scope, holder))
            if holder is None and named != newest:
                named = newest
                _log.warning(
                    "lease_unreadable",
                    lease=newest,
                    reason="it can't be read: a run may have it, unless it stays unchanged for waits_s_max seconds",
                    waits_s_max=self.lease_s,
                    remedy="remove it, where no run is at work in this scope",
                )
            elif holder is not None and holder != named:
                named = holder
                _log.info("scope_waited_for", reason=_held_by(self.scope, holder))
            await self.clock.sleep(_POLL_S)

    async def _take(self, keys: list[str]) -> bool:
        """Make the lease that follows ``keys``, and remove those; False where another run was faster."""
        own = self._key(number_of(keys[-1]) + 1 if keys else 1)
        if not await self._made(own):
            return False
        # A run that paused before that may have made a number that others have used and passed.
        if (await self._keys())[-1:] != [own]:
            await self.records.delete(own)
            return False
        for key in keys:
            await self.records.delete(key)
        return True

    async def _made(self, key: str) -> bool:
        """Make a lease. A run that is cancelled meanwhile waits for that, so that it can release what was made."""
        self._is_tried = True
        claim = Claim(self.holder.process, self.holder.run_id, self.holder.since, self.clock.wall_us())
        making = asyncio.ensure_future(self.records.create(key, msgspec.json.encode(claim)))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            with suppress(LakeError, TimeoutError):
                await asyncio.wait_for(making, _RELEASE_S)
            raise

    async def _renew(self) -> None:
        is_warned = False
        while True:
            await self.clock.sleep(self.lease_s / _RENEWALS_A_LEASE)
            try:
                async with self._changing:
                    keys = await self._keys()
                    is_ours = bool(keys) and await self._is_ours(keys[-1]) and await self._take(keys)
            except LakeError as error:
                if not is_warned:
                    _log.warning(
                        "lease_not_renewed",
                        scope=str(self.scope),
                        error=str(error),
                        reason="it is tried again; where that fails for long, another run may take the scope over",
                    )
                is_warned = True
            else:
                is_warned = False
                if not is_ours:
                    _log.warning(
                        "lease_lost",
                        scope=str(self.scope),
                        reason="another run has taken the scope over, and this one may commit no more in it",
                    )
                    return

    async def _is_ours(self, key: str) -> bool:
        body = await self.records.read(key)
        return body is not None and _decoded(body) == self.holder

    async def _keys(self) -> list[str]:
        """The leases' keys, sorted. Others' files are named once."""
        keys, strange = numbered(self._prefix, await self.records.keys(self._prefix))
        if new := [name for name in strange if name not in self._passed_over]:
            self._passed_over.update(new)
            pass_over(self._prefix, new)
        return keys

    @property
    def _prefix(self) -> str:
        return _prefix_of(self.scope)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:012d}.json"


async def is_held(records: Records, scope: Scope, is_gone: Callable[[Process], bool | None]) -> bool:
    """Whether a run may hold the scope: there is a lease, and its process is not known to be gone."""
    body = await _newest(records, scope)
    holder = None if body is None else _decoded(body)
    return body is not None and (holder is None or is_gone(holder.process) is not True)


async def _newest(records: Records, scope: Scope) -> bytes | None:
    """The lease that counts, as it stands in the lake; None where there is none."""
    keys, _ = numbered(_prefix_of(scope), await records.keys(_prefix_of(scope)))
    return await records.read(keys[-1]) if keys else None


def _prefix_of(scope: Scope) -> str:
    return f"_log/{scope}/lease/"


def _decoded(body: bytes) -> Holder | None:
    """Who holds a lease; None where it can't be read."""
    try:
        return msgspec.json.decode(body, type=Holder)
    except UNREADABLE:
        return None


def _held_by(scope: Scope, holder: Holder | None) -> str:
    if holder is None:
        return f"{scope} is held by another run: {_WAIT_FOR_IT}"
    process = holder.process
    return (
        f"{scope} is held by run {holder.run_id}, process {process.pid} on {process.host}, since {holder.since}:"
        f" {_WAIT_FOR_IT}"
    )
