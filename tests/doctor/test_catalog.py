"""What doctor says of the catalog: of each kind what is well, and each thing that is broken alone."""

from __future__ import annotations

import gc
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.catalog.schemas import schema_of
from exporter.doctor.catalog import CatalogInUse
from exporter.doctor.check import Check, Examination, examined
from exporter.doctor.way import Patience, WayToAws
from exporter.lake.tables import TABLES
from exporter.machine.clock import system_clock
from tests.doctor.conftest import assert_sound
from tests.support.catalog_fixtures import reachable
from tests.support.catalogs import CatalogLake, catalog_lakes
from tests.support.exports import REGION
from tests.support.open_files import is_open, needs_list
from tests.support.servers.faulty_proxy import Answer, faulty_proxy
from tests.support.servers.raw import raw_server

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

NAMES = ["catalog-package", "catalog-answers", "catalog-tables", "catalog-writes"]
WELL = {"sql": "ok", "glue": "skipped", "rest": "skipped"}
SECRET = "nobodys-own-token"


@pytest.fixture(scope="session")
def glue_lakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[CatalogLake]]:
    with catalog_lakes("glue", tmp_path_factory.mktemp("glue")) as found:
        yield found


@pytest.fixture
def glue_lake(glue_lakes: Iterator[CatalogLake], monkeypatch: pytest.MonkeyPatch) -> CatalogLake:
    return reachable(next(glue_lakes), monkeypatch)


async def checks_of(
    lake: CatalogLake, properties: dict[str, str] | None = None, answer_s: float = 60.0
) -> dict[str, Check]:
    """The checks of the catalog alone; what it shows of itself is shown nowhere."""
    lake = replace(lake, properties={**lake.properties, **(properties or {})})
    settings = lake.settings.model_copy(update={"regions": (REGION,)})

    async def well() -> Check:
        return Check("before", "ok", "well")

    before = [Examination(name, well) for name in ("lake-read", "lake-folder", "credentials")]
    async with (
        WayToAws(settings, system_clock(), "tried", Patience()) as way,
        CatalogInUse(way, "tried", answer_s) as catalog,
    ):
        await way.open_accounts()
        given = [replace(each, within_s=90.0) for each in catalog.examinations()]
        checks = {check.name: check async for check in examined([*before, *given]) if check.name != "before"}
    assert_sound(checks)
    assert list(checks) == NAMES
    assert not any(SECRET in check.detail + check.remedy for check in checks.values())
    return checks


def outcomes(checks: dict[str, Check]) -> list[str]:
    return [check.outcome for check in checks.values()]


async def test_where_all_is_well_each_check_says_so(lake: CatalogLake) -> None:
    """Before the first publication and after it; nothing is made or changed."""
    async with lake.store() as store:
        fresh = await checks_of(lake)
        assert outcomes(fresh) == ["ok", "ok", "ok", WELL[lake.kind]]
        assert fresh["catalog-tables"].detail == "none is there yet: the first publication makes them"
        if lake.kind == "sql":
            assert not is_there(lake.properties["uri"].removeprefix("sqlite:///"))
        else:
            assert not lake.reader().namespace_exists(lake.database)
        await lake.publish(store)
        before = tables_of(lake)
        checks = await checks_of(lake)
    assert outcomes(checks) == ["ok", "ok", "ok", WELL[lake.kind]]
    assert checks["catalog-answers"].detail == f"it has the database {lake.database}"
    assert checks["catalog-tables"].detail == "4 tables of this lake, and no other's"
    assert tables_of(lake) == before


def is_there(path: str) -> bool:
    return Path(path).exists()


def tables_of(lake: CatalogLake) -> dict[str, Any]:
    reader = lake.reader()
    return {table.name: reader.load_table((lake.database, table.name)).metadata_location for table in TABLES}


async def test_a_table_that_an_engine_may_clean_up(sql_lake: CatalogLake) -> None:
    """`gc.enabled` was set by somebody: it is a warning, for the next publication sets it right."""
    async with sql_lake.store() as store:
        await sql_lake.publish(store)
        table = sql_lake.reader().load_table((sql_lake.database, "events"))
        table.transaction().set_properties({"gc.enabled": "true"}).commit_transaction()
        checks = await checks_of(sql_lake)
    assert outcomes(checks) == ["ok", "ok", "warning", "ok"]
    assert "events: gc.enabled is not false" in checks["catalog-tables"].detail


async def test_a_table_that_is_somebody_elses(sql_lake: CatalogLake) -> None:
    """It is named, with its place and what to do; the others are looked at all the same."""
    reader = sql_lake.reader()
    reader.create_namespace(sql_lake.database)
    for name in ("events", "participants"):
        place = f"{sql_lake.address}-of-others/{name}"
        reader.create_table((sql_lake.database, name), schema_of(TABLES[0]), location=place)
    async with sql_lake.store():
        checks = await checks_of(sql_lake)
    assert outcomes(checks) == ["ok", "ok", "failed", "ok"]
    for name in ("events", "participants"):
        assert f"the table ivs.{name} is not of the lake" in checks["catalog-tables"].detail
    assert "set another `database` in [catalog]" in checks["catalog-tables"].detail


@pytest.mark.parametrize(
    ("uri", "detail"),
    [
        ("sqlite:////no/such/folder/x.db", "there is no folder /no/such/folder for the catalog's SQLite file"),
        ("sqlite:///{folder}/text", "can't be written (file is not a database)"),
        ("sqlite:///{folder}/locked", "can't be written (database is locked)"),
        ("nonsense", "the catalog failed to be opened"),
        (f"postgresql+nothing://user:{SECRET}@127.0.0.1:1/x", "the catalog failed to be opened"),
    ],
)
async def test_an_address_that_leads_nowhere(
    sql_lake: CatalogLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, detail: str
) -> None:
    """A database that can't be written, or is none."""
    monkeypatch.setattr("exporter.doctor.catalog_in_sql._BUSY_S", 0.0)
    (tmp_path / "text").write_text("no database, and long enough to be looked at. " * 20)
    with closing(sqlite3.connect(tmp_path / "locked")) as held:
        held.execute("BEGIN IMMEDIATE")  # others may read
        async with sql_lake.store():
            checks = await checks_of(sql_lake, {"uri": uri.format(folder=tmp_path)})
    assert outcomes(checks) == ["ok", "failed", "skipped", "skipped"]
    assert detail in checks["catalog-answers"].detail


@needs_list
async def test_the_database_is_let_go_of(sql_lake: CatalogLake) -> None:
    """At once, not when the garbage collector comes."""
    async with sql_lake.store() as store:
        await sql_lake.publish(store)
        gc.disable()
        try:
            assert outcomes(await checks_of(sql_lake)) == ["ok", "ok", "ok", "ok"]
            assert not is_open(Path(sql_lake.properties["uri"].removeprefix("sqlite:///")))
        finally:
            gc.enable()


async def test_a_package_that_is_missing(sql_lake: CatalogLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with how to get it; nothing else is asked."""
    monkeypatch.setitem(sys.modules, "pyiceberg", None)
    checks = await checks_of(sql_lake)
    assert outcomes(checks) == ["failed", "skipped", "skipped", "skipped"]
    assert "pip install 'ivs-export[catalog]'" in checks["catalog-package"].detail


async def test_a_catalog_that_never_answers(sql_lake: CatalogLake) -> None:
    """It is given up in its time."""

    async def hang(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    async with raw_server(hang) as host, sql_lake.store():
        rest = replace(sql_lake, kind="rest", properties={"uri": f"http://{host}", "token": SECRET})
        checks = await checks_of(rest, answer_s=0.3)
    assert outcomes(checks) == ["ok", "failed", "skipped", "skipped"]
    assert checks["catalog-answers"].detail == "the catalog does not answer within 0.3 s"


@pytest.mark.parametrize(
    ("action", "check"),
    [
        ("GetDatabase", "catalog-answers"),
        ("GetTable", "catalog-answers"),
        ("UpdateTable", "catalog-writes"),
        ("DeleteTable", "catalog-writes"),
    ],
)
async def test_each_permission_of_glue(glue_lake: CatalogLake, action: str, check: str) -> None:
    """The one that is missing is named with what to allow."""
    assert glue_lake.endpoint is not None
    said = b'{"__type": "AccessDeniedException", "Message": "User is not authorized to perform it"}'
    denied = Answer(400, said, "application/x-amz-json-1.1")
    async with glue_lake.store() as store, faulty_proxy(glue_lake.endpoint) as proxy:
        await glue_lake.publish(store)
        before = tables_of(glue_lake)
        proxy.rule = lambda request: denied if request.headers.get("X-Amz-Target") == f"AWSGlue.{action}" else None
        checks = await checks_of(glue_lake, {"glue.endpoint": proxy.url})
    assert [name for name, each in checks.items() if each.outcome == "failed"] == [check]
    assert f"allow glue:{action}" in checks[check].detail
    assert tables_of(glue_lake) == before
