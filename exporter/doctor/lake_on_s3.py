"""What a lake on S3 rests on: each permission, conditional puts, encryption, and the rules of the bucket.

What is written is one small object under the lake's `_log/trial-…` and an upload of the same name, both removed. A
delete comes before there is anything to delete: where it is not allowed, nothing is written.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from exporter.doctor.check import CHECK_S, Check, Examination, failed_by
from exporter.doctor.lake_kind import check_kind
from exporter.doctor.lifecycle import faults_of_rules, is_ended
from exporter.errors import ExportError, LakeError, LakeRefused
from exporter.lake.identity import KEY, TRIAL, TRIAL_BODY
from exporter.lake.stores.s3.calls import S3Request
from exporter.lake.stores.s3.client import Limits
from exporter.lake.stores.s3.errors import Missing
from exporter.lake.stores.s3.open import open_bucket
from exporter.lake.stores.s3.sessions import s3_session
from exporter.lake.stores.s3.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.doctor.way import Patience, WayToAws
    from exporter.lake.stores.s3.calls import S3Calls

_CONDITIONS = (
    "this store ignores If-None-Match: it lets a record be made twice, so two runs at once would double the lake"
)


class _Counting:
    """Calls to S3, counted by method."""

    def __init__(self, calls: S3Calls, counts: Counter[str]) -> None:
        self._calls = calls
        self._counts = counts

    async def send(self, request: S3Request) -> dict[str, Any]:
        """Send and count."""
        self._counts["".join(map(str.capitalize, request.method.split("_")))] += 1
        return await self._calls.send(request)


class _Trial:
    """What is written to a lake to try it. The mutable state: whether the object, and uploads of it, may be there."""

    def __init__(self, store: S3Store, key: str) -> None:
        self._store = store
        self._key = key
        self._is_made = self._is_staged = False

    async def make(self) -> None:
        """Make the object, and read it back. Raises :class:`LakeError`."""
        self._is_made = True
        if not await self._store.create(self._key, TRIAL_BODY):
            raise LakeRefused(f"{self._key} can't be made, though it is not there: no lake can be kept in this place")
        if await self._store.read(self._key) != TRIAL_BODY:
            raise LakeRefused(f"{self._key} was made and is not read as it was written: no lake can be kept there")

    async def upload(self) -> bool:
        """Abort one upload and complete another, and return whether the object is there.

        One that can't be aborted is completed. Raises :class:`LakeError`.
        """
        self._is_made = self._is_staged = True
        staged = await self._store.stage(self._key, TRIAL_BODY)
        try:
            await self._store.discard(staged)
        except LakeError:
            await self._store.publish(staged)
            self._is_staged = False
            raise
        is_there = await self._store.publish(await self._store.stage(self._key, TRIAL_BODY))
        self._is_staged = False
        return is_there

    async def remove(self) -> None:
        """Remove what may be there. Raises :class:`LakeError`."""
        if self._is_staged:
            for left in await self._store.leftovers("_log"):
                if left.key == self._key:
                    await self._store.discard(left)
            self._is_staged = False
        if self._is_made:
            await self._store.delete(self._key)
            self._is_made = False


@dataclass(frozen=True, slots=True)
class _Opened:
    calls: S3Calls
    store: S3Store
    trial: _Trial


class LakeOnS3:
    """The checks of one lake; an asynchronous context manager, that opens nothing yet.

    ``run_id`` is no other's. The mutable state: what is open with its trial, why that could not be made, and the
    ``calls`` that were made.
    """

    def __init__(self, way: WayToAws, run_id: str, patience: Patience) -> None:
        self._settings = way.settings
        self._way = way
        self._limits = Limits(patience.answer_s, patience.answer_s, 2 * patience.answer_s, 2, patience.call_s)
        self._key = f"{TRIAL}{run_id}.json"
        self._stack = AsyncExitStack()
        self._opened: _Opened | None = None
        self._refusal: LakeError | None = None
        self.calls: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        with suppress(ExportError, TimeoutError):
            async with asyncio.timeout(CHECK_S):
                if self._opened is not None:
                    await self._opened.trial.remove()
        await self._stack.aclose()

    def examinations(self) -> list[Examination]:
        """The checks, in their order."""
        readable = ("lake-delete", "lake-read")
        return [
            self._examination("lake-list", "s3:ListBucket on the bucket", self.check_list, ("credentials",)),
            self._examination("lake-read", "s3:GetObject on the lake", self.check_read, ("lake-list",)),
            self._examination("lake-kind", "s3:GetObject on the lake", self.check_kind, ("lake-read",)),
            self._examination("lake-delete", "s3:DeleteObject on the lake", self.check_delete, ("lake-list",)),
            self._examination("lake-encryption", "", self.check_encryption, readable),
            self._examination(
                "lake-create", "s3:PutObject on the lake", self.check_create, readable, ("lake-encryption",)
            ),
            self._examination("lake-conditions", "s3:PutObject on the lake", self.check_conditions, ("lake-create",)),
            self._examination(
                "lake-uploads",
                "s3:PutObject and s3:AbortMultipartUpload on the lake, s3:ListBucketMultipartUploads on the bucket",
                self.check_uploads,
                ("lake-delete",),
                ("lake-conditions",),
            ),
            self._examination("lake-lifecycle", "", self.check_lifecycle, ("lake-list",)),
        ]

    async def check_list(self) -> Check:
        """Open the bucket and list what begins as trials do: ``s3:ListBucket``."""
        bucket, _, prefix = self._settings.lake.removeprefix("s3://").partition("/")
        options = self._settings.s3
        calls = await self._stack.enter_async_context(
            open_bucket(bucket, s3_session(self._way.own_sessions()()), options.of_call(), limits=self._limits)
        )
        counting = _Counting(calls, self.calls)
        store = S3Store(counting, f"s3://{bucket}", prefix.strip("/"), options, self._limits)
        self._opened = _Opened(counting, store, _Trial(store, self._key))
        await self._store.keys(TRIAL)
        return Check("lake-list", "ok", f"{self._settings.lake} can be listed")

    async def check_read(self) -> Check:
        """Read the lake's own file, whether or not it is there: ``s3:GetObject``."""
        body = await self._store.read(KEY)
        return Check("lake-read", "ok", "a lake is there" if body else "no lake is there yet: the first run makes it")

    async def check_kind(self) -> Check:
        """See that the lake is one that a run with these settings goes on with."""
        return await check_kind(self._store, self._settings)

    async def check_delete(self) -> Check:
        """Delete what is not there: ``s3:DeleteObject``."""
        await self._store.delete(self._key)
        return Check("lake-delete", "ok", "allowed")

    async def check_encryption(self) -> Check:
        """Make the trial object and read it back, by KMS where that is set: ``GenerateDataKey``, ``Decrypt``."""
        name, options = "lake-encryption", self._settings.s3
        try:
            await self._trial.make()
        except LakeError as error:
            self._refusal = error
            if not _is_of_key(error):
                return Check(name, "skipped", "needs lake-create")
            key = options.kms_key_id or "the bucket's KMS key"
            remedy = f"allow kms:GenerateDataKey and kms:Decrypt on {key}, in the policy and in the key's own"
            return failed_by(name, error, remedy)
        answer = await self._send("head_object")
        how = str(answer.get("ServerSideEncryption", "none"))
        if options.sse and how != options.sse:
            detail = f"[s3] sse is {options.sse}, and the store says {how}"
            return Check(name, "warning", detail, "ask whose store it is whether it encrypts")
        return Check(name, "ok", how + (f", {answer['SSEKMSKeyId']}" if answer.get("SSEKMSKeyId") else ""))

    async def check_create(self) -> Check:
        """Judge how the trial object was made, read back and listed: ``s3:PutObject``."""
        if self._refusal is not None:
            if _is_of_key(self._refusal):
                return Check("lake-create", "skipped", "needs lake-encryption")
            raise self._refusal
        if self._key not in await self._store.keys(TRIAL):
            raise LakeRefused(f"{self._key} was made and is in no list: no lake can be kept where lists come late")
        return Check("lake-create", "ok", "allowed; what is written is read back, and listed")

    async def check_conditions(self) -> Check:
        """Make the trial object again, which must be refused, and remove it."""
        is_refused = await self._store.refuses(self._key, TRIAL_BODY)
        await self._trial.remove()
        if is_refused:
            return Check("lake-conditions", "ok", "a record can be made once only")
        remedy = "use a store that keeps conditional puts, such as Amazon S3"
        return Check("lake-conditions", "failed", f"{self._settings.lake}: {_CONDITIONS}", remedy)

    async def check_uploads(self) -> Check:
        """Begin uploads, list them, complete one and abort the other; where that is refused, it is completed, too.

        ``s3:PutObject``, ``s3:ListBucketMultipartUploads`` and ``s3:AbortMultipartUpload``.
        """
        await self._store.leftovers("_log")
        is_there = await self._trial.upload()
        await self._trial.remove()
        if not is_there:
            raise LakeRefused(f"{self._settings.lake}: an upload was completed, and what it made is not there")
        return Check("lake-uploads", "ok", "begun, listed, completed and aborted")

    async def check_lifecycle(self) -> Check:
        """Read the bucket's rules: one ends uploads that a killed run left, and none removes what the lake rests on."""
        name, prefix = "lake-lifecycle", self._settings.lake.removeprefix("s3://").partition("/")[2].strip("/")
        remedy = "add the rules that `ivs-export config s3-lifecycle.json` prints, with this lake's prefix"
        try:
            rules = (await self._send("get_bucket_lifecycle_configuration", with_key=False)).get("Rules", [])
        except Missing:
            rules = []
        except LakeError as error:
            return Check(name, "skipped", f"the rules can't be read, and no run needs to: {error}")
        if faults := faults_of_rules(rules, prefix):
            return Check(name, "warning", "; ".join(faults), "take the lake's prefix out of these rules")
        if not is_ended(rules, prefix):
            return Check(
                name, "warning", "no rule ends the uploads that a killed run leaves, which are paid for", remedy
            )
        return Check(name, "ok", "a rule ends uploads that are left over")

    @property
    def _store(self) -> S3Store:
        assert self._opened is not None, "listed first"  # noqa: S101 - for the type checker
        return self._opened.store

    @property
    def _trial(self) -> _Trial:
        assert self._opened is not None, "listed first"  # noqa: S101 - the same
        return self._opened.trial

    async def _send(self, method: str, *, with_key: bool = True) -> dict[str, Any]:
        assert self._opened is not None, "listed first"  # noqa: S101 - the same
        prefix = self._settings.lake.removeprefix("s3://").partition("/")[2].strip("/")
        members = {"Key": "/".join(filter(None, (prefix, self._key)))} if with_key else {}
        return await self._opened.calls.send(S3Request(method, members))

    def _examination(
        self,
        name: str,
        allowed: str,
        check: Callable[[], Awaitable[Check]],
        needs: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
    ) -> Examination:
        async def examine() -> Check:
            try:
                return await check()
            except LakeRefused as error:
                if "no permission" not in str(error) or not allowed:
                    raise
                return failed_by(name, error, f"allow {allowed}, as `ivs-export doctor --policy` prints it")

        return Examination(name, examine, needs, after)


def _is_of_key(error: LakeError) -> bool:
    """Whether it is the key's service that refuses: S3 passes its words on."""
    return "kms" in str(error).lower()
