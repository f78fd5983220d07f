"""What an answer means: a page, or the error that it stands for. Pure: nothing here asks or waits.

botocore's parser takes a cut, empty, HTML or ``{}`` body with status 200 for an empty list, and drops the fields that
its model lacks. So a page is read from the raw body here, and the list inside it is kept as the bytes that came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from exporter.errors import ApiError, CredentialsLost, Malformed, Refused, Throttled, Transient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from exporter.api.operations import Operation

_STATUS_THROTTLED = 429
_STATUS_REQUEST_TIMEOUT = 408
_STATUS_SERVER_ERROR = 500
_MESSAGE_LENGTH_MAX = 300

# IVS documents no throttled answer. Its sibling services model ThrottlingException, and AWS's own samples wait at
# TooManyRequestsException; the others are what botocore's standard retry mode takes for throttling.
_THROTTLING_CODES = frozenset(
    {
        "EC2ThrottledException",
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
    }
)
# Source: AWS General Reference, "Common error types".
_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_CREDENTIAL_CODES = _EXPIRED_CODES | {
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_PASSING_CODES = frozenset({"InternalFailure", "InternalServerException", "RequestTimeout", "ServiceUnavailable"})


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: the raw bytes of its JSON array, and the token of the next page, None on the last.

    ``served_us`` is the service's time of the answer, in microseconds since the epoch.
    """

    items: bytes
    next_token: str | None
    served_us: int


def read_page(operation: Operation, body: bytes, served_us: int) -> Page:
    """The page in the body of an answer with status 200. Raises :class:`Malformed` where there is none."""
    try:
        fields = _members(body)
        items = bytes(fields[operation.list_member])
        token = _decode_token(fields.get("nextToken", _NULL))
    except (msgspec.MsgspecError, ValueError, RecursionError, KeyError) as error:
        raise Malformed(f"{operation}: status 200 without a JSON object that holds {operation.list_member}") from error
    if not items.startswith(b"["):
        raise Malformed(f"{operation}: status 200, but {operation.list_member} is not a list")
    return Page(items, token or None, served_us)


def _members(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _decode_object(body)
    except msgspec.DecodeError:
        # Half of a surrogate pair is JSON all the same (RFC 8259, section 8.2), and anybody can write one into an
        # attribute of a token. The fast decoder refuses it.
        if b"\\u" not in body:
            raise
    return _split(body.decode())


def _split(text: str) -> dict[str, msgspec.Raw]:
    """The members of a JSON object, each as the text that came. Raises ValueError where it is none."""
    members: dict[str, msgspec.Raw] = {}
    mark, at = "{", _past_space(text, 0)
    while text[at : at + 1] == mark:
        name, at = _scan(text, _past_space(text, at + 1))
        start = _past_space(text, _past_space(text, at) + 1)
        _, end = _scan(text, start)
        members[name] = msgspec.Raw(text[start:end].encode())
        mark, at = ",", _past_space(text, end)
    if text[at:].strip(_SPACE) != "}":
        raise ValueError("no JSON object")
    return members


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


_SPACE = " \t\r\n"
_scan = json.JSONDecoder().raw_decode
_NULL = msgspec.Raw(b"null")
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_token = msgspec.json.Decoder(str | None).decode


def read_refusal(operation: Operation, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> ApiError:
    """The error that an answer with a status other than 200 stands for. ``headers`` have lower-case names."""
    # The name may carry a colon and a URL behind it.
    code = headers.get("x-amzn-errortype", "").partition(":")[0].strip() or _code_in(body) or str(status)
    message = f"{operation}: {_printable(code)} (status {status})" + _message_in(body)
    retry_after_s = read_retry_after_s(headers.get("retry-after"), now)
    if status == _STATUS_THROTTLED or code in _THROTTLING_CODES:
        return Throttled(message, retry_after_s)
    if code in _CREDENTIAL_CODES:
        return CredentialsLost(message, is_expired=code in _EXPIRED_CODES)
    if status >= _STATUS_SERVER_ERROR or status == _STATUS_REQUEST_TIMEOUT or code in _PASSING_CODES:
        return Transient(message, retry_after_s)
    return Refused(message, code)


def read_retry_after_s(text: str | None, now: datetime) -> float | None:
    """The wait that a ``Retry-After`` header asks for, as seconds or as a date; None where it asks for none."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _code_in(body: bytes) -> str:
    return _text_field(body, "__type").rpartition("#")[2] or _text_field(body, "code")


def _message_in(body: bytes) -> str:
    # IVS writes exceptionMessage; what stands before it (a gateway, say) writes message or Message.
    for name in ("exceptionMessage", "message", "Message"):
        if text := _text_field(body, name):
            return ": " + _printable(text)
    return ""


def _text_field(body: bytes, name: str) -> str:
    try:
        return msgspec.json.decode(_decode_object(body)[name], type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return ""


def _printable(text: str) -> str:
    """Text of the service's, fit for one line of a log: no control characters, and not too long."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: _MESSAGE_LENGTH_MAX + 1])
    return line if len(line) <= _MESSAGE_LENGTH_MAX else line[:_MESSAGE_LENGTH_MAX] + "…"
