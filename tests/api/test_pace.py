"""The pace's arithmetic, on a clock that only the test moves."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.pace import Bucket, Pace


class VirtualTime:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


async def test_a_pace_gives_its_rate_and_no_more() -> None:
    """101 tokens at 5 a second take 20 seconds and a little: the first is there at once."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    await asyncio.gather(*(pace.take() for _ in range(101)))
    assert 20.0 < time.now_s < 20.1


async def test_retry_after_holds_every_token_back() -> None:
    """After a throttle that asks for 30 seconds no token is given before they have passed."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    await pace.take()
    pace.throttled(time.now_s, 30.0)
    await pace.take()
    assert time.now_s >= 30.0


async def test_a_throttle_slows_down_and_time_speeds_up_again() -> None:
    """The rate falls at a throttle to what succeeded before it, and is whole again half a minute later."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    for _ in range(10):
        await time.sleep(0.5)
        pace.succeeded()
    pace.throttled(time.now_s, 0.0)
    assert 1.0 < pace.calls_per_second < 2.0
    await time.sleep(18.0)
    assert pace.calls_per_second == 2.0
    await time.sleep(12.0)
    assert pace.calls_per_second > 4.9


async def test_a_pace_is_free_when_nobody_waits() -> None:
    """`free` lets the next piece of work begin only when no call waits for its token."""
    time = VirtualTime()
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()
        time.now_s += seconds

    pace = Pace(5.0, time.clock, sleep)
    await pace.take()
    waiting = asyncio.create_task(pace.take())
    free = asyncio.create_task(pace.free())
    await asyncio.sleep(0)
    assert not free.done()
    gate.set()
    await asyncio.gather(waiting, free)


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200), st.floats(0.1, 50.0))
def test_no_window_holds_more_than_rate_and_burst(pauses_s: list[float], rate: float) -> None:
    """However the asking is spread, the tokens of any window are at most its length times the rate, and the burst."""
    bucket, now_s, taken_s = Bucket(rate, 0.0), 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        now_s += bucket.wait_s(now_s)
        bucket.take(now_s)
        taken_s.append(now_s)
    for first, start_s in enumerate(taken_s):
        for count, end_s in enumerate(taken_s[first:], 1):
            assert count <= (end_s - start_s) * rate + 2.0 + 1e-6


@given(st.lists(st.tuples(st.floats(0.0, 40.0), st.booleans()), max_size=300))
def test_the_rate_stays_within_its_bounds(answers: list[tuple[float, bool]]) -> None:
    """No row of throttles stops a pace, and no row of successes lifts it over its quota."""
    bucket, now_s = Bucket(5.0, 0.0), 0.0
    for pause_s, is_throttle in answers:
        now_s += pause_s
        if is_throttle:
            bucket.throttled(now_s, now_s)
        else:
            bucket.succeeded(now_s)
        assert 0.0 < bucket.rate(now_s) <= 5.0


class Quota:
    """A service's token bucket, and a client that always has a call to make."""

    def __init__(self, rate: float, told: float, latency_s: float) -> None:
        self.rate, self.burst, self.tokens, self.seen_s = rate, 5.0, 5.0, 0.0
        self.bucket, self.latency_s, self.now_s = Bucket(told, 0.0), latency_s, 0.0
        self.flying: deque[tuple[float, float, bool]] = deque()
        self.granted_s: list[float] = []
        self.throttled = 0

    def run_until(self, end_s: float) -> None:
        while self.now_s < end_s:
            send_s = self.now_s + self.bucket.wait_s(self.now_s)
            while self.flying and self.flying[0][0] <= send_s:
                self._answer(*self.flying.popleft())
                send_s = self.now_s + self.bucket.wait_s(self.now_s)
            self.now_s = send_s
            self.bucket.take(send_s)
            self.tokens = min(self.burst, self.tokens + (send_s - self.seen_s) * self.rate)
            self.seen_s = send_s
            is_granted = self.tokens >= 1.0
            self.tokens -= is_granted
            self.flying.append((send_s + self.latency_s, send_s, is_granted))

    def _answer(self, answer_s: float, sent_s: float, is_granted: bool) -> None:
        self.now_s = max(self.now_s, answer_s)
        if is_granted:
            self.granted_s.append(self.now_s)
            self.bucket.succeeded(self.now_s)
        else:
            self.throttled += 1
            self.bucket.throttled(self.now_s, sent_s)

    def share_used(self, start_s: float, end_s: float) -> float:
        return sum(start_s <= moment_s < end_s for moment_s in self.granted_s) / ((end_s - start_s) * self.rate)


@pytest.mark.parametrize("latency_s", [0.005, 0.1, 0.5, 2.0])
def test_a_known_quota_is_used_to_the_last_call_without_a_throttle(latency_s: float) -> None:
    """With the true limit known, more than 99 of 100 slots are used and no call is throttled, at any latency."""
    quota = Quota(5.0, 5.0, latency_s)
    quota.run_until(600.0)
    assert quota.share_used(10.0, 590.0) > 0.99
    assert quota.throttled == 0


@pytest.mark.parametrize("latency_s", [0.005, 0.1, 0.5])
def test_a_lower_limit_than_told_is_found_and_used(latency_s: float) -> None:
    """Where 5 a second were told and 3 are there, 95 of 100 are used, and one call in 50 at most is throttled."""
    quota = Quota(3.0, 5.0, latency_s)
    quota.run_until(600.0)
    assert quota.share_used(0.0, 595.0) > 0.95
    assert quota.throttled <= 0.02 * len(quota.granted_s)


def test_freed_capacity_is_found_within_half_a_minute() -> None:
    """When another user stops drawing on the quota, the pace is back at the whole of it within 30 seconds."""
    quota = Quota(2.5, 5.0, 0.1)
    quota.run_until(100.0)
    quota.rate = 5.0
    quota.run_until(150.0)
    assert quota.share_used(130.0, 148.0) > 0.98
