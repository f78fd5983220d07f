"""Whose the run's own credentials are, as STS tells; a hint that nothing may fail by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.aws.accounts import Accounts
from exporter.emulator import Account, Emulator
from exporter.settings import Settings
from tests.support.exports import ACCOUNT, REGION, options_of

if TYPE_CHECKING:
    from pathlib import Path


async def told(lake: Path, *, is_local: bool = True) -> str | None:
    async with Accounts(Settings(lake=str(lake), regions=(REGION,)), "run") as accounts:
        return await accounts.own_account(is_local=is_local)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")


@pytest.mark.parametrize(("access_key", "account"), [("emulator", ACCOUNT), ("another", None)])
async def test_sts_tells_the_account_or_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, access_key: str, account: str | None
) -> None:
    """A refusal is no failure."""
    async with Emulator(options_of(accounts=(Account(access_key),))) as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", emulator.url)
        assert await told(tmp_path) == account


@pytest.mark.parametrize("url", ["no endpoint", "http://user:a-password-of-some-length@127.0.0.1:1"])
async def test_a_wrong_endpoint_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """It may be a wrong one for other tools' sake; and its password is not repeated."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("exporter.aws.roles._CALLER_WAIT_S", 0.2)
    assert await told(tmp_path) is None
    assert "a-password" not in "".join(capsys.readouterr())


async def test_awss_own_sts_is_not_asked_for_an_emulators_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where IVS answers on this machine and STS does not, the two know nothing of each other."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_STS", raising=False)
    asked: list[str] = []

    async def ask(_: object, operation: str) -> dict[str, str]:
        asked.append(operation)
        return {"Account": ACCOUNT}

    monkeypatch.setattr("exporter.aws.roles.RoleSts._ask", ask)
    assert await told(tmp_path) is None
    assert asked == []
    assert await told(tmp_path, is_local=False) == ACCOUNT
