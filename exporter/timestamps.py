"""ISO 8601 times as IVS writes them, to microseconds since the epoch, UTC.

IVS promises no one form: fractions come and go, and a trailing ``Z`` is not confirmed. What is read is
``YYYY-MM-DDTHH[:MM[:SS[.fraction]]][zone]`` in the years 0001 to 9999 (in UTC too), in ASCII digits, with ``T``, ``t``
or one space in the middle, where the zone is ``Z``, ``z``, ``±HH``, ``±HHMM`` or ``±HH:MM`` below 24 hours. No zone
means UTC, and the written digits finer than a microsecond are cut off, before the epoch as after it. Not read: 24:00, a
second 60, a date alone, the basic form without hyphens, a decimal comma.

:func:`read_us` reads one text and :func:`read_column_us` many at once; both read the same texts to the same numbers.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The type of every column of times.
MICROS = pa.timestamp("us", tz="UTC")

_HOUR = "(?:[01][0-9]|2[0-3])"
_ZONE = f"(?:[Zz]|[+-]{_HOUR}(?::?[0-5][0-9])?)"
_SHAPE = rf"[0-9]{{4}}-[0-1][0-9]-[0-3][0-9][Tt ]{_HOUR}(?::[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?)?" + _ZONE + "?"
_READABLE = re.compile(_SHAPE)
# A date holds two hyphens, so a zone's sign is looked for behind the hour.
_ZONED = f"[Tt ].*{_ZONE}$"
_SAMPLE_LENGTH = 64
# What is remembered of texts is bounded in bytes, too: digits may go on and on.
_REMEMBERED_LENGTH_MAX = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_US = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def read_us(text: str) -> int | None:
    """One time in microseconds since the epoch, or None where the text is not a time that can be read."""
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
    micros = (zoned - _EPOCH) // _MICROSECOND
    return micros if _FIRST_US <= micros <= _LAST_US else None


def read_column_us(texts: Sequence[str | None]) -> pa.Int64Array:
    """Many times in microseconds since the epoch; null where there is no text, or none that can be read."""
    column = pa.array(texts, pa.string())
    # Arrow takes its time over a column it can't read (it words an error for each text), so a few texts go first.
    micros = _cast(column) if _cast(column.slice(0, _SAMPLE_LENGTH)) is not None else None
    if micros is None:
        micros = _cast(_with_one_form(column))
    if micros is None:
        micros = pa.array([None if text is None else read_us(text) for text in texts], pa.int64())
    return micros


def _cast(column: pa.StringArray) -> pa.Int64Array | None:
    """The column as Arrow reads it, or None where it reads a text not at all or to a year out of range.

    What Arrow takes for a time in a zone is always one of the forms above.
    """
    try:
        micros = column.cast(MICROS).cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    bounds = pc.min_max(micros).as_py()
    if bounds["min"] is None or _FIRST_US <= bounds["min"] <= bounds["max"] <= _LAST_US:
        return micros
    return None


def _with_one_form(column: pa.StringArray) -> pa.StringArray:
    """The column in the one form that Arrow reads: with a zone, with six digits at most; null where it is no time."""
    shaped = pc.fill_null(pc.match_substring_regex(column, f"^{_SHAPE}$"), fill_value=False)
    column = pc.if_else(shaped, column, pa.scalar(None, pa.string()))
    column = pc.replace_substring_regex(column, r"(\.[0-9]{6})[0-9]+", r"\1")
    has_zone = pc.match_substring_regex(column, _ZONED)
    return pc.if_else(has_zone, column, pc.binary_join_element_wise(column, "Z", ""))


def text_of(micros: int) -> str:
    """The moment ``micros`` after the epoch as people and logs read it: ``2026-11-23T10:15:00.5Z`` and the like.

    What lies outside the years 0001 to 9999 is shown as the nearest that does not: this is for people, and never fails.
    """
    return (_EPOCH + min(max(micros, _FIRST_US), _LAST_US) * _MICROSECOND).isoformat().replace("+00:00", "Z")
