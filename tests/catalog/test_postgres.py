"""A catalog in a real PostgreSQL, asked by its address as a user writes it."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from exporter.cli import exit_codes
from exporter.cli.app import main
from exporter.lake.tables import TABLES
from tests.catalog.races import race_and_die
from tests.support.catalogs import CatalogLake, in_order, plain_rows, two_days
from tests.support.own_process import left_as_it_was
from tests.support.runs import export
from tests.support.servers.postgres import PASSWORD, find_postgres, postgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_postgres = pytest.mark.skipif(find_postgres() is None, reason="PostgreSQL is not installed")
#: Those that race, and those that publish once, share one database, each in its own namespace.
pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as found:
        yield found


def beside(url: str, folder: Path, database: str) -> CatalogLake:
    return CatalogLake("sql", str(folder / "lake"), {"uri": url.replace(":", "+psycopg:", 1)}, database)


@needs_postgres
async def test_three_publishers_that_race_and_die_list_each_file_once(url: str, tmp_path: Path) -> None:
    lake = beside(url, tmp_path, "ivs_race")
    with warnings.catch_warnings():  # who dies closes no connection
        warnings.simplefilter("ignore", ResourceWarning)
        await race_and_die(lake)
        gc.collect()
    lake.close_readers()


@needs_postgres
def test_publish_by_the_servers_address(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a wrong password it says what is wrong, and shows none; with the right one all rows are there."""
    lake = beside(url, tmp_path, "ivs_once")

    async def write() -> list[list[str]]:
        async with lake.store() as store:
            await export(two_days(), store, "r1")
            return [in_order(await plain_rows(store, table.name)) for table in TABLES]

    expected = asyncio.run(write())
    publish = ["publish", "--lake", lake.address, "--catalog", "sql", "--catalog-database", lake.database]
    for address, code in ((url.replace(PASSWORD, "battery-staple"), exit_codes.FAILED), (url, exit_codes.OK)):
        monkeypatch.setenv("IVS_EXPORT_CATALOG__PROPERTIES", json.dumps({"uri": address}))
        with left_as_it_was():
            assert main([*publish, "--json"]) == code
        said = capsys.readouterr()
        assert not any(secret in said.out + said.err for secret in (PASSWORD, "battery-staple"))
        assert ("password authentication failed" in said.err) is (code != exit_codes.OK)
    assert [in_order(lake.rows(table.name)) for table in TABLES] == expected
    lake.close_readers()


def test_a_missing_driver_is_named_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("IVS_EXPORT_CATALOG__PROPERTIES", json.dumps({"uri": "postgresql://ivs@127.0.0.1/ivs"}))
    assert main(["publish", "--catalog", "sql", "--lake", "s3://bucket/lake"]) == exit_codes.USAGE
    assert "pip install 'ivs-export[postgres]'" in capsys.readouterr().err
