"""A lake on S3.

A staged file is a multipart upload that is not completed: durable, and seen by no reader. Publishing completes it. A
record is a conditional put (``If-None-Match: *``), which S3 grants to one writer only. What became of a call whose
answer was lost is settled by looking at the object.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from exporter.errors import LakeBusy, LakeError, LakeRefused, StagedGone
from exporter.lake.store import Staged
from exporter.lake.stores.keys import checked_key, checked_prefix
from exporter.lake.stores.s3.calls import S3Request
from exporter.lake.stores.s3.errors import Missing, Taken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.lake.stores.s3.calls import S3Calls
    from exporter.lake.stores.s3.client import Limits
    from exporter.settings import S3Settings

#: S3's least size of a part is 5 MiB, but for the last one (Amazon S3 User Guide, "Multipart upload limits").
PART_SIZE_BYTES = 8 << 20
_PARTS_AT_ONCE = 4
#: Of 1,000 keys each: more objects than a lake has.
_PAGES_MAX = 20_000


class S3Store:
    """Keeps both protocols of :mod:`exporter.lake.store` under ``prefix`` in the bucket of ``calls``.

    ``lake`` is how errors name the bucket; records and files larger than ``limits`` are not read.
    """

    def __init__(self, calls: S3Calls, lake: str, prefix: str, options: S3Settings, limits: Limits) -> None:
        self._calls = calls
        self._lake = lake
        self._root = f"{prefix}/" if prefix else ""
        self._options = options
        self._limits = limits

    def __repr__(self) -> str:
        return f"<S3Store {self._lake}/{self._root}>"

    async def stage(self, key: str, data: bytes | memoryview) -> Staged:
        """Upload the parts, and do not complete the upload. Where a part fails, what is there is left over."""
        name = self._name(key)
        begun = await self._call("create_multipart_upload", Key=name, **self._options.of_data())
        upload_id: str = begun["UploadId"]
        slots = asyncio.Semaphore(_PARTS_AT_ONCE)

        async def upload(number: int) -> str:
            async with slots:
                part = bytes(data[(number - 1) * PART_SIZE_BYTES : number * PART_SIZE_BYTES])
                done = await self._call("upload_part", Key=name, UploadId=upload_id, PartNumber=number, Body=part)
            etag: str = done["ETag"]
            return etag

        count = max(1, -(-len(data) // PART_SIZE_BYTES))  # an upload without a part can't be completed
        uploads = [asyncio.ensure_future(upload(number)) for number in range(1, count + 1)]
        try:
            etags = await asyncio.gather(*uploads)
        except Missing as error:
            raise StagedGone(f"{self._lake}: something else ended the upload of {key}") from error
        finally:
            for part in uploads:
                part.cancel()  # where one failed, the others are of no use
        return Staged(key, len(data), (upload_id, *etags))

    async def publish(self, staged: Staged) -> bool:
        """Complete the upload; what is unsure then is settled by looking for the object."""
        upload_id, *etags = staged.handle or ("",)
        if not etags:  # never staged here; or a leftover: what is missing in it is not known
            return await self._is_visible(staged)
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        try:
            await self._call(
                "complete_multipart_upload",
                Key=self._name(staged.key),
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
            )
        except Missing:
            return await self._is_visible(staged)
        except LakeBusy:
            is_visible = False
            with suppress(LakeError):  # the first error says more
                is_visible = await self._is_visible(staged)
            if not is_visible:
                raise
        return True

    async def discard(self, staged: Staged) -> None:
        """Abort the upload."""
        with suppress(Missing):
            await self._call("abort_multipart_upload", Key=self._name(staged.key), UploadId=staged.handle[0])

    async def leftovers(self, table: str) -> list[Staged]:
        """List the uploads of the table that are not completed."""
        found: list[Staged] = []
        # Some S3s, such as rclone's, say so where no upload is under way.
        with suppress(Missing):
            async for page in self._pages("list_multipart_uploads", f"{self._name(table)}/", {}, _next_uploads):
                for upload in page.get("Uploads", ()):
                    key = upload["Key"].removeprefix(self._root)
                    found.append(Staged(key, None, (upload["UploadId"],)))
        return found

    async def read(self, key: str) -> bytes | None:
        """Read the bytes of an object."""
        size_bytes_max = self._limits.record_bytes if key.startswith("_log/") else self._limits.file_bytes
        try:
            answer = await self._calls.send(S3Request("get_object", {"Key": self._name(key)}, size_bytes_max))
        except Missing:
            return None
        body: bytes = answer["Body"]
        return body

    async def read_range(self, key: str, begin: int, length: int) -> bytes | None:
        """Read ``length`` bytes of an object from ``begin`` on, fewer at its end; None where there is none."""
        part = {"Key": self._name(key), "Range": f"bytes={begin}-{begin + length - 1}"}
        try:
            answer = await self._calls.send(S3Request("get_object", part, length))
        except Missing:
            return None
        body: bytes = answer["Body"]
        return body

    async def sizes(self, prefix: str) -> dict[str, int]:
        """List the objects below ``prefix`` with their sizes in bytes, but for what stands for a folder."""
        found: dict[str, int] = {}
        async for page in self._pages("list_objects_v2", self._root + checked_prefix(prefix), {}, _next_objects):
            found |= {entry["Key"].removeprefix(self._root): entry["Size"] for entry in page.get("Contents", ())}
        return {key: size_bytes for key, size_bytes in found.items() if not key.endswith("/")}

    async def remove(self, key: str) -> None:
        """Delete an object."""
        await self.delete(key)

    async def create(self, key: str, body: bytes) -> bool:
        """Put conditionally; where the key is taken, perhaps by an earlier try of this one, read the object back."""
        try:
            await self._put(key, body)
        except Taken:
            return await self.read(key) == body
        except LakeBusy:
            found = None
            with suppress(LakeError):  # the first error says more
                found = await self.read(key)
            if found is None:
                raise
            return found == body
        return True

    async def refuses(self, key: str, body: bytes) -> bool:
        """Try the same conditional put, which S3 answers with 412."""
        try:
            await self._put(key, body)
        except Taken:
            return True
        return False

    async def keys(self, prefix: str, after: str = "") -> list[str]:
        """List the keys below ``prefix``, but for what stands for a folder."""
        # SeaweedFS lists folder by folder, so after a name in one folder it leaves out keys of others that sort later.
        is_within = f"{after.rpartition('/')[0]}/" == prefix
        start = {"StartAfter": self._root + after} if is_within else {}
        found: list[str] = []
        async for page in self._pages("list_objects_v2", self._root + checked_prefix(prefix), start, _next_objects):
            found += [entry["Key"].removeprefix(self._root) for entry in page.get("Contents", ())]
        return sorted(key for key in found if key > after and not key.endswith("/"))

    async def delete(self, key: str) -> None:
        """Delete an object."""
        with suppress(Missing):
            await self._call("delete_object", Key=self._name(key))

    async def _call(self, method: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - S3's own
        return await self._calls.send(S3Request(method, members))

    async def _pages(
        self, method: str, prefix: str, start: dict[str, str], next_of: Callable[[dict[str, Any]], dict[str, str]]
    ) -> AsyncIterator[dict[str, Any]]:
        """The pages of a list; ``next_of`` a page is how to ask for the next one.

        Raises :class:`LakeRefused` where a page sends back to itself, and where the list has no end.
        """
        position = start
        for _ in range(_PAGES_MAX):
            page = await self._call(method, Prefix=prefix, **position)
            yield page
            if not page.get("IsTruncated"):
                return
            last, position = position, next_of(page)
            if position == last:
                raise LakeRefused(f"{self._lake}: {method} does not get on in its list")
        raise LakeRefused(f"{self._lake}: {method} has more than {_PAGES_MAX} pages")

    async def _put(self, key: str, body: bytes) -> None:
        """Make an object that is not there yet. Raises `Taken`."""
        await self._call("put_object", Key=self._name(key), Body=body, IfNoneMatch="*", **self._options.of_record())

    async def _is_visible(self, staged: Staged) -> bool:
        try:
            found = await self._call("head_object", Key=self._name(staged.key))
        except Missing:
            return False
        return bool(found["ContentLength"] == staged.size_bytes)

    def _name(self, key: str) -> str:
        return self._root + checked_key(key)


def _next_objects(page: dict[str, Any]) -> dict[str, str]:
    token: str = page.get("NextContinuationToken", "")
    return {"ContinuationToken": token}


def _next_uploads(page: dict[str, Any]) -> dict[str, str]:
    """What the page says, and no more: SeaweedFS gives one of the two, and finds nothing when it is asked for both."""
    names = ("KeyMarker", "UploadIdMarker")
    return {name: page[f"Next{name}"] for name in names if page.get(f"Next{name}")}
