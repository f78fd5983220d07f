"""An S3 that is none, or not always: pages of something between, half an answer, another region, strange manners."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from exporter.errors import LakeBusy, LakeRefused
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.stores.s3 import http
from exporter.lake.stores.s3.client import Limits
from exporter.lake.stores.s3.open import open_s3
from exporter.settings import S3Settings
from tests.support.servers.faulty_proxy import Answer, faulty_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import aioboto3
    from aiohttp import web

    from exporter.lake.stores.s3.store import S3Store
    from tests.support.servers.faulty_proxy import Loss, Proxy

KEY = "events/event_date=2026-11-23/a.parquet"
RECORD = "_log/111122223333-us-east-1/records/000000000001.json"

PAGES = {
    "a portal": Answer(200, b"<!DOCTYPE html><html><body>Please log in</body></html>", "text/html"),
    "well-formed": Answer(200, b'<?xml version="1.0"?>\n<html xmlns="http://w3.org/xhtml"><body/></html>', "text/html"),
    "a portal's XML": Answer(200, b"<Portal><Contents/></Portal>"),
    "JSON": Answer(200, b"{}", "application/json"),
    "nothing": Answer(200, b""),
    "a wrapped list": Answer(200, b"<x><ListBucketResult/></x>"),
}


@pytest.fixture
async def proxy(moto_endpoint: str, use_endpoint: Callable[[str], None]) -> AsyncIterator[Proxy]:
    """A way to moto's S3 that lies when a test says so; it is the endpoint in use."""
    async with faulty_proxy(moto_endpoint) as proxy:
        use_endpoint(proxy.url)
        yield proxy


@pytest.fixture
async def prefix(make_prefix: Callable[[], Awaitable[str]], proxy: Proxy) -> str:
    address = await make_prefix()
    proxy.asked.clear()
    return address.removeprefix("s3://lakes/")


async def at_once(_wait_s: float) -> None:
    """No waiting between tries."""


@pytest.fixture
async def store(session: aioboto3.Session, prefix: str) -> AsyncIterator[S3Store]:
    async with open_s3(f"s3://lakes/{prefix}", session, S3Settings(), sleep=at_once) as store:
        yield store


def calls_of(store: S3Store, staged: Any) -> dict[str, Callable[[], Awaitable[object]]]:
    """Each call, by the method of the client's that it begins with."""
    return {
        "list_objects_v2": lambda: store.keys("_log/"),
        "list_multipart_uploads": lambda: store.leftovers("events"),
        "get_object": lambda: store.read(RECORD),
        "put_object": lambda: store.create(f"{RECORD}.2", b"two"),
        "put_object again": lambda: store.refuses(RECORD, b"one"),
        "create_multipart_upload": lambda: store.stage(KEY, b"rows"),
        "complete_multipart_upload": lambda: store.publish(staged),
        "head_object": lambda: store.publish(replace(staged, handle=(staged.handle[0],))),
        "abort_multipart_upload": lambda: store.discard(staged),
        "delete_object": lambda: store.delete(RECORD),
    }


#: What an empty answer or JSON says as well as S3's own does, since S3's has no body there.
TAKEN_FOR_S3S = {("delete_object", "nothing"), ("abort_multipart_upload", "nothing")}
TAKEN_FOR_S3S |= {(method, "JSON") for method in ("delete_object", "abort_multipart_upload")}
TAKEN_FOR_S3S |= {(method, "a portal's XML") for method in ("delete_object", "abort_multipart_upload")}
TAKEN_FOR_S3S |= {(method, "a wrapped list") for method in ("delete_object", "abort_multipart_upload")}


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_of_something_else_is_no_answer(store: S3Store, proxy: Proxy, page: str) -> None:
    """Whatever is asked, a page in S3's place is asked past, and never an empty list, a record made, a file gone."""
    await store.create(RECORD, b"one")
    for name, call in calls_of(store, await store.stage(KEY, b"rows")).items():
        if (name, page) in TAKEN_FOR_S3S:
            continue
        answers: list[Loss | None] = [PAGES[page], PAGES[page]]
        proxy.rule = lambda _, answers=answers: answers.pop(0) if answers else None
        right = await call()
        assert not answers, name
        proxy.rule = lambda _: PAGES[page]
        if name != "complete_multipart_upload":  # which is settled by looking for the object
            with pytest.raises(LakeBusy, match=f"{name.split()[0]}|does not answer"):
                await call()
        expected: dict[str, object] = {
            "list_objects_v2": [RECORD],
            "get_object": b"one",
            "put_object": True,
            "put_object again": True,
            "complete_multipart_upload": True,
            "head_object": True,
        }
        assert right == expected.get(name, right), name
    proxy.rule = None
    assert await store.read(KEY) == b"rows"


async def test_a_404_that_is_not_s3s_does_not_mean_that_nothing_is_there(store: S3Store, proxy: Proxy) -> None:
    """An ingress that starts anew says so of everything; S3's own is believed."""
    await store.create(RECORD, b"one")
    proxy.lose("GET", *[Answer(404, b"<html>default backend - 404</html>", "text/html")] * 2)
    assert await store.read(RECORD) == b"one"
    assert await store.read(f"{RECORD}.2") is None


@pytest.mark.parametrize("code", ["BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "RequestTimeout"])
async def test_a_body_that_was_damaged_on_its_way_is_sent_again(store: S3Store, proxy: Proxy, code: str) -> None:
    """What S3 has got otherwise than it was sent is sent once more, in a record and in a part of a file."""
    refusal = Answer(400, f"<Error><Code>{code}</Code><Message>said</Message></Error>".encode())
    proxy.lose("PUT", refusal)
    assert await store.create(RECORD, b"one")
    proxy.lose("PUT", refusal)
    assert await store.publish(await store.stage(KEY, b"rows"))
    assert await store.read(RECORD) == b"one"
    assert await store.read(KEY) == b"rows"


def region_of(request: web.Request) -> str:
    """The region that a request is signed for."""
    return request.headers["Authorization"].split("/")[2]


@pytest.mark.parametrize("status", [301, 307])
async def test_a_bucket_in_another_region_is_signed_for_that(store: S3Store, proxy: Proxy, status: int) -> None:
    """A redirect is not followed with the old signature, nor to where it points; it is signed anew."""
    code = {301: "PermanentRedirect", 307: "TemporaryRedirect"}[status]
    elsewhere = Answer(
        status,
        f"<Error><Code>{code}</Code><Endpoint>lakes.s3.test</Endpoint></Error>".encode(),
        headers={"x-amz-bucket-region": "eu-west-1", "Location": f"{proxy.url}/elsewhere"},
    )
    proxy.rule = lambda request: elsewhere if region_of(request) == "us-east-1" else None
    assert await store.create(RECORD, b"one")
    assert await store.read(RECORD) == b"one"
    assert await store.keys("_log/") == [RECORD]
    assert await store.publish(await store.stage(KEY, b"rows"))
    assert not [request for request in proxy.asked if "elsewhere" in request.path]


async def test_a_bucket_in_another_region_is_named_where_signing_anew_does_not_help(
    store: S3Store, proxy: Proxy
) -> None:
    """The region that S3 names is what to set."""
    body = b"<Error><Code>TemporaryRedirect</Code></Error>"
    proxy.rule = lambda _: Answer(307, body, headers={"x-amz-bucket-region": "eu-west-1"})
    with pytest.raises(LakeRefused, match=r"in another region: set AWS_REGION, .*, to eu-west-1$"):
        await store.create(RECORD, b"one")


async def test_a_key_that_is_taken_may_be_told_with_304(store: S3Store, proxy: Proxy) -> None:
    """So MinIO does."""
    proxy.altered = lambda _, status, __: Answer(304) if status == 412 else None
    assert await store.create(RECORD, b"one")
    assert not await store.create(RECORD, b"two")
    assert await store.create(RECORD, b"one")
    assert await store.refuses(RECORD, b"one")


async def test_a_store_that_ignores_the_condition_is_found_out(store: S3Store, proxy: Proxy) -> None:
    """It lets a record that is there be made once more."""
    assert await store.create(RECORD, b"one")
    assert await store.refuses(RECORD, b"one")
    proxy.forgotten = frozenset({"if-none-match"})
    assert not await store.refuses(RECORD, b"one")


async def test_no_such_upload_is_an_empty_list_of_uploads(store: S3Store, proxy: Proxy) -> None:
    """So rclone's S3 says that none is under way. Of objects, nobody says so."""
    proxy.lose_all("GET", Answer(404, b"<Error><Code>NoSuchUpload</Code></Error>"))
    assert await store.leftovers("events") == []
    proxy.lose_all("GET", Answer(404, b"<Error><Code>NoSuchKey</Code></Error>"))
    with pytest.raises(LakeBusy, match="list_objects_v2: NoSuchKey"):
        await store.keys("_log/")


async def test_a_list_of_other_names_is_no_answer(store: S3Store, proxy: Proxy) -> None:
    """A cache that gives another's list is asked past."""
    body = b"<ListBucketResult><Contents><Key>another/_log/x</Key></Contents></ListBucketResult>"
    await store.create(RECORD, b"one")
    proxy.lose("GET", Answer(200, body))
    assert await store.keys("_log/") == [RECORD]
    proxy.lose_all("GET", Answer(200, body))
    with pytest.raises(LakeBusy, match="a list of other names"):
        await store.keys("_log/")


async def test_answers_are_bounded(
    session: aioboto3.Session, prefix: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list or a record that does not end is refused when it is longer than any of the exporter's."""
    monkeypatch.setattr(http, "ANSWER_BYTES_MAX", 10_000)
    limits = Limits(record_bytes=10_000, file_bytes=20_000)
    async with open_s3(f"s3://lakes/{prefix}", session, S3Settings(), limits=limits, sleep=at_once) as store:
        for key, size_bytes in ((RECORD, 10_001), (KEY, 20_001)):
            proxy.lose("GET", Answer(200, bytes(size_bytes), headers={"ETag": "x"}))
            with pytest.raises(LakeRefused, match="is larger than"):
                await store.read(key)
        proxy.lose("GET", Answer(200, bytes(10_001)))
        with pytest.raises(LakeRefused, match=r"list_objects_v2 is answered by 127.0.0.1:.* with more than"):
            await store.keys("_log/")
        proxy.lose("GET", Answer(403, bytes(10_001)))
        with pytest.raises(LakeRefused, match="get_object is answered by"):
            await store.read(RECORD)
        assert await store.create(RECORD, bytes(10_000))
        assert await store.read(RECORD) == bytes(10_000)


async def test_a_proxy_that_refuses_is_told_from_s3(store: S3Store, proxy: Proxy) -> None:
    """Its 403 is no missing permission, and its 407 asks for a password; each is asked once."""
    for status, said in ((403, "is answered by 127.0.0.1:.* status 403: a proxy"), (407, "asks for a password")):
        proxy.asked.clear()
        proxy.lose("PUT", Answer(status, b"<html>refused by policy</html>", "text/html"))
        with pytest.raises(LakeRefused, match=said) as caught:
            await store.create(RECORD, b"one")
        assert "permission" not in str(caught.value)
        assert len(proxy.asked) == 1


@pytest.mark.parametrize(("status", "asks"), [(407, ": set the password in HTTPS_PROXY"), (403, "")])
async def test_a_proxy_that_does_not_let_https_pass(
    session: aioboto3.Session,
    use_endpoint: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    asks: str,
) -> None:
    """It is named without its password, with its status, and not asked again."""
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        writer.close()

    use_endpoint("https://s3.example.test")
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://me:hunter2@127.0.0.1:{port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with open_s3("s3://lakes/x", session, S3Settings(), sleep=at_once) as store:
            with pytest.raises(LakeRefused) as caught:
                await store.keys("_log/")
    said = (
        f"s3://lakes does not answer (127.0.0.1:{port}: the proxy refuses to connect, status {status}{asks}; list_obj"
    )
    assert str(caught.value).startswith(said)
    assert len(asked) == 1


DENIED = Answer(403, b"<Error><Code>AccessDenied</Code><Message>denied</Message></Error>")
NEEDS: dict[str, Callable[[web.Request], bool]] = {
    "s3:DeleteObject": lambda request: request.method == "DELETE" and "uploadId" not in request.query,
    "s3:GetObject and s3:ListBucket": lambda request: (
        request.method == "GET" and not {"list-type", "uploads"} & set(request.query)
    ),
    "s3:ListBucket": lambda request: "list-type" in request.query,
    "s3:ListBucketMultipartUploads": lambda request: request.method == "GET" and "uploads" in request.query,
    "s3:AbortMultipartUpload": lambda request: request.method == "DELETE" and "uploadId" in request.query,
    "s3:PutObject": lambda request: request.method == "POST" and "uploads" in request.query,
}


@pytest.mark.parametrize("permission", NEEDS)
async def test_a_permission_that_later_runs_need_is_missed_by_the_first(
    store: S3Store, proxy: Proxy, permission: str
) -> None:
    """A new lake is not begun without it, and the line names it."""
    proxy.rule = lambda request: DENIED if NEEDS[permission](request) else None
    with pytest.raises(LakeRefused, match=f"^s3://lakes: no permission: allow {re.escape(permission)}, as `ivs-export"):
        await open_lake(store, "s3://lakes", LakeKind(), "r1", lambda: 0.5)
    proxy.rule = None
    assert (await store.read("_log/lake.json")) is None
    assert (await open_lake(store, "s3://lakes", LakeKind(), "r2", lambda: 0.5)).made_by == "run"
