"""The forms in which AWS may write a time.

Its documentation shows fractions of a second in some samples and none in others, and confirms no trailing ``Z``; so
the emulator writes all that ISO 8601 allows between the two, and the reader must take each.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_SECOND_US = 1_000_000
_DAY_S = 86_400
_TWO = tuple(f"{number:02d}" for number in range(60))
_MINUTES = tuple(f"T{hour:02d}:{minute:02d}:" for hour in range(24) for minute in range(60))

#: (digits of the fraction, zone as written, the zone's distance from UTC in seconds)
_FORMS: tuple[tuple[int, str, int], ...] = (
    (0, "Z", 0),
    (3, "Z", 0),
    (6, "Z", 0),
    (9, "Z", 0),
    (0, "+00:00", 0),
    (6, "+00:00", 0),
    (3, "-05:30", -19_800),
    (6, "+09:00", 32_400),
    (0, "", 0),
    (6, "", 0),
)
FORM_COUNT = len(_FORMS)


@lru_cache(maxsize=1024)
def _day_text(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_S, UTC).strftime("%Y-%m-%d")


def time_text(moment_us: int, form: int, finer: int = 0) -> str:
    """Write a moment, in microseconds since the epoch, in one of the `FORM_COUNT` forms.

    Digits that the form has no room for are cut off. ``finer`` gives the three digits below the microsecond, for the
    form that has nine.
    """
    digits, zone, distance_s = _FORMS[form]
    second, micros = divmod(moment_us, _SECOND_US)
    day, second = divmod(second + distance_s, _DAY_S)
    minute, second = divmod(second, 60)
    text = f"{_day_text(day)}{_MINUTES[minute]}{_TWO[second]}"
    if digits == 0:
        return text + zone
    if digits == 3:  # noqa: PLR2004 - milliseconds
        return f"{text}.{micros // 1000:03d}{zone}"
    if digits == 6:  # noqa: PLR2004 - microseconds
        return f"{text}.{micros:06d}{zone}"
    return f"{text}.{micros:06d}{finer % 1000:03d}{zone}"
