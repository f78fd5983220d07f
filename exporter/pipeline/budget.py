"""The memory that all scopes of a process share for rows that wait for their checkpoint, and their turns at the loop.

All scopes share one memory budget. When buffered rows exceed it, the scopes with the most rows are asked to commit,
until half of the budget is being committed. How much the others add meanwhile is bounded by their quotas.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.pipeline.known_ids import KnownIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# What waits in memory for its checkpoint, in the whole process: 250,000 everyday rows, of some 50 bytes each. Many
# scopes get more, for small files cost much: to write, and to read ever after.
_SIZE_BYTES = 12 << 20
_SIZE_BYTES_A_SCOPE = 256 << 10


def size_bytes_for(scopes: int) -> int:
    """The memory budget of a run over this number of scopes, in bytes."""
    return max(_SIZE_BYTES, _SIZE_BYTES_A_SCOPE * scopes)


class LoopTurns:
    """The turns of all scopes at the event loop, first come, first served."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Take a turn, once those before are over and the loop has gone round.

        In a thread the work would take longer: Python runs one thread at a time, and after each wait for a socket the
        loop would wait for that thread, too (see ``docs/decisions/0007-one-loop.md``).
        """
        async with self._lock:
            await asyncio.sleep(0)
            yield


@dataclass(slots=True, eq=False)
class Share:
    """One scope's share of the budget. ``size_bytes`` is what its buffered rows take.

    ``wake`` asks the scope to commit; from then on it ``is_called``, until it buffers less.
    """

    budget: Budget
    wake: Callable[[], None]
    size_bytes: int = field(default=0, init=False)
    is_called: bool = field(default=False, init=False)

    def use(self, size_bytes: int) -> None:
        """Set what the scope's buffered rows take now."""
        self.is_called = self.is_called and size_bytes >= self.size_bytes
        self.size_bytes = size_bytes
        self.budget.settle()

    def give_back(self) -> None:
        """Use nothing, and be woken no more: the scope is over, however it ended."""
        self.budget.remove(self)


class Budget:
    """A memory budget of about ``size_bytes_max``, in shares. ``known`` caches the ids of rows in the lake."""

    def __init__(self, size_bytes_max: int, *, known: KnownIds | None = None) -> None:
        self.size_bytes_max = size_bytes_max
        self.known = known or KnownIds()
        self.turns = LoopTurns()
        self._shares: list[Share] = []

    def __repr__(self) -> str:
        """Say who uses how much, for a debugger."""
        shares = ", ".join(f"{share.size_bytes}{' called' * share.is_called}" for share in self._shares)
        return f"<Budget {self.used_bytes} of {self.size_bytes_max}: {shares or 'no share'}>"

    @property
    def used_bytes(self) -> int:
        """What the buffered rows of all scopes take."""
        return sum(share.size_bytes for share in self._shares)

    def share(self, wake: Callable[[], None]) -> Share:
        """Give one more scope a share. It uses nothing at first."""
        share = Share(self, wake)
        self._shares.append(share)
        return share

    def remove(self, share: Share) -> None:
        """Give the share of a scope that is over to the others."""
        if share in self._shares:
            self._shares.remove(share)
            self.settle()

    def settle(self) -> None:
        """Wake the scope with the most rows where the budget is exceeded and too little is being committed."""
        waiting = [share for share in self._shares if not share.is_called]
        is_exceeded = self.used_bytes >= self.size_bytes_max
        if is_exceeded and 2 * sum(share.size_bytes for share in waiting) >= self.size_bytes_max:
            fullest = max(waiting, key=lambda share: share.size_bytes)
            fullest.is_called = True
            fullest.wake()
