"""What engines remove of a lake that a catalog lists: all that their role allows, whatever the table says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyiceberg.expressions import AlwaysTrue

from exporter.health.verify import Verified, verify
from exporter.lake.tables import TABLES
from tests.catalog import clickhouse_maintenance
from tests.support.catalogs import in_order, plain_rows, two_days
from tests.support.engines import answer_of, needs_engines
from tests.support.runs import export
from tests.support.servers.seaweedfs import READER_ACCESS_KEY, READER_SECRET_KEY

if TYPE_CHECKING:
    from exporter.lake.store import Store
    from tests.support.catalogs import CatalogLake


@needs_engines
@pytest.mark.slow
@pytest.mark.parametrize("lakes", [pytest.param("rest", marks=pytest.mark.xdist_group("seaweedfs"))], indirect=True)
async def test_who_may_only_read_removes_no_file(lake: CatalogLake, tmp_path: Path) -> None:
    """PyIceberg and ClickHouse, told to expire, to remove orphans and to purge, with keys that only read; on S3."""
    lake = replace(lake, kind="sql", properties={"uri": f"sqlite:///{tmp_path}/catalog.db"}, database="ivs")
    async with lake.store() as store:
        await export(two_days(), store, "r1")
        await lake.publish(store)
        delete_all_rows(lake)  # now the lake's files belong to an older snapshot alone
        files = await keys_of_files(store)
        analyst = lake.reader_who_may_only_read()
        found = analyst.load_table(("ivs", "events"))
        with pytest.raises(OSError, match="ACCESS_DENIED"):
            found.maintenance.expire_snapshots().older_than(datetime.now(UTC) + timedelta(days=1)).commit()
        url = f"{lake.endpoint}/{lake.address.removeprefix('s3://')}/_iceberg/events"
        engine = f"IcebergS3('{url}', '{READER_ACCESS_KEY}', '{READER_SECRET_KEY}')"
        errors = errors_of_clickhouse(engine, tmp_path, "orphans", "expire")
        assert errors["expire"] is not None  # it tries again and again to write, and says only that
        assert await keys_of_files(store) == files
        for table in TABLES:  # the entries go, since the catalog itself is no matter of S3's
            analyst.purge_table(("ivs", table.name))
        assert analyst.list_tables("ivs") == []
        assert await keys_of_files(store) == files
        await check_sound_and_shown_again(lake, store)


@needs_engines
@pytest.mark.slow
async def test_who_may_delete_takes_the_lakes_files_whatever_the_table_says(sql_lake: CatalogLake) -> None:
    """ClickHouse and PyIceberg do not look at gc.enabled; `verify` names each file that is gone."""
    async with sql_lake.store() as store:
        await export(two_days(), store, "r1")
        await sql_lake.publish(store)
        analyst = sql_lake.reader()
        assert analyst.load_table(("ivs", "events")).properties["gc.enabled"] == "false"
        delete_all_rows(sql_lake)
        files = await keys_of_files(store)

        found = analyst.load_table(("ivs", "stages"))
        found.maintenance.expire_snapshots().older_than(datetime.now(UTC) + timedelta(days=1)).commit()
        assert await keys_of_files(store) == files  # it takes snapshots off the list, and removes nothing
        analyst.purge_table(("ivs", "stages"))
        purged = {key for key in files if key.startswith("stages/")}
        assert await keys_of_files(store) == files - purged

        engine = f"IcebergLocal('{sql_lake.address}/_iceberg/events')"
        beside = Path(sql_lake.address).parent
        assert errors_of_clickhouse(engine, beside, "orphans", "drop") == {"orphans": None, "drop": None}
        assert await keys_of_files(store) == files - purged
        assert errors_of_clickhouse(engine, beside, "expire") == {"expire": None}
        expired = {key for key in files if key.startswith("events/")}
        assert await keys_of_files(store) == files - purged - expired
        assert len([problem async for problem in verify(store, Verified())]) == len(purged | expired)


@pytest.mark.parametrize("lakes", [pytest.param("rest", marks=pytest.mark.xdist_group("seaweedfs"))], indirect=True)
async def test_a_catalog_that_is_asked_to_purge_removes_its_own_files(lake: CatalogLake) -> None:
    """By the REST protocol the server removes, not PyIceberg: SeaweedFS's catalog leaves the lake's files alone."""
    async with lake.store() as store:
        await export(two_days(), store, "r1")
        await lake.publish(store)
        files = await keys_of_files(store)
        for table in TABLES:
            lake.reader().purge_table((lake.database, table.name))
        assert await keys_of_files(store) == files
        await check_sound_and_shown_again(lake, store)


def delete_all_rows(lake: CatalogLake) -> None:
    """What no engine should do."""
    found = lake.reader().load_table((lake.database, "events"))
    with found.transaction() as transaction:
        emptying = transaction.update_snapshot().delete()
        emptying.delete_by_predicate(AlwaysTrue())
        emptying.commit()


def errors_of_clickhouse(engine: str, folder: Path, *statements: str) -> dict[str, str | None]:
    """What its maintenance of a table ends with, by statement."""
    errors: dict[str, str | None] = answer_of([clickhouse_maintenance.__file__, engine, *statements], folder)
    return errors


async def check_sound_and_shown_again(lake: CatalogLake, store: Store) -> None:
    """`verify` finds nothing, and the next publication shows all rows again."""
    assert [problem async for problem in verify(store, Verified())] == []
    assert (await lake.publish(store)).outcome == "complete"
    for table in TABLES:
        assert in_order(lake.rows(table.name)) == in_order(await plain_rows(store, table.name))


async def keys_of_files(store: Store) -> set[str]:
    return {key for table in TABLES for key in await store.keys(f"{table.name}/")}
