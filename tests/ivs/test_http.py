"""How a call reaches the service: certificates, proxies and redirects, as every AWS tool has them."""

from __future__ import annotations

import asyncio
import errno
import gzip
import resource
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiobotocore.session import AioSession
from aiohttp import web

from exporter.aws.credentials import Credentials
from exporter.aws.endpoints import check_endpoint
from exporter.errors import ApiError, Endless, Refused, Transient, Unreachable, UsageError
from exporter.ivs.client import Client
from exporter.ivs.endpoints import find_endpoint
from exporter.ivs.http import open_connections, proxy_for
from exporter.ivs.network import not_answered
from exporter.ivs.operations import Operation
from exporter.machine.open_files import connections_max
from exporter.settings import HttpSettings
from tests.support.certificates import own_certificate
from tests.support.servers.ports import free_ports
from tests.support.servers.raw import raw_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.ivs.responses import Page


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "AWS_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A key and a certificate of 127.0.0.1 that nobody has signed but itself."""
    return own_certificate(tmp_path)


@asynccontextmanager
async def served(answer: web.Response, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that answers everything alike: its port, and the targets that it was asked for."""
    asked: list[str] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        asked.append(str(request.raw_path))
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1], asked
    finally:
        await runner.cleanup()


async def ask(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", endpoint)
    async with open_connections(HttpSettings()) as connections:
        found = await find_endpoint(AioSession(), "us-east-1")
        client = Client(Credentials(AioSession, lambda: 0.0), found, connections, lambda: 0)
        return await client.ask(Operation.LIST_STAGES, {})


def no_stages() -> web.Response:
    return web.Response(body=b'{"stages": []}', content_type="application/json")


async def test_certificates_are_those_of_aws_ca_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that no authority has signed is taken where AWS_CA_BUNDLE names it, and refused else."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    async with served(no_stages(), context) as (port, asked):
        with pytest.raises(Unreachable, match="set AWS_CA_BUNDLE"):
            await ask(f"https://localhost:{port}", monkeypatch)
        assert not asked
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        assert (await ask(f"https://localhost:{port}", monkeypatch)).items == b"[]"


async def test_certificates_are_those_of_requests_ca_bundle(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What botocore trusts for S3 and STS is trusted here: REQUESTS_CA_BUNDLE too, after AWS_CA_BUNDLE."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    async with served(no_stages(), context) as (port, _):
        assert (await ask(f"https://localhost:{port}", monkeypatch)).items == b"[]"
        other = tmp_path / "other"
        other.mkdir()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(other))
        with pytest.raises(Unreachable):
            await ask(f"https://localhost:{port}", monkeypatch)


async def test_a_certificate_of_another_host(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says which host showed it, and why it is not trusted."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    async with served(no_stages(), context) as (port, _):
        with pytest.raises(Unreachable, match=rf"certificate of 127\.0\.0\.1:{port} .*mismatch"):
            await ask(f"https://127.0.0.1:{port}", monkeypatch)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS_CA_BUNDLE that is missing or holds none is named before anything is asked."""
    path = tmp_path / "missing.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    with pytest.raises(UsageError, match=r"missing\.pem"):
        open_connections(HttpSettings())


async def test_certificates_are_read_once_and_for_tls_alone(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP needs none, and TLS the same for each call. aiohttp reads those of the system for nobody."""
    reads: list[str] = []
    make_context = ssl.create_default_context

    def noted(**options: Any) -> ssl.SSLContext:
        reads.append(options["cafile"])
        return make_context(cafile=str(bundle))

    monkeypatch.setattr("exporter.ivs.http.ssl.create_default_context", noted)
    async with served(no_stages()) as (port, _):
        assert (await ask(f"http://localhost:{port}", monkeypatch)).items == b"[]"
    assert not reads
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    async with served(no_stages(), context) as (port, _), open_connections(HttpSettings()) as connections:
        for _call in range(2):
            answer = await connections.post("a call", f"https://localhost:{port}/ListStages", b"{}", {})
            assert answer.status == 200
    assert len(reads) == 1


async def test_calls_pass_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls go to the proxy that the environment names, which sees where they are meant for."""
    async with served(no_stages()) as (port, asked):
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{port}")
        assert (await ask("http://ivs.example", monkeypatch)).items == b"[]"
    assert asked == ["http://ivs.example/ListStages"]


def test_proxies_are_not_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is for its scheme, and NO_PROXY's hosts are reached without."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_for("https://ivs.example") == "http://proxy.example:3128"
    assert proxy_for("http://ivs.example") is None
    assert proxy_for("https://inside.example") is None


@pytest.mark.parametrize(
    "proxy", ["socks5://h:1", "socks5h://u:hush@h:1", "socks4a://h:1", "ftp://h", "http://u:hush@h:x", "http://"]
)
def test_a_proxy_that_cannot_be_used(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy is refused by its name, and not spoken to as if it were another; no password is repeated."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        proxy_for("https://ivs.example")
    assert "hush" not in str(caught.value)
    assert ("socks" in str(caught.value)) == ("socks" in proxy)


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        ("407 Proxy Authentication Required", Unreachable, "asks for a user and a password"),
        ("403 Forbidden", Unreachable, r"refuses to lead to ivs\.example:443 \(status 403: Forbidden\)"),
        ("502 Bad Gateway", Transient, r"does not reach ivs\.example:443"),
        ("503 Busy", Transient, "does not reach"),
    ],
)
async def test_what_a_proxy_answers_in_its_own_name(
    line: str, error: type[ApiError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that it asks for, a host that it refuses and one that it does not reach are three errors."""
    async with saying(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode()) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:hush@127.0.0.1:{port}")
        with pytest.raises(error, match=said) as caught:
            await ask("https://ivs.example", monkeypatch)
    assert f"the proxy 127.0.0.1:{port}" in str(caught.value)
    assert "hush" not in str(caught.value)


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the proxy that can't be reached, not the service."""
    [port] = free_ports(1)
    monkeypatch.setenv("HTTP_PROXY", f"http://user:hush@127.0.0.1:{port}")
    with pytest.raises(Transient, match=rf"the proxy 127\.0\.0\.1:{port} can't be reached: connection refused"):
        await ask("http://ivs.example", monkeypatch)


async def test_a_host_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says which host and port, and why."""
    [port] = free_ports(1)
    with pytest.raises(Transient, match=rf"^ListStages: 127\.0\.0\.1:{port} can't be reached: connection refused"):
        await ask(f"http://127.0.0.1:{port}", monkeypatch)


async def test_a_server_that_does_not_speak_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """An https:// that should be http:// is for good, and the line says what to write."""
    async with served(no_stages()) as (port, asked):
        with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port} speaks no TLS: use http:// in the endpoint"):
            await ask(f"https://127.0.0.1:{port}", monkeypatch)
        monkeypatch.setenv("HTTPS_PROXY", f"https://user:hush@127.0.0.1:{port}")
        with pytest.raises(Unreachable, match=rf"proxy 127\.0\.0\.1:{port} speaks no TLS: use http:// in HTTPS_PROXY"):
            await ask("https://ivs.example", monkeypatch)
    assert not asked


PLAIN_AT_TLS = [
    b"<html><h1>400 Bad Request</h1><center>The plain HTTP request was sent to HTTPS port</center></html>",
    b"Client sent an HTTP request to an HTTPS server.\n",
    b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
]


@pytest.mark.parametrize(
    "said", [*(b"HTTP/1.1 400 Bad Request\r\n\r\n" + body for body in PLAIN_AT_TLS), bytes.fromhex("15030100020246")]
)
async def test_a_server_that_speaks_tls_alone(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """An http:// that should be https:// is for good where the server says so, in words or by an alert of TLS's."""
    async with saying(said) as port:
        with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{port} speaks TLS alone.*use https:// in the endpoint"):
            await ask(f"http://127.0.0.1:{port}", monkeypatch)


async def test_a_server_that_speaks_tls_alone_and_says_nothing(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the connection, which may also pass: it is tried again, and the line asks for the scheme."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(bundle)
    async with served(no_stages(), context) as (port, _):
        with pytest.raises(Transient, match="if TLS is spoken there, write https:// in the endpoint"):
            await ask(f"http://127.0.0.1:{port}", monkeypatch)


def connector_error(kind: type[aiohttp.ClientConnectorError], host: str, error: OSError) -> Exception:
    key: Any = SimpleNamespace(host=host, port=443, ssl=True)
    return kind(key, error)


NO_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("host", "error", "kind", "said"),
    [
        ("ivs.example", NO_NAME, Transient, "the name does not resolve"),
        ("ivs-fips.us-east-1.amazonaws.com", NO_NAME, Unreachable, "unset AWS_USE_FIPS_ENDPOINT"),
        ("ivs.us-east-1.api.aws", NO_NAME, Unreachable, "unset AWS_USE_DUALSTACK_ENDPOINT"),
        ("ivs-fips.x", socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), Transient, "Temporary failure"),
    ],
)
def test_names_that_do_not_resolve(host: str, error: OSError, kind: type[ApiError], said: str) -> None:
    """A kind of endpoint that does not exist is named with the variable that asks for it; other names may come back."""
    raised = connector_error(aiohttp.ClientConnectorDNSError, host, error)
    seen = not_answered("ListStages", raised, f"https://{host}/ListStages", None)
    assert type(seen) is kind
    assert ("unset AWS_USE" in str(seen)) == (host != "ivs.example")
    assert f"ListStages: {host}:443 " in str(seen)
    assert said in str(seen)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (connector_error(aiohttp.ClientConnectorError, "h", OSError(errno.EMFILE, "x")), "ulimit -n"),
        (connector_error(aiohttp.ClientConnectorError, "h", OSError(errno.ENFILE, "x")), "ulimit -n"),
        (connector_error(aiohttp.ClientConnectorError, "h", OSError(errno.ENETUNREACH, "x")), "Network is unreachable"),
        (connector_error(aiohttp.ClientConnectorError, "h", OSError("Multiple exceptions: a, b")), "Multiple exc"),
        (aiohttp.ConnectionTimeoutError("x"), "HTTPS_PROXY"),
        (aiohttp.SocketTimeoutError("x"), "nothing came in time"),
        (aiohttp.ServerDisconnectedError(), "was closed before"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "x"), "Connection reset by peer"),
        (aiohttp.ClientPayloadError("x"), "broke off"),
        (OSError(errno.EMFILE, "x"), "ulimit -n"),
        (ValueError("a\nb"), "ValueError: a b"),
        (RuntimeError("Session is closed"), "Session is closed"),
    ],
)
def test_whatever_is_raised_says_where_and_why(error: Exception, said: str) -> None:
    """The host and the cause stand in one line, through whatever proxy; another try may help."""
    seen = not_answered("ListStages", error, "https://h/ListStages", "http://user:hush@proxy.example:3128")
    assert type(seen) is Transient
    assert said in str(seen)
    assert str(seen).startswith("ListStages: h:443 ")
    assert "through the proxy proxy.example:3128" in str(seen)
    assert str(seen).isprintable()
    assert "hush" not in str(seen)


@asynccontextmanager
async def saying(start: bytes, more: bytes = b"", times: int = 0) -> AsyncIterator[int]:
    """A server that says something to everybody, and so often something more; its port."""

    async def say(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        for _ in range(times):
            writer.write(more)
            await writer.drain()

    async with raw_server(say) as address:
        yield int(address.rpartition(":")[2])


CHUNKED = b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"100000\r\n" + b" " * 0x100000 + b"\r\n"


async def test_an_answer_without_an_end_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes on for gigabytes is cut off at 64 MiB, and there is no other try."""
    async with saying(CHUNKED % 200, CHUNK, 3_000) as port:
        with pytest.raises(Endless, match=rf"127\.0\.0\.1:{port} gave an answer of more than 64 MiB"):
            await ask(f"http://127.0.0.1:{port}", monkeypatch)


async def test_a_refusal_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an error only the beginning is read, enough to name it."""
    async with saying(CHUNKED % 503, CHUNK, 3_000) as port:
        with pytest.raises(Transient, match="status 503"):
            await ask(f"http://127.0.0.1:{port}", monkeypatch)


async def test_long_answers_are_read_two_at_a_time() -> None:
    """However many scopes ask, what is on its way is bounded, and all are answered.

    More than sixteen mebibytes are on their way to nobody who does not read them: no socket's buffer holds so much.
    """
    beyond, most = 0, 0

    async def say(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal beyond, most
        writer.write(CHUNKED % 200)
        for number in range(24):
            writer.write(CHUNK)
            await writer.drain()
            if number == 16:
                beyond += 1
                most = max(most, beyond)
        beyond -= 1
        writer.write(b"0\r\n\r\n")

    async with raw_server(say) as address, open_connections(HttpSettings()) as connections:
        url = f"http://{address}/"
        answers = await asyncio.gather(*(connections.post("ListStages", url, b"{}", {}) for _ in range(6)))
    assert [len(answer.body) for answer in answers] == [24 << 20] * 6
    assert most <= 2


@pytest.mark.parametrize(("soft", "connections"), [(20, 8), (256, 64), (1_024, 256), (1_000_000, 10_000)])
def test_connections_leave_files_for_the_rest(soft: int, connections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of what may be open is for connections."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert connections_max() == connections


def test_the_limit_to_open_files_is_raised() -> None:
    """What the system lets a process ask for is asked for."""
    code = (
        "import resource; from exporter.machine.open_files import raise_limit; kind = resource.RLIMIT_NOFILE;"
        "resource.setrlimit(kind, (100, 200)); raise_limit(); print(*resource.getrlimit(kind))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["200", "200"]


async def test_nothing_is_asked_to_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes themselves are asked for; a gateway that packs them all the same is read."""
    seen: list[str] = []

    async def handle(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers["Accept-Encoding"])
        return web.Response(body=gzip.compress(b'{"stages": []}'), headers={"Content-Encoding": "gzip"})

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        page = await ask(f"http://127.0.0.1:{runner.addresses[0][1]}", monkeypatch)
    finally:
        await runner.cleanup()
    assert (seen, page.items) == (["identity"], b"[]")


async def test_no_redirect_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that points elsewhere is a refusal: nobody else is sent a signed request."""
    answer: Any = web.Response(status=302, headers={"Location": "/elsewhere"})
    async with served(answer) as (port, asked):
        with pytest.raises(Refused):
            await ask(f"http://127.0.0.1:{port}", monkeypatch)
    assert asked == ["/ListStages"]


@pytest.mark.parametrize(
    "url", ["http://host:1/?token=hunter2", "http://me:hunter2@host", "host/x#hunter2", "ftp://host?hunter2"]
)
def test_no_secret_of_an_endpoint_is_shown(url: str) -> None:
    """What stands before an @ or after a ? or # is left out where the endpoint is refused."""
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL") as raised:
        check_endpoint(url, "AWS_ENDPOINT_URL")
    assert "hunter2" not in str(raised.value)
    assert "host" in str(raised.value)
