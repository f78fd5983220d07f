from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aioboto3
import pytest
from botocore.exceptions import ClientError

from exporter.emulator import Account, Emulator, RoleOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ONE, TWO = "111122223333", "444455556666"
ACCOUNTS = (Account(account_id=ONE), Account("other", "other", TWO))
SECRET = "emulator"
ROLE = f"arn:aws:iam::{TWO}:role/ivs-export"
NAMES = {
    "AccessKeyId": "aws_access_key_id",
    "SecretAccessKey": "aws_secret_access_key",
    "SessionToken": "aws_session_token",
}


class Clock:
    """Real time, standing still until it is moved."""

    def __init__(self) -> None:
        self.now_s = float(int(time.time()))

    def wall_s(self) -> float:
        return self.now_s


@asynccontextmanager
async def sts_of(emulator: Emulator, secret: str = SECRET) -> AsyncIterator[Any]:
    session = aioboto3.Session("emulator", secret, region_name="eu-central-1")
    async with session.client("sts", endpoint_url=emulator.url) as sts:
        yield sts


async def assumed(emulator: Emulator, **params: Any) -> dict[str, Any]:
    async with sts_of(emulator) as sts:
        answer: dict[str, Any] = await sts.assume_role(**{"RoleArn": ROLE, "RoleSessionName": "test", **params})
    return answer


async def refused(emulator: Emulator, secret: str = SECRET, **params: Any) -> str:
    async with sts_of(emulator, secret) as sts:
        with pytest.raises(ClientError) as refusal:
            await sts.assume_role(**{"RoleArn": ROLE, "RoleSessionName": "test", **params})
    code: str = refusal.value.response["Error"]["Code"]
    return code


def keys_of(answer: dict[str, Any]) -> dict[str, str]:
    return {NAMES[name]: value for name, value in answer["Credentials"].items() if name in NAMES}


async def test_an_assumed_role_opens_its_account(client_of: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """An SDK reads the answer, and the keys in it show the stages of the account that the role's ARN names."""
    async with Emulator(options_of(accounts=ACCOUNTS)) as emulator:
        answer = await assumed(emulator)
        assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{TWO}:assumed-role/ivs-export/test"
        assert TWO in answer["Credentials"]["AccessKeyId"]
        async with client_of(emulator, **keys_of(answer)) as client:
            stages = (await client.list_stages())["stages"]
    assert {stage["arn"].split(":")[4] for stage in stages} == {TWO}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"RoleArn": ROLE.replace("ivs-export", "another")}, "AccessDenied"),
        ({"RoleArn": ROLE.replace(TWO, "777788889999")}, "AccessDenied"),
        ({"ExternalId": "wrong"}, "AccessDenied"),
        ({"RoleArn": "arn:aws:iam::1:role/ivs-export"}, "ValidationError"),
        ({"RoleArn": ROLE.replace("role", "user")}, "ValidationError"),
        ({"RoleSessionName": "a b"}, "ValidationError"),
        ({"ExternalId": "right", "DurationSeconds": 43_201}, "ValidationError"),
    ],
)
async def test_a_role_that_may_not_be_assumed(
    params: dict[str, Any], code: str, options_of: Callable[..., Any]
) -> None:
    """An unknown account, role or external id is denied, and what STS's model does not allow is invalid."""
    roles = RoleOptions(external_id="right")
    async with Emulator(options_of(accounts=ACCOUNTS, roles=roles)) as emulator:
        await assumed(emulator, ExternalId="right")
        assert await refused(emulator, **params) == code
        assert await refused(emulator) == "AccessDenied"


async def test_sts_checks_signatures_too(options_of: Callable[..., Any], ask: Callable[..., Any]) -> None:
    """A wrong secret is refused in STS's own words, and a signature for IVS is none for STS."""
    async with Emulator(options_of(accounts=ACCOUNTS)) as emulator:
        assert await refused(emulator, secret="wrong") == "SignatureDoesNotMatch"
        body = f"Action=AssumeRole&RoleArn={ROLE}&RoleSessionName=test".encode()
        status, _, answer = await ask(emulator).send(ask(emulator).sign("", body))
    assert status == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in answer


async def test_no_other_call_of_sts_is_emulated(options_of: Callable[..., Any]) -> None:
    """GetSessionToken, say, is refused by name."""
    async with Emulator(options_of()) as emulator, sts_of(emulator) as sts:
        with pytest.raises(ClientError, match="InvalidAction"):
            await sts.get_session_token()


async def test_whoever_asks_is_told_their_account(options_of: Callable[..., Any]) -> None:
    """The account of the keys, or of the role whose keys they are."""
    async with Emulator(options_of(accounts=ACCOUNTS)) as emulator:
        async with sts_of(emulator) as sts:
            assert (await sts.get_caller_identity())["Account"] == ONE
        assert emulator.calls.granted["GetCallerIdentity"] == 1


@pytest.mark.parametrize(
    ("roles", "params", "life_s"),
    [
        (RoleOptions(), {}, 3_600.0),
        (RoleOptions(), {"DurationSeconds": 900}, 900.0),
        (RoleOptions(life_s=2.5), {"DurationSeconds": 900}, 2.5),
    ],
)
async def test_keys_of_a_role_last_as_long_as_was_said(
    roles: RoleOptions, params: dict[str, Any], life_s: float, options_of: Callable[..., Any]
) -> None:
    """They last as long as was asked for, or as the emulator's own option says."""
    clock = Clock()
    async with Emulator(options_of(accounts=ACCOUNTS, roles=roles), wall_s=clock.wall_s) as emulator:
        answer = await assumed(emulator, **params)
    assert answer["Credentials"]["Expiration"].timestamp() == clock.now_s + life_s


async def test_keys_of_a_role_end(client_of: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """At the end of their life they are refused as expired."""
    clock = Clock()
    options = options_of(accounts=ACCOUNTS, roles=RoleOptions(life_s=10.0))
    async with Emulator(options, wall_s=clock.wall_s) as emulator:
        answer = await assumed(emulator)
        async with client_of(emulator, **keys_of(answer)) as client:
            clock.now_s += 9.0
            await client.list_stages()
            clock.now_s += 1.0
            with pytest.raises(ClientError, match="ExpiredTokenException"):
                await client.list_stages()


async def test_all_keys_can_be_made_to_expire(client_of: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Those issued so far are expired then, later ones are not; and a role can be closed to its callers."""
    async with Emulator(options_of(accounts=ACCOUNTS)) as emulator:
        old = keys_of(await assumed(emulator))
        emulator.roles.expire_all()
        new = keys_of(await assumed(emulator))
        emulator.roles.refused.add(TWO)
        assert await refused(emulator) == "AccessDenied"
        async with client_of(emulator, **old) as client:
            with pytest.raises(ClientError, match="ExpiredTokenException"):
                await client.list_stages()
        async with client_of(emulator, **new) as client:
            await client.list_stages()


@pytest.mark.parametrize("token", ["x", "AAAA", "é", "", "QQ=="])
async def test_a_forged_token_is_unknown(
    token: str, client_of: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """What this emulator did not give out opens nothing, and breaks nothing."""
    async with Emulator(options_of(accounts=ACCOUNTS)) as emulator:
        good = keys_of(await assumed(emulator))
        assert emulator.roles.read(token) is None
        other = good["aws_session_token"][:-8] + "AAAAAAA="
        for keys in ({**good, "aws_session_token": other}, {**good, "aws_access_key_id": "ASIA"}):
            async with client_of(emulator, **keys) as client:
                with pytest.raises(ClientError, match="UnrecognizedClientException"):
                    await client.list_stages()


def test_wrong_role_options_are_named() -> None:
    """A ValueError says which option is wrong, and no external id is shown."""
    with pytest.raises(ValueError, match="role 'a b'"):
        RoleOptions(name="a b")
    with pytest.raises(ValueError, match="more than 0 s"):
        RoleOptions(life_s=0.0)
    assert "hidden" not in repr(RoleOptions(external_id="hidden"))
