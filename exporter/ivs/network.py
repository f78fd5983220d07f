"""What the network's errors mean for a call to IVS, and what to set. Pure."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from exporter.aws.network import (
    STATUS_PROXY_PASSWORD,
    STATUS_SERVER_ERROR,
    distrust_of,
    host_of,
    is_alert,
    speaks_no_tls,
    system_cause,
)
from exporter.errors import Transient, Unreachable
from exporter.ivs.http_library import aiohttp
from exporter.text import one_line

if TYPE_CHECKING:
    from exporter.errors import ApiError

_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
_OTHER_WAYS = (
    "where only a proxy leads out, set HTTPS_PROXY; where a VPC endpoint does, AWS_ENDPOINT_URL_IVS_REALTIME; else look"
    " at DNS, routes and firewalls"
)
#: What may stand in a host's name where botocore was asked for another kind of endpoint, and the variable for it.
_VARIANTS = (("-fips.", "AWS_USE_FIPS_ENDPOINT", "FIPS"), (".api.aws", "AWS_USE_DUALSTACK_ENDPOINT", "dual-stack"))


def not_answered(what: str, error: Exception, url: str, proxy: str | None) -> ApiError:
    """Make the error for a request to ``url`` that an exception ended, whatever its class; ``what`` was asked.

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
        cause, variable = _cause_of(error.os_error), "HTTPS_PROXY" if url.startswith("https:") else "HTTP_PROXY"
        return Transient(f"{what}: the proxy {host_of(proxy or '')} can't be reached: {cause}; look at {variable}")
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        return _not_connected(what, getattr(error, "os_error", error), host, by)
    is_plain = url.startswith("http://") and isinstance(error, aiohttp.ServerDisconnectedError)
    asked = "; if TLS is spoken there, write https:// in the endpoint" if is_plain else ""
    return Transient(f"{what}: {host} gave no whole answer{by}: {_broken_cause(error)}{asked}")


def of_proxy(what: str, status: int, said: str, host: str, proxy: str) -> ApiError:
    """Make the error for what a proxy answers in its own name when it is to lead to ``host``."""
    answer = f"status {status}" + (f": {said}" if said else "")
    name = host_of(proxy) if proxy else "on the way"
    if status == STATUS_PROXY_PASSWORD:
        return Unreachable(
            f"{what}: the proxy {name} asks for a user and a password ({answer}): set them in HTTPS_PROXY,"
            " as in http://user:password@host:port"
        )
    if status >= STATUS_SERVER_ERROR:
        variant = _variant_in(host)
        return Transient(f"{what}: the proxy {name} does not reach {host} ({answer})" + (variant and f"; {variant}"))
    return Unreachable(
        f"{what}: the proxy {name} refuses to lead to {host} ({answer}): allow it there, or set NO_PROXY"
    )


def of_plain_http(what: str, host: str) -> Unreachable:
    """Make the error for a port that takes TLS alone, and was asked without it."""
    return Unreachable(f"{what}: {host} speaks TLS alone, and was asked without it: use https:// in the endpoint")


def _of_tls(what: str, error: aiohttp.ClientError, host: str, by: str, proxy: str | None) -> ApiError:
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = getattr(error, "os_error", error)
        if not speaks_no_tls(cause):
            return Transient(f"{what}: {host} is reached{by}, but TLS fails: {_tls_cause(cause)}")
        address = f"{getattr(error, 'host', '')}:{getattr(error, 'port', '')}"
        if proxy is not None and address == host_of(proxy):
            return Unreachable(f"{what}: the proxy {address} speaks no TLS: use http:// in HTTPS_PROXY")
        return Unreachable(f"{what}: {host} speaks no TLS{by}: use http:// in the endpoint")
    reason = distrust_of(error.certificate_error)
    return Unreachable(
        f"{what}: the certificate of {error.host}:{error.port} is not trusted ({reason}): where a proxy or a company's"
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
        return system_cause(error.errno)
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
