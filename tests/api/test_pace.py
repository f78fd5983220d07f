"""The pace's arithmetic, on a clock that only the test moves."""

from __future__ import annotations

import asyncio

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
    """101 tokens at 5 a second take 20 seconds: the first is there at once."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    await asyncio.gather(*(pace.take() for _ in range(101)))
    assert abs(time.now_s - 20.0) < 1e-6


async def test_retry_after_holds_every_token_back() -> None:
    """After a throttle that asks for 30 seconds no token is given before they have passed."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    await pace.take()
    pace.throttled(30.0)
    await pace.take()
    assert time.now_s >= 30.0


async def test_a_throttle_slows_down_and_successes_speed_up_again() -> None:
    """The rate falls at a throttle and is whole again after some hundred successes."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    pace.throttled(None)
    assert pace.calls_per_second < 5.0
    for _ in range(400):
        pace.succeeded()
    assert pace.calls_per_second == 5.0


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


@given(st.lists(st.booleans(), max_size=300))
def test_the_rate_stays_within_its_bounds(throttles: list[bool]) -> None:
    """No row of throttles stops a pace, and no row of successes lifts it over its quota."""
    bucket = Bucket(5.0, 0.0)
    for is_throttle in throttles:
        if is_throttle:
            bucket.throttled(0.0, 0.0)
        else:
            bucket.succeeded()
        assert 0.0 < bucket.rate <= 5.0
