"""What all scopes of a process share: the memory for what waits for its checkpoint, turns, and what is known of lakes.

When what waits takes more than the bound, the fullest scopes commit, until half of the bound is on its way; how much
the others add meanwhile is bounded by their quotas.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.pipeline.known_ids import KnownIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(slots=True)
class LoopTurns:
    """The turns of all scopes, first come, first served."""

    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Have a turn, once those before are over and the loop has gone round.

        In a thread the work would take longer: Python runs one thread at a time, and each time that the loop has sent
        or received, it would wait for the other (see ``docs/decisions/0007-one-loop.md``).
        """
        async with self._lock:
            await asyncio.sleep(0)
            yield


@dataclass(slots=True, eq=False)
class Share:
    """One scope's part. ``size_bytes`` is what it holds.

    ``wake`` is called when the scope shall commit; from then on it ``is_called``, until it holds less.
    """

    budget: Budget
    wake: Callable[[], None]
    size_bytes: int = 0
    is_called: bool = False

    def hold(self, size_bytes: int) -> None:
        """Hold so much now."""
        self.is_called = self.is_called and size_bytes >= self.size_bytes
        self.size_bytes = size_bytes
        self.budget.settle()

    def give_back(self) -> None:
        """Hold nothing, and be woken no more: the scope is over, however it ended."""
        self.budget.remove(self)


@dataclass(slots=True)
class Budget:
    """About ``size_bytes_max`` for what waits, and one turn at a time."""

    size_bytes_max: int
    turns: LoopTurns = field(default_factory=LoopTurns)
    known: KnownIds = field(default_factory=KnownIds)
    _shares: list[Share] = field(default_factory=list)

    def share(self, wake: Callable[[], None]) -> Share:
        """A share for one more scope."""
        share = Share(self, wake)
        self._shares.append(share)
        return share

    def remove(self, share: Share) -> None:
        """Let the others have what a scope held that is over."""
        if share in self._shares:
            self._shares.remove(share)
            self.settle()

    def settle(self) -> None:
        """Wake the fullest scope where too much waits, and too little of it is on its way."""
        waiting = [share for share in self._shares if not share.is_called]
        is_too_much = sum(share.size_bytes for share in self._shares) >= self.size_bytes_max
        if is_too_much and 2 * sum(share.size_bytes for share in waiting) >= self.size_bytes_max:
            fullest = max(waiting, key=lambda share: share.size_bytes)
            fullest.is_called = True
            fullest.wake()
