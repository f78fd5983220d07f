"""The passing of time and the draw of chance, passed in, so that a test can make both."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """Two clocks, a sleep and a draw.

    ``monotonic_s`` measures spans, in seconds. ``wall_us`` is the local time, in microseconds since the epoch.
    ``sleep`` takes seconds. ``draw`` gives a number from [0, 1). ``machine_us`` is this machine's own time, where
    ``wall_us`` shows another one, as a test's: a signature's date is checked by no other clock.
    """

    monotonic_s: Callable[[], float]
    wall_us: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    draw: Callable[[], float]
    machine_us: Callable[[], int] | None = None


def system_clock() -> Clock:
    """The clock of this machine."""
    # Not the module's own generator: a caller in Python may have seeded that, and a lake's id is drawn here.
    return Clock(time.monotonic, wall_us, asyncio.sleep, random.SystemRandom().random)


def wall_us() -> int:
    """The local time, in microseconds since the epoch."""
    return time.time_ns() // 1_000
