"""A lake on S3.

A staged file is a multipart upload that is not completed: durable, and seen by no reader. Publishing completes it. A
record is a conditional put (``If-None-Match: *``), which S3 grants to one writer only.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiobotocore.config import AioConfig
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from exporter import __version__
from exporter.errors import LakeBusy
from exporter.store import Staged
from exporter.stores.s3_errors import Conflict, Missing, Taken, translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    import aioboto3

Result = TypeVar("Result")

#: S3's least size of a part is 5 MiB, but for the last one (Amazon S3 User Guide, "Multipart upload limits").
PART_SIZE_BYTES = 8 << 20
_PARTS_AT_ONCE = 4
_CONNECTIONS = 32
_CONNECT_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 60.0
_CALL_TIMEOUT_S = 180.0
_ATTEMPTS = 6
_FOREIGN = (aws.BotoCoreError, aws.ClientError, ResponseParserError, OSError, TimeoutError)


class S3Store:
    """Keeps both protocols of :mod:`exporter.store` under ``s3://bucket/prefix``; an asynchronous context manager.

    ``settings`` are those of the section ``[s3]``, by their keys there; they are passed on with each object. Passing
    faults are tried again, here and nowhere beneath, and then become :class:`LakeBusy`.
    """

    def __init__(
        self,
        session: aioboto3.Session,
        bucket: str,
        prefix: str,
        settings: Mapping[str, str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._sleep = sleep
        self._owner = _named(settings, {"expected_bucket_owner": "ExpectedBucketOwner"})
        self._record = self._owner | _named(
            settings, {"sse": "ServerSideEncryption", "kms_key_id": "SSEKMSKeyId", "acl": "ACL"}
        )
        self._data = self._record | _named(settings, {"storage_class": "StorageClass"})
        self._stack = AsyncExitStack()
        self._client: Any = None

    async def __aenter__(self) -> Self:
        config = AioConfig(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            max_pool_connections=_CONNECTIONS,
            retries={"total_max_attempts": 1},
            # The whole body is signed. A checksum of each part would have to be kept and said again at completion.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            user_agent_extra=f"ivs-export/{__version__}",
        )
        try:
            client = self._session.client("s3", config=config)
            self._client = await self._stack.enter_async_context(client)
        except (aws.BotoCoreError, ValueError) as error:
            raise translated(error, self._bucket, "open") from error
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        """Upload the parts, and do not complete the upload."""
        begun = await self._call("create_multipart_upload", key, **self._data)
        upload_id: str = begun["UploadId"]
        slots = asyncio.Semaphore(_PARTS_AT_ONCE)

        async def upload(number: int) -> str:
            async with slots:
                part = bytes(data[(number - 1) * PART_SIZE_BYTES : number * PART_SIZE_BYTES])
                done = await self._call(
                    "upload_part", key, UploadId=upload_id, PartNumber=number, Body=part, **self._owner
                )
                etag: str = done["ETag"]
                return etag

        parts = max(1, -(-len(data) // PART_SIZE_BYTES))
        etags = await asyncio.gather(*(upload(number) for number in range(1, parts + 1)))
        return Staged(key, len(data), (upload_id, *etags))

    async def publish(self, staged: Staged) -> bool:
        """Complete the upload; what became of it is settled by looking for the object."""
        upload_id, *etags = staged.handle
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        try:
            await self._call(
                "complete_multipart_upload",
                staged.key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                **self._owner,
            )
        except Missing:
            return await self._exists(staged)
        except LakeBusy:
            if await self._exists(staged):
                return True
            raise
        return True

    async def discard(self, staged: Staged) -> None:
        """Abort the upload."""
        with suppress(Missing):
            await self._call("abort_multipart_upload", staged.key, UploadId=staged.handle[0], **self._owner)

    async def leftovers(self, table: str) -> list[Staged]:
        """The uploads of the table that are not completed. Their sizes are not known, and 0 here."""
        found: list[Staged] = []
        markers: dict[str, str] = {}
        while True:
            page = await self._call(
                "list_multipart_uploads", None, Prefix=f"{self._root}{table}/", **markers, **self._owner
            )
            found += [
                Staged(upload["Key"].removeprefix(self._root), 0, (upload["UploadId"],))
                for upload in page.get("Uploads", ())
            ]
            if not page.get("IsTruncated"):
                return found
            markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

    async def read(self, key: str) -> bytes | None:
        """The bytes of an object."""
        try:
            return await self._try(lambda: self._get(key), key)
        except Missing:
            return None

    async def create(self, key: str, body: bytes) -> bool:
        """A conditional put; where the key is taken, perhaps by an earlier try of this one, the object is read back."""
        try:
            await self._call("put_object", key, Body=body, IfNoneMatch="*", **self._record)
        except Taken:
            return await self.read(key) == body
        return True

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        """The keys below ``prefix``."""
        return [key async for key in self._keys(prefix, after)]

    async def delete(self, key: str) -> None:
        """Delete an object."""
        await self._call("delete_object", key, **self._owner)

    async def _keys(self, prefix: str, after: str) -> AsyncIterator[str]:
        start = {"StartAfter": self._root + after} if after else {}
        while True:
            page = await self._call("list_objects_v2", None, Prefix=self._root + prefix, **start, **self._owner)
            for item in page.get("Contents", ()):
                yield item["Key"].removeprefix(self._root)
            if not page.get("IsTruncated"):
                return
            start = {"ContinuationToken": page["NextContinuationToken"]}

    async def _exists(self, staged: Staged) -> bool:
        try:
            await self._call("head_object", staged.key, **self._owner)
        except Missing:
            return False
        return True

    async def _get(self, key: str) -> bytes:
        answer = await self._client.get_object(Bucket=self._bucket, Key=self._root + key, **self._owner)
        async with answer["Body"] as body:
            data: bytes = await body.read()
        return data

    async def _call(self, method: str, key: str | None, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - S3's own
        if key is not None:
            params["Key"] = self._root + key
        call = getattr(self._client, method)
        answer: dict[str, Any] = await self._try(lambda: call(Bucket=self._bucket, **params), key or method)
        return answer

    async def _try(self, act: Callable[[], Awaitable[Result]], what: str) -> Result:
        async def attempt() -> Result:
            try:
                async with asyncio.timeout(_CALL_TIMEOUT_S):
                    return await act()
            except _FOREIGN as error:
                raise translated(error, self._bucket, what) from error

        retrying = AsyncRetrying(
            sleep=self._sleep,
            retry=retry_if_exception_type((LakeBusy, Conflict)),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.2, max=5.0),
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except Conflict as error:
            raise LakeBusy(str(error)) from error


def _named(settings: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """The settings that are set, under S3's own names."""
    return {name: settings[key] for key, name in names.items() if settings.get(key)}
