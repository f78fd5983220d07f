"""The HTTP connections of a run, shared by all of its scopes: each scope bounds its own calls in flight."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from exporter import __version__
from exporter.errors import CredentialsLost, UsageError

if TYPE_CHECKING:
    from exporter.settings import HttpSettings

_USER_AGENT = f"ivs-export/{__version__}"
# A header that is not sent is one that nobody reads: these, aiohttp would add by itself.
_NOT_SENT = ("Accept", "Accept-Encoding")


def open_connections(http: HttpSettings) -> aiohttp.ClientSession:
    """A pool of connections, to be closed. Certificates are those that every AWS tool would use.

    Raises :class:`UsageError` where the certificates that AWS_CA_BUNDLE or the profile name can't be read, and
    :class:`CredentialsLost` where AWS's own configuration can't.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=_certificates()),
        timeout=aiohttp.ClientTimeout(sock_connect=http.connect_timeout_s, sock_read=http.read_timeout_s),
        headers={"User-Agent": _USER_AGENT},
        skip_auto_headers=_NOT_SENT,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def proxy_for(url: str) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for a URL, read as every AWS tool reads them."""
    proxy: str | None = get_environ_proxies(url).get(urlsplit(url).scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _certificates() -> ssl.SSLContext:
    try:
        bundle = get_session().get_config_variable("ca_bundle")
    except BotoCoreError as error:
        raise CredentialsLost(f"no AWS credentials can be used: {' '.join(str(error).split())}") from error
    path = get_cert_path(bundle or True)
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the certificates in {path} can't be read: {error}") from error
