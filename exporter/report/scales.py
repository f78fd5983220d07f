"""Scales and their ticks: where a value stands in a picture, in percent, and which values an axis names. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from exporter.report import wording
from exporter.timestamps import DAY_US, MINUTE_US, SECOND_US

_TICKS_MAX = 8
_HOUR_US = 60 * MINUTE_US
_STEPS_US = (
    *(seconds * SECOND_US for seconds in (1, 5, 15, 30)),
    *(minutes * MINUTE_US for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR_US for hours in (1, 2, 3, 6, 12)),
    *(days * DAY_US for days in (1, 2, 7, 14, 28, 91, 182, 364)),
)


@dataclass(frozen=True, slots=True)
class Tick:
    """A value that an axis names: where it stands, in percent of the axis, its text, and what stands below that."""

    percent: float
    text: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class TimeScale:
    """A span of time on a horizontal axis. It is never empty: a moment alone gets the second after it."""

    start_us: int
    end_us: int

    @classmethod
    def over(cls, start_us: int, end_us: int) -> TimeScale:
        """The scale from one moment to another, at least a second long."""
        return cls(start_us, max(end_us, start_us + SECOND_US))

    @property
    def length_us(self) -> int:
        """How long it is."""
        return self.end_us - self.start_us

    def percent(self, micros: int) -> float:
        """Where a moment stands, in percent; what lies outside stands at the nearer end."""
        inside = min(max(micros, self.start_us), self.end_us)
        return 100 * (inside - self.start_us) / self.length_us

    def ticks(self) -> list[Tick]:
        """At most nine moments at whole steps of the calendar or the clock; below them the day or year that begins."""
        step_us = self._step_us()
        first_us = -(-self.start_us // step_us) * step_us
        ticks: list[Tick] = []
        last = ""
        for at_us in range(first_us, self.end_us + 1, step_us):
            text, below = _texts(at_us, step_us)
            ticks.append(Tick(self.percent(at_us), text, below if below != last else ""))
            last = below
        return ticks

    def _step_us(self) -> int:
        for step_us in _STEPS_US:
            if self.length_us / step_us <= _TICKS_MAX:
                return step_us
        return math.ceil(self.length_us / _TICKS_MAX / DAY_US) * DAY_US


def _texts(at_us: int, step_us: int) -> tuple[str, str]:
    day = wording.short_day(at_us)
    if step_us >= DAY_US:
        return day, wording.day(at_us).removeprefix(f"{day} ")
    seconds = f":{at_us // SECOND_US % 60:02d}" if step_us < MINUTE_US else ""
    return wording.clock(at_us) + seconds, day


@dataclass(frozen=True, slots=True)
class ValueScale:
    """Values from zero to a round number, on a vertical axis."""

    top: float
    step: float

    @classmethod
    def up_to(cls, most: float, *, is_whole: bool) -> ValueScale:
        """The scale that has room for ``most``, with three to six steps; of whole numbers where asked."""
        if most <= 0:
            return cls(1, 1)
        raw = most / 5
        power = 10 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
        if is_whole:
            step = max(math.ceil(step), 1)
        return cls(math.ceil(most / step - 1e-9) * step, step)

    def percent(self, value: float) -> float:
        """How high a value stands, in percent of the axis."""
        return 100 * min(max(value, 0), self.top) / self.top

    def ticks(self) -> list[Tick]:
        """Zero and every step, from below."""
        steps = round(self.top / self.step)
        digits = max(0, -math.floor(math.log10(self.step) + 1e-9)) if self.step < 1 else 0
        has_half = self.step * 10**digits % 1 > 1e-9  # noqa: PLR2004 - more than floats are off by
        return [Tick(100 * index / steps, f"{index * self.step:,.{digits + has_half}f}") for index in range(steps + 1)]
