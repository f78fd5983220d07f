"""A call until it is answered: what is tried again, how often, and what it costs."""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from exporter.errors import (
    ApiError,
    ClockWrong,
    CredentialsLost,
    Endless,
    GaveUp,
    Malformed,
    Refused,
    Starved,
    Throttled,
    Transient,
    Unreachable,
)
from exporter.ivs.operations import Operation
from exporter.ivs.responses import Page
from exporter.ivs.retry import RetryingCaller
from exporter.ledger import ScopeLedger
from exporter.machine.clock import Clock
from exporter.settings import QuotaSettings, RetrySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EVENTS = Operation.LIST_PARTICIPANT_EVENTS
PAGE = Page(b"[]", None, 0)


class Script:
    """A client with answers to give, and the time that passes only when somebody sleeps."""

    def __init__(self, answers: Iterable[Page | ApiError], latency_s: float = 0.0) -> None:
        self.answers = iter(answers)
        self.latency_s = latency_s
        self.now_s = 0.0
        self.asked = 0

    async def ask(self, _operation: Operation, _params: Mapping[str, Any]) -> Page:
        self.asked += 1
        self.now_s += self.latency_s
        answer = next(self.answers)
        if isinstance(answer, ApiError):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


def caller_of(script: Script, attempts: int = 8, timeout_s: float = 300.0) -> RetryingCaller:
    client: Any = script
    return RetryingCaller(
        client,
        QuotaSettings(),
        RetrySettings(attempts=attempts, timeout_s=timeout_s),
        32,
        Clock(lambda: script.now_s, lambda: 0, script.sleep, lambda: 1.0),
        ScopeLedger("us-east-1"),
    )


async def test_a_passing_fault_is_tried_again_with_growing_waits() -> None:
    """Two faults and an answer are three calls and two retries, and the waits double."""
    script = Script([Transient("reset"), Malformed("half"), PAGE])
    caller = caller_of(script)
    assert await caller.call(EVENTS, {}) is PAGE
    assert caller.ledger.calls[EVENTS] == 3
    assert caller.ledger.retries == 2
    assert script.now_s >= 0.5 + 1.0


async def test_attempts_are_bounded() -> None:
    """After eight faults there is no ninth try, and the error says what the last one was."""
    script = Script(Transient("reset by peer") for _ in range(100))
    with pytest.raises(GaveUp, match="reset by peer"):
        await caller_of(script).call(EVENTS, {})
    assert script.asked == 8


async def test_time_is_bounded() -> None:
    """A call that takes 100 s each time ends after its 300 s, not after its attempts."""
    script = Script((Transient("slow") for _ in range(100)), latency_s=100.0)
    with pytest.raises(GaveUp):
        await caller_of(script).call(EVENTS, {})
    assert script.asked == 3


async def test_throttles_use_no_attempt_and_slow_the_pace() -> None:
    """More throttles than attempts do not end a call, and the pace falls."""
    script = Script([*(Throttled("slow down") for _ in range(12)), PAGE])
    caller = caller_of(script, timeout_s=1e6)
    assert await caller.call(EVENTS, {}) is PAGE
    assert caller.ledger.throttled == 12
    assert caller.pace(EVENTS).calls_per_second < 5.0


async def test_an_operation_that_meets_only_throttles_is_starved() -> None:
    """Throttled for the whole time-out, an operation ends with Starved, and its next call is not even made."""
    script = Script(Throttled("slow down") for _ in range(100_000))
    caller = caller_of(script)
    with pytest.raises(Starved):
        await caller.call(EVENTS, {})
    asked = script.asked
    with pytest.raises(Starved):
        await caller.call(EVENTS, {})
    assert script.asked == asked


@pytest.mark.parametrize("error", [Refused("no", "AccessDeniedException"), CredentialsLost("gone")])
async def test_a_final_error_gets_no_second_try(error: ApiError) -> None:
    """What is refused for good is asked once."""
    script = Script([error, PAGE])
    with pytest.raises(type(error)):
        await caller_of(script).call(EVENTS, {})
    assert script.asked == 1


async def test_retry_after_of_a_fault_is_honoured() -> None:
    """A 503 that asks for 17 seconds gets them."""
    script = Script([Transient("busy", 17.0), PAGE])
    await caller_of(script).call(EVENTS, {})
    assert script.now_s >= 17.0


async def test_a_pause_of_an_hour_does_not_use_up_a_calls_time() -> None:
    """A 503 that asks for an hour gets one try's share of the time each time, and all eight tries are made."""
    script = Script([*(Transient("maintenance", 3600.0) for _ in range(7)), PAGE])
    assert await caller_of(script).call(EVENTS, {}) is PAGE
    assert script.asked == 8
    assert script.now_s < 300.0


async def test_members_beside_a_list_are_counted() -> None:
    """What a page holds that nobody knows is counted by its name, however often it is asked for, and bounded."""
    pages = [Page(b"[]", None, 0, ("ListStages.warnings",)), Page(b"[]", None, 0, ("ListStages.warnings", "x"))]
    caller = caller_of(Script([*pages, *(Page(b"[]", None, 0, (f"x{number}",)) for number in range(2000))]))
    for _ in range(2002):
        await caller.call(EVENTS, {})
    counts = caller.ledger.unknown_fields
    assert (counts["ListStages.warnings"], counts["x"], counts["x0"]) == (2, 1, 1)
    assert counts.total() == 2003
    assert len(counts) <= 1001


@pytest.mark.parametrize("error", [Unreachable("certificate"), ClockWrong("clock"), Endless("long")])
async def test_what_no_other_try_changes_gets_none(error: ApiError) -> None:
    """A certificate that is not trusted is asked for once, not eight times."""
    script = Script([error, PAGE])
    with pytest.raises(type(error)):
        await caller_of(script).call(EVENTS, {})
    assert script.asked == 1


async def test_requests_in_flight_are_bounded() -> None:
    """With a concurrency of 2, a third call is not sent before one is answered."""
    flying, most, gate = 0, 0, asyncio.Event()

    class Slow(Script):
        async def ask(self, _operation: Operation, _params: Mapping[str, Any]) -> Page:
            nonlocal flying, most
            flying += 1
            most = max(most, flying)
            await gate.wait()
            flying -= 1
            return PAGE

    script = Slow([])
    caller = caller_of(script)
    caller.concurrency = 2
    caller.__post_init__()
    calls = [asyncio.create_task(caller.call(EVENTS, {})) for _ in range(6)]
    for _ in range(50):
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*calls)
    assert most == 2


class SharedTime:
    """Time that moves to the next end of a sleep once everybody sleeps, and a client that notes when it is asked."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked_s: dict[Operation, list[float]] = defaultdict(list)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    async def ask(self, operation: Operation, _params: Mapping[str, Any]) -> Page:
        self.asked_s[operation].append(self.now_s)
        await self.sleep(0.2)
        return PAGE

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + seconds, next(self._numbers), woken))
        await woken

    async def pass_by(self, until: asyncio.Future[Any]) -> None:
        while not until.done():
            for _ in range(100):  # whoever has something to do does it first
                await asyncio.sleep(0)
            if self._sleepers:
                self.now_s, _, woken = heapq.heappop(self._sleepers)
                woken.set_result(None)


@pytest.mark.parametrize("beside", [each for each in Operation if each is not Operation.GET_PARTICIPANT])
async def test_details_have_a_pace_of_their_own_that_leaves_the_reserve(beside: Operation) -> None:
    """With a fifth of 5 a second left to others, GetParticipant has 4, and takes nothing of another operation's 4."""
    time, calls = SharedTime(), 102
    client: Any = time
    clock = Clock(lambda: time.now_s, lambda: 0, time.sleep, lambda: 1.0)
    quota = QuotaSettings(calls_per_second=5.0, reserve=0.2)
    caller = RetryingCaller(client, quota, RetrySettings(), 32, clock, ScopeLedger("us-east-1"))
    asked = [caller.call(operation, {}) for _ in range(calls) for operation in (beside, Operation.GET_PARTICIPANT)]
    answered = asyncio.gather(*asked)
    await time.pass_by(answered)
    assert len(await answered) == 2 * calls
    for asked_s in time.asked_s.values():
        # Two at once, and then one each quarter of a second; where tokens were saved, two more in a second.
        assert asked_s[-1] == pytest.approx((calls - 2) / 4.0, rel=0.01)
        assert all(late_s - soon_s >= 1.0 for soon_s, late_s in zip(asked_s, asked_s[6:], strict=False))
