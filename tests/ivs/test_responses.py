"""What an answer means: a page, or the error that it stands for."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import (
    ApiError,
    ClockWrong,
    CredentialsLost,
    Malformed,
    Refused,
    Throttled,
    TokenRefused,
    Transient,
    Unreachable,
)
from exporter.ivs.operations import Operation
from exporter.ivs.refusals import read_refusal, read_retry_after_s
from exporter.ivs.responses import UNPACKED_BYTES_MAX, read_page, unpacked

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
    "body",
    [
        b'{"events": [1], "events": [2]}',
        b'{"events":[1],"nextToken":null,"events":[2]}',
        b'{ "events" : [ ] , "nextToken" : "a" , "nextToken" : "a" }',
        b'{"ev\\u0065nts": [1], "events": [2]}',
        b'{"events": [1], "ev\\u0065nts": ["\\ud800"]}',
    ],
)
def test_a_list_that_stands_twice_is_malformed(body: bytes) -> None:
    """Which of two lists would count, no reader of JSON agrees on: neither is dropped without a word."""
    with pytest.raises(Malformed, match="twice"):
        read_page(EVENTS, body, 0)


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        (b'{"events":[],"nextToken":"t"}', ()),
        (b'{"events": [{"events": 1, "nextToken": 2}]}', ()),
        (b'{"events":[],"isTruncated":true}', ("isTruncated",)),
        (b'{ "warnings" : [ ] , "events" : [ ] , "is\\u0054runcated" : 1 }', ("warnings", "isTruncated")),
        (b'{"events": [], "a\\u001b[2J": 1}', ("a?[2J",)),
        (b'{"events": [], "events2": [], "\\ud800": 1}', ("events2", "?")),
        (b'{"events":["' + b" " * (9 << 20) + b'"],"new":1}', ("new",)),
    ],
)
def test_members_beside_the_list_are_told(body: bytes, unknown: tuple[str, ...]) -> None:
    """A member that nobody knows is how AWS would announce something: it is named, fit for a log."""
    assert read_page(EVENTS, body, 0).unknown == tuple(f"ListParticipantEvents.{name}" for name in unknown)


def test_a_long_body_is_not_looked_through() -> None:
    """What would take some thirty times its size in memory is refused, where it is many times longer than a page."""
    body = b'{"events": ["\\ud800' + b" " * (9 << 20) + b'"]}'
    with pytest.raises(Malformed):
        read_page(EVENTS, body, 0)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.tuples(st.sampled_from(["events", "nextToken", "a", "é", 'q"', ""]), _JSON), max_size=6),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    st.booleans(),
)
def test_a_page_is_told_from_what_is_none(
    members: list[tuple[str, Any]], separators: tuple[str, str], is_ascii: bool
) -> None:
    """However it is written: a page has one list and one token at most, and all else beside them is named."""

    def text(value: object) -> str:
        return json.dumps(value, separators=separators, ensure_ascii=is_ascii)

    body = "{" + separators[0].join(text(name) + separators[1] + text(value) for name, value in members) + "}"
    names = [name for name, _ in members]
    found = dict(members)
    is_page = names.count("events") == 1 and names.count("nextToken") <= 1 and isinstance(found["events"], list)
    if not (is_page and isinstance(found.get("nextToken"), str | None)):
        with pytest.raises(Malformed):
            read_page(EVENTS, body.encode(), 0)
        return
    page = read_page(EVENTS, body.encode(), 0)
    assert json.loads(page.items) == found["events"]
    assert page.next_token == (found.get("nextToken") or None)
    others = list(dict.fromkeys(name for name in names if name not in ("events", "nextToken")))
    assert page.unknown == tuple(f"ListParticipantEvents.{name}" for name in others)


PAGE = b'{"events":[{"name":"X"}]}'


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", PAGE),
        ("identity", PAGE),
        ("gzip", gzip.compress(PAGE, mtime=0)),
        (" GZIP ", gzip.compress(PAGE, mtime=0)),
        ("x-gzip", gzip.compress(PAGE, mtime=0)),
        ("deflate", zlib.compress(PAGE)),
        ("deflate", zlib.compress(PAGE, wbits=-zlib.MAX_WBITS)),
    ],
)
def test_a_packed_answer_is_unpacked(encoding: str, body: bytes) -> None:
    """What a gateway packs, though nobody asked for that, is read all the same."""
    assert unpacked(EVENTS, encoding, body) == PAGE


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("br", PAGE),
        ("zstd", PAGE),
        ("gzip", PAGE),
        ("gzip", gzip.compress(PAGE, mtime=0)[:-9]),
        ("gzip", gzip.compress(bytes(UNPACKED_BYTES_MAX + 1), compresslevel=1, mtime=0)),
        ("gzip, br", PAGE),
    ],
)
def test_an_answer_that_cannot_be_unpacked_names_its_encoding(encoding: str, body: bytes) -> None:
    """Another encoding, half of one, or one that grows beyond all bounds is malformed, and named."""
    with pytest.raises(Malformed, match=f"Content-Encoding: {encoding}"):
        unpacked(EVENTS, encoding, body)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (429, {}, b""),
        (429, {"x-amzn-errortype": "Strange"}, b""),
        (400, {"x-amzn-errortype": "ThrottlingException:http://internal/"}, b"{}"),
        (503, {"x-amzn-errortype": "TooManyRequestsException"}, b"{}"),
        (400, {}, b'{"__type": "com.amazonaws#ThrottlingException"}'),
        (400, {}, b"<Error><Code>Throttling</Code></Error>"),
        (403, {}, b'<?xml version="1.0"?><a:ErrorResponse xmlns:a="x"><a:Error><a:Code> SlowDown </a:Code>'),
        (400, {"content-encoding": "gzip"}, gzip.compress(b'{"__type": "ThrottlingException"}', mtime=0)),
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


@pytest.mark.parametrize(
    ("status", "headers", "body", "is_for_good"),
    [
        (403, {"x-amzn-errortype": "AccessDeniedException"}, b"{}", False),
        (403, {}, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>", False),
        (403, {}, b'{"__type": "UnauthorizedOperation"}', False),
        (403, {"x-amzn-errortype": "PendingVerification"}, b"", False),
        (400, {"x-amzn-errortype": "ValidationException"}, b"", True),
        (404, {}, b'{"__type": "x#ResourceNotFoundException"}', True),
        (400, {"x-amzn-requestid": "a"}, b'{"code": "ValidationException"}', True),
        (409, {"x-amzn-errortype": "ConflictException"}, b"", False),
    ],
)
def test_what_aws_refuses(status: int, headers: Mapping[str, str], body: bytes, is_for_good: bool) -> None:
    """A permission can come back; what is invalid or not there will not."""
    error = refusal(status, headers, body)
    assert isinstance(error, Refused)
    assert (error.is_aws, error.is_for_good) == (True, is_for_good)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"location": "https://user:pw@portal.example/login?secret=x"}, b""),
        (403, {"server": "squid/5.7"}, b"<html><code>AccessDenied</code></html>"),
        (403, {}, b'{"message": "Forbidden"}'),
        (403, {}, b'{"code": "AccessDeniedException"}'),
        (403, {"x-amzn-errortype": "<script>"}, b""),
        (404, {}, b"<html>not found</html>"),
        (404, {}, b"<Code>ResourceNotFoundException</Code>"),
        (204, {}, b""),
        (206, {}, b'{"events": []}'),
    ],
)
def test_what_somebody_else_refuses(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """An answer without an error of AWS's is never for good, and the message says that it is not AWS's."""
    error = refusal(status, headers, body)
    assert isinstance(error, Refused)
    assert (error.is_aws, error.is_for_good) == (False, False)
    assert "something between here and AWS answered" in str(error)
    assert "pw" not in str(error)
    assert ("portal.example" in str(error)) == (status == 302)
    assert ("squid/5.7" in str(error)) == ("server" in headers)


def test_a_refused_token_says_nothing_of_its_list() -> None:
    """A page token that is refused in mid-list is no reason to give the list up."""
    for code in ("ValidationException", "AccessDeniedException"):
        assert not TokenRefused("no", code).is_for_good


def test_what_was_asked_is_named_where_somebody_else_answers() -> None:
    """Host and proxy tell where to look, and no password is among them; AWS's own refusals need neither."""
    ways: Any = {"url": "https://ivs.example/ListStages", "proxy": "http://user:hush@proxy.example:3128"}
    for status in (403, 404, 503):
        text = str(read_refusal(EVENTS, status, {}, b"<html>", NOW, **ways))
        assert text.endswith("; ivs.example:443 was asked through the proxy proxy.example:3128")
    assert "proxy.example:3128 asks for a user" in str(read_refusal(EVENTS, 407, {}, b"", NOW, **ways))
    assert "proxy" not in str(read_refusal(EVENTS, 403, {"x-amzn-errortype": "AccessDenied"}, b"", NOW, **ways))


def test_a_proxys_password() -> None:
    """A proxy that asks for a password will ask for it at each try."""
    error = refusal(407, {"x-amzn-errortype": "ThrottlingException"})
    assert isinstance(error, Unreachable)
    assert "HTTPS_PROXY" in str(error)


EXPIRED = b'{"message": "Signature expired: %s is now earlier than 20261123T121000Z (20261123T121500Z - 5 min.)"}'
DATES = {minutes: (NOW + timedelta(minutes=minutes)).strftime("%a, %d %b %Y %H:%M:%S GMT") for minutes in (0, 3, 30)}


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"])
@pytest.mark.parametrize(
    ("headers", "body", "service"),
    [
        ({"date": DATES[30]}, b"{}", "2026-11-23T12:30:00Z"),
        ({"date": DATES[0]}, EXPIRED % b"20261123T120000Z", "2026-11-23T12:15:00Z"),
    ],
)
def test_a_clock_that_is_far_off_is_named(code: str, headers: dict[str, str], body: bytes, service: str) -> None:
    """Where the service's time is far from the local one, both are said, and no other try is made."""
    error = refusal(403, {"x-amzn-errortype": code, **headers}, body)
    assert isinstance(error, ClockWrong)
    assert f"this machine's clock says 2026-11-23T12:00:00Z, and the service's {service}" in str(error)


@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_an_expired_signature_is_the_clocks(code: str) -> None:
    """AWS has one name for a wrong signature and for a late one; its text says which."""
    late = refusal(403, {"x-amzn-errortype": code, "date": DATES[30]}, b'{"message": "Signature expired: x"}')
    assert isinstance(late, ClockWrong)
    wrong = refusal(403, {"x-amzn-errortype": code, "date": DATES[3]}, b'{"message": "does not match"}')
    assert isinstance(wrong, CredentialsLost)
    assert "clock" not in str(wrong)
    both = refusal(403, {"x-amzn-errortype": code, "date": DATES[30]}, b'{"message": "does not match"}')
    assert isinstance(both, CredentialsLost)
    assert "set the clock" in str(both)


@pytest.mark.parametrize("date", [DATES[0], DATES[3], "", "never", "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_a_signature_that_was_late_on_its_way(date: str) -> None:
    """Where the clocks agree, or there is no date, the next try is signed anew; or the credentials are what expired."""
    headers = {"date": date} if "9999" not in date else {}
    late = refusal(403, {"x-amzn-errortype": "RequestTimeTooSkewed", **headers})
    assert isinstance(late, Transient)
    assert "clock" in str(late)
    expired = refusal(403, {"x-amzn-errortype": "RequestExpired", **headers})
    assert isinstance(expired, CredentialsLost)
    assert expired.is_expired


def test_a_date_at_the_end_of_time_breaks_nothing() -> None:
    """The last year with a zone of its own is beyond what can be computed with."""
    error = refusal(403, {"x-amzn-errortype": "RequestTimeTooSkewed", "date": "Fri, 31 Dec 9999 23:59:59 -2359"})
    assert isinstance(error, ClockWrong)


@pytest.mark.parametrize("code", ["IncompleteSignatureException", "IncompleteSignature", "AuthFailure", "InvalidToken"])
def test_what_is_wrong_with_a_signature_is_no_units_fault(code: str) -> None:
    """It would be the same for every call."""
    assert isinstance(refusal(400, {"x-amzn-errortype": code}), CredentialsLost)


def test_a_fault_says_what_pause_it_asks_for() -> None:
    """A maintenance of an hour is worth knowing of."""
    error = refusal(503, {"retry-after": "3600"}, b"<html>")
    assert isinstance(error, Transient)
    assert error.retry_after_s == 3600.0
    assert "a pause of 3600 s" in str(error)


def test_a_hostile_message_is_cut() -> None:
    """A megabyte of message becomes one short line."""
    error = refusal(400, {"x-amzn-errortype": "A" * 5000}, b'{"exceptionMessage": "' + b"x" * 1_000_000 + b'"}')
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        (None, None),
        ("2", 2.0),
        ("soon", None),
        ("-3", None),
        ("Mon, 23 Nov 2026 12:00:05 GMT", 5.0),
        ("Mon, 23 Nov 2026 12:00:05 -0000", 5.0),
        ("", None),
        ("0 Jan 10:00:00 999999999999999999999999999999 2026", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, wait_s: float | None) -> None:
    """Both forms of RFC 9110 are read, and anything else asks for nothing, whatever it is."""
    assert read_retry_after_s(text, NOW) == wait_s
