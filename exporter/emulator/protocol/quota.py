"""A token bucket for each (operation, account, region), and the count of what went through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.emulator.options import QuotaOptions
from exporter.emulator.protocol.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.model import Scope

#: Of how many seconds with grants the counts are kept, for each bucket.
_SECONDS_KEPT = 100_000


@dataclass(slots=True)
class CallBucket:
    """One bucket and its counts. ``by_second`` counts the grants of each second since the emulator's start."""

    tokens: float
    filled_s: float
    calls: int = 0
    granted: int = 0
    throttled: int = 0
    first_s: float | None = None
    last_s: float | None = None
    by_second: dict[int, int] = field(default_factory=dict)


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
        """Whether the call is granted; it then used a token."""
        now_s = self._monotonic_s() - self._started_s
        bucket = self._buckets.get((operation, scope))
        if bucket is None:
            bucket = self._buckets[operation, scope] = CallBucket(self.options.burst, now_s)
        refilled = bucket.tokens + (now_s - bucket.filled_s) * self.options.calls_per_second
        bucket.tokens = min(self.options.burst, refilled)
        bucket.filled_s = now_s
        bucket.calls += 1
        if bucket.tokens < 1.0:
            bucket.throttled += 1
            return False
        bucket.tokens -= 1.0
        _count_grant(bucket, now_s)
        return True

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
                "calls": bucket.calls,
                "granted": bucket.granted,
                "throttled": bucket.throttled,
                "first_s": bucket.first_s,
                "last_s": bucket.last_s,
                "slots": self._slots(bucket),
                "granted_by_second": sorted(bucket.by_second.items()),
            }
            for (operation, scope), bucket in sorted(self._buckets.items())
        ]

    def _slots(self, bucket: CallBucket) -> float:
        if bucket.first_s is None or bucket.last_s is None:
            return 0.0
        return self.options.burst + self.options.calls_per_second * (bucket.last_s - bucket.first_s)


def _count_grant(bucket: CallBucket, now_s: float) -> None:
    bucket.granted += 1
    bucket.first_s = now_s if bucket.first_s is None else bucket.first_s
    bucket.last_s = now_s
    second = int(now_s)
    bucket.by_second[second] = bucket.by_second.get(second, 0) + 1
    if len(bucket.by_second) > _SECONDS_KEPT:
        del bucket.by_second[next(iter(bucket.by_second))]
