"""The pace of one operation in one scope: no faster than its quota, and slower when the service says so.

AWS gives each read operation of IVS Real-Time 5 calls a second in each account and region, and it is not adjustable
(Real-Time User Guide, "Service Quotas"). The burst that it allows is not known, and others may draw on the same quota.

A throttle tells that the service's bucket is empty. So between two throttles as many calls were granted as there is
capacity for us, whatever the burst and the latency, and that is the rate from there on. It dips a little first, so that
the service's bucket fills somewhat, and then probes for more, slowly at first and ever faster, until it is throttled
again or is back at its full rate, half a minute later. A throttle with none shortly before it ends no measure: it is
where one begins, and slows nothing down. Services throttle a call now and then for reasons of their own.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# A bucket of two keeps the slots that a late wake-up would lose, as does that of a tenth of a second at a high rate. It
# is the largest burst that a pace allows.
_BURST_MIN = 2.0
_BURST_S = 0.1
_ROUNDING = 1e-9
# Two clocks never agree: a pace of exactly the quota would be throttled now and then. A clock that is being set right
# runs wrong by 500 in a million at most (adjtimex(2)), and so may the service's.
_MARGIN = 0.999
_RATE_SHARE_MIN = 0.02
_RECOVERY_S = 18.0
_PROBE_S = 12.0
# The dip leaves the service's bucket about so many tokens, which later absorb a probe's first excess. More would be
# lost where the service's burst is small.
_REFILL_TOKENS = 1.5
_DIP_MAX = 0.4
# Two throttles so near each other, with so few calls between them, tell too little to be a measure.
_MEASURED_S_MIN = 3.0
_MEASURED_CALLS_MIN = 20
_BLIND_CUT = 0.85
# A throttle so long after the one from which is measured is where the next measure begins.
_MEASURED_S = 5.0
# More than a measure can span: the half-minute, and what comes before and after it.
_REMEMBERED_S = 60.0


@dataclass(slots=True)
class Bucket:
    """Tokens that flow in at a rate, up to a burst. Pure: the time is passed in, in seconds.

    ``full_rate`` is the most that may be used, in calls a second, and ``burst`` the most at once. ``known_rate`` is
    what the throttle that was answered at ``cut_s`` told to be there; None before any did. The service's bucket was
    empty at ``empty_s``, from where is measured; ``granted_s`` are the moments of the tokens that were taken lately,
    without those of throttled calls.
    """

    full_rate: float
    now_s: float
    tokens: float = _BURST_MIN
    blocked_until_s: float = 0.0
    known_rate: float | None = None
    cut_s: float = -math.inf
    empty_s: float = -math.inf
    granted_s: deque[float] = field(default_factory=deque)
    burst: float = field(init=False)

    def __post_init__(self) -> None:
        self.burst = max(_BURST_MIN, self.full_rate * _BURST_S)
        self.full_rate *= _MARGIN

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
        self.granted_s.append(now_s)
        while self.granted_s[0] < now_s - _REMEMBERED_S:
            self.granted_s.popleft()

    def throttled(self, now_s: float, sent_s: float, retry_after_s: float = 0.0) -> None:
        """A call that was sent at ``sent_s`` was throttled: give no token for ``retry_after_s``, and slow down.

        A lone throttle slows nothing down. Calls that were on their way at the last cut were not granted, but say
        nothing else that is new.
        """
        self.blocked_until_s = max(self.blocked_until_s, now_s + retry_after_s)
        granted_s = [moment_s for moment_s in self.granted_s if moment_s <= sent_s]
        if granted_s:
            self.granted_s.remove(granted_s.pop())
        if sent_s < self.cut_s:
            return
        if self._is_first(sent_s):
            self.empty_s = sent_s
            return
        self._flow(now_s)
        known_rate = self._learned(sent_s, sum(moment_s > self.empty_s for moment_s in granted_s))
        self.known_rate = min(self.full_rate, max(known_rate, self.full_rate * _RATE_SHARE_MIN))
        if sent_s - self.empty_s >= _MEASURED_S:
            self.empty_s = sent_s
        self.cut_s = now_s
        self.tokens = min(self.tokens, 0.0)

    def _is_first(self, sent_s: float) -> bool:
        """Whether a throttle at the full rate has none before it from which could be measured."""
        is_measuring = self.empty_s > self.cut_s and sent_s - self.empty_s < _REMEMBERED_S
        return sent_s - self.cut_s >= _RECOVERY_S + _PROBE_S and not is_measuring

    def _learned(self, sent_s: float, granted: int) -> float:
        """The rate that there is, as a throttle tells after so many calls were granted since the bucket was empty."""
        measured_s = sent_s - self.empty_s
        if measured_s >= _MEASURED_S_MIN or granted >= _MEASURED_CALLS_MIN:
            return granted / measured_s
        return self.rate(sent_s) * _BLIND_CUT

    def _flow(self, now_s: float) -> None:
        self.tokens = min(self.burst, self.tokens + (now_s - self.now_s) * self.rate(now_s))
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
