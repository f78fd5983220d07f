"""A pace and a service's token bucket against each other, in simulated time: what is used, and what is throttled."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count, pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from exporter.ivs.pace import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable

_NEVER_S = float("inf")
_LATENCIES_S = (0.005, 0.2, 1.0, 2.0)


@dataclass
class Quota:
    """The service's bucket: ``rate`` tokens a second, ``burst`` at most. What is ``refused`` is throttled anyway."""

    rate: float
    burst: float = 5.0
    refused: Callable[[], bool] = lambda: False
    tokens: float = field(init=False)
    seen_s: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def grants(self, now_s: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now_s - self.seen_s) * self.rate)
        self.seen_s = now_s
        if self.refused() or self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


@dataclass
class Got:
    """When one client's calls were granted, and when throttled."""

    granted_s: list[float] = field(default_factory=list)
    throttled_s: list[float] = field(default_factory=list)

    def granted(self, start_s: float, end_s: float) -> int:
        return sum(start_s <= moment_s < end_s for moment_s in self.granted_s)

    def throttled_share(self, start_s: float = 0.0, end_s: float = _NEVER_S) -> float:
        throttled = sum(start_s <= moment_s < end_s for moment_s in self.throttled_s)
        return throttled / (throttled + self.granted(start_s, end_s))

    @property
    def standstill_s(self) -> float:
        return max(later - sooner for sooner, later in pairwise(self.granted_s))


class Simulation:
    """A client that always has a call to make, and perhaps another that asks at a rate of its own.

    The other's calls are due evenly and come up to half a turn late, so that the two keep no step with each other.
    A granted call is answered after ``latency_s``; a throttled one as late, or at once where ``refuses_at_once``.
    """

    def __init__(
        self,
        quota: Quota,
        rate: float,
        latency_s: float,
        *,
        concurrency: int = 32,
        refuses_at_once: bool = False,
        seed: int = 1,
    ) -> None:
        self.quota, self.bucket, self.concurrency = quota, Bucket(rate, 0.0), concurrency
        self.latency_s, self.refusal_s = latency_s, 0.0 if refuses_at_once else latency_s
        self.ours, self.other = Got(), Got()
        self.other_rate = 0.0
        self.now_s = self._other_due_s = self._other_next_s = 0.0
        self.in_flight_most = 0
        self._in_flight: list[tuple[float, int, float, bool]] = []
        self._numbers = count()
        self._random = Random(seed)

    def run_until(self, end_s: float) -> None:
        if not self.other_rate:
            self._other_due_s = self._other_next_s = end_s
        while (event := min(self._send_s(), self._answer_s(), self._other_s())) < end_s:
            self.now_s = event
            if event == self._answer_s():
                _, _, sent_s, is_granted = heapq.heappop(self._in_flight)
                if not is_granted:
                    self.bucket.throttled(event, sent_s)
            elif event == self._other_s():
                self._note(self.other)
                self._other_due_s += 1.0 / self.other_rate
                self._other_next_s = self._other_due_s + self._random.uniform(0.0, 0.5) / self.other_rate
            else:
                self._send()
        self.now_s = end_s

    def _send(self) -> None:
        self.bucket.take(self.now_s)
        is_granted = self._note(self.ours)
        answer_s = self.now_s + (self.latency_s if is_granted else self.refusal_s)
        heapq.heappush(self._in_flight, (answer_s, next(self._numbers), self.now_s, is_granted))
        self.in_flight_most = max(self.in_flight_most, len(self._in_flight))

    def _note(self, got: Got) -> bool:
        is_granted = self.quota.grants(self.now_s)
        (got.granted_s if is_granted else got.throttled_s).append(self.now_s)
        return is_granted

    def _send_s(self) -> float:
        if len(self._in_flight) >= self.concurrency:
            return _NEVER_S
        return self.now_s + self.bucket.wait_s(self.now_s)

    def _answer_s(self) -> float:
        return self._in_flight[0][0] if self._in_flight else _NEVER_S

    def _other_s(self) -> float:
        return self._other_next_s if self.other_rate else _NEVER_S

    def share_used(self, start_s: float, end_s: float) -> float:
        """Of the slots that the other client left."""
        slots = self.quota.rate * (end_s - start_s) - self.other.granted(start_s, end_s)
        return self.ours.granted(start_s, end_s) / slots


@pytest.mark.parametrize("burst", [2.0, 5.0, 20.0])
@pytest.mark.parametrize("latency_s", _LATENCIES_S)
def test_a_known_quota_is_used_to_the_last_call_without_a_throttle(latency_s: float, burst: float) -> None:
    """With the true limit known, 998 of 1,000 slots are used and no call is throttled, at any latency and burst."""
    simulation = Simulation(Quota(5.0, burst), 5.0, latency_s)
    simulation.run_until(600.0)
    assert simulation.share_used(0.0, 600.0) > 0.998
    assert simulation.ours.throttled_s == []


@pytest.mark.parametrize("latency_s", _LATENCIES_S)
def test_as_many_calls_are_in_flight_as_rate_and_latency_need(latency_s: float) -> None:
    """At 2 seconds ten or eleven calls are in flight, which leaves two thirds of 32 to the other operations."""
    simulation = Simulation(Quota(5.0), 5.0, latency_s)
    simulation.run_until(100.0)
    assert simulation.in_flight_most <= 5.0 * latency_s + 2.0


def test_the_bound_of_calls_in_flight_holds_before_the_quota() -> None:
    """Four calls in flight at 2 seconds each are two calls a second, and no later call makes up for it."""
    simulation = Simulation(Quota(5.0), 5.0, 2.0, concurrency=4)
    simulation.run_until(100.0)
    assert simulation.in_flight_most == 4
    assert simulation.ours.granted(0.0, 100.0) == 200


@pytest.mark.parametrize(("rate", "true"), [(5.0, 3.0), (50.0, 30.0)])
@pytest.mark.parametrize("latency_s", _LATENCIES_S)
def test_a_lower_limit_than_the_quota_is_found_and_used(latency_s: float, rate: float, true: float) -> None:
    """Where less is there than the quota says, 98 of 100 slots are used, and one call in 50 at most is throttled.

    This holds at any latency of the answers where throttles come at once.
    """
    simulation = Simulation(Quota(true), rate, latency_s, refuses_at_once=True, concurrency=200)
    simulation.run_until(180.0)
    assert simulation.share_used(0.0, 180.0) > 0.98
    assert simulation.ours.throttled_share() <= 0.02
    assert simulation.ours.standstill_s < 2.0


@pytest.mark.parametrize(("latency_s", "throttled_most"), [(0.2, 0.02), (1.0, 0.03), (2.0, 0.045)])
def test_late_throttles_cost_the_calls_that_are_on_their_way_and_no_slots(
    latency_s: float, throttled_most: float
) -> None:
    """Where a throttle is as late as an answer, each probe is answered too late; what is used stays the same."""
    simulation = Simulation(Quota(3.0), 5.0, latency_s)
    simulation.run_until(180.0)
    assert simulation.share_used(0.0, 180.0) > 0.98
    assert simulation.ours.throttled_share() <= throttled_most


@pytest.mark.parametrize("burst", [2.0, 3.0, 10.0, 30.0])
def test_a_lower_limit_is_used_whatever_the_burst(burst: float) -> None:
    """AWS documents no burst: from 2 calls to 30, 90 of 100 slots are used, and at most one call in 50 is throttled."""
    simulation = Simulation(Quota(3.0, burst), 5.0, 0.2, refuses_at_once=True)
    simulation.run_until(300.0)
    assert simulation.share_used(0.0, 300.0) > 0.9
    assert simulation.ours.throttled_share() <= 0.02


@pytest.mark.parametrize("latency_s", _LATENCIES_S)
@pytest.mark.parametrize("seed", range(5))
def test_another_user_is_yielded_to_and_its_share_taken_back(latency_s: float, seed: int) -> None:
    """While another draws 2 of 5, what it leaves is used; 30 seconds after it stopped, all is; few are throttled."""
    simulation = Simulation(Quota(5.0), 5.0, latency_s, refuses_at_once=True, seed=seed)
    simulation.run_until(60.0)
    simulation.other_rate = 2.0
    simulation.run_until(120.0)
    simulation.other_rate = 0.0
    simulation.run_until(180.0)
    assert simulation.share_used(60.0, 120.0) > 0.95
    assert simulation.other.throttled_share() < 0.25
    assert simulation.share_used(150.0, 180.0) > 0.99
    assert simulation.ours.throttled_share() <= 0.02
    assert simulation.ours.standstill_s < 2.0


@pytest.mark.parametrize("latency_s", _LATENCIES_S)
def test_a_limit_that_changes_in_mid_run_is_followed(latency_s: float) -> None:
    """5 a second, then 2, then 4, of which each is used but for half a minute after the change to more."""
    simulation = Simulation(Quota(5.0), 5.0, latency_s, refuses_at_once=True)
    simulation.run_until(60.0)
    simulation.quota.rate = 2.0
    simulation.run_until(180.0)
    simulation.quota.rate = 4.0
    simulation.run_until(300.0)
    assert simulation.ours.granted(60.0, 180.0) > 0.95 * 240
    assert simulation.ours.granted(210.0, 300.0) > 0.95 * 360
    assert simulation.ours.standstill_s < 3.0


@pytest.mark.parametrize(("share", "used_least"), [(0.001, 0.99), (0.005, 0.92), (0.01, 0.82)])
@pytest.mark.parametrize("seed", range(5))
def test_throttles_that_have_other_reasons_cost_little(share: float, used_least: float, seed: int) -> None:
    """Where one call in 1,000 is throttled whatever the rate, 99 of 100 slots are used; one in 100: some 85."""
    draws = Random(seed)
    simulation = Simulation(Quota(5.0, refused=lambda: draws.random() < share), 5.0, 0.2)
    simulation.run_until(900.0)
    assert simulation.share_used(0.0, 900.0) > used_least


def test_an_outage_of_the_quota_is_survived() -> None:
    """A minute in which every call is throttled takes few calls, and half a minute later the whole quota is used."""
    simulation = Simulation(Quota(5.0), 5.0, 0.2, refuses_at_once=True)
    simulation.run_until(60.0)
    simulation.quota.rate = 1e-9
    simulation.run_until(120.0)
    assert len(simulation.ours.throttled_s) < 30
    simulation.quota.rate = 5.0
    simulation.run_until(180.0)
    assert simulation.share_used(160.0, 180.0) > 0.99


@pytest.mark.parametrize("latency_s", _LATENCIES_S)
@pytest.mark.parametrize("seed", range(3))
def test_a_reserve_leaves_its_share_to_the_other_user(latency_s: float, seed: int) -> None:
    """At four fifths of the quota, one who asks for the last fifth and no more is throttled once in 100 at most."""
    simulation = Simulation(Quota(5.0), 4.0, latency_s, refuses_at_once=True, seed=seed)
    simulation.other_rate = 1.0
    simulation.run_until(600.0)
    assert simulation.other.throttled_share() <= 0.01
    assert simulation.ours.throttled_share() <= 0.001
    assert simulation.ours.granted(0.0, 600.0) == pytest.approx(0.8 * 5.0 * 600.0, rel=0.01)
