"""What doctor says of those who watch a run: warnings alone, and no notice is ever sent."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from exporter.doctor import watching
from exporter.doctor.check import Check, Examination, examined
from exporter.settings import Settings
from tests.doctor.conftest import assert_sound
from tests.support.servers.answering import Answering
from tests.support.servers.raw import raw_server

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "T0-secret-part"
TOPIC = "arn:aws:sns:us-east-1:111122223333:nights"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Answering]:
    server = Answering(tmp_path)
    yield server
    server.close()


async def checks_of(**settings: Any) -> dict[str, Check]:
    async def well() -> Check:
        return Check("credentials", "ok", "well")

    chosen = Settings.model_validate(settings)
    given = [Examination("credentials", well), *watching.examinations(chosen)]
    checks = {check.name: check async for check in examined(given)}
    del checks["credentials"]
    assert_sound(checks)
    assert not any(SECRET in check.detail + check.remedy for check in checks.values())
    return checks


async def webhook(url: str) -> Check:
    [check] = (await checks_of(notify={"webhook": SecretStr(url)})).values()
    return check


async def test_nothing_is_asked_where_nothing_is_configured() -> None:
    assert not await checks_of()


async def test_a_webhook_is_connected_to_and_gets_nothing(
    server: Answering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate is looked at, and its host is named without the path, which may be a secret."""
    got: list[bytes] = []

    async def take(reader_head: bytes, _writer: asyncio.StreamWriter) -> None:
        got.append(reader_head)

    async with raw_server(take) as host:
        plain = await webhook(f"http://{host}/{SECRET}")
    assert (plain.outcome, plain.detail) == ("ok", f"{host} can be reached; nothing was sent")
    assert not any(got)
    distrusted = await webhook(f"https://{server.tls_host}/{SECRET}")
    assert distrusted.outcome == "warning"
    assert "its certificate is not trusted" in distrusted.detail
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    assert (await webhook(f"https://{server.tls_host}/{SECRET}")).outcome == "ok"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"https://webhook.invalid/{SECRET}", "its name does not resolve"),
        (f"http://127.0.0.1:1/{SECRET}", "connection refused"),
        ("https://{plain}/", "what listens there speaks no TLS"),
    ],
)
async def test_a_webhook_that_cannot_be_reached(server: Answering, url: str, reason: str) -> None:
    check = await webhook(url.format(plain=server.host))
    assert check.outcome == "warning"
    assert reason in check.detail


async def test_a_webhook_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is asked to lead there; one that refuses is named, and its password is not."""
    asked: list[bytes] = []

    async def lead(status: bytes, head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(head)
        writer.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
        await writer.drain()

    async with raw_server(partial(lead, b"407 Proxy Authentication Required")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@{proxy}")
        check = await webhook(f"https://hooks.example.com/{SECRET}")
    assert f"the proxy {proxy} refuses, with status 407" in check.detail
    assert asked[0].startswith(b"CONNECT hooks.example.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " in asked[0]
    assert SECRET.encode() not in asked[0]


async def test_a_topic_is_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it may be published on shows with the first notice."""

    async def take(_head: bytes, _writer: asyncio.StreamWriter) -> None:
        pass

    async with raw_server(take) as host:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://{host}")
        [there] = (await checks_of(notify={"sns_topic_arn": TOPIC})).values()
    [away] = (await checks_of(notify={"sns_topic_arn": TOPIC})).values()
    assert (there.outcome, away.outcome) == ("skipped", "warning")
    assert "shows with the first notice" in there.detail
    assert f"{host} can't be reached: connection refused" in away.detail


async def test_the_metrics_file(tmp_path: Path) -> None:
    """Its folder is written to, and nothing is left; what is there stays as it is."""
    (tmp_path / "old.prom").write_text("old")

    async def found(name: str) -> tuple[str, str]:
        [check] = (await checks_of(telemetry={"metrics_file": str(tmp_path / name)})).values()
        return check.outcome, check.detail.rpartition(": ")[2]

    assert (await found("new.prom"))[0] == (await found("old.prom"))[0] == "ok"
    assert await found("no/such/folder.prom") == ("warning", "No such file or directory")
    (tmp_path / "folder.prom").mkdir()
    assert await found("folder.prom") == ("warning", "it is no ordinary file")
    assert not [name for name in os.listdir(tmp_path) if name not in {"folder.prom", "old.prom"}]  # noqa: PTH208
    assert (tmp_path / "old.prom").read_text() == "old"
