"""What went wrong between this machine and S3, in words: which host, and why. Pure."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import ClientHttpProxyError, ClientPayloadError, ClientResponseError
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.aws.tls_faults import is_alert, speaks_no_tls
from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS_PROXY_PASSWORD = 407
_STATUS_SERVER_ERROR = 500


_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_CAUSES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ResponseParserError,), "what it answers can't be read"),
    ((aws.ConnectTimeoutError,), "no connection in time: is a firewall before it, or a VPC endpoint missing?"),
    ((aws.ReadTimeoutError, TimeoutError), "nothing came in time"),
    (
        (aws.ConnectionClosedError, aws.ResponseStreamingError, aws.IncompleteReadError, ClientPayloadError),
        "the connection broke off",
    ),
)


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
            advice = ": raise the limit (ulimit -n)" if each.errno in _NO_FILES else ""
            return via + os.strerror(each.errno).lower() + advice
    return f"{type(below[-1]).__name__} {one_line(below[-1])}".rstrip()


def _said_below(error: BaseException) -> str:
    """What an error says that others were made of; nothing where it is the outermost one that tells more."""
    if isinstance(error, ClientHttpProxyError):
        asks = ": set the password in HTTPS_PROXY" if error.status == _STATUS_PROXY_PASSWORD else ""
        return f"the proxy refuses to connect, status {error.status}{asks}"
    if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_message"):  # aiohttp's own has none
        reason = one_line(error.verify_message)
        return f"its certificate is not trusted ({reason}): set AWS_CA_BUNDLE to the right one"
    if speaks_no_tls(error):
        return "what listens there speaks no TLS: use http:// in AWS_ENDPOINT_URL_S3, or HTTPS_PROXY for a proxy"
    if isinstance(error, ClientResponseError) and is_alert(error):
        return "it speaks TLS alone: use https:// in AWS_ENDPOINT_URL_S3"
    return "the name does not resolve" if isinstance(error, socket.gaierror) else ""


def is_final(error: BaseException) -> bool:
    """Whether trying again is of no use: a certificate that is not trusted, a wrong scheme, a proxy that refuses."""
    return any(
        isinstance(each, ssl.SSLCertVerificationError)
        or speaks_no_tls(each)
        or (isinstance(each, ClientResponseError) and is_alert(each))
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
