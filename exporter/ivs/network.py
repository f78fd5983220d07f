"""What the network's errors mean: which host, why, and what to set. Pure."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from exporter.aws.tls_faults import is_alert, speaks_no_tls
from exporter.errors import Transient, Unreachable
from exporter.text import one_line

if TYPE_CHECKING:
    from exporter.errors import ApiError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_STATUS_PROXY_PASSWORD = 407
_STATUS_SERVER_ERROR = 500
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_NO_FILES = "no more files may be open: raise the limit (ulimit -n), or lower `concurrency`"
_CAUSES = {errno.EMFILE: _NO_FILES, errno.ENFILE: _NO_FILES, errno.ECONNREFUSED: "connection refused: nothing listens"}
_OTHER_WAYS = (
    "where only a proxy leads out, set HTTPS_PROXY; where a VPC endpoint does, AWS_ENDPOINT_URL_IVS_REALTIME; else look"
    " at DNS, routes and firewalls"
)
#: What may stand in a host's name where botocore was asked for another kind of endpoint, and the variable for it.
_VARIANTS = (("-fips.", "AWS_USE_FIPS_ENDPOINT", "FIPS"), (".api.aws", "AWS_USE_DUALSTACK_ENDPOINT", "dual-stack"))


def not_answered(what: str, error: Exception, url: str, proxy: str | None) -> ApiError:
    """The error for a request to ``url`` that an exception ended, whatever its class; ``what`` was asked.

    :class:`Unreachable` where another try would end alike: a certificate that is not trusted, a port that speaks no TLS
    or nothing else, a proxy that refuses, a kind of endpoint that does not exist. Else :class:`Transient`.
    """
    host, by = host_of(url), f" through the proxy {host_of(proxy)}" if proxy else ""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return of_proxy(what, error.status, one_line(error.message), host, proxy or "")
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return _of_tls(what, error, host, by, proxy)
    if isinstance(error, aiohttp.ClientResponseError) and is_alert(error):
        return of_plain_http(what, host)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        cause = _cause_of(error.os_error)
        return Transient(f"{what}: the proxy {host_of(proxy or '')} can't be reached: {cause}; look at HTTPS_PROXY")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return _not_connected(what, getattr(error, "os_error", error), host, by)
    is_plain = url.startswith("http://") and isinstance(error, aiohttp.ServerDisconnectedError)
    asked = "; if TLS is spoken there, write https:// in the endpoint" if is_plain else ""
    return Transient(f"{what}: {host} gave no whole answer{by}: {_broken_cause(error)}{asked}")


def of_proxy(what: str, status: int, said: str, host: str, proxy: str) -> ApiError:
    """The error for what a proxy answers in its own name when it is to lead to ``host``."""
    told = f"status {status}" + (f": {said}" if said else "")
    name = host_of(proxy) if proxy else "on the way"
    if status == _STATUS_PROXY_PASSWORD:
        return Unreachable(
            f"{what}: the proxy {name} asks for a user and a password ({told}): set them in HTTPS_PROXY,"
            " as in http://user:password@host:port"
        )
    if status >= _STATUS_SERVER_ERROR:
        variant = _variant_in(host)
        return Transient(f"{what}: the proxy {name} does not reach {host} ({told})" + (variant and f"; {variant}"))
    return Unreachable(f"{what}: the proxy {name} refuses to lead to {host} ({told}): allow it there, or set NO_PROXY")


def of_plain_http(what: str, host: str) -> Unreachable:
    """The error for a port that takes TLS alone, and was asked without it."""
    return Unreachable(f"{what}: {host} speaks TLS alone, and was asked without it: use https:// in the endpoint")


def host_of(url: str) -> str:
    """Host and port of a URL, without user and password; whatever is no URL is not repeated."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "an address that is no URL"
    host = parts.hostname or "an address without a host"
    host = f"[{host}]" if ":" in host else one_line(host)
    return host if port is None else f"{host}:{port}"


def _of_tls(what: str, error: aiohttp.ClientError, host: str, by: str, proxy: str | None) -> ApiError:
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = getattr(error, "os_error", error)
        if not speaks_no_tls(cause):
            return Transient(f"{what}: {host} is reached{by}, but TLS fails: {_tls_cause(cause)}")
        place = f"{getattr(error, 'host', '')}:{getattr(error, 'port', '')}"
        if proxy is not None and place == host_of(proxy):
            return Unreachable(f"{what}: the proxy {place} speaks no TLS: use http:// in HTTPS_PROXY")
        return Unreachable(f"{what}: {host} speaks no TLS{by}: use http:// in the endpoint")
    cause = error.certificate_error
    said = one_line(getattr(cause, "verify_message", "") or cause)
    return Unreachable(
        f"{what}: the certificate of {error.host}:{error.port} is not trusted ({said}): where a proxy or a company's"
        " authority signs, set AWS_CA_BUNDLE to the file with its certificates"
    )


def _not_connected(what: str, error: BaseException, host: str, by: str) -> ApiError:
    variant = _variant_in(host)
    if variant and isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
        return Unreachable(f"{what}: {host} does not exist: {variant}")
    asked = f"; {variant}" if variant else ""
    return Transient(f"{what}: {host} can't be reached{by}: {_cause_of(error)}{asked}")


def _variant_in(host: str) -> str:
    """What asked for another kind of endpoint than the ordinary one; "" where nothing did."""
    for part, variable, name in _VARIANTS:
        if part in host:
            return f"perhaps IVS Real-Time has no {name} endpoint there: unset {variable}, also in the profile"
    return ""


def _cause_of(error: BaseException) -> str:
    """Why there is no connection."""
    if isinstance(error, TimeoutError):
        return f"no connection in time; {_OTHER_WAYS}"
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve ({one_line(error.strerror)}); {_OTHER_WAYS}"
    if isinstance(error, ssl.SSLError):
        return _tls_cause(error)
    if isinstance(error, OSError) and error.errno is not None:
        return _CAUSES.get(error.errno) or os.strerror(error.errno)
    return one_line(f"{type(error).__name__}: {error}")


def _tls_cause(error: BaseException) -> str:
    reason = str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
    return one_line(reason.replace("_", " ").lower() if reason.isupper() else reason)


def _broken_cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    if isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionResetError)):
        return "the connection was closed before the answer was whole"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off, or is not what its header announces"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"what came is no HTTP: {one_line(error.message)}"
    if isinstance(error, OSError) and error.errno is not None:
        return _cause_of(error)
    return one_line(f"{type(error).__name__}: {error}")
