from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from exporter.doctor import stages
from exporter.doctor.doctor import open_doctor
from exporter.doctor.way import Patience
from exporter.emulator import Size
from exporter.machine.clock import system_clock
from exporter.settings import Settings
from tests.support.catalog_fixtures import lake, lakes, sql_lake, sql_lakes
from tests.support.exports import FAST, REGION
from tests.support.servers.moto_s3 import moto_s3
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from exporter.doctor.check import Check
    from exporter.emulator import Emulator, WorldOptions

#: Fixtures of another module are named here, so that they count as used.
__all__ = ["lake", "lakes", "sql_lake", "sql_lakes"]

BUCKET = "lakes"
IN_HASTE = Patience(answer_s=0.6)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def emulators_keys(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - comes first
    """The keys are the emulator's, and nothing stands on the way to it."""
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")


@pytest.fixture
def world() -> WorldOptions:
    """One stage, with sessions of some participants."""
    few = Size.fixed(2)
    return small_world(3, stages=1, sessions=few, participants=few, events=few)


class Patient:
    """A configuration that the doctor looks at, in this process and in haste."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lake: Path) -> None:
        self.monkeypatch = monkeypatch
        self.lake = str(lake)
        self.calls: dict[str, Any] = {}

    async def checks(self, emulator: Emulator | None = None, **settings: Any) -> dict[str, Check]:
        """Every check by its name. Each has one of the four outcomes, and a remedy where something is wrong."""
        if emulator is not None:
            self.monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", emulator.url)
            self.monkeypatch.setenv("AWS_ENDPOINT_URL_STS", emulator.url)
        chosen = Settings(**{"lake": self.lake, "regions": (REGION,), "quota": FAST, **settings})
        async with open_doctor(chosen, system_clock(), "tried", IN_HASTE) as doctor:
            checks = {check.name: check async for check in doctor.checks()}
            self.calls = doctor.calls
        assert_sound(checks)
        return checks


def assert_sound(checks: dict[str, Check]) -> None:
    """Each check says what it found, and what to do where something is wrong."""
    for check in checks.values():
        assert check.outcome in {"ok", "warning", "failed", "skipped"}
        assert check.detail
        assert bool(check.remedy) == (check.outcome in {"warning", "failed"}), check


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Patient:
    """It knows two regions, each of which takes a twentieth of a second to find."""
    monkeypatch.setattr(stages, "REGIONS", ("eu-west-1", "us-east-1"))
    return Patient(monkeypatch, tmp_path / "lake")


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """An S3 that takes any keys, with the bucket."""
    with moto_s3() as endpoint:
        client = boto3.client(
            "s3", REGION, endpoint_url=endpoint, aws_access_key_id="emulator", aws_secret_access_key="emulator"
        )
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint
