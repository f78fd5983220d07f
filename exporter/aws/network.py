"""What the network's errors say of the way to AWS, for IVS and for S3 alike: which host, and why. Pure.

Where TLS is spoken to a port that takes none, or plain HTTP to one that takes TLS alone, the endpoint's scheme is
wrong, and no other try changes that.
"""

from __future__ import annotations

import errno
import os
import re
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS_PROXY_PASSWORD = 407
STATUS_SERVER_ERROR = 500
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_FILES = "no more files may be open: raise the limit (ulimit -n), or lower `concurrency`"
_CAUSES = {errno.EMFILE: _NO_FILES, errno.ENFILE: _NO_FILES, errno.ECONNREFUSED: "connection refused: nothing listens"}
# What OpenSSL says of a first answer that is no TLS. Source: OpenSSL's `include/openssl/sslerr.h`.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})
# What nginx, Go's servers, Apache, HAProxy and Python's say to plain HTTP at a port of TLS's; all with status 400.
_WANTS_TLS = re.compile(
    rb"plain HTTP request (?:was|is being) sent to (?:an )?HTTPS|HTTP request to an HTTPS server"
    rb"|speaking plain HTTP to an SSL|requires TLS\b",
    re.IGNORECASE,
)
# An alert of TLS's (type 21, version 3.x) in place of HTTP, as bytes or as aiohttp shows them.
_ALERT = re.compile(r"\x15\x03[\x00-\x04]|\\x15\\x03\\x0[0-4]")
_BAD_REQUEST = 400


def host_of(url: str) -> str:
    """Host and port of a URL, without user and password; what is no URL is not repeated."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "an address that is no URL"
    host = parts.hostname or "an address without a host"
    host = f"[{host}]" if ":" in host else one_line(host)
    return host if port is None else f"{host}:{port}"


def system_cause(code: int) -> str:
    """Why the system makes no connection, by the number of its error; and what to do about it where that is known."""
    return _CAUSES.get(code) or os.strerror(code)


def distrust_of(error: BaseException) -> str:
    """Why a certificate is not trusted, as OpenSSL says it."""
    return one_line(getattr(error, "verify_message", "") or error)


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was made of by botocore, aiohttp or Python, down to the first cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = (
            details_of(error).get("error")
            or getattr(error, "certificate_error", None)
            or getattr(error, "os_error", None)
        )
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__


def details_of(error: BaseException) -> dict[str, Any]:
    """What botocore's errors are made of: an ``endpoint_url``, an ``error``; empty for all others."""
    details = getattr(error, "kwargs", None)
    return details if isinstance(details, dict) else {}


def speaks_no_tls(error: BaseException | None) -> bool:
    """Whether TLS failed since what listens does not speak it."""
    return isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in _NO_TLS  # aiohttp's own have none


def is_alert(error: BaseException) -> bool:
    """Whether what was read as HTTP is an alert of TLS's: its port was asked without TLS."""
    return _ALERT.search(str(getattr(error, "message", ""))) is not None


def wants_tls(status: int, body: bytes) -> bool:
    """Whether an answer to plain HTTP says that its port takes TLS alone."""
    return status == _BAD_REQUEST and _WANTS_TLS.search(body) is not None
