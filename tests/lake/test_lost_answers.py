"""S3 through a way that loses answers: what became of a call is found out, and never guessed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from exporter.errors import LakeBusy, LakeRefused
from exporter.lake.stores.s3.client import Limits
from exporter.lake.stores.s3.open import open_s3
from exporter.settings import S3Settings
from tests.support.servers.faulty_proxy import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import aioboto3

    from exporter.lake.stores.s3.store import S3Store
    from tests.support.servers.faulty_proxy import Loss, Proxy

pytestmark = [pytest.mark.xdist_group("seaweedfs"), pytest.mark.slow]

KEY = "events/event_date=2026-11-23/a.parquet"
RECORD = "_log/111122223333-us-east-1/records/000000000001.json"
ATTEMPTS = 6


@pytest.fixture
def waits_s() -> list[float]:
    """How long the store waited between its tries: it did not wait at all."""
    return []


@pytest.fixture
async def make_store(
    proxy: Proxy, make_prefix: Callable[[], Awaitable[str]], session: aioboto3.Session, waits_s: list[float]
) -> AsyncIterator[Callable[[Limits], Awaitable[S3Store]]]:
    """Opens stores of one lake, which is reached by the proxy."""
    address = await make_prefix()
    proxy.asked.clear()

    async def sleep(wait_s: float) -> None:
        waits_s.append(wait_s)

    async with AsyncExitStack() as stack:

        async def make(limits: Limits) -> S3Store:
            store = open_s3(address, session, S3Settings(), limits=limits, sleep=sleep)
            return await stack.enter_async_context(store)

        yield make


@pytest.fixture
async def store(make_store: Callable[[Limits], Awaitable[S3Store]]) -> S3Store:
    return await make_store(Limits(attempts=ATTEMPTS))


def refusal(status: int, code: str, message: str = "no.\n<b>") -> Answer:
    escaped = message.replace("<", "&lt;")
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{escaped}</Message></Error>"
    return Answer(status, body.encode())


def lose(proxy: Proxy, method: str, loss: Loss, *, always: bool) -> None:
    if always:
        proxy.lose_all(method, loss)
    else:
        proxy.lose(method, loss)


@pytest.mark.parametrize("always", [False, True])
async def test_a_record_whose_answer_was_lost_is_made(store: S3Store, proxy: Proxy, *, always: bool) -> None:
    """The record was made, and the answer dropped, once or every time: it counts as made, for it stands there."""
    lose(proxy, "PUT", "after", always=always)
    assert await store.create(RECORD, b"mine")
    assert await store.read(RECORD) == b"mine"


@pytest.mark.parametrize("always", [False, True])
async def test_another_record_is_never_taken_for_ones_own(store: S3Store, proxy: Proxy, *, always: bool) -> None:
    """The number was taken before, and the answer that says so is dropped: it is another's all the same."""
    await store.create(RECORD, b"another's")
    lose(proxy, "PUT", "after", always=always)
    assert not await store.create(RECORD, b"mine")
    assert await store.read(RECORD) == b"another's"


async def test_a_record_that_never_arrived_is_sent_again(store: S3Store, proxy: Proxy, waits_s: list[float]) -> None:
    """A request that was lost is made again, after a wait; when none arrives, the lake is busy and nothing was made."""
    proxy.lose("PUT", "before", "before", "before")
    assert await store.create(RECORD, b"mine")
    assert waits_s
    assert all(0 <= wait_s <= 5 for wait_s in waits_s)
    proxy.lose_all("PUT", "before")
    with pytest.raises(LakeBusy, match=r"s3://lakes does not answer .* put_object"):
        await store.create(f"{RECORD}.2", b"mine")
    assert len(waits_s) >= ATTEMPTS - 1
    assert await store.read(f"{RECORD}.2") is None


async def test_a_record_whose_body_never_arrived_is_not_made(store: S3Store, proxy: Proxy) -> None:
    """A writer that dies after the head of its request leaves nothing, where SeaweedFS would make an empty object."""
    proxy.lose_all("PUT", "body")
    with pytest.raises(LakeBusy):
        await store.create(RECORD, b"mine")
    assert await store.read(RECORD) is None
    proxy.lose("PUT", "body")
    assert await store.create(RECORD, b"mine")
    assert await store.read(RECORD) == b"mine"


async def test_writers_that_meet_try_again(store: S3Store, proxy: Proxy) -> None:
    """Where S3 answers that two conditional writes met, the write is made again, until it is settled."""
    proxy.lose("PUT", refusal(409, "ConditionalRequestConflict"))
    assert await store.create(RECORD, b"mine")
    proxy.lose_all("PUT", refusal(409, "ConditionalRequestConflict"))
    with pytest.raises(LakeBusy, match="being written by another"):
        await store.create(f"{RECORD}.2", b"mine")


@pytest.mark.parametrize("always", [False, True])
async def test_a_file_whose_answer_was_lost_is_published(store: S3Store, proxy: Proxy, *, always: bool) -> None:
    """The upload was completed, and the answer dropped, once or every time: the file is visible, and that is said."""
    staged = await store.stage(KEY, b"rows")
    lose(proxy, "POST", "after", always=always)
    assert await store.publish(staged)
    assert await store.read(KEY) == b"rows"


async def test_a_publication_that_never_arrived_can_be_repeated(store: S3Store, proxy: Proxy) -> None:
    """Where the upload can't be completed, that is an error, never "gone"; the file is still there for the next try."""
    staged = await store.stage(KEY, b"rows")
    proxy.lose_all("POST", "before")
    with pytest.raises(LakeBusy):
        await store.publish(staged)
    assert await store.read(KEY) is None
    proxy.lose("POST")
    assert await store.publish(staged)


async def test_an_upload_that_s3_has_forgotten_is_looked_for(store: S3Store, proxy: Proxy) -> None:
    """Once completed, S3 knows the upload no more: whether the file is there, in its size, is what counts."""
    staged = await store.stage(KEY, b"rows")
    proxy.lose("POST", refusal(404, "NoSuchUpload"))
    assert not await store.publish(staged)
    assert await store.publish(staged)
    proxy.lose("POST", refusal(404, "NoSuchUpload"))
    assert await store.publish(staged)
    proxy.lose("POST", refusal(404, "NoSuchUpload"))
    other = type(staged)(staged.key, len(b"rows") + 1, staged.handle)
    assert not await store.publish(other)


async def test_an_error_inside_a_200_is_an_error(store: S3Store, proxy: Proxy) -> None:
    """S3 may begin to answer 200 before it has completed an upload, and fail then; that is tried again."""
    staged = await store.stage(KEY, b"rows")
    proxy.lose("POST", refusal(200, "InternalError"), refusal(200, "SlowDown"))
    assert await store.publish(staged)
    assert await store.read(KEY) == b"rows"


async def test_a_lost_part_is_sent_again(store: S3Store, proxy: Proxy) -> None:
    """Parts whose answers were lost, and a begun upload whose answer was lost, do no harm to the file."""
    data = bytes(range(256)) * (9 << 12)
    proxy.lose("POST", "after")
    first = await store.stage(KEY, data)
    proxy.lose("PUT", "after", "before", refusal(503, "SlowDown"))
    second = await store.stage(f"{KEY}.2", data)
    for staged in (first, second):
        assert await store.publish(staged)
        assert await store.read(staged.key) == data
    for left in await store.leftovers("events"):
        await store.discard(left)
    assert await store.leftovers("events") == []
    assert await store.read(KEY) == data


async def test_a_file_that_could_not_be_staged_is_a_leftover(store: S3Store, proxy: Proxy) -> None:
    """When a part can't be sent, that is said, nothing is visible, and what there is can be discarded."""
    proxy.lose_all("PUT", "before")
    with pytest.raises(LakeBusy, match="upload_part"):
        await store.stage(KEY, b"rows")
    [left] = await store.leftovers("events")
    await store.discard(left)
    assert await store.keys("") == []


async def test_a_file_whose_discard_was_lost_is_gone(store: S3Store, proxy: Proxy) -> None:
    """A discard whose answer was dropped is harmless to repeat; one that never arrives fails, and the file stays."""
    staged = await store.stage(KEY, b"rows")
    proxy.lose_all("DELETE", "before")
    with pytest.raises(LakeBusy, match="abort_multipart_upload"):
        await store.discard(staged)
    assert [left.handle[0] for left in await store.leftovers("events")] == [staged.handle[0]]
    proxy.lose("DELETE", "after", refusal(404, "NoSuchUpload"))
    await store.discard(staged)
    assert not proxy.losses
    assert await store.leftovers("events") == []


async def test_silence_is_given_up(
    store: S3Store, proxy: Proxy, make_store: Callable[[Limits], Awaitable[S3Store]]
) -> None:
    """A server that takes a request and never answers is asked again after a while; in the end the lake is busy."""
    await store.create(RECORD, b"mine")
    hurried = await make_store(Limits(read_timeout_s=0.5, attempts=3))
    proxy.lose("GET", "silence")
    assert await hurried.read(RECORD) == b"mine"
    whole = await make_store(Limits(attempt_timeout_s=0.1, attempts=2))
    proxy.lose_all("GET", "silence")
    for impatient in (hurried, whole):
        with pytest.raises(LakeBusy, match="does not answer"):
            await impatient.read(RECORD)


async def test_half_an_answer_is_no_answer(store: S3Store, proxy: Proxy) -> None:
    """A body that breaks off is read again, and never taken for the whole."""
    await store.create(RECORD, b"0123456789")
    proxy.lose("GET", "cut", "after", "cut")
    assert await store.read(RECORD) == b"0123456789"
    proxy.lose_all("GET", "cut")
    with pytest.raises(LakeBusy):
        await store.read(RECORD)


async def test_an_answer_that_is_no_xml_is_tried_again(store: S3Store, proxy: Proxy) -> None:
    """A page of some gateway in S3's place is a passing fault."""
    await store.create(RECORD, b"mine")
    proxy.lose("GET", Answer(200, b"<html>hello"), Answer(502, b"<html>Bad gateway", "text/html"))
    assert await store.keys("_log/") == [RECORD]


async def test_a_refusal_is_final(store: S3Store, proxy: Proxy, waits_s: list[float]) -> None:
    """What S3 refuses for good is asked once, and fails in one line with the bucket and what to do."""
    proxy.lose("PUT", refusal(403, "AccessDenied", "not authorized to perform: s3:PutObject\n on it"))
    with pytest.raises(LakeRefused, match=r"s3://lakes: no permission: allow s3:PutObject.*on it\)$"):
        await store.create(RECORD, b"mine")
    assert (len(proxy.asked), waits_s) == (1, [])


async def test_credentials_that_expired(store: S3Store, proxy: Proxy, waits_s: list[float]) -> None:
    """A token whose time is over fails at once, without the token."""
    proxy.lose("PUT", refusal(400, "ExpiredToken", "The provided token secret-token has expired"))
    with pytest.raises(LakeRefused, match=r"^s3://lakes: the AWS credentials have expired: get new ones") as caught:
        await store.create(RECORD, b"mine")
    assert "secret-token" not in str(caught.value)
    assert waits_s == []


async def test_the_first_error_is_told(store: S3Store, proxy: Proxy) -> None:
    """Where publishing fails, and the look at the object as well, what S3 said first is shown: HEAD has no text."""
    staged = await store.stage(KEY, b"rows")
    proxy.rule = lambda request: refusal(503, "SlowDown") if request.method == "POST" else Answer(503)
    with pytest.raises(LakeBusy, match=r"complete_multipart_upload .*: SlowDown"):
        await store.publish(staged)


async def test_a_list_that_sends_back_to_itself_ends(store: S3Store, proxy: Proxy) -> None:
    """A list whose next page is the same again is an error, and no endless loop."""
    objects = "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
    page = f"<ListBucketResult>{objects}</ListBucketResult>".encode()
    proxy.lose_all("GET", Answer(200, page))
    with pytest.raises(LakeRefused, match="does not get on"):
        await store.keys("_log/")
    uploads = (
        "<IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
    )
    page = f"<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>".encode()
    proxy.lose_all("GET", Answer(200, page))
    with pytest.raises(LakeRefused, match="does not get on"):
        await store.leftovers("events")
