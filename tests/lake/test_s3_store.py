"""What a lake on S3 promises beyond the contract: settings are passed on, lists have pages, and faults are named."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import aioboto3
import pytest

from exporter.errors import LakeBusy, LakeRefused, UsageError
from exporter.lake.stores.s3.client import Limits
from exporter.lake.stores.s3.open import open_s3
from exporter.settings import S3Settings
from tests.support.servers.faulty_proxy import faulty_proxy
from tests.support.servers.ports import free_ports
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.lake.store import Store

SEAWEEDFS = (pytest.mark.xdist_group("seaweedfs"), pytest.mark.slow)
KEY = "events/event_date=2026-11-23/a.parquet"
RECORD = "_log/111122223333-us-east-1/records/000000000001.json"
BOTH = pytest.mark.parametrize("address", ["moto", pytest.param("seaweedfs", marks=SEAWEEDFS)], indirect=True)
REAL = pytest.mark.parametrize("address", [pytest.param("seaweedfs", marks=SEAWEEDFS)], indirect=True)
MOTO = pytest.mark.parametrize("address", ["moto"], indirect=True)


def place_of(address: str) -> tuple[str, str]:
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return bucket, prefix


def failing_calls(store: Store) -> list[Awaitable[Any]]:
    return [store.keys("_log/"), store.create(RECORD, b"one"), store.stage(KEY, b"rows"), store.leftovers("events")]


@BOTH
async def test_lists_go_on_from_page_to_page(address: str) -> None:
    """Keys and leftovers that fill several pages are all listed, each once."""
    session = aioboto3.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1")
    asked: list[str] = []

    def shorten(params: dict[str, Any], model: Any, **_: Any) -> None:
        asked.append(model.name)
        params["MaxKeys" if model.name == "ListObjectsV2" else "MaxUploads"] = 3

    for operation in ("ListObjectsV2", "ListMultipartUploads"):
        session.events.register(f"before-parameter-build.s3.{operation}", shorten)
    keys = [f"_log/x/{number:03d}" for number in range(10)]
    files = [f"events/x/{number:03d}.parquet" for number in range(10)]
    async with open_s3(address, session, S3Settings()) as store:
        for key in keys:
            await store.create(key, b"x")
        await asyncio.gather(*(store.stage(key, b"x") for key in [*files, files[0]]))
        assert await store.keys("_log/") == keys
        assert await store.keys("_log/x/", after=keys[4]) == keys[5:]
        left = await store.leftovers("events")
    assert sorted(each.key for each in left) == sorted([*files, files[0]])
    assert len({each.handle for each in left}) == 11
    assert asked.count("ListObjectsV2") == 4 + 2


@pytest.mark.slow
@REAL
async def test_more_keys_than_s3_lists_at_once(address: str, store: Store, session: aioboto3.Session) -> None:
    """A thousand keys and some come in two of S3's own pages."""
    bucket, prefix = place_of(address)
    keys = [f"_log/x/{number:05d}" for number in range(1_050)]
    async with session.client("s3") as client:
        for start in range(0, len(keys), 50):
            puts = (client.put_object(Bucket=bucket, Key=f"{prefix}/{key}") for key in keys[start : start + 50])
            await asyncio.gather(*puts)
    assert await store.keys("_log/") == keys
    assert await store.keys("_log/", after=keys[20]) == keys[21:]


@MOTO
async def test_what_stands_for_a_folder_is_no_key(address: str, store: Store, session: aioboto3.Session) -> None:
    """The empty objects by which consoles show folders are passed over."""
    bucket, prefix = place_of(address)
    async with session.client("s3") as client:
        await client.put_object(Bucket=bucket, Key=f"{prefix}/_log/x/")
    await store.create("_log/x/1", b"one")
    assert await store.keys("_log/") == ["_log/x/1"]


@MOTO
async def test_settings_are_passed_on_where_they_apply(
    address: str, session: aioboto3.Session, use_endpoint: Callable[[str], None]
) -> None:
    """Encryption and ACL go with what makes an object, the storage class with data files, the owner with every call."""
    options = S3Settings(
        sse="aws:kms",
        kms_key_id="arn:key",
        expected_bucket_owner="111122223333",
        storage_class="STANDARD_IA",
        acl="bucket-owner-full-control",
    )
    async with faulty_proxy(os.environ["AWS_ENDPOINT_URL_S3"]) as proxy:
        use_endpoint(proxy.url)
        async with open_s3(address, session, options) as store:
            assert await store.publish(await store.stage(KEY, b"rows"))
            await store.discard(await store.stage(f"{KEY}.2", b"rows"))
            assert await store.create(RECORD, b"one")
            assert await store.keys("") == [RECORD, KEY]
            assert await store.read(KEY) == b"rows"
            assert await store.leftovers("events") == []
            await store.delete(RECORD)
    owners = {request.headers["x-amz-expected-bucket-owner"] for request in proxy.asked}
    assert owners == {"111122223333"}
    making = [
        request
        for request in proxy.asked
        if (request.method == "POST" and "uploads" in request.query) or "If-None-Match" in request.headers
    ]
    sent = [
        (
            request.headers["x-amz-server-side-encryption"],
            request.headers["x-amz-server-side-encryption-aws-kms-key-id"],
            request.headers["x-amz-acl"],
            request.headers.get("x-amz-storage-class"),
        )
        for request in making
    ]
    common = ("aws:kms", "arn:key", "bucket-owner-full-control")
    assert sent == [(*common, "STANDARD_IA"), (*common, "STANDARD_IA"), (*common, None)]
    for request in proxy.asked:
        if request not in making:
            assert not [name for name in request.headers if name.startswith(("x-amz-server", "x-amz-acl", "x-amz-sto"))]


@BOTH
async def test_a_bucket_that_is_not_there(address: str, open_at: Callable[..., Awaitable[Store]]) -> None:
    """The first thing that is asked of it says so, whichever it is."""
    assert address
    store = await open_at("s3://no-such-bucket/prefix")
    for call in failing_calls(store):
        with pytest.raises(
            LakeRefused, match=r"^s3://no-such-bucket: there is no such bucket: make it, or mend `lake`$"
        ):
            await call


@REAL
@pytest.mark.parametrize("keys", [("nobody", SECRET_KEY), (ACCESS_KEY, "wrong-secret-of-the-writer")])
async def test_credentials_that_are_not_valid(address: str, keys: tuple[str, str]) -> None:
    """Credentials that S3 does not take are named as such, and not shown."""
    session = aioboto3.Session(*keys, region_name="us-east-1")
    async with open_s3(address, session, S3Settings()) as store:
        for call in failing_calls(store):
            with pytest.raises(LakeRefused, match=r"^s3://lakes: the AWS credentials are not valid") as caught:
                await call
            assert keys[1] not in str(caught.value)


async def test_no_credentials_at_all(use_endpoint: Callable[[str], None]) -> None:
    """Where there are none, that is said, before anything is asked."""
    use_endpoint("http://127.0.0.1:1")
    async with open_s3("s3://lakes/x", aioboto3.Session(region_name="us-east-1"), S3Settings()) as store:
        for call in failing_calls(store):
            with pytest.raises(LakeRefused, match="no AWS credentials were found: set AWS_PROFILE"):
                await call


@pytest.mark.parametrize(
    "endpoint",
    [
        "user:hunter2@somewhere",
        "http://user:hunter2@somewhere",
        "http://user:hunter2@somewhere:xx",
        "https://hunter2@somewhere:9000",
        "ftp://somewhere",
        "somewhere:9000",
        "http://",
        "http://[::1",
        "http://somewhere:99999",
    ],
)
async def test_an_endpoint_that_is_no_url(
    endpoint: str, session: aioboto3.Session, use_endpoint: Callable[[str], None]
) -> None:
    """A broken endpoint, or one with a password, is wrong usage, shown without what stands before the @."""
    use_endpoint(endpoint)
    with pytest.raises(UsageError, match="AWS_ENDPOINT_URL_S3") as caught:
        await open_s3("s3://lakes/x", session, S3Settings()).__aenter__()
    assert "hunter2" not in str(caught.value)


async def test_nobody_answers(session: aioboto3.Session, use_endpoint: Callable[[str], None]) -> None:
    """Where no server is, the lake is busy, after all its tries."""
    [port] = free_ports(1)
    use_endpoint(f"http://127.0.0.1:{port}")
    waits_s: list[float] = []

    async def sleep(wait_s: float) -> None:
        waits_s.append(wait_s)

    async with open_s3("s3://lakes/x", session, S3Settings(), limits=Limits(attempts=3), sleep=sleep) as store:
        for number, call in enumerate(failing_calls(store), 1):
            with pytest.raises(LakeBusy, match="s3://lakes does not answer"):
                await call
            assert len(waits_s) >= 2 * number


async def test_tries_are_bounded_by_time_too(session: aioboto3.Session, use_endpoint: Callable[[str], None]) -> None:
    """However many tries are left, their time is used up at some point."""
    [port] = free_ports(1)
    use_endpoint(f"http://127.0.0.1:{port}")
    limits = Limits(attempts=10**9, attempts_s=0.05)
    async with open_s3("s3://lakes/x", session, S3Settings(), limits=limits, sleep=asyncio.sleep) as store:
        async with asyncio.timeout(60):  # so that a store without the bound fails here, and does not go on for ever
            with pytest.raises(LakeBusy):
                await store.keys("_log/")
