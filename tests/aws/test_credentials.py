"""The keys that calls are signed with: when botocore is asked for them, and when they are looked for anew."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aioboto3
import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError

from exporter.aws.credentials import Credentials, keys_of
from exporter.aws.errors import providing_credentials, text_for_logs
from exporter.errors import CredentialsLost, UsageError
from exporter.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

OLD, NEW = (ReadOnlyCredentials(name, "hidden", None) for name in ("OLD", "NEW"))


class Provided:
    """What botocore gives: the keys of this moment."""

    def __init__(self, keys: ReadOnlyCredentials) -> None:
        self.keys = keys
        self.asked = 0
        self.fails = False

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.asked += 1
        if self.fails:
            raise CredentialRetrievalError(provider="a role", error_msg="gone")
        return self.keys


class Sessions:
    """Sessions that find one provider after the other, at a clock that is set by hand."""

    def __init__(self, *provided: Any) -> None:
        self.now_s = 100.0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self._provided = iter(provided)
        self.credentials = Credentials(lambda: self, lambda: self.now_s)

    async def get_credentials(self) -> Provided | None:
        if self.meanwhile is not None:
            await self.meanwhile()
        return next(self._provided, None)


async def test_keys_are_asked_for_once_a_second() -> None:
    """Many calls a second are signed with what was asked for once, and a renewed key is found soon."""
    provided = Provided(OLD)
    sessions = Sessions(provided)
    assert [await sessions.credentials.keys() for _ in range(5)] == [OLD] * 5
    provided.keys = NEW
    sessions.now_s += 0.9
    assert await sessions.credentials.keys() == OLD
    assert provided.asked == 1
    sessions.now_s += 0.2
    assert await sessions.credentials.keys() == NEW
    assert provided.asked == 2


async def test_expired_keys_are_kept_no_longer() -> None:
    """Where the service says that keys have expired, others are looked for at once."""
    sessions = Sessions(Provided(OLD), Provided(NEW))
    assert await sessions.credentials.keys() == OLD
    assert await sessions.credentials.renew(OLD)
    assert await sessions.credentials.keys() == NEW
    assert await sessions.credentials.renew(OLD)  # another call's answer comes late: there are new ones already
    assert await sessions.credentials.keys() == NEW


async def test_what_others_are_given_meanwhile_is_not_kept() -> None:
    """A call that begins while new keys are looked for is given the old ones, and nobody is after that."""
    sessions = Sessions(Provided(OLD), Provided(NEW))
    assert await sessions.credentials.keys() == OLD
    sessions.now_s += 1.0
    sessions.meanwhile = sessions.credentials.keys
    assert await sessions.credentials.renew(OLD)
    assert await sessions.credentials.keys() == NEW


async def test_all_who_find_expired_keys_learn_that_there_are_no_others() -> None:
    """Where no provider has keys any more, the first who looks for others lets nobody wait for ever."""
    sessions = Sessions(Provided(OLD))
    await sessions.credentials.keys()
    async with asyncio.timeout(1.0):
        found = await asyncio.gather(*(sessions.credentials.renew(OLD) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in found] == [CredentialsLost] * 3


async def test_a_provider_that_fails_is_no_key() -> None:
    """What can't be had any more is not taken from memory for ever."""
    provided = Provided(OLD)
    sessions = Sessions(provided)
    await sessions.credentials.keys()
    provided.fails = True
    sessions.now_s += 1.0
    with pytest.raises(CredentialsLost, match="gone"):
        await sessions.credentials.keys()


class Role:
    """A role whose keys live so many seconds, as botocore's providers hold one, at a clock that is set by hand."""

    def __init__(self, life_s: float) -> None:
        self.life_s = life_s
        self.now = datetime(2026, 11, 23, tzinfo=UTC)
        self.assumed = 0
        self.refused = 0
        self.fails = False

    def load(self) -> AioRefreshableCredentials:
        provided = AioRefreshableCredentials.create_from_metadata(self._metadata(), self._assume, "assume-role")
        provided._time_fetcher = lambda: self.now  # noqa: SLF001 - there is no other way to set botocore's clock
        return provided

    async def _assume(self) -> dict[str, str]:
        if self.fails:
            self.refused += 1
            raise CredentialRetrievalError(provider="assume-role", error_msg="STS is away")
        return self._metadata()

    def _metadata(self) -> dict[str, str]:
        self.assumed += 1
        ends = self.now + timedelta(seconds=self.life_s)
        return {
            "access_key": f"KEY{self.assumed}",
            "secret_key": "hidden",
            "token": "t",
            "expiry_time": ends.isoformat(),
        }


@pytest.mark.parametrize(("life_s", "most"), [(900.0, 6), (60.0, 81), (3_600.0, 2), (43_200.0, 1)])
async def test_a_role_is_assumed_at_a_share_of_its_keys_life(life_s: float, most: int) -> None:
    """A profile's role whose keys live a quarter of an hour is not assumed each second, nor are expired keys used."""
    role = Role(life_s)
    provided, seconds = role.load(), 3_600
    for _ in range(seconds):
        keys = await keys_of(provided)
        assert keys.access_key == f"KEY{role.assumed}"
        assert provided._seconds_remaining() > 0  # noqa: SLF001 - what botocore itself goes by
        role.now += timedelta(seconds=1)
    assert role.assumed <= most


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_role_that_can_not_be_renewed_serves_as_long_as_it_may() -> None:
    """Where STS is away while keys may be renewed, the old ones are used on; when they must be, that is an error."""
    role = Role(900.0)
    provided = role.load()
    await keys_of(provided)
    role.fails = True
    role.now += timedelta(seconds=700)
    assert (await keys_of(provided)).access_key == "KEY1"
    role.now += timedelta(seconds=150)
    with pytest.raises(CredentialsLost, match="STS is away"):
        await keys_of(provided)


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_a_provider_that_is_away_is_not_asked_each_second() -> None:
    """While the old keys still serve, some seconds pass between two looks for new ones."""
    role = Role(900.0)
    sessions = Sessions(role.load())
    await sessions.credentials.keys()
    role.fails = True
    role.now += timedelta(seconds=680)
    for _ in range(100):
        sessions.now_s += 1.0
        role.now += timedelta(seconds=1)
        assert (await sessions.credentials.keys()).access_key == "KEY1"
    assert 5 <= role.refused <= 15
    role.fails = False
    sessions.now_s += 16.0
    assert (await sessions.credentials.keys()).access_key == "KEY2"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("AccessKeyId"), "KeyError: 'AccessKeyId'"),
        (FileNotFoundError(2, "No such file or directory", "/var/token"), "/var/token: No such file or directory"),
        (EOFError(), "something was to be typed, such as the code of an MFA device, and nobody is there to type it"),
        (TypeError("can't subtract\noffset-naive"), "TypeError: can't subtract offset-naive"),
        (RuntimeError(), "RuntimeError"),
        (ValueError("http://user:hush@host"), "ValueError: http://***@host"),
        (TimeoutError(), "TimeoutError"),
    ],
)
async def test_whatever_a_provider_raises_is_its_own_fault(error: Exception, said: str) -> None:
    """Its class is nobody's business: it is a matter of credentials, with the provider's words in one line."""

    class Failing:
        async def get_frozen_credentials(self) -> ReadOnlyCredentials:
            raise error

    with pytest.raises(CredentialsLost) as caught:
        await Sessions(Failing()).credentials.keys()
    assert str(caught.value) == f"no AWS credentials can be used: {said}"


async def test_a_bug_of_ours_is_not_a_providers() -> None:
    """What is raised outside of the fence passes, as does what ends a task."""
    with pytest.raises(asyncio.CancelledError), providing_credentials():
        raise asyncio.CancelledError
    with pytest.raises(UsageError), providing_credentials():
        raise UsageError("ours")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("{SECRET}", "it prints no JSON"),
        ('{"Version": "SECRET"}', "it prints no Version, or another than the number 1"),
    ],
)
async def test_a_program_that_breaks_in_mid_run_is_named_without_what_it_prints(
    printed: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the error nor what botocore logs by itself repeats it."""
    file, stream = tmp_path / "printed", io.StringIO()
    ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    given = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "x", "Expiration": ends}
    file.write_text(json.dumps(given))
    (tmp_path / "config").write_text(f"[profile nightly]\ncredential_process = cat {file}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "nightly")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    logs.configure("info", stream, text_of=text_for_logs)
    provided = await aioboto3.Session().get_credentials()
    await keys_of(provided)
    secret = "hUsh0hush1"
    file.write_text(printed.replace("SECRET", secret))
    provided._expiry_time = datetime.now(UTC)  # noqa: SLF001 - the keys' end, brought nearer
    with pytest.raises(CredentialsLost) as caught:
        await keys_of(provided)
    told = f"credential_process of the profile 'nightly': {said}"
    assert str(caught.value).startswith(f"no AWS credentials can be used: {told}")
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["exception"].startswith(told)
    assert secret not in str(caught.value) + line
