"""A call until it is answered: the one retry layer, with the quota inside it, so that every attempt takes a token.

- `Throttled`: the operation's pace slows down and the call is tried again, which uses no attempt; when it has met
  nothing else for ``timeout_s``, the operation is `Starved`.
- `Transient`, `Malformed`: tried again after full jitter or ``Retry-After``, as far as a try's share of the time goes;
  after ``attempts`` or ``timeout_s``, `GaveUp`.
- Anything else is final at once. An operation that is denied again and again is `ShutOut`: asked no more.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, retry_if_exception_type

from exporter.errors import GaveUp, Refused, Starved, Throttled, Transient
from exporter.ivs.denials import Denials, stage_in
from exporter.ivs.pace import Pace
from exporter.telemetry.logger import Logger
from exporter.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenacity import RetryCallState

    from exporter.errors import ApiError
    from exporter.ivs.client import Client
    from exporter.ivs.operations import Operation
    from exporter.ivs.responses import Page
    from exporter.ivs.service_time import ServiceTime
    from exporter.ledger import ScopeLedger
    from exporter.machine.clock import Clock
    from exporter.settings import QuotaSettings, RetrySettings

_BACKOFF_FIRST_S = 0.5
_BACKOFF_MAX_S = 20.0
# A longer pause by throttling is worth a line of the log.
_PAUSE_LOGGED_S = 60.0
_log = Logger(__name__)


@dataclass(slots=True)
class _Spent:
    """What one call has used up: attempts, and seconds in attempts and back-off (not in waiting for tokens).

    ``throttled_since_s`` is when it was first throttled.
    """

    attempts: int = field(default=0, init=False)
    seconds: float = field(default=0.0, init=False)
    throttled_since_s: float | None = field(default=None, init=False)


@dataclass(slots=True)
class _Lane:
    """One operation of a scope: its pace, what it was denied, and when it last had an answer that was no throttle.

    ``throttled_s`` is when the pause began that the operation is in, with its first throttle; None where it is in none.
    A pause ends with an answer to a call that was sent after it began. ``is_pause_logged`` says that the log has a line
    of it, and ``starved`` why the operation is asked no more.
    """

    pace: Pace
    denials: Denials
    answered_s: float = field(default=-math.inf, init=False)
    throttled_s: float | None = field(default=None, init=False)
    is_pause_logged: bool = field(default=False, init=False)
    starved: str | None = field(default=None, init=False)

    def check(self, stage_arn: str) -> None:
        """Raise :class:`Starved` or :class:`ShutOut` where the operation is not to be asked in this stage any more."""
        if self.starved:
            raise Starved(self.starved)
        self.denials.check(stage_arn)

    def answered(self, now_s: float, sent_s: float) -> None:
        """Note an answer that was no throttle, to what was sent at ``sent_s``.

        A call that was on its way when the pause began does not end it: else one pause would be logged twice.
        """
        self.answered_s = now_s
        if self.throttled_s is None or sent_s >= self.throttled_s:
            self.throttled_s, self.is_pause_logged = None, False


@dataclass(slots=True)
class RetryingCaller:
    """Calls one scope's API until it answers, no faster than the quota.

    No more than ``concurrency`` calls are in flight, every attempt takes a token of its operation's pace, and all of it
    is counted in ``ledger``. ``client`` makes one attempt.
    """

    client: Client
    quota: QuotaSettings
    retry: RetrySettings
    concurrency: int
    clock: Clock
    ledger: ScopeLedger
    _lanes: dict[Operation, _Lane] = field(default_factory=dict, init=False)
    _slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)

    @property
    def service_time(self) -> ServiceTime:
        """The service's clock, as its answers to this scope's calls show it."""
        return self.client.service_time

    @property
    def rate(self) -> float:
        """Calls a second that each operation may make: the quota less what is left to others."""
        return self.quota.rate

    def pace(self, operation: Operation) -> Pace:
        """The pace of an operation."""
        return self._lane(operation).pace

    async def call(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        """Call until there is an answer. Raises an :class:`ApiError` that is final: no other try is worth it."""
        lane, spent = self._lane(operation), _Spent()
        try:
            return await self._attempt(operation, params, lane, spent)
        except (Throttled, Transient) as error:
            first: ApiError | None = error

        async def attempt() -> Page:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await self._attempt(operation, params, lane, spent)

        # Tenacity's own bookkeeping costs as much as sending: it takes over where there is something to try again.
        return await self._retrying(spent)(attempt)

    def _retrying(self, spent: _Spent) -> AsyncRetrying:
        return AsyncRetrying(
            sleep=self.clock.sleep,
            retry=retry_if_exception_type((Throttled, Transient)),
            stop=lambda _: self._is_over(spent),
            wait=lambda state: self._wait_s(state, spent),
            before_sleep=self._count_retry,
            retry_error_callback=_give_up,
        )

    async def _attempt(self, operation: Operation, params: Mapping[str, Any], lane: _Lane, spent: _Spent) -> Page:
        stage_arn = stage_in(params)
        lane.check(stage_arn)
        await lane.pace.take()
        async with self._slots:
            lane.check(stage_arn)  # others were answered meanwhile; from here to the sending nobody else is at work
            self.ledger.calls[operation] += 1
            began_s = self.clock.monotonic_s()
            try:
                async with asyncio.timeout(max(self.retry.timeout_s - spent.seconds, 0.0)):
                    with span("call", operation=operation, scope=self.ledger.name):
                        page = await self.client.ask(operation, params)
            except TimeoutError:
                spent.attempts += 1
                host = self.client.host_of(operation)
                raise Transient(f"{operation}: {host} gave no whole answer in {self.retry.timeout_s:g} s") from None
            except Throttled as error:
                self._throttled(operation, lane, spent, error, began_s)
                raise
            except Refused as error:
                lane.answered(self.clock.monotonic_s(), began_s)
                if lane.denials.refused(stage_arn, error):
                    _log.info("asked no more", scope=self.ledger.name, operation=operation, stage_arn=stage_arn)
                raise
            except Transient:
                spent.attempts += 1
                raise
            finally:
                spent.seconds += self.clock.monotonic_s() - began_s
        lane.answered(self.clock.monotonic_s(), began_s)
        lane.denials.granted(stage_arn)
        if page.unknown:
            self.ledger.note_unknown(page.unknown)
        return page

    def _throttled(self, operation: Operation, lane: _Lane, spent: _Spent, error: Throttled, sent_s: float) -> None:
        self.ledger.throttled += 1
        now_s = self.clock.monotonic_s()
        pause_s = min(error.retry_after_s or 0.0, self.retry.timeout_s)
        lane.pace.throttled(sent_s, pause_s)
        lane.throttled_s = now_s if lane.throttled_s is None else lane.throttled_s
        paused_s = now_s + pause_s - lane.throttled_s
        if paused_s > _PAUSE_LOGGED_S and not lane.is_pause_logged:
            lane.is_pause_logged = True
            _log.warning(
                "paused by throttling",
                scope=self.ledger.name,
                operation=operation,
                seconds=round(paused_s),
                reason=str(error),
            )
        if spent.throttled_since_s is None:
            spent.throttled_since_s = now_s
        if now_s - max(spent.throttled_since_s, lane.answered_s) >= self.retry.timeout_s:
            lane.starved = (
                f"{operation} met only throttles for {self.retry.timeout_s:g} s: others use up the account's quota; run"
                " again when they need less of it"
            )
            raise Starved(lane.starved) from error

    def _is_over(self, spent: _Spent) -> bool:
        return spent.attempts >= self.retry.attempts or spent.seconds >= self.retry.timeout_s

    def _wait_s(self, state: RetryCallState, spent: _Spent) -> float:
        error = state.outcome and state.outcome.exception()
        if not isinstance(error, Transient):
            return 0.0  # a throttle waits for its next token
        jitter_s = self.clock.draw() * min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2.0 ** (spent.attempts - 1))
        # A pause that is asked for is granted up to one try's share of the time: an hour would take all of it at once,
        # and what asks for that (a load balancer in its maintenance, say) is often back much sooner.
        share_s = self.retry.timeout_s / self.retry.attempts
        wait_s = min(max(jitter_s, min(error.retry_after_s or 0.0, share_s)), self.retry.timeout_s)
        spent.seconds += wait_s
        return wait_s

    def _count_retry(self, _: RetryCallState) -> None:
        self.ledger.retries += 1

    def _lane(self, operation: Operation) -> _Lane:
        if operation not in self._lanes:
            pace = Pace(self.rate, self.clock.monotonic_s, self.clock.sleep)
            self._lanes[operation] = _Lane(pace, Denials(operation))
        return self._lanes[operation]


def _give_up(state: RetryCallState) -> Any:  # noqa: ANN401 - tenacity's own signature; it always raises
    error = state.outcome.exception() if state.outcome else None
    tries = "1 try" if state.attempt_number == 1 else f"{state.attempt_number} tries"
    raise GaveUp(f"gave up after {tries}: {error}", str(error)) from error
