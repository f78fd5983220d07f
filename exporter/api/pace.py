"""The pace of one operation in one scope: no faster than its quota, and slower when the service says so.

AWS gives each read operation of IVS Real-Time 5 calls a second in each account and region, and it is not adjustable
(Real-Time User Guide, "Service Quotas"). The burst that it allows is not known, and others may draw on the same quota.
So a throttle tells what there is for us: the rate at which calls succeeded just before. From there the pace first dips,
so that the service's bucket can fill a little, comes back to that rate, and then probes for more, slowly at first and
ever faster, until it is throttled again or is back at its full rate, half a minute later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# A bucket of two keeps the slots that a late wake-up would lose, and is the largest burst that a pace allows.
_BURST = 2.0
_ROUNDING = 1e-9
# Two clocks never agree: a pace of exactly the quota would be throttled now and then.
_MARGIN = 0.998
_RATE_SHARE_MIN = 0.02
_MEASURED_S = 5.0
_RECOVERY_S = 18.0
_PROBE_S = 12.0
# The dip leaves the service's bucket about so many tokens, which later absorb a probe's first excess.
_REFILL_TOKENS = 3.0
_DIP_MAX = 0.4
_BLIND_CUT = 0.7


@dataclass(slots=True)
class Bucket:
    """Tokens that flow in at a rate, up to a burst. Pure: the time is passed in, in seconds.

    ``full_rate`` is the most that may be used, in calls a second. ``known_rate`` is what the last throttle, at
    ``cut_s``, told to be there; None while nothing has been throttled lately.
    """

    full_rate: float
    now_s: float
    tokens: float = 1.0
    blocked_until_s: float = 0.0
    known_rate: float | None = None
    cut_s: float = 0.0
    began_s: float = field(init=False)
    successes_s: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.full_rate *= _MARGIN
        self.began_s = self.now_s

    def rate(self, now_s: float) -> float:
        """Calls a second at this moment."""
        if self.known_rate is None:
            return self.full_rate
        since_s = now_s - self.cut_s
        if since_s < _RECOVERY_S:
            dip = min(_DIP_MAX, 4.0 * _REFILL_TOKENS / (self.known_rate * _RECOVERY_S))
            return self.known_rate * (1.0 - dip * (1.0 - since_s / _RECOVERY_S) ** 3)
        probe = min(1.0, (since_s - _RECOVERY_S) / _PROBE_S) ** 3
        return self.known_rate + (self.full_rate - self.known_rate) * probe

    def wait_s(self, now_s: float) -> float:
        """How long from now until a token is there; 0 when there is one."""
        self._flow(now_s)
        missing = 1.0 - self.tokens
        token_s = missing / self.rate(now_s) if missing > _ROUNDING else 0.0
        return max(self.blocked_until_s - now_s, token_s, 0.0)

    def take(self, now_s: float) -> None:
        """Take a token."""
        self._flow(now_s)
        self.tokens -= 1.0

    def succeeded(self, now_s: float) -> None:
        """A call was answered."""
        self.successes_s.append(now_s)
        self._forget(now_s)

    def throttled(self, now_s: float, sent_s: float, retry_after_s: float = 0.0) -> None:
        """A call that was sent at ``sent_s`` was throttled: slow down, and give no token for ``retry_after_s``.

        Calls that were on their way at the last cut say nothing new.
        """
        self.blocked_until_s = max(self.blocked_until_s, now_s + retry_after_s)
        if self.known_rate is not None and sent_s < self.cut_s:
            return
        self._flow(now_s)
        self.known_rate = max(self._measured(now_s), self.full_rate * _RATE_SHARE_MIN)
        self.cut_s = now_s
        self.tokens = min(self.tokens, 0.0)

    def _measured(self, now_s: float) -> float:
        """The rate of successes lately, and no more than the rate that was tried."""
        self._forget(now_s)
        measured_s = min(_MEASURED_S, now_s - self.began_s)
        tried = self.rate(now_s)
        if measured_s < 1.0:
            return tried * _BLIND_CUT
        return min(tried, len(self.successes_s) / measured_s)

    def _forget(self, now_s: float) -> None:
        while self.successes_s and self.successes_s[0] <= now_s - _MEASURED_S:
            self.successes_s.popleft()

    def _flow(self, now_s: float) -> None:
        self.tokens = min(_BURST, self.tokens + (now_s - self.now_s) * self.rate(now_s))
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
        return self._bucket.rate(self._clock())

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

    def throttled(self, sent_s: float, retry_after_s: float) -> None:
        """The service throttled a call that was sent at ``sent_s``, and perhaps asked for a pause."""
        self._bucket.throttled(self._clock(), sent_s, retry_after_s)

    def succeeded(self) -> None:
        """A call was answered."""
        self._bucket.succeeded(self._clock())
