"""From a lake's address to its store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.aws.endpoints import check_endpoint_settings
from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import aioboto3
    from aiobotocore.session import AioSession

    from exporter.lake.store import Store
    from exporter.lake.stores.s3.store import S3Store
    from exporter.settings import S3Settings

_S3 = "s3://"


def is_on_s3(address: str) -> bool:
    """Whether a lake's address is one of S3's."""
    return address.startswith(_S3)


@asynccontextmanager
async def open_store(address: str, make_session: Callable[[], AioSession], s3: S3Settings) -> AsyncIterator[Store]:
    """Open the store at ``address``: a directory, or ``s3://bucket/prefix``.

    ``s3`` is passed on to S3, and nothing of it to a directory. ``make_session`` is called for S3 alone, and again when
    the credentials of the session before have expired. Raises :class:`UsageError` for any other address, and for a
    wrong AWS_ENDPOINT_URL_S3; for S3 what ``make_session`` raises, and :class:`CredentialsLost` where AWS's own
    configuration can't be read. Whether the lake is there and may be used shows at the first thing that it is asked.
    """
    if not is_on_s3(address):
        if "://" in address or not address:
            raise UsageError(f"lake: {address!r} is neither a directory nor s3://bucket/prefix")
        from exporter.lake.stores.directory import DirectoryStore  # noqa: PLC0415 - as below

        yield DirectoryStore(Path(address))
        return
    async with open_s3_store(address, make_session, s3) as store:
        yield store


@asynccontextmanager
async def open_s3_store(address: str, make_session: Callable[[], AioSession], s3: S3Settings) -> AsyncIterator[S3Store]:
    """Open the store at ``s3://bucket/prefix``. Raises as `open_store`."""
    if not address.removeprefix(_S3).partition("/")[0]:
        raise UsageError(f"lake: {address!r} names no bucket: s3://bucket/prefix")
    check_endpoint_settings("S3")
    # aioboto3 takes long to import, and a lake in a directory does without.
    from exporter.lake.stores.s3.open import open_s3  # noqa: PLC0415 - see the line above
    from exporter.lake.stores.s3.sessions import s3_session  # noqa: PLC0415 - the same

    def next_session() -> aioboto3.Session:
        return s3_session(make_session())

    async with open_s3(address, next_session(), s3, renewed=next_session) as store:
        yield store
