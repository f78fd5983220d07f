"""What is sent is what botocore would send: endpoint, body and signature. A new botocore may change any of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import aioboto3
import pytest
from aiobotocore.session import AioSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from exporter.aws.credentials import Credentials
from exporter.ivs.client import Client
from exporter.ivs.endpoints import find_endpoint
from exporter.ivs.http import Answer
from exporter.ivs.operations import Operation
from exporter.ivs.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED_AT = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
PARAMS = {
    "stageArn": "arn:aws:ivs:us-east-1:111122223333:stage/AbCdEfGhIjKl",
    "sessionId": "st-1234567890abc",
    "participantId": "abc",
    "maxResults": 100,
    "nextToken": "a+/=",
}
MEMBERS = {
    Operation.LIST_STAGES: ("maxResults", "nextToken"),
    Operation.LIST_STAGE_SESSIONS: ("stageArn", "maxResults", "nextToken"),
    Operation.LIST_PARTICIPANTS: ("stageArn", "sessionId", "maxResults", "nextToken"),
    Operation.LIST_PARTICIPANT_EVENTS: tuple(PARAMS),
    Operation.GET_PARTICIPANT: ("stageArn", "sessionId", "participantId"),
}

# Of a header: botocore takes spaces at a text's ends away, and aiohttp sends no line break.
_secret_texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
_paths = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_characters="/?#%\\"), min_size=1)
)


@pytest.fixture(autouse=True)
def _moment() -> Iterator[None]:
    with patch("botocore.auth.get_current_datetime", lambda **_: ASKED_AT):
        yield


@given(
    _secret_texts,
    _secret_texts,
    st.none() | _secret_texts,
    st.sampled_from(["https://ivs.example", "http://127.0.0.1:8080", "https://EU.ivs.example:443", "http://[::1]:80"]),
    _paths.filter(lambda parts: not {".", ".."} & set(parts)),
    st.binary(max_size=300),
)
def test_signatures_are_botocores(  # noqa: PLR0917 - hypothesis passes what it drew in order
    access_key: str, secret_key: str, token: str | None, host: str, parts: list[str], body: bytes
) -> None:
    """Keys with and without a session token, any host, port, path and body: botocore signs them alike."""
    keys = ReadOnlyCredentials(access_key, secret_key, token)
    url = "/".join([host, *parts, "ListStages"])
    theirs = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
    with patch("botocore.auth.get_current_datetime", lambda **_: ASKED_AT):
        SigV4Auth(keys, "ivs", "eu-west-1").add_auth(theirs)
    ours = Signer("ivs", "eu-west-1").headers(url, body, keys, "20261124T143000Z")
    assert {name: ours[name] for name in theirs.headers} == dict(theirs.headers)


def test_a_key_is_derived_anew_when_what_it_stands_for_changes() -> None:
    """One signer signs for other credentials and on other days as a new one does."""
    signer = Signer("ivs", "us-east-1")
    cases = [(secret, f"202611{day}T000000Z") for secret in ("one", "two") for day in (23, 24)]
    for secret, at in [*cases, *cases]:
        keys = ReadOnlyCredentials("AKIA", secret, None)
        fresh = Signer("ivs", "us-east-1").headers("https://ivs.example/x", b"{}", keys, at)
        assert signer.headers("https://ivs.example/x", b"{}", keys, at) == fresh
    assert "two" not in repr(signer)


class _Sent(Exception):
    pass


async def _sent_by_botocore(region: str, operation: Operation, params: dict[str, Any]) -> Any:
    """The request that botocore itself would send."""
    requests: list[Any] = []

    def take(request: Any, **_: object) -> None:
        requests.append(request)
        raise _Sent

    async with aioboto3.Session().client("ivs-realtime", region_name=region) as client:
        client.meta.events.register("before-send.ivs-realtime.*", take)
        method = {name: each for each, name in client.meta.method_to_api_mapping.items()}[operation]
        with pytest.raises(_Sent):
            await getattr(client, method)(**params)
    return requests[0]


class _Connections:
    """Stands for a pool of connections, and keeps what was to be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []

    async def post(self, what: str, url: str, body: bytes, headers: dict[str, str], _proxy: str | None) -> Answer:
        self.sent.append((url, body, headers))
        operation = Operation(what)
        return Answer(
            200, {}, b'{"%b":%b}' % (operation.member.encode(), b"[]" if operation.opening == b"[" else b"{}")
        )


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"AWS_SESSION_TOKEN": "FwoGZX//+=="},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:8080/"},
        {"AWS_ENDPOINT_URL_IVS_REALTIME": "https://proxy.example:443/ivs"},
    ],
    ids=str,
)
async def test_requests_are_botocores(
    monkeypatch: pytest.MonkeyPatch, operation: Operation, settings: dict[str, str]
) -> None:
    """Wherever the settings send a call to, URL, body and signature are those that botocore would send."""
    environment = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hidden"} | settings
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    params = {name: PARAMS[name] for name in MEMBERS[operation]}
    theirs = await _sent_by_botocore("eu-west-1", operation, params)
    connections: Any = _Connections()
    now_us = int(ASKED_AT.timestamp()) * 1_000_000
    endpoint = await find_endpoint(AioSession(), "eu-west-1")
    client = Client(Credentials(AioSession, lambda: 0.0), endpoint, connections, lambda: now_us)
    await client.ask(operation, params)
    ((url, body, headers),) = connections.sent
    assert (url, json.loads(body)) == (theirs.url, json.loads(theirs.body))
    keys = ReadOnlyCredentials("AKIAEXAMPLE", "hidden", settings.get("AWS_SESSION_TOKEN"))
    ours = Signer("ivs", "eu-west-1").headers(url, theirs.body, keys, "20261124T143000Z")
    assert ours["Authorization"] == theirs.headers["Authorization"].decode()
    assert headers == Signer("ivs", "eu-west-1").headers(url, body, keys, "20261124T143000Z")
