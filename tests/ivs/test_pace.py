"""The pace's arithmetic, on a clock that only the test moves."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ivs.pace import Bucket, Pace


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
    """102 tokens at 5 a second take 20 seconds and a little: the first two are there at once."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    await asyncio.gather(*(pace.take() for _ in range(102)))
    assert 20.0 < time.now_s < 20.1


async def test_retry_after_holds_every_token_back() -> None:
    """After a throttle that asks for 30 seconds no token is granted before they have passed."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    await pace.take()
    pace.throttled(time.now_s, 30.0)
    await pace.take()
    assert time.now_s >= 30.0


async def test_two_throttles_tell_the_rate_and_time_speeds_up_again() -> None:
    """The rate falls to that of the calls granted between two throttles, and is whole again half a minute later."""
    time = VirtualTime()
    pace = Pace(5.0, time.clock, time.sleep)
    pace.throttled(time.now_s, 0.0)
    assert pace.calls_per_second > 4.9
    for _ in range(20):
        await time.sleep(0.5)
        await pace.take()
    await pace.take()  # the one that is throttled
    pace.throttled(time.now_s, 0.0)
    between_s = time.now_s
    assert pace.calls_per_second < 20 / between_s
    await time.sleep(18.0)
    assert pace.calls_per_second == pytest.approx(20 / between_s)
    await time.sleep(12.0)
    assert pace.calls_per_second > 4.9


def test_throttles_of_calls_that_were_on_their_way_are_one_throttle() -> None:
    """Calls that were sent before the last cut lower the rate no further, but were not granted either."""
    bucket = Bucket(5.0, 0.0)
    for moment_s in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9):
        bucket.take(moment_s)
    bucket.throttled(1.0, 0.0)
    bucket.throttled(1.0, 0.2)
    slowed = "3.912 of 4.995 calls/s, 4.246 learned at 1.00 s"
    assert repr(bucket).endswith(f"{slowed}; 4 granted since the throttle at 0.00 s>")
    for sent_s in (0.4, 0.6, 0.8):
        bucket.throttled(1.0, sent_s)
    assert repr(bucket).endswith(f"{slowed}; 1 granted since the throttle at 0.00 s>")


def test_a_throttle_now_and_then_slows_nothing_down() -> None:
    """One in a minute is no sign of a limit, and takes nothing but its own call."""
    bucket, now_s, taken = Bucket(5.0, 0.0), 0.0, 0
    while now_s < 600.0:
        now_s += bucket.wait_s(now_s)
        bucket.take(now_s)
        taken += 1
        if taken % 310 == 0:
            bucket.throttled(now_s, now_s)
    assert taken == pytest.approx(600.0 * 4.995, abs=3.0)


async def test_a_pace_is_free_when_nobody_waits() -> None:
    """`free` lets the next piece of work begin only when no call waits for its token."""
    time = VirtualTime()
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await gate.wait()
        time.now_s += seconds

    pace = Pace(5.0, time.clock, sleep)
    await pace.take()
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
            assert count <= (end_s - start_s) * rate + max(2.0, rate / 10.0) + 1e-6


@given(st.lists(st.tuples(st.floats(0.0, 40.0), st.booleans()), max_size=300))
def test_the_rate_stays_within_its_bounds(answers: list[tuple[float, bool]]) -> None:
    """No row of throttles stops a pace, and no row of granted calls lifts it over its quota."""
    bucket, now_s = Bucket(5.0, 0.0), 0.0
    for pause_s, is_throttle in answers:
        now_s += pause_s
        bucket.take(now_s)
        if is_throttle:
            bucket.throttled(now_s, now_s)
        assert 0.0 < bucket.rate(now_s) <= 5.0
