"""A token bucket for each (operation, account, region), and the count of what went through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from exporter.emulator.options import QuotaOptions
from exporter.emulator.protocol.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.model import Scope

#: Of how many seconds with grants the counts are kept, for each bucket.
_SECONDS_KEPT = 100_000


@dataclass(slots=True)
class CallCounts:
    """What went through a bucket. Times are in seconds since the emulator's start, None before the first grant."""

    granted: int = field(default=0, init=False)
    throttled: int = field(default=0, init=False)
    first_s: float | None = field(default=None, init=False)
    last_s: float | None = field(default=None, init=False)
    by_second: dict[int, int] = field(default_factory=dict, init=False)

    def note_granted(self, now_s: float) -> None:
        """Count a grant, also under its second; of those only the latest are kept."""
        self.granted += 1
        self.first_s = now_s if self.first_s is None else self.first_s
        self.last_s = now_s
        second = int(now_s)
        self.by_second[second] = self.by_second.get(second, 0) + 1
        if len(self.by_second) > _SECONDS_KEPT:
            del self.by_second[next(iter(self.by_second))]

    def slots(self, options: QuotaOptions) -> float:
        """How many calls the quota allowed from the first grant to the last."""
        if self.first_s is None or self.last_s is None:
            return 0.0
        return options.burst + options.calls_per_second * (self.last_s - self.first_s)


@dataclass(slots=True)
class CallBucket:
    """The tokens that one bucket had at ``filled_s``, and its counts."""

    tokens: float
    filled_s: float
    counts: CallCounts = field(default_factory=CallCounts, init=False)

    def take(self, options: QuotaOptions, now_s: float) -> bool:
        """Refill the bucket, and use a token if there is one."""
        refilled = self.tokens + (now_s - self.filled_s) * options.calls_per_second
        self.tokens = min(options.burst, refilled)
        self.filled_s = now_s
        if self.tokens < 1.0:
            self.counts.throttled += 1
            return False
        self.tokens -= 1.0
        self.counts.note_granted(now_s)
        return True


class Quota:
    """Grants calls at the rate that the options say; times are of ``monotonic_s``, real and not simulated."""

    def __init__(self, options: QuotaOptions, monotonic_s: Callable[[], float]) -> None:
        self.options = options
        self._monotonic_s = monotonic_s
        self._started_s = monotonic_s()
        self._buckets: dict[tuple[str, Scope], CallBucket] = {}

    def set(self, calls_per_second: float | None = None, burst: int | None = None) -> None:
        """Change the rate or the burst from now on. Raises ValueError for a wrong one."""
        old = self.options
        self.options = QuotaOptions(
            calls_per_second=old.calls_per_second if calls_per_second is None else calls_per_second,
            burst=old.burst if burst is None else burst,
            code=old.code,
            retry_after_s=old.retry_after_s,
        )

    def take(self, operation: str, scope: Scope) -> bool:
        """Whether the call is granted; if so, it used a token."""
        now_s = self._monotonic_s() - self._started_s
        bucket = self._buckets.get((operation, scope))
        if bucket is None:
            bucket = self._buckets[operation, scope] = CallBucket(self.options.burst, now_s)
        return bucket.take(self.options, now_s)

    def refusal(self) -> Refusal:
        """What a call without a token is answered."""
        wait_s = self.options.retry_after_s
        headers = () if wait_s is None else (("Retry-After", f"{wait_s:g}"),)
        return Refusal(429, self.options.code, "Rate exceeded", headers)

    def counts(self) -> list[dict[str, Any]]:
        """The counts of every bucket that was used.

        ``slots`` is how many calls the quota allowed from the first grant to the last: the burst, and the rate for the
        time between; ``granted / slots`` is the share that was used.
        """
        return [
            {
                "operation": operation,
                "account_id": scope.account_id,
                "region": scope.region,
                "calls": bucket.counts.granted + bucket.counts.throttled,
                "granted": bucket.counts.granted,
                "throttled": bucket.counts.throttled,
                "first_s": bucket.counts.first_s,
                "last_s": bucket.counts.last_s,
                "slots": bucket.counts.slots(self.options),
                "granted_by_second": sorted(bucket.counts.by_second.items()),
            }
            for (operation, scope), bucket in sorted(self._buckets.items(), key=itemgetter(0))
        ]
