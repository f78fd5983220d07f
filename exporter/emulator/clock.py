"""The emulator's own time: it runs or stands, and can be moved."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND_US = 1_000_000
HOUR_US = 3_600 * SECOND_US
DAY_US = 24 * HOUR_US
#: The first moment that no Date header can hold: the year 10000.
_END_US = 253_402_300_800 * SECOND_US


class WorldClock:
    """Simulated time in microseconds since the epoch, UTC. ``monotonic_s`` is real time; a frozen clock ignores it."""

    def __init__(self, start_us: int, *, is_frozen: bool, monotonic_s: Callable[[], float]) -> None:
        self._base_us = start_us
        self._is_frozen = is_frozen
        self._monotonic_s = monotonic_s
        self._since_s = monotonic_s()
        self._date: tuple[int, str] | None = None

    @property
    def now_us(self) -> int:
        """The simulated moment."""
        if self._is_frozen:
            return self._base_us
        return self._base_us + int((self._monotonic_s() - self._since_s) * SECOND_US)

    def set(self, moment_us: int) -> None:
        """Make it this moment now, earlier or later than it was. Raises ValueError outside the years 1970 to 9999."""
        if not 0 <= moment_us < _END_US:
            raise ValueError(f"{moment_us} microseconds are not in the years 1970 to 9999")
        self._base_us = moment_us
        self._since_s = self._monotonic_s()

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass at once."""
        self.set(self.now_us + int(seconds * SECOND_US))

    def date_text(self) -> str:
        """The moment as the ``Date`` header writes it."""
        second = self.now_us // SECOND_US
        if self._date is None or self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]
