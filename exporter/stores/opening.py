"""From a lake's address to its store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import UsageError
from exporter.stores.directory import DirectoryStore
from exporter.stores.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import aioboto3

    from exporter.store import Store

_S3 = "s3://"


@asynccontextmanager
async def open_store(address: str, session: aioboto3.Session, s3: Mapping[str, str]) -> AsyncIterator[Store]:
    """The store at ``address``: a directory, or ``s3://bucket/prefix``; ``s3`` are the settings passed on to S3.

    Raises :class:`UsageError` for any other address.
    """
    if not address.startswith(_S3):
        if "://" in address or not address:
            raise UsageError(f"lake: {address!r} is neither a directory nor s3://bucket/prefix")
        yield DirectoryStore(Path(address))
        return
    bucket, _, prefix = address.removeprefix(_S3).partition("/")
    if not bucket:
        raise UsageError(f"lake: {address!r} names no bucket: s3://bucket/prefix")
    async with S3Store(session, bucket, prefix.strip("/"), s3) as store:
        yield store
