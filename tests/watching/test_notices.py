"""Notices to a webhook and a topic: what they say, what they never say, and that none of them can hold up a run."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from exporter.cli.app import main
from exporter.errors import LakeRefused
from exporter.pipeline.stop import StopRequested
from exporter.settings import Settings
from exporter.watching import notices
from exporter.watching.notice import FAILURES_MAX, body_of, is_due, notice_of, subject_of
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.raw import raw_server
from tests.support.summaries import a_partial_run, summary_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from exporter.discovery.request import Request
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop

SECRET = "T0-secret-part"
NOTICE = notice_of(summary_of(a_partial_run(), 3))
SNS_LIMIT_BYTES = 256 << 10


def answering(head: str) -> Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    return answer


async def hangs(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(600)
    writer.close()


async def drips(_: bytes, writer: asyncio.StreamWriter) -> None:
    """So slowly that no single read takes long."""
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.005)


async def closes(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def talks_nonsense(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{SECRET} is no HTTP\r\n\r\n".encode())
    await writer.drain()


@asynccontextmanager
async def nothing_listens() -> AsyncIterator[str]:
    async with raw_server(closes) as address:
        pass
    yield address


def to_webhook(address: str) -> Settings:
    return Settings.model_validate({"notify": {"webhook": f"http://user:{SECRET}@{address}/{SECRET}?key={SECRET}"}})


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why notices were not sent; nothing that was logged by anybody has the secret."""
    for record in caplog.records:
        assert SECRET not in f"{record.getMessage()} {vars(record)}"
    return [record.event_fields["reason"] for record in caplog.records if hasattr(record, "event_fields")]


@pytest.mark.parametrize("head", ["200 OK", "202 Accepted", "204 No Content"])
async def test_a_webhook_gets_one_object(head: str, caplog: pytest.LogCaptureFixture) -> None:
    """POSTed as JSON, once; any status of success will do."""
    got: list[bytes] = []

    async def take(request: bytes, writer: asyncio.StreamWriter) -> None:
        got.append(request)
        await answering(head)(request, writer)

    async with raw_server(take) as address:
        await notices.send(to_webhook(address), NOTICE)
    [request] = got
    assert request.startswith(f"POST /{SECRET}?key={SECRET} HTTP/1.1".encode())
    assert b"Content-Type: application/json" in request
    assert f"Content-Length: {len(body_of(NOTICE))}".encode() in request
    assert reasons(caplog) == []


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (raw_server(answering("500 Oops")), "status 500"),
        (raw_server(answering("404 Not Found")), "status 404"),
        (raw_server(hangs), "no answer in 0.3 s"),
        (raw_server(drips), "no answer in 0.3 s"),
        (raw_server(closes), "the connection was closed before an answer"),
        (raw_server(talks_nonsense), "ClientResponseError"),
        (nothing_listens(), "connection refused: nothing listens"),
    ],
    ids=["oops", "not-found", "hangs", "drips", "closes", "nonsense", "refused"],
)
async def test_a_webhook_that_does_not_take_it_is_a_warning(
    server: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it does, the notice is given up in its time, and the reason has nothing of the URL but its host."""
    caplog.set_level(logging.DEBUG)
    async with server as address:
        # A busy machine answers late: only who never answers is waited for to the end.
        await notices.send(to_webhook(address), NOTICE, 0.3 if reason.startswith("no answer") else 60)
    assert reasons(caplog) == [reason]


async def test_a_redirect_is_not_followed(caplog: pytest.LogCaptureFixture) -> None:
    """What is said of a run goes to the host that its user named, and to no other."""
    got: list[bytes] = []

    async def elsewhere(request: bytes, writer: asyncio.StreamWriter) -> None:
        got.append(request)
        await answering("200 OK")(request, writer)

    async with (
        raw_server(elsewhere) as other,
        raw_server(answering(f"307 Temporary Redirect\r\nLocation: http://{other}/")) as address,
    ):
        await notices.send(to_webhook(address), NOTICE)
    assert got == []
    assert reasons(caplog) == ["status 307: it redirects elsewhere, which is not followed"]


@pytest.fixture(scope="module")
def sns() -> Iterator[str]:
    with moto_s3() as endpoint:
        yield endpoint


@pytest.fixture
def topic(sns: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A topic in moto, to which the run's own credentials lead."""
    for name, value in {
        "AWS_ENDPOINT_URL_SNS": sns,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    arn: str = boto3.client("sns", region_name="eu-central-1").create_topic(Name="nights")["TopicArn"]
    return arn


def published(topic_arn: str) -> list[tuple[str | None, str]]:
    """Subject and message of all that moto's topic was sent."""
    from moto.sns.models import sns_backends  # noqa: PLC0415 - slow to import

    [backend] = [backend for backend in sns_backends["123456789012"].values() if topic_arn in backend.topics]
    return [(subject, message) for _, message, subject, *_ in backend.topics[topic_arn].sent_notifications]


async def test_a_topic_gets_the_same_object(topic: str, caplog: pytest.LogCaptureFixture) -> None:
    """In the topic's own region, whatever the run's is, with a subject for e-mails; a topic that is not there warns."""
    for arn in (topic, topic.replace("nights", "missing")):
        await notices.send(Settings.model_validate({"notify": {"sns_topic_arn": arn}}), NOTICE)
    [(subject, message)] = published(topic)
    assert subject == "ivs-export: partial (exit code 3)"
    assert json.loads(message) == NOTICE
    [reason] = reasons(caplog)
    assert "NotFound" in reason


async def test_no_credentials_for_a_topic_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """As all that can go wrong with a notice."""
    arn = "arn:aws:sns:eu-west-1:123456789012:nights"
    await notices.send(Settings.model_validate({"notify": {"sns_topic_arn": arn}}), NOTICE)
    [reason] = reasons(caplog)
    assert "credentials" in reason


def test_a_notice_has_the_head_and_the_failures() -> None:
    """What somebody needs at night: how it ended, how much is missing, and why; the scopes stand in the log."""
    assert NOTICE["text"] == (
        "ivs-export: partial (exit code 3), lake ./lake: 10 units, 1 failed, 0 deferred; 1,234 events written;"
        " refused: 1"
    )
    assert NOTICE["units"]["failed"] == 1
    [failure] = [failure for failure in NOTICE["failures"] if failure["error"] != "deferred"]
    assert failure["unit"].endswith("/st-1/p-1")
    assert "scopes" not in NOTICE
    assert len(subject_of(NOTICE)) < 100


def test_the_largest_notice_fits_into_a_message() -> None:
    """However many failures there are, and however long their texts, in letters that JSON writes in six bytes."""
    failure = {"error": "refused", "message": "\u2028" * 2_000, "count": 1, "units": [], "unit": "\u2028" * 4_000}
    summary = {**summary_of(a_partial_run(), 3), "failures": [failure] * 101, "tag": "\u2028" * 200}
    notice = notice_of(summary)
    assert len(body_of(notice)) < SNS_LIMIT_BYTES
    assert notice["failures_left_out"] == 101 - FAILURES_MAX


@pytest.mark.parametrize(("on", "code", "is_so"), [("problem", 0, False), ("problem", 143, True), ("always", 0, True)])
def test_when_a_notice_is_due(on: str, code: int, is_so: bool) -> None:
    """A problem is any exit code but 0, also that of a run that was stopped."""
    assert is_due(on, code) is is_so


@pytest.mark.parametrize(
    ("error", "on", "sent"),
    [(None, "problem", 0), (None, "always", 1), (LakeRefused("denied"), "problem", 1), (OSError("bug"), "problem", 1)],
)
def test_a_run_tells_of_its_end(
    error: Exception | None,
    on: str,
    *,
    sent: int,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the settings, with what the summary says; a webhook that is away changes neither code nor summary."""
    before = len(published(topic))
    monkeypatch.setenv("IVS_EXPORT_NOTIFY__WEBHOOK", f"http://127.0.0.1:9/{SECRET}")
    typed = ("--notify-on", on, "--sns-topic-arn", topic, "--log-level", "debug")

    async def export(_settings: Settings, _request: Request, ledger: RunLedger, _stop: Stop) -> None:
        ledger.scopes = []
        if error is not None:
            raise error

    code = main(["run", "--region", "eu-west-1", "--json", *typed], export)
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert code == summary["exit_code"] == (0 if error is None else 1)
    messages = [json.loads(message) for _, message in published(topic)[before:]]
    assert [message["run_id"] for message in messages] == [summary["run_id"]] * sent
    assert ("a notice was not sent" in captured.err) == bool(sent)
    assert SECRET not in captured.err + captured.out


def test_a_run_that_is_stopped_tells_of_it(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The signal stands in the notice, which is sent before the ten seconds are over that the run has."""

    async def export(_settings: Settings, _request: Request, ledger: RunLedger, stop: Stop) -> None:
        ledger.scopes = []
        os.kill(os.getpid(), signal.SIGTERM)
        with suppress(StopRequested):
            await stop.cut(asyncio.sleep(60))

    assert main(["run", "--region", "eu-west-1", "--json", "--sns-topic-arn", topic], export) == 143
    summary = json.loads(capsys.readouterr().out)
    told = json.loads(published(topic)[-1][1])
    assert (told["run_id"], told["stopped_by"], told["exit_code"]) == (summary["run_id"], "SIGTERM", 143)
