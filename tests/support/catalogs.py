"""Lakes beside a catalog of each kind, and tables read as any other program reads them: by PyIceberg alone."""

from __future__ import annotations

import itertools
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow.parquet as pq
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog

from exporter.catalog.open import opened_catalog
from exporter.catalog.publish import Publisher
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.stores.open import open_store
from exporter.machine.clock import Clock, system_clock
from exporter.settings import Settings
from exporter.timestamps import text_of
from tests.support.servers.moto_glue import moto_glue
from tests.support.servers.seaweedfs import (
    ACCESS_KEY,
    READER_ACCESS_KEY,
    READER_SECRET_KEY,
    SECRET_KEY,
    WAREHOUSE,
    seaweedfs_with_catalog,
)
from tests.support.service import HOUR_US, Service
from tests.support.sessions import aws_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from aiobotocore.session import AioSession
    from pyiceberg.catalog import Catalog

    from exporter.catalog.open import OpenCatalog
    from exporter.catalog.outcome import Publication
    from exporter.lake.store import Store

KINDS = ("sql", "glue", "rest")
_BUCKET = "lakes"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class CatalogLake:
    """A lake with a catalog of its own. ``endpoint`` is that of AWS's services, None where none is asked."""

    kind: str
    address: str
    properties: dict[str, str]
    database: str
    endpoint: str | None = None
    _readers: dict[str, Catalog] = field(default_factory=dict, init=False, compare=False)

    @property
    def settings(self) -> Settings:
        catalog = {"kind": self.kind, "database": self.database, "properties": self.properties}
        return Settings.model_validate({"lake": self.address, "catalog": catalog})

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach lake and catalog."""
        if self.endpoint is None:
            return {}
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}
        urls = {"AWS_ENDPOINT_URL_S3": self.endpoint}
        return keys | urls | ({"AWS_ENDPOINT_URL_GLUE": self.endpoint} if self.kind == "glue" else {})

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The lake's store, with the lake's file made."""
        async with open_store(self.address, self.make_session, self.settings.s3) as store:
            await open_lake(store, self.address, LakeKind(), "r0", lambda: 0.5)
            yield store

    @asynccontextmanager
    async def opened(self, store: Store, clock: Clock | None = None) -> AsyncIterator[OpenCatalog]:
        async with opened_catalog(self.settings, store, self.make_session, clock or system_clock()) as opened:
            yield opened

    async def publish(self, store: Store, *, is_rebuild: bool = False) -> Publication:
        """Publish in a process of its own, as far as the catalog can tell."""
        async with self.opened(store) as opened:
            return await Publisher(opened).publish(is_rebuild=is_rebuild)

    def make_session(self) -> AioSession:
        """A new one: aioboto3 does not take a session twice."""
        return aws_session(ACCESS_KEY, SECRET_KEY)

    def reader(self) -> Catalog:
        """The catalog as another program opens it, once, with PyArrow's own way to files."""
        return self._opened_by(ACCESS_KEY, SECRET_KEY)

    def reader_who_may_only_read(self) -> Catalog:
        """The same for an analyst, whose keys write and remove nothing on S3."""
        return self._opened_by(READER_ACCESS_KEY, READER_SECRET_KEY)

    def close_readers(self) -> None:
        """Let go of what they hold of a database."""
        while self._readers:
            self._readers.popitem()[1].close()

    def _opened_by(self, access_key: str, secret_key: str) -> Catalog:
        if access_key in self._readers:
            return self._readers[access_key]
        files = {
            "s3.endpoint": self.endpoint or "",
            "s3.access-key-id": access_key,
            "s3.secret-access-key": secret_key,
            "s3.region": "us-east-1",
        }
        signing = {"client.access-key-id": access_key, "client.secret-access-key": secret_key}
        properties = {**files, **signing, "client.region": "us-east-1", **self.properties}
        return self._readers.setdefault(access_key, catalog_of(self.kind, properties))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """What another program reads of a table."""
        found: list[dict[str, Any]] = self.reader().load_table((self.database, table)).scan().to_arrow().to_pylist()
        return found


def catalog_of(kind: str, properties: dict[str, str], name: str = "ivs-export") -> Catalog:
    match kind:
        case "sql":
            return SqlCatalog(name, **properties)
        case "glue":
            return GlueCatalog(name, **properties)
        case _:
            return RestCatalog(name, **properties)


@contextmanager
def catalog_lakes(kind: str, folder: Path) -> Iterator[Iterator[CatalogLake]]:
    """Fresh lakes without an end, each with a catalog, or a database in one, of its own.

    ``glue`` has its lakes in directories, since moto's S3 takes its time; ``glue on s3`` has them there.
    """
    with ExitStack() as stack:
        if kind == "sql":
            yield _closed_by(stack, (_beside_sql(folder / f"lake-{number}") for number in _numbers))
            return
        if kind == "glue":
            endpoint = stack.enter_context(moto_glue())
            yield _closed_by(stack, (_beside_glue(folder / f"lake-{number}", endpoint, number) for number in _numbers))
            return
        if kind == "glue on s3":
            endpoint = catalog = stack.enter_context(moto_glue())
        else:
            endpoint, catalog = stack.enter_context(seaweedfs_with_catalog(folder))
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )
        stack.callback(client.close)
        client.create_bucket(Bucket=_BUCKET)
        yield _closed_by(stack, (_on_s3(kind.partition(" ")[0], endpoint, catalog, number) for number in _numbers))


def _closed_by(stack: ExitStack, lakes: Iterator[CatalogLake]) -> Iterator[CatalogLake]:
    """The same lakes, whose readers are closed at the stack's end."""
    for lake in lakes:
        stack.callback(lake.close_readers)
        yield lake


def _beside_sql(folder: Path) -> CatalogLake:
    folder.mkdir()
    return CatalogLake("sql", str(folder / "lake"), {"uri": f"sqlite:///{folder}/catalog.db"}, "ivs")


def _beside_glue(folder: Path, endpoint: str, number: int) -> CatalogLake:
    folder.mkdir()
    return CatalogLake("glue", str(folder / "lake"), {"glue.endpoint": endpoint}, f"ivs_{number}", endpoint)


def _on_s3(kind: str, endpoint: str, catalog: str, number: int) -> CatalogLake:
    address, database = f"s3://{_BUCKET}/lake-{number}", f"ivs_{number}"
    properties = {"glue.endpoint": catalog} if kind == "glue" else rest_properties(catalog, database)
    return CatalogLake(kind, address, properties, database, endpoint)


def rest_properties(url: str, database: str) -> dict[str, str]:
    """How SeaweedFS's catalog is asked, whose tables lie in a warehouse of its own."""
    return {
        "uri": url,
        "warehouse": f"s3://{WAREHOUSE}",
        "rest.sigv4-enabled": "true",
        "rest.signing-name": "s3tables",
        "rest.signing-region": "us-east-1",
        "ivs-export.location": f"s3://{WAREHOUSE}/{database}",
    }


def two_days() -> Service:
    """Sessions on both sides of a midnight, and an event with all that can be nested."""
    service = Service()
    service.now_us -= 11 * HOUR_US  # one o'clock
    for number in range(3):
        service.add(f"st-{number}", events={f"p{unit}": 1 + unit for unit in range(3)})
    session = service.add("st-tokens", events={"p": 1})
    token = {"capabilities": ["SUBSCRIBE", "PUBLISH"], "attributes": {"plan": "free"}, "userId": "u"}
    session.participants["p"].events.append(
        {
            "name": "TOKEN_EXCHANGED",
            "participantId": "p",
            "eventTime": text_of(session.started_us + 3 * HOUR_US),
            "previousToken": {**token, "expirationTime": text_of(session.started_us)},
            "newToken": {**token, "attributes": {"plan": "paid", "team": "red"}},
        }
    )
    return service


async def plain_rows(store: Store, table: str) -> list[dict[str, Any]]:
    """The rows of a table as they lie in the lake, in no catalog."""
    keys = [key for key in await store.keys(f"{table}/") if key.endswith(".parquet")]
    bodies = [await store.read(key) for key in keys]
    return [row for body in bodies if body for row in pq.read_table(BytesIO(body)).to_pylist()]


def in_order(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in an order of their own, to be compared; a map's pairs are in none."""
    return sorted(
        repr({name: sorted(value) if isinstance(value, list) else value for name, value in row.items()}) for row in rows
    )
