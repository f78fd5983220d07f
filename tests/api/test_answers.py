"""What an answer means: a page, or the error that it stands for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from exporter.api.answers import read_page
from exporter.api.operations import Operation
from exporter.api.refusals import read_refusal, read_retry_after_s
from exporter.errors import ApiError, CredentialsLost, Malformed, Refused, Throttled, Transient

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENTS = Operation.LIST_PARTICIPANT_EVENTS


def refusal(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"{}") -> ApiError:
    return read_refusal(EVENTS, status, headers or {}, body, NOW)


def test_a_page_keeps_the_list_as_the_bytes_that_came() -> None:
    """The list inside the body is handed on byte by byte, with fields that nobody knows."""
    page = read_page(EVENTS, b'{"new": 1, "events": [{"name":"X", "odd": 1.50}], "nextToken": "t"}', 7)
    assert page.items == b'[{"name":"X", "odd": 1.50}]'
    assert page.next_token == "t"
    assert page.served_us == 7


def test_half_a_surrogate_pair_is_kept() -> None:
    """What the fast decoder refuses and JSON allows is split by hand, byte for byte."""
    body = b' { "nextToken" : "t" ,\n"events":[{"name":"\\ud800"}, {}] , "new": {} } '
    page = read_page(EVENTS, body, 0)
    assert page.items == b'[{"name":"\\ud800"}, {}]'
    assert page.next_token == "t"


@pytest.mark.parametrize("token", [b"", b', "nextToken": null', b', "nextToken": ""'])
def test_no_token_is_the_end(token: bytes) -> None:
    """An absent, a null and an empty token all end the list."""
    assert read_page(EVENTS, b'{"events": []' + token + b"}", 0).next_token is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>busy</html>",
        b'{"events": null}',
        b'{"events": {}}',
        b'{"events": [{"name": "JOI',
        b'{"stages": []}',
        b'{"events": [], "nextToken": 7}',
        b'{"events": []} trailing',
        b"\xff\xfe{}",
        b'{"events": ' + b"[" * 5000,
        b'{"events": ["\\ud800"',
        b'{"events": ["\\ud800"]} {}',
        b'{"events" ["\\ud800"]}',
        b'{"events": ["\\ud800"],}',
        b'["\\ud800"]',
    ],
)
def test_a_body_without_its_list_is_malformed(body: bytes) -> None:
    """What botocore takes for an empty list is no answer here."""
    with pytest.raises(Malformed):
        read_page(EVENTS, body, 0)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (429, {}, b""),
        (429, {"x-amzn-errortype": "Strange"}, b""),
        (400, {"x-amzn-errortype": "ThrottlingException:http://internal/"}, b"{}"),
        (503, {"x-amzn-errortype": "TooManyRequestsException"}, b"{}"),
        (400, {}, b'{"__type": "com.amazonaws#ThrottlingException"}'),
    ],
)
def test_429_or_a_throttling_code_at_any_status_is_a_throttle(
    status: int, headers: Mapping[str, str], body: bytes
) -> None:
    """A bare 429 is a throttle, and so is each throttling code at whatever status."""
    assert isinstance(refusal(status, headers, body), Throttled)


def test_a_throttle_carries_the_wait_that_was_asked_for() -> None:
    """Retry-After is handed on in seconds."""
    error = refusal(429, {"retry-after": "3"})
    assert isinstance(error, Throttled)
    assert error.retry_after_s == 3.0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_server_error_is_passing(status: int) -> None:
    """5xx and a request time-out are tried again, with an HTML body, too."""
    assert isinstance(refusal(status, body=b"<html>"), Transient)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ValidationException", "ResourceNotFoundException", "New"])
def test_another_error_is_final_and_keeps_its_code(code: str) -> None:
    """A refusal carries AWS's name, without the URL that may follow it, and the service's message in one line."""
    error = refusal(400, {"x-amzn-errortype": f"{code}:http://x"}, b'{"exceptionMessage": "no\\nway"}')
    assert isinstance(error, Refused)
    assert error.code == code
    assert "no way" in str(error)


@pytest.mark.parametrize(("code", "expired"), [("ExpiredTokenException", True), ("UnrecognizedClientException", False)])
def test_a_credential_code_is_known_as_such(code: str, expired: bool) -> None:
    """Expired credentials may be renewed, wrong ones not."""
    error = refusal(403, {"x-amzn-errortype": code})
    assert isinstance(error, CredentialsLost)
    assert error.is_expired is expired


def test_a_hostile_message_is_cut() -> None:
    """A megabyte of message becomes one short line."""
    error = refusal(400, {"x-amzn-errortype": "A" * 5000}, b'{"exceptionMessage": "' + b"x" * 1_000_000 + b'"}')
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [(None, None), ("2", 2.0), ("soon", None), ("-3", None), ("Mon, 23 Nov 2026 12:00:05 GMT", 5.0), ("", None)],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, wait_s: float | None) -> None:
    """Both forms of RFC 9110 are read, and anything else asks for nothing."""
    assert read_retry_after_s(text, NOW) == wait_s
