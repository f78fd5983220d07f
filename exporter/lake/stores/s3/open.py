"""S3, opened: one client, wrapped in what makes its calls the lake's, and a store on top."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from exporter.lake.stores.s3.calls import Renewing, Retrying, Translating
from exporter.lake.stores.s3.client import Limits, S3Client
from exporter.lake.stores.s3.store import S3Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    import aioboto3

    from exporter.lake.stores.s3.calls import S3Calls
    from exporter.settings import S3Settings

LIMITS = Limits()


@asynccontextmanager
async def open_bucket(
    bucket: str,
    session: aioboto3.Session,
    members: Mapping[str, str],
    *,
    renewed: Callable[[], aioboto3.Session] | None = None,
    limits: Limits = LIMITS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[S3Calls]:
    """Open the calls to a bucket; ``members`` go with each of them.

    ``renewed`` makes another session when the credentials of the one before have expired; ``sleep`` waits between the
    attempts of a call. Raises :class:`UsageError` where the endpoint is no URL, or holds a password.
    """
    async with S3Client(session, bucket, members, limits, renewed=renewed) as client:
        attempt = Renewing(Translating(client, limits.attempt_timeout_s), client, f"s3://{bucket}")
        yield Retrying(attempt, limits, sleep)


@asynccontextmanager
async def open_s3(
    address: str,
    session: aioboto3.Session,
    options: S3Settings,
    *,
    renewed: Callable[[], aioboto3.Session] | None = None,
    limits: Limits = LIMITS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[S3Store]:
    """Open the lake at ``s3://bucket/prefix``. Raises as `open_bucket`."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    members = options.of_call()
    async with open_bucket(bucket, session, members, renewed=renewed, limits=limits, sleep=sleep) as calls:
        yield S3Store(calls, f"s3://{bucket}", prefix.strip("/"), options, limits)
