"""Dates in headers: read where they are ones, and nothing where they are none."""

from __future__ import annotations

import pytest

from exporter.aws.http_dates import read_date_us

NOON_US = 1_795_435_200_000_000


@pytest.mark.parametrize(
    ("text", "moment_us"),
    [
        ("Mon, 23 Nov 2026 12:00:00 GMT", NOON_US),
        ("Mon, 23 Nov 2026 12:00:00 -0000", NOON_US),
        ("Mon, 23 Nov 2026 14:00:00 +0200", NOON_US),
        ("yesterday", None),
        ("", None),
        ("0 Jan 10:00:00 999999999999999999999999999999 2026", None),
    ],
)
def test_dates_are_read(text: str, moment_us: int | None) -> None:
    """A date is read to microseconds, in UTC where it names no zone, and what is none to nothing."""
    assert read_date_us(text) == moment_us
