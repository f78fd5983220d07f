"""The forms in which AWS may write a time.

Its documentation shows fractions of a second in some samples and none in others, and confirms no trailing ``Z``; so
the emulator writes all that ISO 8601 allows between the two, and the reader must take each. Times without a zone are
written where a world is asked for them alone: AWS's SDK for JavaScript refuses them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from exporter.emulator.clock import SECOND_US

_MINUTE_US = 60 * SECOND_US
_TWO = tuple(f"{number:02d}" for number in range(60))

#: (digits of the fraction, zone as written, the zone's distance from UTC in microseconds)
_FORMS: tuple[tuple[int, str, int], ...] = (
    (0, "Z", 0),
    (3, "Z", 0),
    (6, "Z", 0),
    (9, "Z", 0),
    (0, "+00:00", 0),
    (6, "+00:00", 0),
    (3, "-05:30", -19_800 * SECOND_US),
    (6, "+09:00", 32_400 * SECOND_US),
    (0, "", 0),
    (6, "", 0),
)
FORM_COUNT = len(_FORMS)
# The same with a zone, of a form without one.
_ZONED = {8: 0, 9: 2}
#: The form of whole seconds in UTC, with a Z.
UTC_SECONDS = 0


def zoned(form: int) -> int:
    """The form that writes the same digits with a zone."""
    return _ZONED.get(form, form)


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:")


def time_text(moment_us: int, form: int, finer: int = 0) -> str:
    """Write a moment, in microseconds since the epoch, in one of the `FORM_COUNT` forms.

    Digits that the form has no room for are cut off. ``finer`` gives the three digits below the microsecond, for the
    form that has nine.
    """
    digits, zone, distance_us = _FORMS[form]
    minute, micros = divmod(moment_us + distance_us, _MINUTE_US)
    second, micros = divmod(micros, SECOND_US)
    text = _minute_text(minute) + _TWO[second]
    if digits == 0:
        return text + zone
    if digits == 3:  # noqa: PLR2004 - milliseconds
        return f"{text}.{micros // 1000:03d}{zone}"
    if digits == 6:  # noqa: PLR2004 - microseconds
        return f"{text}.{micros:06d}{zone}"
    return f"{text}.{micros:06d}{finer % 1000:03d}{zone}"
