"""How a call reaches the service: certificates, proxies and redirects, as every AWS tool has them."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aioboto3
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporter.api.client import Client
from exporter.api.connections import open_connections, proxy_for
from exporter.api.credentials import Credentials
from exporter.api.endpoints import find_endpoint
from exporter.api.operations import Operation
from exporter.errors import Refused, Unreachable, UsageError
from exporter.settings import HttpSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.api.answers import Page

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A key and a certificate of 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "bundle.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


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
        found = await find_endpoint(aioboto3.Session(), "us-east-1")
        client = Client(Credentials(aioboto3.Session, lambda: 0.0), found, connections, lambda: 0)
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


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS_CA_BUNDLE that is missing or holds none is named before anything is asked."""
    path = tmp_path / "missing.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
    with pytest.raises(UsageError, match=r"missing\.pem"):
        open_connections(HttpSettings())


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


async def test_no_redirect_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that points elsewhere is a refusal: nobody else is sent a signed request."""
    answer: Any = web.Response(status=302, headers={"Location": "/elsewhere"})
    async with served(answer) as (port, asked):
        with pytest.raises(Refused):
            await ask(f"http://127.0.0.1:{port}", monkeypatch)
    assert asked == ["/ListStages"]
