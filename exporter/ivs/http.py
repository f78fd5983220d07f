"""The HTTP connections of a run, shared by all of its scopes: each scope bounds its own calls in flight.

Answers on their way take at most ``concurrency`` mebibytes a scope, and 128 MiB beside them, whatever answers: one of
up to a mebibyte, which is more than a hundred events take, is read at once; longer ones are read two at a time, in all
scopes together, and none beyond 64 MiB.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from aiobotocore.session import get_session
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from exporter import __version__
from exporter.aws.errors import lost, message_of, reading_configuration
from exporter.aws.network import host_of
from exporter.errors import Endless, UsageError
from exporter.ivs.http_library import aiohttp
from exporter.ivs.network import not_answered
from exporter.machine.open_files import connections_max

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from exporter.settings import HttpSettings

#: More than any page of a hundred items: an answer that goes on beyond it has no end.
ANSWER_BYTES_MAX = 64 << 20
#: How much is read of an answer with another status than 200: enough for any error.
REFUSAL_BYTES_MAX = 64 << 10
_SHORT_BYTES = 1 << 20
_LONG_ANSWERS = 2
_OK = 200
_USER_AGENT = f"ivs-export/{__version__}"
_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_PROXY_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers (names in any case), and the body as it came.

    Of an answer with another status than 200 the body may be cut.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """A pool of connections; an asynchronous context manager.

    ``certificates`` gives what TLS is trusted by, the same each time. It is called once TLS is spoken, to the service
    or to a proxy.
    """

    def __init__(self, http: HttpSettings, certificates: Callable[[], ssl.SSLContext]) -> None:
        self._http = http
        self._certificates = certificates
        self._session: aiohttp.ClientSession | None = None
        self._long = asyncio.Semaphore(_LONG_ANSWERS)

    async def __aenter__(self) -> Self:
        # A header that is not sent is one that nobody reads: aiohttp would add Accept by itself. Nor is anything asked
        # for that would have to be unpacked: events are few and small.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections_max()),
            timeout=aiohttp.ClientTimeout(
                sock_connect=self._http.connect_timeout_s, sock_read=self._http.read_timeout_s
            ),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            skip_auto_headers=("Accept",),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *raised: object) -> None:
        assert self._session is not None, "entered"  # noqa: S101 - for the type checker
        await self._session.close()

    async def post(
        self, what: str, url: str, body: bytes, headers: Mapping[str, str], proxy: str | None = None
    ) -> Answer:
        """POST a body and read the answer. No redirect is followed. ``what`` is asked for: errors begin with it.

        Raises :class:`Transient` and :class:`Unreachable` (see :func:`~exporter.ivs.network.not_answered`), and
        :class:`Endless` for an answer of more than `ANSWER_BYTES_MAX`.
        """
        assert self._session is not None, "entered"  # noqa: S101 - for the type checker
        speaks_tls = any(address[:6].lower() == "https:" for address in (url, proxy or ""))
        tls = self._certificates() if speaks_tls else True
        try:
            async with self._session.post(
                url, data=body, headers=headers, proxy=proxy, allow_redirects=False, ssl=tls
            ) as answer:
                if answer.status != _OK:
                    return Answer(answer.status, answer.headers, await _beginning(answer))
                whole = await self._whole(answer)
        except Exception as error:
            raise not_answered(what, error, url, proxy) from error
        if whole is None:
            raise Endless(f"{what}: {host_of(url)} gave an answer of more than {ANSWER_BYTES_MAX >> 20} MiB")
        return Answer(_OK, answer.headers, whole)

    async def _whole(self, answer: aiohttp.ClientResponse) -> bytes | None:
        """The body; None where it is longer than any page."""
        announced = answer.content_length
        if announced is not None and announced <= _SHORT_BYTES:
            return await answer.read()
        if announced is not None and announced > ANSWER_BYTES_MAX:
            return None
        parts: list[bytes] = []
        size_bytes = 0
        async with AsyncExitStack() as turn:
            is_long = False
            async for part in answer.content.iter_any():
                size_bytes += len(part)
                if size_bytes > ANSWER_BYTES_MAX:
                    return None
                if size_bytes > _SHORT_BYTES and not is_long:
                    await turn.enter_async_context(self._long)
                    is_long = True
                parts.append(part)
        return b"".join(parts)


def open_connections(http: HttpSettings) -> Connections:
    """Make a pool of connections, to be entered. Certificates are those that every AWS tool would use.

    Those that AWS_CA_BUNDLE, the profile or REQUESTS_CA_BUNDLE name are read at once; botocore's own at the first call
    over TLS, for they take longer than all else here. Raises :class:`UsageError` where the former can't be read, and
    :class:`CredentialsLost` where AWS's own configuration can't.
    """
    bundle = _named_bundle()
    certificates = cache(partial(_certificates, bundle))
    if bundle is not None:
        certificates()
    return Connections(http, certificates)


def trusted_certificates() -> ssl.SSLContext:
    """What TLS is trusted by, for a call of another kind. Raises as `open_connections`."""
    return _certificates(_named_bundle())


def proxy_for(url: str) -> str | None:
    """Find the proxy for a URL in HTTPS_PROXY, HTTP_PROXY and NO_PROXY, as every AWS tool reads them.

    Raises :class:`UsageError` for one that can't be used: only HTTP's own are.
    """
    scheme = urlsplit(url).scheme
    with reading_configuration(f"{scheme.upper()}_PROXY or NO_PROXY can't be read"):
        proxy: str | None = get_environ_proxies(url).get(scheme)
    if proxy is None:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    variable = f"{scheme.upper()}_PROXY"
    try:
        parts = urlsplit(proxy)
        is_usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise UsageError(f"{variable} is no URL: write it as http://host:port") from None
    if parts.scheme not in _PROXY_SCHEMES:
        raise UsageError(
            f"{variable} names a proxy of the kind {parts.scheme}://, which can't be used: name an HTTP proxy, as in"
            " http://host:port"
        )
    if not is_usable:
        raise UsageError(f"{variable} names no host: write it as http://host:port")
    return proxy


def _named_bundle() -> str | None:
    """The certificates that settings name, in botocore's own order (its `endpoint.py`), as for S3 and STS."""
    try:
        bundle: str | None = get_session().get_config_variable("ca_bundle")
    except Exception as error:
        raise lost(error) from error
    return bundle or os.environ.get("REQUESTS_CA_BUNDLE") or None


def _certificates(named: str | None) -> ssl.SSLContext:
    """What TLS is trusted by: the certificates that are named, a file or a folder, else botocore's own."""
    path = get_cert_path(named or True)
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError, ValueError) as error:
        variables = [name for name in _BUNDLES if os.environ.get(name) == named]
        source = variables[0] if variables else "the profile's ca_bundle"
        raise UsageError(f"{source}: the certificates in {path} can't be read: {message_of(error)}") from error


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of a body, as much of it as an error needs."""
    parts = bytearray()
    async for part in answer.content.iter_any():
        parts += part
        if len(parts) >= REFUSAL_BYTES_MAX:
            break
    return bytes(parts[:REFUSAL_BYTES_MAX])
