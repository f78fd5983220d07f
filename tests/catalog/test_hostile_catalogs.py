"""What else may befall a catalog: an older backup, another lake at its place, a clock that goes back, nonsense."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from exporter.catalog.publish import Publisher
from exporter.catalog.transaction import LAST_SNAPSHOT, is_rolled_back
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.stores.open import open_store
from exporter.lake.tables import TABLES
from exporter.machine.clock import wall_us
from tests.support.catalogs import CatalogLake, in_order, plain_rows
from tests.support.runs import export
from tests.support.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.lake.store import Store

HOUR_US = 3_600_000_000


async def add_night(store: Store, number: int) -> None:
    service = Service()
    service.add(f"st-{number}", events={"p": 1 + number})
    await export(service, store, f"r{number}")


async def check_whole(lake: CatalogLake, store: Store) -> None:
    for table in TABLES:
        assert in_order(lake.rows(table.name)) == in_order(await plain_rows(store, table.name)) != []


async def test_a_catalog_of_an_older_backup_is_caught_up(sql_lake: CatalogLake) -> None:
    """It names an older version of each table, whose marks are older, too."""
    database = sql_lake.properties["uri"].removeprefix("sqlite:///")
    async with sql_lake.store() as store:
        for number in range(3):
            await add_night(store, number)
            await sql_lake.publish(store)
            if number == 0:
                shutil.copy(database, f"{database}.backup")
        shutil.copy(f"{database}.backup", database)
        published = await sql_lake.publish(store)
        assert (published.outcome, published.behind) == ("complete", 0)
        await check_whole(sql_lake, store)


async def test_two_lakes_with_one_namespace_and_one_place_are_kept_apart(sql_lake: CatalogLake, tmp_path: Path) -> None:
    """The second one neither publishes there nor makes the tables anew, and the first one's rows stay."""
    properties = {**sql_lake.properties, "ivs-export.location": f"file://{tmp_path}/warehouse"}
    first = CatalogLake("sql", sql_lake.address, properties, "ivs")
    second = CatalogLake("sql", str(tmp_path / "second"), properties, "ivs")
    async with first.store() as store:
        await add_night(store, 1)
        await first.publish(store)
        async with open_store(second.address, second.make_session, second.settings.s3) as other:
            await open_lake(other, second.address, LakeKind(), "r0", lambda: 0.25)
            await add_night(other, 2)
            for is_rebuild in (False, True):
                published = await second.publish(other, is_rebuild=is_rebuild)
                assert published.outcome == "failed"
                assert all("is not of the lake" in str(failure.error) for failure in published.failures)
                assert len(published.failures) == len(TABLES)
        assert (await first.publish(store)).outcome == "complete"
        await check_whole(first, store)
        first.close_readers()


async def test_a_clock_that_went_back_commits_nothing(sql_lake: CatalogLake) -> None:
    """Iceberg's libraries refuse a table whose times go back by more than a minute: no engine would read it."""
    async with sql_lake.store() as store:
        await add_night(store, 1)
        await sql_lake.publish(store)
        await add_night(store, 2)
        async with sql_lake.opened(store) as opened:
            opened.tables = replace(opened.tables, machine_us=lambda: wall_us() - HOUR_US)
            refused = await Publisher(opened).publish()
        assert refused.outcome == "failed"
        assert all("ahead of this machine's clock" in str(failure.error) for failure in refused.failures)
        async with sql_lake.opened(store) as opened:
            opened.tables = replace(opened.tables, machine_us=lambda: wall_us() - HOUR_US // 120)
            assert (await Publisher(opened).publish()).outcome == "complete"
        await check_whole(sql_lake, store)


def test_a_history_that_turns_in_a_circle_comes_to_an_end() -> None:
    """A catalog that answers nonsense would keep a thread busy for ever."""
    snapshot = SimpleNamespace(snapshot_id=1, parent_snapshot_id=1)
    table: Any = SimpleNamespace(
        properties={LAST_SNAPSHOT: "2"}, current_snapshot=lambda: snapshot, snapshot_by_id=lambda _: snapshot
    )
    assert is_rolled_back(table)
