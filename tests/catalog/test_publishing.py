"""What a catalog of each kind shows after a publication: all of the log, each row once, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.expressions import AlwaysTrue

from exporter.catalog.behind import count_behind
from exporter.catalog.drop import drop_tables
from exporter.catalog.keeping import drop_catalog, keep_catalog
from exporter.catalog.schemas import partition_field_name, schema_of, shapes_of
from exporter.catalog.tables import KEPT_PROPERTIES
from exporter.errors import LakeRefused
from exporter.health.verify import Verified, verify
from exporter.lake.tables import TABLES
from exporter.lake.tables.events import EVENTS
from exporter.machine.clock import system_clock
from tests.support.catalogs import in_order, plain_rows, two_days
from tests.support.runs import export
from tests.support.service import SCOPE

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile

    from exporter.lake.store import Store
    from tests.support.catalogs import CatalogLake


async def check_same_as_the_lake(lake: CatalogLake, store: Store) -> None:
    """Every table has the lake's rows, whole and once."""
    for table in TABLES:
        expected = await plain_rows(store, table.name)
        assert expected
        assert in_order(lake.rows(table.name)) == in_order(expected), table.name


async def test_a_catalog_that_is_closed_keeps_no_connection(sql_lake: CatalogLake) -> None:
    """A database's server counts them, and Python names those that nobody has closed."""
    async with sql_lake.store() as store, sql_lake.opened(store) as opened:
        pool = vars(opened.tables.catalog)["engine"].pool
        assert pool.checkedin() == 1
    assert vars(opened.tables.catalog)["engine"].pool is not pool
    assert pool.checkedin() + pool.checkedout() == 0


async def test_the_tables_have_the_rows_of_the_lake_and_each_once(lake: CatalogLake) -> None:
    """A first night, a second one, and a publication that finds nothing to do; nested values are what they were."""
    service = two_days()
    async with lake.store() as store:
        await export(service, store, "r1")
        published = await lake.publish(store)
        assert (published.outcome, published.behind, published.failures) == ("complete", 0, [])
        await check_same_as_the_lake(lake, store)
        [exchanged] = [row for row in lake.rows("events") if row["event_name"] == "TOKEN_EXCHANGED"]
        assert exchanged["new_token"]["capabilities"] == ["SUBSCRIBE", "PUBLISH"]
        assert sorted(exchanged["new_token"]["attributes"]) == [("plan", "paid"), ("team", "red")]
        assert exchanged["previous_token"]["user_id"] == "u"

        before = {table.name: snapshot_of(lake, table.name) for table in TABLES}
        again = await lake.publish(store)
        assert [(table.added, table.removed) for table in again.tables] == [(0, 0)] * len(TABLES)
        assert {table.name: snapshot_of(lake, table.name) for table in TABLES} == before

        service.add("st-new", events={"p9": 4})
        await export(service, store, "r2")
        async with lake.opened(store) as opened:
            assert (await count_behind(opened)).behind == 3
        published = await lake.publish(store)
        assert {table.table: table.added for table in published.tables}["events"] == 1
        await check_same_as_the_lake(lake, store)


async def test_tables_are_made_so_that_no_engine_removes_the_lakes_files(lake: CatalogLake) -> None:
    """Ids are the files', the place is apart, and what engines must know is said, anew where it was changed."""
    service = two_days()
    async with lake.store() as store:
        await export(service, store, "r1")
        await lake.publish(store)
        for table in TABLES:
            found = lake.reader().load_table((lake.database, table.name))
            assert shapes_of(found.schema()) == shapes_of(schema_of(table))
            assert KEPT_PROPERTIES.items() <= found.properties.items()
            assert not found.location().startswith(f"{lake.address}/{table.name}")
            assert [field.name for field in found.spec().fields] == [
                name for name in [partition_field_name(table)] if name
            ]
        found = lake.reader().load_table((lake.database, "events"))
        with found.transaction() as transaction:
            transaction.set_properties({"gc.enabled": "true"})
        assert (await lake.publish(store)).outcome == "complete"
        assert lake.reader().load_table((lake.database, "events")).properties["gc.enabled"] == "false"
        days = {
            task.file.partition[0] for task in lake.reader().load_table((lake.database, "events")).scan().plan_files()
        }
        assert len(days) == 2


async def test_a_table_is_made_anew_and_dropped_and_no_file_goes(lake: CatalogLake) -> None:
    """Neither a rebuild nor a drop touches the lake, whatever a table had listed; afterwards it publishes as ever."""
    service = two_days()
    async with lake.store() as store:
        await export(service, store, "r1")
        await lake.publish(store)
        before = [file.file_path for file in listed(lake, "events")]
        found = lake.reader().load_table((lake.database, "events"))
        with found.transaction() as transaction:  # what no engine should do
            emptying = transaction.update_snapshot().delete()
            emptying.delete_by_predicate(AlwaysTrue())
            emptying.commit()
        assert lake.rows("events") == []
        files = await keys_of_files(store)
        rebuilt = await lake.publish(store, is_rebuild=True)
        assert (rebuilt.outcome, rebuilt.behind) == ("complete", 0)
        await check_same_as_the_lake(lake, store)
        assert sorted(file.file_path for file in listed(lake, "events")) == sorted(before)

        async with lake.opened(store) as opened:
            assert await drop_tables(opened) == [table.name for table in TABLES]
            assert await drop_tables(opened) == []
            assert (await count_behind(opened)).behind == len(files)
        assert await keys_of_files(store) == files
        assert [problem async for problem in verify(store, Verified())] == []
        await lake.publish(store)
        await check_same_as_the_lake(lake, store)


async def test_a_mark_that_does_not_fit_is_refused_until_the_table_is_made_anew(sql_lake: CatalogLake) -> None:
    """A log that was restored from an older day, and continued, has other records of the same numbers."""
    service = two_days()
    async with sql_lake.store() as store:
        await export(service, store, "r1")
        older = set(await store.keys(f"_log/{SCOPE}/"))
        service.add("st-1", events={"p1": 2})
        await export(service, store, "r2")
        await sql_lake.publish(store)
        for key in set(await store.keys(f"_log/{SCOPE}/")) - older:
            await store.delete(key)
        ended = {str(failure.error) for failure in (await sql_lake.publish(store)).failures}
        assert len(ended) == len(TABLES)
        assert all("the log ends before it: it is older than the table" in text for text in ended)
        for key in await keys_of_files(store):  # those that the older log does not know
            if "-r2-" in key:
                await store.remove(key)
        service.add("st-2", events={"p2": 3})
        await export(service, store, "r3")
        failures = (await sql_lake.publish(store)).failures
        assert {failure.error.kind for failure in failures} == {"catalog_mismatch"}
        assert all(
            "the log has another one of that number; `ivs-export publish --rebuild`" in str(failure.error)
            for failure in failures
        )
        rebuilt = await sql_lake.publish(store, is_rebuild=True)
        assert rebuilt.failures == []
        await check_same_as_the_lake(sql_lake, store)


@pytest.mark.parametrize("lakes", ["glue on s3"], indirect=True)
async def test_glue_has_the_tables_for_the_hive_reader_too(lake: CatalogLake) -> None:
    """Both kinds are kept by one publication, and given up together; each column says what it means."""
    names = {f"{table.name}{kind}" for table in TABLES for kind in ("", "_hive")}
    async with lake.store() as store:
        await export(two_days(), store, "r1")
        kept = await keep_catalog(lake.settings, store, lake.make_session, system_clock())
        assert (kept.outcome, kept.failures) == ("complete", [])
        await check_same_as_the_lake(lake, store)
        glue: Any = lake.reader()
        listed = glue.glue.get_tables(DatabaseName=lake.database)["TableList"]
        assert {table["Name"] for table in listed} == names
        assert (
            lake.reader().load_table((lake.database, "events")).schema().find_field(1).doc
            == EVENTS.comments["event_id"]
        )
        assert set(await drop_catalog(lake.settings, store, lake.make_session, system_clock())) == names
        assert glue.glue.get_tables(DatabaseName=lake.database)["TableList"] == []


async def test_what_pyiceberg_removes_here_is_never_the_lakes(sql_lake: CatalogLake) -> None:
    """Opened as the exporter opens it, not even a purge, which PyIceberg does whatever a table says, touches a file."""
    async with sql_lake.store() as store:
        await export(two_days(), store, "r1")
        await sql_lake.publish(store)
        files = await keys_of_files(store)
        async with sql_lake.opened(store) as opened:
            found = await opened.do(opened.tables.open, EVENTS)
            everything = [snapshot.snapshot_id for snapshot in found.snapshots()][:-1]
            await opened.do(lambda: found.maintenance.expire_snapshots().by_ids(everything).commit())
            with pytest.raises(LakeRefused, match="nothing else is written or removed"):
                await opened.do(opened.tables.catalog.purge_table, ("ivs", "events"))
        assert await keys_of_files(store) == files
        assert [problem async for problem in verify(store, Verified())] == []


async def keys_of_files(store: Store) -> set[str]:
    return {key for table in TABLES for key in await store.keys(f"{table.name}/")}


def listed(lake: CatalogLake, table: str) -> list[DataFile]:
    """The files of a table, as the catalog has them."""
    return [task.file for task in lake.reader().load_table((lake.database, table)).scan().plan_files()]


def snapshot_of(lake: CatalogLake, table: str) -> int | None:
    snapshot = lake.reader().load_table((lake.database, table)).current_snapshot()
    return None if snapshot is None else snapshot.snapshot_id
