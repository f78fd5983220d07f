"""Numbers, spans and moments as people read them. Pure; all moments are UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.timestamps import DAY_US, EPOCH, FIRST_US, LAST_US, MICROSECOND, SECOND_US

if TYPE_CHECKING:
    from datetime import datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400
_SMALL = 10
UNKNOWN = "\N{EN DASH}"


def count(value: int) -> str:
    """Write a count: ``1,204``."""
    return f"{value:,}"


def things(value: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: ``1 person``, ``1,204 people``."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def share(part: int, whole: int) -> str:
    """Write a share in percent: ``12 %``, ``0.4 %``."""
    if not whole:
        return UNKNOWN
    percent = 100 * part / whole
    return f"{percent:.1f} %" if 0 < percent < _SMALL else f"{percent:.0f} %"


def decimal(value: float) -> str:
    """Write a number with one digit after the point where it is below a thousand."""
    return f"{value:,.1f}" if round(value, 1) < 1_000 else f"{value:,.0f}"  # noqa: PLR2004 - said above


def hours(low: float, high: float | None = None) -> str:
    """Write hours, as a range where the bounds differ once they are rounded: ``12.5 to 14.1``."""
    first, last = decimal(low), decimal(low if high is None else high)
    return first if first == last else f"{first} to {last}"


def span(seconds: float | None) -> str:
    """Write a span: ``1.4 s``, ``3 min 20 s``, ``2 h 14 min``, ``3 d 4 h``."""
    if seconds is None:
        return UNKNOWN
    if seconds < _SMALL:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return _two(whole, _MINUTE_S, "min", 1, "s")
    if whole < _DAY_S:
        return _two(whole, _HOUR_S, "h", _MINUTE_S, "min")
    return _two(whole, _DAY_S, "d", _HOUR_S, "h")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large:,} {large_name}" + (f" {rest} {small_name}" if rest else "")


def moment(micros: int | None) -> str:
    """Write a moment: ``23 Nov 2026, 14:05``."""
    if micros is None:
        return UNKNOWN
    at = _time(micros)
    return f"{day(micros)}, {at:%H:%M}"


def day(micros: int) -> str:
    """Write a moment's UTC day: ``23 Nov 2026``."""
    return f"{short_day(micros)} {_time(micros).year}"


def short_day(micros: int) -> str:
    """Write a moment's UTC day without its year: ``23 Nov``."""
    at = _time(micros)
    return f"{at.day} {_MONTHS[at.month - 1]}"


def clock(micros: int) -> str:
    """Write a moment's time of day: ``14:05``."""
    return f"{_time(micros):%H:%M}"


def period(start_us: int | None, end_us: int | None) -> str:
    """Write from when to when, what both share once: ``23 Nov 2026, 14:05 to 16:30``."""
    if start_us is None and end_us is None:
        return UNKNOWN
    if start_us is None or end_us is None:
        return f"until {moment(end_us)}" if start_us is None else f"since {moment(start_us)}"
    if start_us // DAY_US == end_us // DAY_US:
        return f"{moment(start_us)} to {clock(end_us)}"
    is_one_year = _time(start_us).year == _time(end_us).year
    end = f"{short_day(end_us)}, {clock(end_us)}" if is_one_year else moment(end_us)
    return f"{moment(start_us)} to {end}"


def ago(micros: int, now_us: int) -> str:
    """Write how long before now a moment was."""
    return f"{span(max(now_us - micros, 0) / SECOND_US)} before this page was made"


def _time(micros: int) -> datetime:
    return EPOCH + min(max(micros, FIRST_US), LAST_US) * MICROSECOND
