from __future__ import annotations

import itertools
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import aioboto3
import pytest

from exporter.lake.stores.open import open_store
from exporter.settings import S3Settings
from tests.support.servers.faulty_proxy import faulty_proxy
from tests.support.servers.moto_s3 import moto_s3
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, seaweedfs
from tests.support.sessions import aws_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from aiobotocore.session import AioSession

    from exporter.lake.store import Store
    from tests.support.servers.faulty_proxy import Proxy

BUCKET = "lakes"
_numbers = itertools.count(1)
#: Each worker of pytest has servers of its own; SeaweedFS's tests share one.
SEAWEEDFS = pytest.mark.xdist_group("seaweedfs")


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    with moto_s3() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def seaweedfs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def session() -> aioboto3.Session:
    """One for all, since each reads botocore's models anew; the endpoint is each client's own."""
    return aioboto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")


def _session() -> AioSession:
    return aws_session(ACCESS_KEY, SECRET_KEY)


@pytest.fixture
def use_endpoint(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Point S3 somewhere, as a user does."""
    return lambda endpoint: monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)


@pytest.fixture
async def make_prefix(session: aioboto3.Session) -> Callable[[], Awaitable[str]]:
    """Makes the address of an empty lake in the bucket of the endpoint in use, and that bucket, where it is missing.

    There is one bucket alone, since SeaweedFS gives each bucket volumes of its own, and has few.
    """

    async def make() -> str:
        async with session.client("s3") as client:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                await client.create_bucket(Bucket=BUCKET)
        return f"s3://{BUCKET}/some/prefix-{next(_numbers)}"

    return make


@pytest.fixture(params=["directory", "moto", pytest.param("seaweedfs", marks=(SEAWEEDFS, pytest.mark.slow))])
async def address(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    use_endpoint: Callable[[str], None],
    make_prefix: Callable[[], Awaitable[str]],
) -> str:
    """An empty lake of each kind: no directory yet, or a prefix of a bucket."""
    if request.param == "directory":
        return str(tmp_path / "lakes" / "lake")
    use_endpoint(request.getfixturevalue(f"{request.param}_endpoint"))
    return await make_prefix()


@pytest.fixture
async def open_at() -> AsyncIterator[Callable[..., Awaitable[Store]]]:
    """Opens stores, until the test ends."""
    async with AsyncExitStack() as stack:

        async def open_one(address: str, **s3: str) -> Store:
            return await stack.enter_async_context(open_store(address, _session, S3Settings(**s3)))

        yield open_one


@pytest.fixture
async def store(address: str, open_at: Callable[..., Awaitable[Store]]) -> Store:
    return await open_at(address)


def files_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
async def seen_at(address: str, session: aioboto3.Session) -> Callable[[], Awaitable[set[str]]]:
    """What any reader of the lake can list, past the store: its files' names, or its objects'."""

    async def seen() -> set[str]:
        if not address.startswith("s3://"):
            return files_below(Path(address))
        bucket, prefix = address.removeprefix("s3://").split("/", 1)
        async with session.client("s3") as client:
            answer = await client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")
        return {item["Key"].removeprefix(f"{prefix}/") for item in answer.get("Contents", ())}

    return seen


@pytest.fixture
async def proxy(seaweedfs_endpoint: str, use_endpoint: Callable[[str], None]) -> AsyncIterator[Proxy]:
    """A way to SeaweedFS that loses answers when a test says so; it is the endpoint in use."""
    async with faulty_proxy(seaweedfs_endpoint) as proxy:
        use_endpoint(proxy.url)
        yield proxy
