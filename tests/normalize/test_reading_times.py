"""Times: one by one and in bulk, each form that is read and each that is not."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.normalize.time_columns import read_column_us
from exporter.timestamps import read_us, text_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: (moment - _EPOCH) // timedelta(microseconds=1))


@st.composite
def _nearly_times(draw: st.DrawFn) -> str:
    """Texts with the looks of a time: some are, some are not."""
    two = st.integers(0, 61).map("{:02d}".format)
    year = st.sampled_from(["2026", "0000", "0001", "9999", "1969", "-001", "10000", "\u0662\u0660\u0662\u0666"])
    text = f"{draw(year)}-{draw(two)}-{draw(two)}"
    if draw(st.integers(0, 9)):
        text += draw(st.sampled_from("TTTTt \t_")) + draw(two)
    for _ in range(draw(st.sampled_from([2, 2, 2, 1, 0, 3]))):
        text += ":" + draw(two)
    text += draw(st.sampled_from(["", ".", ",5", ".5", ".999999999", ".0000001", ".1" + "2" * 40, ".\u0661"]))
    sign = draw(st.sampled_from(["+", "-", "\u2212"]))
    zones = ["", "Z", "z", " Z", "Z\n", "UTC", sign + draw(two), sign + draw(two) + draw(two), "+5", "+05:"]
    return text + draw(st.sampled_from([*zones, sign + draw(two) + ":" + draw(two)]))


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-23T10:15:00Z", 1795428900000000),
        ("2026-11-23T10:15:00.5Z", 1795428900500000),
        ("2026-11-23T10:15:00.123456999Z", 1795428900123456),
        ("2026-11-23T10:15:00", 1795428900000000),
        ("2026-11-23 10:15", 1795428900000000),
        ("2026-11-23T10Z", 1795428000000000),
        ("2026-11-23t10:15:00z", 1795428900000000),
        ("2026-11-23T10:15:00+00:00", 1795428900000000),
        ("2026-11-23T10:15:00-00:00", 1795428900000000),
        ("2026-11-23T15:45:00+0530", 1795428900000000),
        ("2026-11-23T05:15:00.000-05", 1795428900000000),
        ("1969-12-31T23:59:59.9999999Z", -1),
        ("0001-01-01T00:00:00Z", -62135596800000000),
        ("9999-12-31T23:59:59.999999999Z", 253402300799999999),
    ],
)
def test_each_form_is_read(text: str, micros: int) -> None:
    """A time is read in each of its forms, and finer digits are cut off on both sides of the epoch."""
    assert read_us(text) == micros
    assert read_column_us([text]).to_pylist() == [micros]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026-11-23",
        "20261123T101500Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T10:15:60Z",
        "2026-02-30T10:15:00Z",
        "2026-00-10T10:15:00Z",
        "0000-12-31T23:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-11-23T10:15:00,5Z",
        "2026-11-23T10:15:00.Z",
        "2026-11-23T10:15:00+24:00",
        "2026-11-23T10:15:00 Z",
        " 2026-11-23T10:15:00Z",
        "2026-11-23T10:15:00Z\n",
        "\u0662\u0660\u0662\u0666-11-23T10:15:00Z",
        "2026-11-23T10:15:00\u22120530",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    """What is no time, or none in the years 0001 to 9999, is None and spoils no other time of its column."""
    assert read_us(text) is None
    assert read_column_us(["2026-11-23T10:15:00Z", text, None]).to_pylist() == [1795428900000000, None, None]


@given(st.lists(st.one_of(st.none(), _nearly_times(), _MOMENTS.map(text_of), st.text(max_size=30)), max_size=12))
def test_bulk_and_single_agree(texts: list[str | None]) -> None:
    """A column is read as each of its texts is read alone."""
    assert read_column_us(texts).to_pylist() == [None if text is None else read_us(text) for text in texts]


@given(_nearly_times())
def test_a_column_of_one_agrees(text: str) -> None:
    """What the fast path takes alone is what the slow path takes."""
    assert read_column_us([text]).to_pylist() == [read_us(text)]


@given(_MOMENTS)
def test_text_and_back(micros: int) -> None:
    """A moment that is written is read again as itself."""
    assert read_us(text_of(micros)) == micros


@given(
    _MOMENTS.filter(lambda micros: abs(micros) < 10**17),
    st.integers(-1439, 1439),
    st.text("0123456789", max_size=12),
    st.sampled_from(["T", "t", " "]),
)
def test_a_time_in_any_zone_is_the_same_time(micros: int, offset_min: int, finer: str, middle: str) -> None:
    """Neither the zone, nor the digits below a microsecond, nor the letter in the middle changes a time."""
    local = _EPOCH + timedelta(microseconds=micros) + timedelta(minutes=offset_min)
    sign = "-" if offset_min < 0 else "+"
    hours, minutes = divmod(abs(offset_min), 60)
    text = f"{local:%H:%M:%S.%f}{finer}{sign}{hours:02d}:{minutes:02d}"
    text = f"{local.year:04d}-{local:%m-%d}{middle}{text}"
    assert read_us(text) == micros
    assert read_column_us([text]).to_pylist() == [micros]


def test_a_long_text_is_read_and_not_remembered() -> None:
    """What is remembered of times is bounded in bytes: digits may go on and on."""
    text = f"2026-11-23T10:15:00.{'1' * 1_000}Z"
    holders = sys.getrefcount(text)
    assert read_us(text) == read_us("2026-11-23T10:15:00.111111Z")
    assert sys.getrefcount(text) == holders
