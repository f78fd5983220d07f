"""A small lake of all tables, in a directory and on a real S3."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.support import tables_lake
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, seaweedfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    #: Makes a lake of what lies in a folder, and gives its address.
    Place = Callable[[Path], str]

BUCKET = "lakes"
#: What a shell, SQL or DuckDB might take for more than a name.
ODD_NAME = "it's a [lake] *{1} ünd"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A SeaweedFS with a bucket."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        _client(endpoint).create_bucket(Bucket=BUCKET)
        yield endpoint


@pytest.fixture(
    params=[
        "directory",
        pytest.param("s3", marks=[pytest.mark.slow, pytest.mark.xdist_group("seaweedfs-query")]),
    ]
)
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Makes lakes: the folder itself, or a copy of it on S3, with the credentials in the environment."""
    if request.param == "directory":
        return str
    endpoint = request.getfixturevalue("s3_endpoint")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return lambda folder: _uploaded(endpoint, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small lake of all four tables, as older exporters left them: without a log."""
    folder = tmp_path / ODD_NAME
    tables_lake.write(folder)
    tables_lake.write_reopened(folder)
    return folder


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
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "region_name": "us-east-1"}
    return boto3.client("s3", endpoint_url=endpoint, **keys)
