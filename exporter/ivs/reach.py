"""A way to a host, opened as a call would open it, and shut again before anything is asked."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from exporter.aws.network import distrust_of, host_of, speaks_no_tls, system_cause
from exporter.ivs.http import trusted_certificates

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from urllib.parse import SplitResult

_PORTS = {"http": 80, "https": 443}
_CONNECTED = b" 200"
_HEAD_END = b"\r\n\r\n"


class NotReached(Exception):
    """A host that can't be reached, and why; nothing of a URL stands in the text but a host."""


async def reach(url: str, proxy: str | None) -> None:
    """Connect to the host of a URL, through the proxy if there is one, by TLS where the URL says so; send it nothing.

    Raises :class:`NotReached`, and :class:`UsageError` where certificates that are named can't be read.
    """
    try:
        await _reach(urlsplit(url), None if proxy is None else urlsplit(proxy))
    except (OSError, EOFError, ValueError) as error:
        raise NotReached(_reason_of(error)) from error


async def _reach(target: SplitResult, proxy: SplitResult | None) -> None:
    first = proxy or target
    is_tls = target.scheme == "https"
    tls = trusted_certificates() if first.scheme == "https" else None
    reader, writer = await asyncio.open_connection(first.hostname, first.port or _PORTS[first.scheme], ssl=tls)
    try:
        if proxy is not None and is_tls:
            await _lead(reader, writer, target, proxy)
            await writer.start_tls(trusted_certificates(), server_hostname=target.hostname)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _lead(reader: StreamReader, writer: StreamWriter, target: SplitResult, proxy: SplitResult) -> None:
    """Let a proxy lead to the target. Source: RFC 9110, "CONNECT"."""
    place = f"{target.hostname}:{target.port or _PORTS[target.scheme]}"
    head = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.username:
        named = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        head.append(f"Proxy-Authorization: Basic {base64.b64encode(named.encode()).decode()}")
    writer.write("\r\n".join(head).encode() + _HEAD_END)
    status = (await reader.readuntil(_HEAD_END)).split(b"\r\n", 1)[0]
    if _CONNECTED not in status:
        code = status.split(b" ")[1][:3].decode("ascii", "replace") if b" " in status else "none"
        raise NotReached(f"the proxy {host_of(proxy.geturl())} refuses, with status {code}")


def _reason_of(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({distrust_of(error)})"
    if speaks_no_tls(error):
        return "what listens there speaks no TLS"
    if isinstance(error, socket.gaierror):
        return "its name does not resolve"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno is not None:
        return system_cause(error.errno)
    return "the connection was closed" if isinstance(error, (EOFError, OSError)) else type(error).__name__
