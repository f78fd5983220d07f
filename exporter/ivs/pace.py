"""The pace of one operation in one scope: no faster than its quota, and slower when the service says so.

AWS gives each read operation of IVS Real-Time 5 calls a second in each account and region, and it is not adjustable
(Real-Time User Guide, "Service Quotas"). The burst that it allows is not known, and others may draw on the same quota.

A throttle shows that the service's bucket is empty. So between two throttles as many calls were granted as there is
capacity for us, whatever the burst and the latency, and that is the rate from there on. It dips a little first, so that
the service's bucket fills somewhat, and then probes for more, slowly at first and ever faster, until it is throttled
again or is back at its full rate, half a minute later. A throttle with none shortly before it ends no measure: it is
where one begins, and slows nothing down. Services throttle a call now and then for reasons of their own.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
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
# Tokens that the dip leaves in the service's bucket, about: they later absorb a probe's first excess. More would be
# lost where the service's burst is small.
_REFILL_TOKENS = 1.5
_DIP_MAX = 0.4
# Two throttles that are nearer to each other, with fewer calls between them, show too little to be a measure.
_MEASURED_S_MIN = 3.0
_MEASURED_CALLS_MIN = 20
_BLIND_CUT = 0.85
# A throttle that comes later than this after the one that is measured from begins the next measure.
_MEASURED_S = 5.0
# More than a measure can span: the half-minute, and what comes before and after it.
_REMEMBERED_S = 60.0


class Bucket:
    """Tokens that flow in at a rate, up to a burst. Pure: the time is passed in, in seconds.

    No window of time has more tokens than its length times ``full_rate``, in calls a second, and one burst.
    """

    # The mutable state is: the tokens at a moment, and until when none may be taken; the rate that the last throttle
    # showed, and when it was answered; and what the next throttle is measured by, which is when the service's bucket
    # was last seen empty, and when the calls were granted that were answered with no throttle.

    def __init__(self, full_rate: float, now_s: float) -> None:
        self._burst = max(_BURST_MIN, full_rate * _BURST_S)
        self._full_rate = full_rate * _MARGIN
        self._now_s = now_s
        self._tokens = _BURST_MIN
        self._blocked_until_s = -math.inf
        self._learned_rate: float | None = None
        self._cut_s = -math.inf
        self._empty_s = -math.inf
        self._granted_s: deque[float] = deque()

    def __repr__(self) -> str:
        blocked = f", blocked for {pause_s:.2f} s" if (pause_s := self._blocked_until_s - self._now_s) > 0 else ""
        learned = "" if self._learned_rate is None else f", {self._learned_rate:.3f} learned at {self._cut_s:.2f} s"
        measured = f" since the throttle at {self._empty_s:.2f} s" if self._empty_s > -math.inf else ""
        granted = sum(moment_s > self._empty_s for moment_s in self._granted_s)
        return (
            f"<Bucket at {self._now_s:.2f} s: {self._tokens:.2f} of {self._burst:g} tokens,"
            f" {self.rate(self._now_s):.3f} of {self._full_rate:.3f} calls/s{learned};"
            f" {granted} granted{measured}{blocked}>"
        )

    def rate(self, now_s: float) -> float:
        """Calls a second at this moment."""
        if self._learned_rate is None:
            return self._full_rate
        since_s = now_s - self._cut_s
        if since_s < _RECOVERY_S:
            dip = min(_DIP_MAX, 4.0 * _REFILL_TOKENS / (self._learned_rate * _RECOVERY_S))
            return self._learned_rate * (1.0 - dip * (1.0 - since_s / _RECOVERY_S) ** 3)
        probe = min(1.0, (since_s - _RECOVERY_S) / _PROBE_S) ** 3
        return self._learned_rate + (self._full_rate - self._learned_rate) * probe

    def wait_s(self, now_s: float) -> float:
        """Seconds from now until a token is there: 0 where there is one."""
        self._flow(now_s)
        missing = 1.0 - self._tokens
        token_s = missing / self.rate(now_s) if missing > _ROUNDING else 0.0
        return max(self._blocked_until_s - now_s, token_s, 0.0)

    def take(self, now_s: float) -> None:
        """Take a token."""
        self._flow(now_s)
        self._tokens -= 1.0
        self._granted_s.append(now_s)
        while self._granted_s[0] < now_s - _REMEMBERED_S:
            self._granted_s.popleft()

    def throttled(self, now_s: float, sent_s: float, retry_after_s: float = 0.0) -> None:
        """Give no token for ``retry_after_s``, and slow down: a call that was sent at ``sent_s`` was throttled.

        A lone throttle slows nothing down. Calls that were on their way at the last cut were not granted, but say
        nothing else that is new.
        """
        self._blocked_until_s = max(self._blocked_until_s, now_s + retry_after_s)
        granted_s = [moment_s for moment_s in self._granted_s if moment_s <= sent_s]
        if granted_s:
            self._granted_s.remove(granted_s.pop())
        if sent_s < self._cut_s:
            return
        if self._is_first(sent_s):
            self._empty_s = sent_s
            return
        self._flow(now_s)
        learned_rate = self._measured_rate(sent_s, sum(moment_s > self._empty_s for moment_s in granted_s))
        self._learned_rate = min(self._full_rate, max(learned_rate, self._full_rate * _RATE_SHARE_MIN))
        if sent_s - self._empty_s >= _MEASURED_S:
            self._empty_s = sent_s
        self._cut_s = now_s
        self._tokens = min(self._tokens, 0.0)

    def _is_first(self, sent_s: float) -> bool:
        """Whether a throttle at the full rate has none before it from which could be measured."""
        is_measuring = self._empty_s > self._cut_s and sent_s - self._empty_s < _REMEMBERED_S
        return sent_s - self._cut_s >= _RECOVERY_S + _PROBE_S and not is_measuring

    def _measured_rate(self, sent_s: float, granted: int) -> float:
        """The rate that there is: calls granted since the bucket was empty, by the time since then."""
        measured_s = sent_s - self._empty_s
        if measured_s >= _MEASURED_S_MIN or granted >= _MEASURED_CALLS_MIN:
            return granted / measured_s
        return self.rate(sent_s) * _BLIND_CUT

    def _flow(self, now_s: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now_s - self._now_s) * self.rate(now_s))
        self._now_s = now_s


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
        """Slow down: a call that was sent at ``sent_s`` was throttled, and the service may ask for a pause."""
        self._bucket.throttled(self._clock(), sent_s, retry_after_s)
