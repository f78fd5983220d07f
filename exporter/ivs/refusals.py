"""What an answer with another status than 200 stands for. Pure: nothing here asks or waits.

AWS names its errors: in the header ``x-amzn-ErrorType``, in the member ``__type`` of a JSON body, or in the element
``Code`` of an XML one. An answer without such a name is not AWS's: a proxy, a gateway or a portal gave it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from exporter.aws.errors import EXPIRED_CODES
from exporter.aws.http_dates import read_date_us
from exporter.aws.network import STATUS_PROXY_PASSWORD, STATUS_SERVER_ERROR, host_of, wants_tls
from exporter.errors import ApiError, ClockWrong, CredentialsLost, Malformed, Refused, Throttled, Transient
from exporter.ivs.network import of_plain_http, of_proxy
from exporter.ivs.responses import unpacked
from exporter.text import NAME_LENGTH_MAX, one_line
from exporter.timestamps import EPOCH, FIRST_US, LAST_US, MICROSECOND, SECOND_US

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ivs.operations import Operation

_STATUS_REQUEST_TIMEOUT = 408
_STATUS_THROTTLED = 429
_REDIRECTS = range(300, 400)
_CODE = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
_XML_ERROR = re.compile(rb"<(?:\w+:)?(?:Error|ErrorResponse|Response)[\s>]")
_XML_CODE = re.compile(rb"<(?:\w+:)?Code>\s*([^<]{1,100}?)\s*</")
_XML_MESSAGE = re.compile(rb"<(?:\w+:)?Message>\s*([^<]*)")

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
# Source: AWS General Reference, "Common error types", and what siblings of IVS model.
_CLOCK_CODES = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
_EXPIRED_CODES = EXPIRED_CODES | {"RequestExpired"}
_SIGNATURE_CODES = frozenset(
    {
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignature",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "SignatureDoesNotMatchException",
    }
)
_CREDENTIAL_CODES = (
    _EXPIRED_CODES
    | _SIGNATURE_CODES
    | {
        "AuthFailure",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidClientTokenIdException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "MissingSecurityHeader",
        "UnrecognizedClientException",
    }
)
_PASSING_CODES = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized", "UnauthorizedOperation"})
_GET_NEW = "get new credentials, and run again"
_MEND = "mend the keys, or name others: AWS_PROFILE, the environment's keys, or a role"
# An answer that carries none of AWS's names, but the id that AWS gives each request, is AWS's all the same.
_REQUEST_ID = "x-amzn-requestid"
# AWS takes signatures that are up to five minutes old or early, S3 fifteen (AWS General Reference, "Elements of an AWS
# API request signature"). A clock that is less than that off is not what was refused.
_CLOCK_OFF = timedelta(minutes=4)
_EXPIRED_SIGNATURE = re.compile(r"signature (?:has )?expired|signature not yet current", re.IGNORECASE)
# AWS writes: Signature expired: 20261124T143000Z is now earlier than 20261124T144000Z (20261124T144500Z - 5 min.)
_SERVICE_TIME = re.compile(r"\((\d{8}T\d{6}Z) [-+] \d+ min")


@dataclass(frozen=True, slots=True)
class _NamedError:
    """What an answer says: the name of the error ("" where it has none), its message, and whether AWS says so."""

    code: str
    message: str
    is_aws: bool


def read_refusal(
    operation: Operation,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    *,
    url: str = "",
    proxy: str | None = None,
) -> ApiError:
    """Read the error in an answer with a status other than 200. ``headers`` have lower-case names.

    ``now`` is the local time; the clock is named where it is too far from the answer's own for a signature. ``url`` was
    asked, through ``proxy``: both are named where the answer is not AWS's.
    """
    named = _error_in(headers, _readable(operation, headers, body))
    message = f"{operation}: {_text_of(named, status, headers)}"
    if not named.is_aws and url:
        message += f"; {host_of(url)} was asked" + (f" through the proxy {host_of(proxy)}" if proxy else "")
    retry_after_s = read_retry_after_s(headers.get("retry-after"), now)
    # 1. No other try will be answered by AWS: a proxy or a port asks for something else.
    if (between := _of_something_between(operation, status, body, url, proxy)) is not None:
        return between
    # 2. A throttle.
    if status == _STATUS_THROTTLED or named.code in _THROTTLING_CODES:
        return Throttled(message, retry_after_s)
    # 3. A signature that is too old or too early: this machine's clock is wrong, or the request was late.
    if named.code in _CLOCK_CODES or (named.code in _SIGNATURE_CODES and _EXPIRED_SIGNATURE.search(named.message)):
        return _of_clock(message, named, headers, now)
    # 4. Credentials that AWS does not take.
    if named.code in _CREDENTIAL_CODES:
        off = _clock_fault(named, headers, now) if named.code in _SIGNATURE_CODES else ""
        is_expired = named.code in _EXPIRED_CODES
        return CredentialsLost(f"{message}; {off or (_GET_NEW if is_expired else _MEND)}", is_expired=is_expired)
    # 5. What may pass.
    if status >= STATUS_SERVER_ERROR or status == _STATUS_REQUEST_TIMEOUT or named.code in _PASSING_CODES:
        pause = f"; it asks for a pause of {retry_after_s:g} s" if retry_after_s else ""
        return Transient(message + pause, retry_after_s)
    # 6. All else is final for what was asked.
    if named.is_aws and named.code in _DENIED_CODES:
        message += f"; allow ivs:{operation} to the credentials in use"
    return Refused(message, named.code or str(status), is_aws=named.is_aws)


def _of_something_between(
    operation: Operation, status: int, body: bytes, url: str, proxy: str | None
) -> ApiError | None:
    """The error where no other try will be answered by AWS: a proxy asks for a password, or a port for TLS."""
    if status == STATUS_PROXY_PASSWORD:
        return of_proxy(str(operation), status, "", host_of(url), proxy or "")
    is_plain = url.startswith("http://") and wants_tls(status, body)
    return of_plain_http(str(operation), host_of(url)) if is_plain else None


def read_retry_after_s(text: str | None, now: datetime) -> float | None:
    """Read how long a ``Retry-After`` header asks to wait, as seconds or as a date; None where it asks for none."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text)
    date_us = read_date_us(text)
    return None if date_us is None else max(0.0, date_us / SECOND_US - now.timestamp())


def _text_of(named: _NamedError, status: int, headers: Mapping[str, str]) -> str:
    said = f": {named.message.rstrip('.')}" if named.message else ""
    if named.is_aws:
        return f"{named.code} (status {status}){said}"
    name = f"{named.code} (status {status})" if named.code else f"status {status}"
    by = one_line(headers.get("server") or headers.get("via") or "")
    where = f" ({by})" if by else ""
    leads = f", which leads to {_host_in(headers)}" if status in _REDIRECTS else ""
    return (
        f"{name}{leads}, with no error of AWS's in it{said}; something between here and AWS answered{where}: look at"
        " the proxy, gateway or endpoint in use"
    )


def _host_in(headers: Mapping[str, str]) -> str:
    """Where a redirect leads to, without what may be secret in its address."""
    try:
        host = urlsplit(headers.get("location", "")).hostname
    except ValueError:
        host = None
    return one_line(host) if host else "another path"


def _of_clock(message: str, named: _NamedError, headers: Mapping[str, str], now: datetime) -> ApiError:
    """The error for a signature that AWS finds too old or too early.

    Where the clocks agree it was late on its way, after a pause of this machine, say: the next is signed anew.
    """
    if off := _clock_fault(named, headers, now):
        return ClockWrong(f"{message}; {off}")
    if named.code in _EXPIRED_CODES:
        return CredentialsLost(message, is_expired=True)
    return Transient(f"{message}; this machine's clock says {_time(now)}: is it right?")


def _clock_fault(named: _NamedError, headers: Mapping[str, str], now: datetime) -> str:
    """What is wrong with the clock, with both times; "" where the service's is near, or not in the answer."""
    service = _service_time(named, headers)
    if service is None or abs(now - service) <= _CLOCK_OFF:
        return ""
    return (
        f"this machine's clock says {_time(now)}, and the service's {_time(service)}: set the clock, keep it by NTP,"
        " and run again"
    )


def _service_time(named: _NamedError, headers: Mapping[str, str]) -> datetime | None:
    try:
        if quoted := _SERVICE_TIME.search(named.message):
            return datetime.strptime(quoted[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    date_us = read_date_us(headers.get("date", ""))
    return None if date_us is None else EPOCH + min(max(date_us, FIRST_US), LAST_US) * MICROSECOND


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _readable(operation: Operation, headers: Mapping[str, str], body: bytes) -> bytes:
    try:
        return unpacked(operation, headers.get("content-encoding", ""), body)
    except Malformed:
        return b""


def _error_in(headers: Mapping[str, str], body: bytes) -> _NamedError:
    # IVS writes exceptionMessage; what stands before it (a gateway, say) writes message or Message.
    message = next(filter(None, (_text_field(body, name) for name in ("exceptionMessage", "message", "Message"))), "")
    # A colon and a URL may follow the name.
    code = headers.get("x-amzn-errortype", "").partition(":")[0].strip()
    code = code or _text_field(body, "__type").rpartition("#")[2].strip()
    if not code and (element := _XML_ERROR.search(body) and _XML_CODE.search(body)):
        code = element[1].decode(errors="replace")
        said = _XML_MESSAGE.search(body)
        message = said[1].decode(errors="replace") if said else ""
    is_aws = bool(_CODE.fullmatch(code))
    if not code:
        code = _text_field(body, "code")
        is_aws = bool(_CODE.fullmatch(code)) and _REQUEST_ID in headers
    return _NamedError(one_line(code, NAME_LENGTH_MAX), one_line(message), is_aws)


def _text_field(body: bytes, name: str) -> str:
    try:
        return msgspec.json.decode(_decode_object(body)[name], type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError):
        return ""


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
