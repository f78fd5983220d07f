"""From an address to a store."""

from __future__ import annotations

import subprocess
import sys

import pytest
from aiobotocore.session import AioSession

from exporter.errors import UsageError
from exporter.lake.stores.directory import DirectoryStore
from exporter.lake.stores.open import open_store
from exporter.lake.stores.s3.store import S3Store
from exporter.settings import S3Settings


@pytest.mark.parametrize("address", ["", "s3://", "s3:///prefix", "http://bucket/x", "gs://bucket/x", "S3://bucket"])
async def test_what_is_no_lake_is_wrong_usage(address: str) -> None:
    """An address of no known kind, or without a bucket, is refused before anything is opened."""
    with pytest.raises(UsageError, match=r"^lake: "):
        async with open_store(address, AioSession, S3Settings()):
            pass


@pytest.mark.parametrize(
    ("address", "kind"),
    [("lake", DirectoryStore), ("./lake", DirectoryStore), ("/data/lake", DirectoryStore), ("s3:lake", DirectoryStore)]
    + [(address, S3Store) for address in ("s3://bucket", "s3://bucket/", "s3://bucket/a/b/")],
)
async def test_each_address_has_its_store(address: str, kind: type) -> None:
    """A path is a directory, and s3:// a bucket with a prefix or without; opening asks nothing of either."""
    async with open_store(address, AioSession, S3Settings(sse="AES256")) as store:
        assert type(store) is kind


def test_a_lake_in_a_directory_needs_no_botocore() -> None:
    """What takes long to import is imported for S3 alone."""
    code = (
        "import asyncio, sys\n"
        "from exporter.lake.stores.open import open_store\n"
        "from exporter.settings import S3Settings\n"
        "asyncio.run(open_store('x', None, S3Settings()).__aenter__())\n"
        "print(sorted({'botocore', 'aiobotocore', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
