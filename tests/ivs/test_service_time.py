"""The service's time: which clock counts, whatever answers say."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from aiobotocore.session import AioSession
from hypothesis import given
from hypothesis import strategies as st

from exporter.aws.credentials import Credentials
from exporter.ivs.client import Client
from exporter.ivs.endpoints import find_endpoint
from exporter.ivs.http import Answer
from exporter.ivs.operations import Operation
from exporter.ivs.service_time import FAR_US, FarDates, ServiceTime
from tests.support.logs import capture_logs

if TYPE_CHECKING:
    import pytest

NOW_US = 1_795_435_200_000_000
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US

moments_us = st.integers(NOW_US - 3 * FAR_US, NOW_US + 3 * FAR_US)
odd_dates = st.sampled_from(
    [
        "",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Dec 9999 23:59:59 -0000",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Mon, 23 Nov 2026 12:00:00 +999999999999",
        "Mon, 99 Nov 2026 12:00:00 GMT",
        "(" * 500,
        "\x00",
        "2026-11-23T12:00:00Z",
    ]
)


def http_date(moment_us: int) -> str:
    return formatdate(moment_us // SECOND_US, usegmt=True)


@given(date=st.one_of(st.text(), odd_dates, moments_us.map(http_date)), local_us=moments_us, latest_us=moments_us)
def test_the_time_is_never_far_from_the_local_clock(date: str, local_us: int, latest_us: int) -> None:
    """Whatever the header and the log say, no time is more than 15 minutes off the local clock."""
    time = ServiceTime(lambda: local_us, latest_us=lambda: latest_us)
    for moment_us in (time.now_us, time.answered(date, time.asked()), time.now_us):
        assert abs(moment_us - local_us) <= FAR_US
        assert moment_us >= latest_us or latest_us > local_us + FAR_US


@given(ahead_us=st.integers(-2 * FAR_US, 2 * FAR_US))
def test_a_near_date_counts_and_a_far_one_does_not(ahead_us: int) -> None:
    """Within 15 minutes of the local clock the header is the time, else the local clock is, with a warning."""
    far_dates = FarDates()
    time = ServiceTime(lambda: NOW_US, far_dates)
    told_us = (NOW_US + ahead_us) // SECOND_US * SECOND_US
    is_near = abs(told_us - NOW_US) <= FAR_US
    assert time.answered(http_date(told_us), time.asked()) == time.now_us == (told_us if is_near else NOW_US)
    assert far_dates.has_warned is not is_near


def test_a_time_that_the_log_knows_has_passed() -> None:
    """The log's latest counts where it is a little ahead, and does not where it is hours ahead."""
    latest_us = NOW_US + 10 * MINUTE_US
    time = ServiceTime(lambda: NOW_US, latest_us=lambda: latest_us)
    assert time.answered(http_date(NOW_US), time.asked()) == latest_us
    latest_us = NOW_US + 10 * 60 * MINUTE_US
    assert time.answered(http_date(NOW_US), time.asked()) == NOW_US


def test_a_far_date_is_told_once_a_run() -> None:
    """Of many far dates, in whatever scope, one is named."""
    far_dates = FarDates()
    with capture_logs() as logs:
        for scope in range(3):
            time = ServiceTime(lambda: NOW_US, far_dates)
            time.answered(http_date(NOW_US + (scope + 1) * 24 * 60 * MINUTE_US), time.asked())
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert logs[0]["date"] == "Tue, 24 Nov 2026 12:00:00 GMT"


@given(asleep_us=st.integers(0, 10 * FAR_US), is_dated=st.booleans(), is_log_ahead=st.booleans())
def test_an_answer_is_no_younger_for_being_read_late(asleep_us: int, is_dated: bool, is_log_ahead: bool) -> None:
    """A machine that is suspended reads an answer hours later; it was true when it was asked for, and not after."""
    local_us, latest_us = NOW_US, 0
    time = ServiceTime(lambda: local_us, latest_us=lambda: latest_us)
    asked = time.asked()
    local_us += asleep_us
    latest_us = local_us if is_log_ahead else 0  # what was committed before the answer's turn came
    assert time.answered(http_date(NOW_US + SECOND_US) if is_dated else "", asked) <= NOW_US + SECOND_US
    assert time.now_us >= local_us - FAR_US


async def test_a_call_is_dated_by_the_clock_at_its_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine sleeps between a call's answer and its reading: the page is as old as its ``Date`` says, or older."""
    local_us = NOW_US

    class Sleepy:
        async def post(self, *_: object) -> Answer:
            nonlocal local_us
            local_us += 10 * FAR_US
            return Answer(200, {"Date": http_date(NOW_US)}, b'{"stages": []}')

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "AKIAEXAMPLE")
    connections: Any = Sleepy()
    endpoint = await find_endpoint(AioSession(), "eu-west-1")
    client = Client(Credentials(AioSession, lambda: 0.0), endpoint, connections, lambda: local_us)
    assert (await client.ask(Operation.LIST_STAGES, {})).served_us == NOW_US
    assert client.service_time.now_us == local_us
