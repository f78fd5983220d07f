"""ISO 8601 times as IVS writes them, to microseconds since the epoch, UTC.

IVS promises no one form: fractions come and go, and a trailing ``Z`` is not confirmed. What is read is
``YYYY-MM-DDTHH[:MM[:SS[.fraction]]][zone]`` in the years 0001 to 9999 (in UTC too), in ASCII digits, with ``T``, ``t``
or one space in the middle, where the zone is ``Z``, ``z``, ``±HH``, ``±HHMM`` or ``±HH:MM`` below 24 hours. No zone
means UTC, and the written digits finer than a microsecond are cut off, before the epoch as after it. Not read: 24:00, a
second 60, a date alone, the basic form without hyphens, a decimal comma.

`exporter.normalize.time_columns` reads many at once, the same texts to the same numbers.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

#: Spans in microseconds, which is how every time and span of times is counted here.
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
DAY_US = 86_400 * SECOND_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

_HOUR = "(?:[01][0-9]|2[0-3])"
ZONE = f"(?:[Zz]|[+-]{_HOUR}(?::?[0-5][0-9])?)"
#: A time that can be read; whether it is one, the calendar says.
SHAPE = rf"[0-9]{{4}}-[0-1][0-9]-[0-3][0-9][Tt ]{_HOUR}(?::[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?)?" + ZONE + "?"
_READABLE = re.compile(SHAPE)
# What is remembered of texts is bounded in bytes, too: digits may go on and on.
_REMEMBERED_LENGTH_MAX = 64
FIRST_US = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
LAST_US = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND


def read_us(text: str) -> int | None:
    """Read one time, in microseconds since the epoch; None where the text is not a time that can be read."""
    return _read_us(text) if len(text) <= _REMEMBERED_LENGTH_MAX else _read_us.__wrapped__(text)


@lru_cache(maxsize=1_024)
def _read_us(text: str) -> int | None:
    if _READABLE.fullmatch(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:  # it has the shape of a time and is none, such as 30 February
        return None
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    micros = (zoned - EPOCH) // MICROSECOND
    return micros if FIRST_US <= micros <= LAST_US else None


def text_of(micros: int) -> str:
    """Write the moment ``micros`` after the epoch for people and logs: ``2026-11-23T10:15:00.5Z`` and the like.

    What lies outside the years 0001 to 9999 is shown as the nearest that does not: this is for people, and never fails.
    """
    return (EPOCH + min(max(micros, FIRST_US), LAST_US) * MICROSECOND).isoformat().replace("+00:00", "Z")
