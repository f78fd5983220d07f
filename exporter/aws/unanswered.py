"""What the network's errors mean for a call that botocore's clients make, to S3 or STS, and what to set. Pure."""

from __future__ import annotations

import socket
import ssl

from aiohttp import ClientHttpProxyError, ClientPayloadError, ClientResponseError
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from exporter.aws.network import (
    STATUS_PROXY_PASSWORD,
    STATUS_SERVER_ERROR,
    causes_of,
    details_of,
    distrust_of,
    host_of,
    is_alert,
    speaks_no_tls,
    system_cause,
)
from exporter.text import one_line

_CAUSES: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ResponseParserError,), "what it answers can't be read"),
    ((aws.ConnectTimeoutError,), "no connection in time: is a firewall before it, or a VPC endpoint missing?"),
    ((aws.ReadTimeoutError, TimeoutError), "nothing came in time"),
    (
        (aws.ConnectionClosedError, aws.ResponseStreamingError, aws.IncompleteReadError, ClientPayloadError),
        "the connection broke off",
    ),
)


def host_in(error: BaseException) -> str:
    """Find the host that did not answer, with its port; "" where the error names none."""
    url = details_of(error).get("endpoint_url") or details_of(error).get("proxy_url")
    return host_of(url) if isinstance(url, str) else ""


def cause_of(error: BaseException, service: str) -> str:
    """Say why there was no answer, and what to set where that would help; ``service`` is as in its endpoint's variable.

    The variable is ``AWS_ENDPOINT_URL_<service>``.
    """
    below = list(causes_of(error))
    for cause in below:
        if said := _text_of(cause, f"AWS_ENDPOINT_URL_{service}"):
            return said
    for kinds, said in _CAUSES:
        if isinstance(error, kinds):
            return said
    for cause in below:
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            via = "the proxy: " if isinstance(error, aws.ProxyConnectionError) else ""
            return via + system_cause(cause.errno)
    return f"{type(below[-1]).__name__} {one_line(below[-1])}".rstrip()


def _text_of(error: BaseException, variable: str) -> str:
    """What a cause says of itself; "" where the outermost error says more."""
    if isinstance(error, ClientHttpProxyError):
        asks = ": set the password in HTTPS_PROXY" if error.status == STATUS_PROXY_PASSWORD else ""
        return f"the proxy refuses to connect, status {error.status}{asks}"
    if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_message"):  # aiohttp's own has none
        return f"its certificate is not trusted ({distrust_of(error)}): set AWS_CA_BUNDLE to the right one"
    if speaks_no_tls(error):
        return f"what listens there speaks no TLS: use http:// in {variable}, or HTTPS_PROXY for a proxy"
    if isinstance(error, ClientResponseError) and is_alert(error):
        return f"it speaks TLS alone: use https:// in {variable}"
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve: look at DNS, HTTPS_PROXY and {variable}"
    return ""


def is_final(error: BaseException) -> bool:
    """Whether trying again is of no use: a certificate that is not trusted, a wrong scheme, a proxy that refuses."""
    return any(
        isinstance(cause, ssl.SSLCertVerificationError)
        or speaks_no_tls(cause)
        or (isinstance(cause, ClientResponseError) and is_alert(cause))
        or (isinstance(cause, ClientHttpProxyError) and cause.status < STATUS_SERVER_ERROR)
        for cause in causes_of(error)
    )
