"""Whatever providers, environments, files and answers look like, one line says what is wrong: never "a bug"."""

from __future__ import annotations

import os
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from aiobotocore.utils import AioContainerMetadataFetcher
from aiohttp import web
from botocore.credentials import ReadOnlyCredentials, SSOProvider
from botocore.tokens import SSOTokenProvider

from exporter.aws.accounts import Accounts
from exporter.aws.credentials import Credentials
from exporter.errors import ExportError
from exporter.ivs.client import Client
from exporter.ivs.endpoints import Endpoint, find_endpoint
from exporter.ivs.http import Connections, open_connections
from exporter.ivs.operations import Operation
from exporter.settings import HttpSettings, Settings
from tests.failures.malformed import ANSWERS, FOLDER, GARBAGE, SECRET, SERVER, STARTS, Answered, Case
from tests.support.servers.raw import raw_server

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_DENIED = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
_STS = "<a><b><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>{}</Credentials></b></a>"
_LINE_LENGTH_MAX = 900
#: Each takes some 30 ms, which botocore needs to read its own files.
_QUICK_EVERY = 8


def answer_to(path: str) -> web.Response:
    """What the garbage server says: the last part of a path names it."""
    name = unquote(path.rstrip("/").rpartition("/")[2])
    if "denied" in path:
        return web.Response(status=403, text=_DENIED)
    if name == "page":
        return web.Response(text=GARBAGE["a page"])
    if name == "sts-half":
        return web.Response(text=_STS.format(SECRET, "")[:90])
    if name == "sts-endless":
        return web.Response(text=_STS.format(SECRET, "<SessionToken>x</SessionToken>"))
    if "/imds/" in unquote(path):
        wanted = unquote(path).partition("/imds/")[2].partition("/")[0]
        return web.Response(text="a-role" if path.endswith("security-credentials/") else GARBAGE[wanted])
    return web.Response(text=GARBAGE.get(name, ""))


@asynccontextmanager
async def serving_garbage() -> AsyncIterator[str]:
    """A server that answers as `answer_to` says, by its address."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return answer_to(request.raw_path)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
def arrange(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Case, str], None]:
    """Makes the files and the environment of a case."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.upper().endswith("_PROXY") or name == "REQUESTS_CA_BUNDLE":
            monkeypatch.delenv(name)
    monkeypatch.setattr(AioContainerMetadataFetcher, "SLEEP_TIME", 0)
    for provider in (SSOProvider, SSOTokenProvider):
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))

    def place(text: str, server: str = "") -> str:
        return text.replace(FOLDER, str(tmp_path)).replace(SERVER, server)

    def arrange(case: Case, server: str) -> None:
        for name, text in {"config": case.config, "credentials": case.credentials, **case.files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else place(text).encode())
        settings = {
            "AWS_CONFIG_FILE": str(tmp_path / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            **case.environment,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, place(value, server))

    return arrange


def assert_told(error: ExportError, kinds: tuple[str, ...], said: str) -> None:
    """The error is of the right kind, and its one line holds no secret and blames nobody wrongly."""
    message = str(error)
    assert error.kind in kinds, message
    assert said in message, message
    assert message.isprintable(), message
    assert SECRET[:16] not in message, message
    assert "bug" not in message, message
    assert len(message) < _LINE_LENGTH_MAX


async def begin() -> None:
    """A run's beginning, up to where it would ask IVS."""
    settings = Settings(regions=("us-east-1",))
    accounts = Accounts(settings, "a-run")
    session = accounts.own_sessions()()
    async with accounts, open_connections(settings.http):
        await find_endpoint(session, "us-east-1")
        await Credentials(await accounts.for_scope(None), lambda: 0.0).keys()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=() if number % _QUICK_EVERY == 0 else pytest.mark.slow)
        for number, case in enumerate(STARTS)
    ],
)
async def test_what_a_run_begins_with(case: Case, arrange: Callable[[Case, str], None], tmp_path: Path) -> None:
    """Credentials and settings that can't be used end the run before anything is asked."""
    async with serving_garbage() as server:
        arrange(case, server)
        with pytest.raises(ExportError) as caught:
            await begin()
    assert_told(caught.value, (case.kind,), case.said.replace(FOLDER, str(tmp_path)))


class _Keys:
    """Credentials that are there."""

    async def keys(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials("AKIAEXAMPLE", SECRET, None)

    async def renew(self, _expired: object) -> bool:
        return False


@pytest.mark.parametrize("answered", ANSWERS, ids=lambda answered: answered.name)
async def test_what_is_answered(answered: Answered) -> None:
    """An answer that is no page is an error of its kind, in one line."""
    keys: Any = _Keys()
    no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def say(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answered.raw)

    async with raw_server(say) as server, Connections(HttpSettings(), lambda: no_certificates) as connections:
        endpoint = Endpoint({Operation.LIST_STAGES: f"http://{server}/ListStages"}, None, "ivs", "us-east-1")
        client = Client(keys, endpoint, connections, lambda: 1_800_000_000_000_000)
        with pytest.raises(ExportError) as caught:
            await client.ask(Operation.LIST_STAGES, {})
    assert_told(caught.value, answered.kinds, answered.said)


def test_there_are_enough_kinds() -> None:
    """The table is as long as it is said to be, and no case stands in it twice."""
    names = [case.name for case in STARTS], [answered.name for answered in ANSWERS]
    assert [len(set(each)) for each in names] == [len(each) for each in names]
    assert sum(map(len, names)) > 300
