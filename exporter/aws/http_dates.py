"""The dates in HTTP's headers, whatever stands there."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from exporter.timestamps import SECOND_US


def read_date_us(text: str) -> int | None:
    """Read an HTTP date, in microseconds since the epoch; None where the text is none. Never raises."""
    try:
        moment = parsedate_to_datetime(text)
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)  # it says -0000
        return int(zoned.timestamp()) * SECOND_US
    except (ValueError, TypeError, ArithmeticError, LookupError, OSError):  # what the many odd texts raise
        return None
