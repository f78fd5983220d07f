from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from exporter.emulator import Account, Emulator

if TYPE_CHECKING:
    from collections.abc import Callable

WITH_TOKEN = Account("AKIATEMPORARY", "hidden", "444455556666", session_token="FwoGZX//+==")


async def test_a_client_with_a_session_token_is_let_in(
    client_of: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """A signature of botocore's with a session token opens the account of that key."""
    keys = {
        "aws_access_key_id": "AKIATEMPORARY",
        "aws_secret_access_key": "hidden",
        "aws_session_token": "FwoGZX//+==",
    }
    async with (
        Emulator(options_of(accounts=(Account(), WITH_TOKEN))) as emulator,
        client_of(emulator, **keys) as client,
    ):
        stages = (await client.list_stages())["stages"]
    assert {stage["arn"].split(":")[4] for stage in stages} == {"444455556666"}


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        (("nobody", "hidden", None), "UnrecognizedClientException"),
        (("AKIATEMPORARY", "wrong", "FwoGZX//+=="), "InvalidSignatureException"),
        (("AKIATEMPORARY", "hidden", None), "UnrecognizedClientException"),
        (("AKIATEMPORARY", "hidden", "another"), "UnrecognizedClientException"),
        (("emulator", "emulator", "not needed"), "UnrecognizedClientException"),
    ],
)
async def test_wrong_keys_are_refused(
    client_of: Callable[..., Any],
    options_of: Callable[..., Any],
    keys: tuple[str, str, str | None],
    code: str,
) -> None:
    """An unknown key, a wrong secret, and a missing, wrong or needless token are refused with 403."""
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    own = dict(zip(names, keys, strict=True))
    options = options_of(accounts=(Account(), WITH_TOKEN))
    async with Emulator(options) as emulator, client_of(emulator, **own) as client:
        with pytest.raises(ClientError) as refusal:
            await client.list_stages()
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize(("skew_s", "status"), [(0.0, 200), (290.0, 200), (-290.0, 200), (310.0, 403), (-310.0, 403)])
async def test_clocks_may_differ_by_five_minutes(
    ask: Callable[..., Any], options_of: Callable[..., Any], skew_s: float, status: int
) -> None:
    """A signature counts for five minutes of real time to either side, whatever the simulated time is."""
    async with Emulator(options_of(), wall_s=lambda: time.time() + skew_s) as emulator:
        got, headers, _ = await ask(emulator).raw("ListStages")
    assert got == status
    assert headers.get("x-amzn-ErrorType") == (None if status == 200 else "InvalidSignatureException")


async def test_expired_keys_are_told_so(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Keys that were good answer ExpiredTokenException from the moment they expire."""
    real_s = [time.time()]
    account = Account(session_token="short", expires_s=real_s[0] + 60.0)
    async with Emulator(options_of(accounts=(account,)), wall_s=lambda: real_s[0]) as emulator:
        asker = ask(emulator)
        asker.keys = Credentials("emulator", "emulator", "short")
        assert (await asker.raw("ListStages"))[0] == 200
        real_s[0] += 61.0
        assert await asker.refusal("ListStages") == (403, "ExpiredTokenException")


async def test_regions_are_worlds_apart(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """The region of the signature chooses the world; one without stages is empty, what is none is refused."""
    async with Emulator(options_of(regions=("us-east-1", "eu-west-1"))) as emulator:
        asker, bodies = ask(emulator), {}
        for region in ("us-east-1", "eu-west-1", "ap-south-1", "mars"):
            status, _, body = await asker.send(asker.sign("ListStages", b"{}", region))
            bodies[region] = (status, body)
        other_service = await asker.send(asker.sign("ListStages", b"{}", service="s3"))
    assert b":us-east-1:" in bodies["us-east-1"][1]
    assert b":eu-west-1:" in bodies["eu-west-1"][1]
    assert bodies["ap-south-1"] == (200, b'{"stages":[]}')
    assert bodies["mars"][0] == 403
    assert other_service[1]["x-amzn-ErrorType"] == "InvalidSignatureException"


CHANGES: dict[str, Callable[[Any], None]] = {
    "the body": lambda request: setattr(request, "data", b'{"maxResults":1}'),
    "a signed header": lambda request: request.headers.replace_header(
        "X-Amz-Date", datetime.now(UTC).strftime("%Y%m%dT000000Z")
    ),
    "the signature": lambda request: request.headers.replace_header(
        "Authorization", request.headers["Authorization"][:-1] + "~"
    ),
    "the path": lambda request: setattr(request, "url", request.url.replace("ListStages", "ListStageSessions")),
    "the query": lambda request: setattr(request, "url", request.url + "?a=1"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_signed_must_not_change(
    ask: Callable[..., Any], options_of: Callable[..., Any], change: str
) -> None:
    """A request whose signed part was changed afterwards is refused."""
    async with Emulator(options_of()) as emulator:
        request = ask(emulator).sign("ListStages", b"{}")
        CHANGES[change](request)
        status, headers, _ = await ask(emulator).send(request)
    assert status == 403
    assert headers["x-amzn-ErrorType"] in ("InvalidSignatureException", "IncompleteSignatureException")


async def test_an_unsigned_call_is_refused(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Without an Authorization header there is no answer."""
    async with Emulator(options_of()) as emulator:
        request = ask(emulator).sign("ListStages", b"{}")
        del request.headers["Authorization"]
        _, headers, _ = await ask(emulator).send(request)
    assert headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"


async def test_botocore_signs_a_query_as_it_is_read_here(
    ask: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """Query parameters in any order and with odd letters are signed alike on both sides."""
    async with Emulator(options_of()) as emulator:
        status, _, _ = await ask(emulator).send(ask(emulator).sign("ListStages?b=%20x%2F&a=%C3%A9&a=1", b"{}"))
    assert status == 200


def test_no_secret_is_shown() -> None:
    """An account's repr holds neither its secret nor its session token."""
    assert "hidden" not in repr(WITH_TOKEN)
    assert "FwoGZX" not in repr(WITH_TOKEN)
