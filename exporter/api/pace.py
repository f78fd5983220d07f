"""The pace of one operation in one scope: no faster than its quota, and slower when the service says so.

AWS gives each read operation of IVS Real-Time 5 calls a second in each account and region, and it is not adjustable
(Real-Time User Guide, "Service Quotas"). The burst that it allows is not known.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# A bucket of two keeps the slots that a late wake-up would lose, and is the largest burst that a pace allows.
_BURST = 2.0
_ROUNDING = 1e-9
_SLOWER = 0.7
_RATE_SHARE_MIN = 0.02
# From the slowest pace back to the full one in about as many seconds.
_RECOVERY_S = 60.0


@dataclass(slots=True)
class Bucket:
    """Tokens that flow in at ``rate`` a second, up to a burst. Pure: the time is passed in, in seconds.

    ``full_rate`` is the most that may be used. A throttle cuts the rate, and each success gives a little of it back.
    """

    full_rate: float
    now_s: float
    rate: float = 0.0
    tokens: float = 1.0
    blocked_until_s: float = 0.0

    def __post_init__(self) -> None:
        self.rate = self.full_rate

    def wait_s(self, now_s: float) -> float:
        """How long from now until a token is there; 0 when there is one."""
        self._flow(now_s)
        missing = 1.0 - self.tokens
        return max(self.blocked_until_s - now_s, missing / self.rate if missing > _ROUNDING else 0.0, 0.0)

    def take(self, now_s: float) -> None:
        """Take a token."""
        self._flow(now_s)
        self.tokens -= 1.0

    def throttled(self, now_s: float, retry_after_s: float) -> None:
        """Slow down, and give no token for ``retry_after_s``."""
        self._flow(now_s)
        self.rate = max(self.rate * _SLOWER, self.full_rate * _RATE_SHARE_MIN)
        self.tokens = min(self.tokens, 0.0)
        self.blocked_until_s = max(self.blocked_until_s, now_s + retry_after_s)

    def succeeded(self) -> None:
        """Go a little faster again, up to the full rate."""
        self.rate = min(self.full_rate, self.rate + self.full_rate / (_RECOVERY_S * self.rate))

    def _flow(self, now_s: float) -> None:
        self.tokens = min(_BURST, self.tokens + (now_s - self.now_s) * self.rate)
        self.now_s = now_s


class Pace:
    """Gives tokens in the order of asking. Every attempt at a call takes one."""

    def __init__(
        self, calls_per_second: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._bucket = Bucket(calls_per_second, clock())
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._free = asyncio.Event()
        self._free.set()

    @property
    def calls_per_second(self) -> float:
        """The pace now."""
        return self._bucket.rate

    async def take(self) -> None:
        """Wait for a token and take it."""
        self._waiting += 1
        self._free.clear()
        try:
            async with self._turn:
                while (wait_s := self._bucket.wait_s(self._clock())) > 0:
                    await self._sleep(wait_s)
                self._bucket.take(self._clock())
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._free.set()

    async def free(self) -> None:
        """Wait until nobody waits for a token: until then more work at once would only hold more memory."""
        await self._free.wait()

    def throttled(self, retry_after_s: float | None) -> None:
        """The service asked for fewer calls, and perhaps for a pause."""
        self._bucket.throttled(self._clock(), retry_after_s or 0.0)

    def succeeded(self) -> None:
        """A call was answered."""
        self._bucket.succeeded()
