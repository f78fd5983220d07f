"""Lakes as they lie there, read without the exporter's own code: what is visible, staged and recorded."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

import boto3

from exporter.lake.tables import TABLES
from tests.support.servers.seaweedfs import ACCESS_KEY, SECRET_KEY, seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUCKET = "lakes"
#: How the keys of all tables begin: one list is asked for, not one for each table, for tests ask over and over.
_FOLDERS = tuple(f"{table.name}/" for table in TABLES)


class Lake(Protocol):
    """One lake. ``address`` is what ``--lake`` takes."""

    address: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach the lake."""
        ...

    def visible(self) -> set[str]:
        """The keys that a reader finds."""
        ...

    def staged(self) -> set[str]:
        """The keys of the files that are staged and not published, by any run."""
        ...

    def record_keys(self) -> set[str]:
        """The keys of the commit log's records."""
        ...

    def records(self) -> list[dict[str, Any]]:
        """The commit log's records, in their order."""
        ...

    def folder(self) -> Path:
        """A folder that shows what a reader finds now."""
        ...

    def break_lease(self) -> None:
        """Remove the lease of the run that holds it."""
        ...


@dataclass(slots=True)
class DirectoryLake:
    """A lake in the directory ``root``."""

    root: Path
    address: str = field(init=False)

    def __post_init__(self) -> None:
        self.address = str(self.root)

    @property
    def environment(self) -> dict[str, str]:
        return {}

    def visible(self) -> set[str]:
        paths = (path for table in TABLES for path in self.root.glob(f"{table.name}/**/*.parquet"))
        return {path.relative_to(self.root).as_posix() for path in paths}

    def staged(self) -> set[str]:
        files = self.root.glob("_staged/**/*.part")
        return {path.relative_to(self.root / "_staged").as_posix().rsplit(".", 2)[0] for path in files}

    def record_keys(self) -> set[str]:
        return {path.relative_to(self.root).as_posix() for path in self.root.glob("_log/*/records/*.json")}

    def records(self) -> list[dict[str, Any]]:
        return [json.loads((self.root / key).read_bytes()) for key in sorted(self.record_keys())]

    def folder(self) -> Path:
        return self.root

    def break_lease(self) -> None:
        for path in self.root.glob("_log/*/lease/*.json"):
            path.unlink(missing_ok=True)


@dataclass(slots=True)
class S3Lake:
    """A lake on an S3 server, below ``prefix``; ``copies`` is where its visible files are read from."""

    endpoint: str
    prefix: str
    copies: Path
    client: Any
    address: str = field(init=False)
    _records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.address = f"s3://{_BUCKET}/{self.prefix}"

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL_S3": self.endpoint}

    def visible(self) -> set[str]:
        return {key for key in self._keys("") if key.endswith(".parquet") and key.startswith(_FOLDERS)}

    def staged(self) -> set[str]:
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=_BUCKET, Prefix=f"{self.prefix}/")
        keys = {upload["Key"].removeprefix(f"{self.prefix}/") for page in pages for upload in page.get("Uploads", ())}
        return {key for key in keys if key.startswith(_FOLDERS)}

    def record_keys(self) -> set[str]:
        return {key for key in self._keys("_log/") if "/records/" in key}

    def records(self) -> list[dict[str, Any]]:
        keys = sorted(self.record_keys())
        for key in keys:
            if key not in self._records:
                self._records[key] = json.loads(self._read(key))
        return [self._records[key] for key in keys]

    def folder(self) -> Path:
        """A copy of the visible files; those that are there already are not read again, for none ever changes."""
        visible = self.visible()
        for key in visible:
            path = self.copies / key
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._read(key))
        for path in list(self.copies.glob("**/*.parquet")):
            if path.relative_to(self.copies).as_posix() not in visible:
                path.unlink()
        return self.copies

    def break_lease(self) -> None:
        for key in self._keys("_log/"):
            if "/lease/" in key:
                self.client.delete_object(Bucket=_BUCKET, Key=f"{self.prefix}/{key}")

    def _keys(self, below: str) -> set[str]:
        pages = self.client.get_paginator("list_objects_v2")
        return {
            found["Key"].removeprefix(f"{self.prefix}/")
            for page in pages.paginate(Bucket=_BUCKET, Prefix=f"{self.prefix}/{below}")
            for found in page.get("Contents", ())
        }

    def _read(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=_BUCKET, Key=f"{self.prefix}/{key}")["Body"].read()
        return body


@contextmanager
def lakes(kind: str, folder: Path) -> Iterator[Iterator[Lake]]:
    """Fresh lakes without an end, of the kind ``directory`` or ``s3``, whose files lie in ``folder``."""
    if kind == "directory":
        yield (DirectoryLake(folder / f"lake-{number}") for number in count(1))
        return
    server = folder / "seaweedfs"
    server.mkdir()
    with seaweedfs(server) as endpoint:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=_BUCKET)
        try:
            yield (S3Lake(endpoint, f"lake-{n}", folder / f"copy-{n}", client) for n in count(1))
        finally:
            with suppress(OSError):
                client.close()
