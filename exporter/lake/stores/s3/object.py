"""One object of S3 that is no part of a lake, such as a list of targets, copied to where it can be read."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

from exporter.errors import UsageError
from exporter.lake.stores.s3.calls import S3Request
from exporter.lake.stores.s3.errors import Missing, Taken
from exporter.lake.stores.s3.open import open_bucket

if TYPE_CHECKING:
    import aioboto3

    from exporter.lake.stores.s3.calls import S3Calls

_S3 = "s3://"
_SIZE_BYTES_MAX = 1 << 30
_PART_BYTES = 8 << 20


async def copy_of(address: str, session: aioboto3.Session) -> IO[bytes]:
    """Copy the object at ``s3://bucket/key`` to a temporary file, in memory where it is small. The caller closes it.

    Raises :class:`UsageError` for an address without a key, and an object that is not there, is too large or is changed
    while it is read; else what a call of S3 raises.
    """
    bucket, _, key = address.removeprefix(_S3).partition("/")
    if not bucket or not key:
        raise UsageError(f"{address!r} is not s3://bucket/key")
    file = tempfile.SpooledTemporaryFile(_PART_BYTES)  # noqa: SIM115 - the caller's, where all goes well
    try:
        async with open_bucket(bucket, session, {}) as calls:
            await _copy(address, calls, key, file)
    except (Missing, Taken) as error:
        file.close()
        reason = "there is no such object" if isinstance(error, Missing) else "it is changed while it is read"
        raise UsageError(f"{address} can't be read: {reason}") from error
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _copy(address: str, calls: S3Calls, key: str, file: IO[bytes]) -> None:
    head = await calls.send(S3Request("head_object", {"Key": key}))
    size_bytes = int(head["ContentLength"])
    if size_bytes > _SIZE_BYTES_MAX:
        raise UsageError(f"{address} has {size_bytes:,} bytes; no more than {_SIZE_BYTES_MAX:,} are read of a list")
    for begin in range(0, size_bytes, _PART_BYTES):
        end = min(begin + _PART_BYTES, size_bytes) - 1
        part = {"Key": key, "Range": f"bytes={begin}-{end}", "IfMatch": head["ETag"]}
        file.write((await calls.send(S3Request("get_object", part, _PART_BYTES)))["Body"])
