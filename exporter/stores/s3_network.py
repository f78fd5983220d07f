"""What went wrong between this machine and S3, in words: which host, and why. Pure."""

from __future__ import annotations

import os
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import ClientHttpProxyError, ClientPayloadError
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_LENGTH_MAX = 300
_PASSWORD = re.compile(r"//[^/\s]*@")
_STATUS_PROXY_PASSWORD = 407
_ENDPOINT = "AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url"
_SCHEMES = frozenset({"http", "https"})
_STATUS_SERVER_ERROR = 500


_CAUSES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ResponseParserError,), "what it answers can't be read"),
    ((aws.ConnectTimeoutError,), "no connection in time: is a firewall before it, or a VPC endpoint missing?"),
    ((aws.ReadTimeoutError, TimeoutError), "nothing came in time"),
    (
        (aws.ConnectionClosedError, aws.ResponseStreamingError, aws.IncompleteReadError, ClientPayloadError),
        "the connection broke off",
    ),
)


def line_of(text: object) -> str:
    """A foreign text as one line that can be shown, without what stands before the @ of an address."""
    line = _PASSWORD.sub("//", " ".join(str(text).split()))[:_LINE_LENGTH_MAX]
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def checked_host(endpoint: str) -> str:
    """The host of S3's endpoint, with its port. Raises :class:`UsageError`, without what the endpoint says.

    A password in it would reach each error that names the address, and S3 would not know what to do with it.
    """
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        raise no_endpoint() from None
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise no_endpoint()
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"{_ENDPOINT} holds a user's name before the @: leave it out, and set AWS_PROFILE instead")
    return f"{parts.hostname}:{port}" if port else parts.hostname


def no_endpoint() -> UsageError:
    """The error for an endpoint that is no URL, without what it says, for there may be a password in it."""
    return UsageError(f"{_ENDPOINT} is no URL such as https://s3.example.com:9000")


def host_of(error: BaseException) -> str:
    """The host that did not answer, with its port, as far as the error tells."""
    url = _said(error).get("endpoint_url") or _said(error).get("proxy_url")
    if not isinstance(url, str):
        return ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return f"{host}:{port}" if port else host


def cause_of(error: BaseException) -> str:
    """Why there was no answer, and what to set where that would help."""
    below = list(_below(error))
    for each in below:
        if said := _said_below(each):
            return said
    for kinds, said in _CAUSES:
        if isinstance(error, kinds):
            return said
    for each in below:
        if isinstance(each, OSError) and each.errno and each.strerror:
            via = "the proxy: " if isinstance(error, aws.ProxyConnectionError) else ""
            return via + os.strerror(each.errno).lower()
    return f"{type(below[-1]).__name__} {line_of(below[-1])}".rstrip()


def _said_below(error: BaseException) -> str:
    """What an error says that others were made of; nothing where it is the outermost one that tells more."""
    if isinstance(error, ClientHttpProxyError):
        asks = ": set the password in HTTPS_PROXY" if error.status == _STATUS_PROXY_PASSWORD else ""
        return f"the proxy refuses to connect, status {error.status}{asks}"
    if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_message"):  # aiohttp's own has none
        return f"its certificate is not trusted ({line_of(error.verify_message)}): set AWS_CA_BUNDLE to the right one"
    return "the name does not resolve" if isinstance(error, socket.gaierror) else ""


def is_final(error: BaseException) -> bool:
    """Whether trying again is of no use: a certificate that is not trusted, a proxy that refuses."""
    return any(
        isinstance(each, ssl.SSLCertVerificationError)
        or (isinstance(each, ClientHttpProxyError) and each.status < _STATUS_SERVER_ERROR)
        for each in _below(error)
    )


def _below(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it was made of, down to the first cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = (
            _said(error).get("error") or getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        )
        error = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__


def _said(error: BaseException) -> dict[str, Any]:
    said = getattr(error, "kwargs", None)
    return said if isinstance(said, dict) else {}
