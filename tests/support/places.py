"""Places for a lake that a test has made in a folder: the folder itself, and a real S3. A plugin of the root's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, seaweedfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    #: Makes a lake of what lies in a folder, and gives its address.
    Place = Callable[[Path], str]

BUCKET = "lakes"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SeaweedFS with a bucket."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        _client(endpoint).create_bucket(Bucket=BUCKET)
        yield endpoint


#: Marks of a test on that S3: all of them share its one server.
ON_S3 = (pytest.mark.slow, pytest.mark.xdist_group("seaweedfs-lakes"))


@pytest.fixture
def place_on_s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Copies a folder to S3, and leaves the credentials in the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return lambda folder: _uploaded(s3_endpoint, folder)


@pytest.fixture(params=["directory", pytest.param("s3", marks=ON_S3)])
def place(request: pytest.FixtureRequest) -> Place:
    """Makes lakes: the folder itself, or a copy of it on S3."""
    if request.param == "directory":
        return str
    made: Place = request.getfixturevalue("place_on_s3")
    return made


def _uploaded(endpoint: str, folder: Path) -> str:
    prefix = f"lake {next(_numbers)}"
    client = _client(endpoint)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            client.put_object(
                Bucket=BUCKET, Key=f"{prefix}/{path.relative_to(folder).as_posix()}", Body=path.read_bytes()
            )
    client.close()
    return f"s3://{BUCKET}/{prefix}"


def _client(endpoint: str) -> Any:
    import boto3  # noqa: PLC0415 - slow to import, and only a test on S3 needs it

    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint, **keys)
