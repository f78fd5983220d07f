from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import boto3
import pytest

from exporter.emulator import Account, Emulator, Size
from tests.failures.command import Exports
from tests.failures.disks import own_disk
from tests.failures.keys import NEW, Hourglass
from tests.failures.middle import Middle
from tests.support.exports import options_of
from tests.support.lakes import DirectoryLake, S3Lake
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.failures.disks import Disk

BUCKET = "lakes"
_numbers = itertools.count(1)
KEYS = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}


@pytest.fixture
def hourglass() -> Hourglass:
    """The time of keys that expire."""
    return Hourglass()


@pytest.fixture
def middle() -> Middle:
    """Where a run can be held until something has changed."""
    return Middle()


@pytest.fixture
async def emulator(hourglass: Hourglass, middle: Middle) -> AsyncIterator[Emulator]:
    """Some 90 units of seven days, answered slowly enough that a run makes many checkpoints."""
    world = small_world(3, sessions=Size(3, 5, 8), participants=Size(4, 9, 20), events=Size(1, 20, 150))
    slow = "slow seconds=0.02 operation=ListParticipantEvents"
    options = options_of(world, accounts=(Account(ACCESS_KEY, SECRET_KEY), hourglass.old, NEW), faults=(slow,))
    async with Emulator(options, wall_s=hourglass.wall_s, sleep=middle.sleep) as emulator:
        yield emulator


@pytest.fixture
def exports(emulator: Emulator, middle: Middle, tmp_path: Path) -> Exports:
    """Runs into a fresh lake in a directory."""
    return Exports(emulator, middle, DirectoryLake(tmp_path / "lake"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with own_disk(folder) as disk:
        yield disk


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """An S3 that takes any keys, with the bucket."""
    with moto_s3() as endpoint:
        client = boto3.client("s3", "us-east-1", endpoint_url=endpoint, **KEYS)
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint


@pytest.fixture
def make_exports_to_s3(
    emulator: Emulator, middle: Middle, moto_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Exports]]:
    """Makes runs into a fresh lake of the bucket."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_endpoint)
    client = boto3.client("s3", "us-east-1", endpoint_url=moto_endpoint, **KEYS)

    def make() -> Exports:
        prefix = f"lake-{next(_numbers)}"
        return Exports(emulator, middle, S3Lake(moto_endpoint, prefix, tmp_path / prefix, client))

    yield make
    client.close()


@pytest.fixture
def exports_to_s3(make_exports_to_s3: Callable[[], Exports]) -> Exports:
    """Runs into a fresh lake of the bucket."""
    return make_exports_to_s3()
