"""Turns to make rows in the event loop itself: one scope's at a time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(slots=True)
class Turns:
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
