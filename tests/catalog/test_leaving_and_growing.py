"""Files that the log lets go of leave the tables; a table gains columns; a scope that fails holds up no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from exporter.catalog import listed_files, log_reading, publish
from exporter.catalog.changes import LAG_RECORDS_MAX
from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.tables import LAKE_ID
from exporter.commit_log.commits import FileChanges
from exporter.commit_log.journal import Journal
from exporter.commit_log.reader import read_state, records_after
from exporter.lake import staging
from exporter.lake.tables import TABLES
from exporter.lake.tables.columns import text
from exporter.lake.tables.events import EVENTS
from exporter.model import Scope
from tests.support.catalogs import in_order, plain_rows
from tests.support.runs import export
from tests.support.service import SCOPE, Service

if TYPE_CHECKING:
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Store
    from exporter.lake.tables.table import Table
    from tests.support.catalogs import CatalogLake

DAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
OTHER = Scope("444455556666", "eu-west-1")
TOKEN = {"capabilities": ["PUBLISH"], "attributes": [("plan", "free")], "user_id": "u", "expiration_time": NOON}


async def staged(store: Store, name: str, rows: list[dict[str, Any]], table: Table = EVENTS) -> DataFile:
    batch = pa.RecordBatch.from_pylist([{"event_time": NOON, **row} for row in rows], table.schema)
    [file] = await staging.stage(store, table, {DAY: [batch]}, name)
    return file


async def commit(store: Store, scope: Scope, changes: FileChanges, *, shows: bool = True) -> Journal:
    """One record of a run that does nothing else; where ``shows``, its files become visible, and replaced ones go."""
    journal = Journal(store, scope, "by hand", await read_state(store, scope))
    await journal.begin("now")
    (await journal.commit("now", changes=changes)).check()
    if shows:
        assert await staging.publish(store, changes.added) == []
        for file in (*changes.replaced, *changes.lost, *changes.retired):
            await store.remove(file.key)
    return journal


async def test_files_leave_whichever_way_they_go(lake: CatalogLake) -> None:
    """Lost, replaced by others, removed on purpose; also where a file comes and goes between two publications."""
    async with lake.store() as store:
        files = [
            await staged(store, f"{SCOPE}-{number:09d}-r-000001", [{"event_id": number}] * 2) for number in range(5)
        ]
        await commit(store, SCOPE, FileChanges(added=files))
        await lake.publish(store)
        assert sorted(row["event_id"] for row in lake.rows("events")) == sorted([*range(5)] * 2)
        better = await staged(store, f"{SCOPE}-{9:09d}-r-000001", [{"event_id": 1}])
        await commit(store, SCOPE, FileChanges(added=[better], replaced=[files[1]]))
        await commit(store, SCOPE, FileChanges(lost=[files[0]]))
        passing = await staged(store, f"{SCOPE}-{8:09d}-r-000001", [{"event_id": 8}])
        await commit(store, SCOPE, FileChanges(added=[passing]))
        await commit(store, SCOPE, FileChanges(retired=[files[4], passing]))
        published = await lake.publish(store)
        assert published.failures == []
        assert (published.tables[0].added, published.tables[0].removed) == (1, 3)
        assert sorted(row["event_id"] for row in lake.rows("events")) == [1, 2, 2, 3, 3]
        assert in_order(lake.rows("events")) == in_order(await plain_rows(store, "events"))


async def test_the_last_records_files_wait_until_they_are_visible(sql_lake: CatalogLake) -> None:
    """A record is the commit; who lists its files at once would list what no reader finds."""
    async with sql_lake.store() as store:
        first = await staged(store, f"{SCOPE}-{1:09d}-r-000001", [{"event_id": 1}])
        await commit(store, SCOPE, FileChanges(added=[first]))
        second = await staged(store, f"{SCOPE}-{2:09d}-r-000001", [{"event_id": 2}])
        await commit(store, SCOPE, FileChanges(added=[second]), shows=False)
        published = await sql_lake.publish(store)
        assert (published.outcome, published.behind, published.failures) == ("complete", 1, [])
        assert [row["event_id"] for row in sql_lake.rows("events")] == [1]
        await staging.publish(store, [second])
        published = await sql_lake.publish(store)
        assert (published.behind, published.tables[0].added) == (0, 1)


async def test_a_scope_that_fails_holds_up_no_other(sql_lake: CatalogLake) -> None:
    """One whose file is gone, or damaged, or whose log is, is named and waits; the other is published."""
    async with sql_lake.store() as store:
        mine = [await staged(store, f"{SCOPE}-{number:09d}-r-000001", [{"event_id": number}]) for number in range(2)]
        await commit(store, SCOPE, FileChanges(added=mine))
        other = await staged(store, f"{OTHER}-{1:09d}-r-000001", [{"event_id": 7}])
        await commit(store, OTHER, FileChanges(added=[other]))
        body = await store.read(mine[1].key)
        await store.remove(mine[1].key)
        await commit(store, SCOPE, FileChanges())  # so that it is not the last record any more

        published = await sql_lake.publish(store)
        assert (published.outcome, published.behind) == ("partial", 2)
        assert [(failure.unit, failure.error.kind) for failure in published.failures] == [(str(SCOPE), "file_lost")]
        assert [row["event_id"] for row in sql_lake.rows("events")] == [7]

        assert body is not None
        await store.create(mine[1].key, body[:-9] + b"x" + body[-8:])
        damaged = await sql_lake.publish(store)
        assert [failure.error.kind for failure in damaged.failures] == ["file_damaged"]
        anew = await sql_lake.publish(store, is_rebuild=True)
        assert "events is not made anew without" in str(anew.failures[-1].error)

        await store.delete(f"_log/{SCOPE}/records/{2:012d}.json")
        torn = await sql_lake.publish(store)
        assert [(failure.unit, failure.error.kind) for failure in torn.failures] == [(str(SCOPE), "log_damaged")]
        anew = await sql_lake.publish(store, is_rebuild=True)
        assert len(anew.failures) == 1 + len(TABLES)
        assert [row["event_id"] for row in sql_lake.rows("events")] == [7]


async def test_a_lake_of_several_configurations_and_old_versions_is_published_whole(sql_lake: CatalogLake) -> None:
    """Every scope in the log counts, whatever this configuration names."""
    service = Service()
    service.add("st-1", events={"p": 3})
    async with sql_lake.store() as store:
        await export(service, store, "r1")
        other = await staged(store, f"{OTHER}-{1:09d}-r-000001", [{"event_id": 7}])
        await commit(store, OTHER, FileChanges(added=[other]))
        await sql_lake.publish(store)
        assert len(sql_lake.rows("events")) == 4
        numbers = [record.number async for record in records_after(store, OTHER)]
        marks = sql_lake.reader().load_table((sql_lake.database, "events")).properties
        assert marks[f"ivs-export.published.{OTHER}"].startswith(f"{numbers[-1]} ")


async def test_a_table_gains_a_column_and_old_and_new_files_are_read_by_their_ids(
    lake: CatalogLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer ivs-export writes a column more; nested values are whole, and an older one lists no such file."""
    grown = replace(EVENTS, columns=(*EVENTS.columns, text(33, "mood", "how it felt", "where nobody says")), version=2)
    async with lake.store() as store:
        old = await staged(store, f"{SCOPE}-{1:09d}-r-000001", [{"event_id": 1, "new_token": TOKEN}])
        await commit(store, SCOPE, FileChanges(added=[old]))
        await lake.publish(store)
        rows = [{"event_id": 2, "new_token": TOKEN, "mood": "fine"}]
        new = await staged(store, f"{SCOPE}-{2:09d}-r-000001", rows, grown)
        await commit(store, SCOPE, FileChanges(added=[new]))

        refused = await lake.publish(store)
        assert ["does not know (mood); use a newer one" in str(failure.error) for failure in refused.failures] == [True]
        with monkeypatch.context() as newer:
            for module in (publish, log_reading):
                newer.setattr(module, "TABLES", (grown, *TABLES[1:]))
            newer.setattr(listed_files, "table_named", {"events": grown}.__getitem__)
            assert (await lake.publish(store)).failures == []
        found = {row["event_id"]: row for row in lake.rows("events")}
        assert {number: row["mood"] for number, row in found.items()} == {1: None, 2: "fine"}
        for row in found.values():
            assert row["new_token"] == {**TOKEN, "expiration_time": row["new_token"]["expiration_time"]}
        # What is there already is no matter to the older one, which goes on with its own files.
        third = await staged(store, f"{SCOPE}-{3:09d}-r-000001", [{"event_id": 3}])
        await commit(store, SCOPE, FileChanges(added=[third]))
        assert (await lake.publish(store)).failures == []
        assert len(lake.rows("events")) == 3


async def test_a_table_of_somebody_else_is_left_alone(sql_lake: CatalogLake, tmp_path: Any) -> None:
    """Neither published into, nor made anew, nor dropped; where the lake itself has moved, a rebuild follows it."""
    async with sql_lake.store() as store:
        file = await staged(store, f"{SCOPE}-{1:09d}-r-000001", [{"event_id": 1}])
        await commit(store, SCOPE, FileChanges(added=[file]))
        catalog = sql_lake.reader()
        catalog.create_namespace("ivs")
        theirs = catalog.create_table(("ivs", "events"), EVENTS.schema, location=f"file://{tmp_path}/theirs")
        published = await sql_lake.publish(store)
        assert [(failure.unit, failure.error.kind) for failure in published.failures] == [
            ("events", "catalog_mismatch")
        ]
        assert "set another `database`" in str(published.failures[0].error)
        rebuilt = await sql_lake.publish(store, is_rebuild=True)
        assert [failure.unit for failure in rebuilt.failures] == ["events"]
        async with sql_lake.opened(store) as opened:
            with pytest.raises(CatalogMismatch):
                await opened.ask(opened.tables.drop, EVENTS)
        again = catalog.load_table(("ivs", "events"))
        assert again.metadata == theirs.metadata

        with again.transaction() as transaction:
            transaction.set_properties({LAKE_ID: "80000000" * 4})
        moved = await sql_lake.publish(store)
        assert "was made at" in str(moved.failures[0].error)
        assert (await sql_lake.publish(store, is_rebuild=True)).failures == []
        assert [row["event_id"] for row in sql_lake.rows("events")] == [1]


async def test_marks_of_a_table_without_files_are_made_anew(sql_lake: CatalogLake) -> None:
    """The log is a backup of an older day, and the table has nothing but marks: they are forgotten, too."""
    async with sql_lake.store() as store:
        for _ in range(LAG_RECORDS_MAX + 2):
            await commit(store, SCOPE, FileChanges())
        assert (await sql_lake.publish(store)).failures == []
        for key in sorted(await store.keys(f"_log/{SCOPE}/records/"))[9:]:
            await store.delete(key)
        published = await sql_lake.publish(store)
        assert ["the log ends before it" in str(failure.error) for failure in published.failures] == [True] * len(
            TABLES
        )
        assert (await sql_lake.publish(store, is_rebuild=True)).failures == []
        assert (await sql_lake.publish(store)).failures == []


async def test_what_an_engine_undid_is_named_and_made_anew(sql_lake: CatalogLake, tmp_path: Any) -> None:
    """A table that was rolled back keeps its marks and lacks files; one whose own files were deleted can't be read."""
    async with sql_lake.store() as store:
        for epoch in (1, 2):
            file = await staged(store, f"{SCOPE}-{epoch:09d}-r-000001", [{"event_id": epoch}])
            await commit(store, SCOPE, FileChanges(added=[file]))
            await sql_lake.publish(store)
        found = sql_lake.reader().load_table(("ivs", "events"))
        found.manage_snapshots().rollback_to_snapshot(found.snapshots()[0].snapshot_id).commit()
        assert [row["event_id"] for row in sql_lake.rows("events")] == [1]
        published = await sql_lake.publish(store)
        assert ["was rolled back by an engine" in str(failure.error) for failure in published.failures] == [True]
        assert (await sql_lake.publish(store, is_rebuild=True)).failures == []
        assert sorted(row["event_id"] for row in sql_lake.rows("events")) == [1, 2]

        for path in (tmp_path.parent / sql_lake.address).glob("_iceberg/events/metadata/*"):
            path.unlink()
        published = await sql_lake.publish(store)
        assert [failure.error.kind for failure in published.failures] == ["catalog_mismatch"]
        assert (await sql_lake.publish(store, is_rebuild=True)).failures == []
        assert sorted(row["event_id"] for row in sql_lake.rows("events")) == [1, 2]


async def test_more_files_than_one_transaction_takes(sql_lake: CatalogLake) -> None:
    """They come in several, each with the marks that it has reached."""
    async with sql_lake.store() as store:
        for number in range(5):
            file = await staged(store, f"{SCOPE}-{number:09d}-r-000001", [{"event_id": number}])
            await commit(store, SCOPE, FileChanges(added=[file]))
        async with sql_lake.opened(store) as opened:
            published = await publish.Publisher(opened, files_max=2).publish()
        assert (published.tables[0].added, published.behind) == (5, 0)
        found = sql_lake.reader().load_table(("ivs", "events"))
        assert len(found.snapshots()) == 3
        assert sorted(row["event_id"] for row in sql_lake.rows("events")) == [*range(5)]


async def test_a_first_publication_in_several_transactions_passes_over_files_that_are_gone(
    sql_lake: CatalogLake,
) -> None:
    """A record that lets go of a file stands beyond the cut, and the file is gone from the lake."""
    async with sql_lake.store() as store:
        files = []
        for number in range(4):
            file = await staged(store, f"{SCOPE}-{number:09d}-r-000001", [{"event_id": number}])
            await commit(store, SCOPE, FileChanges(added=[file]))
            files.append(file)
        await store.remove(files[0].key)
        await commit(store, SCOPE, FileChanges(lost=[files[0]]))
        async with sql_lake.opened(store) as opened:
            published = await publish.Publisher(opened, files_max=1).publish()
        assert (published.failures, published.behind) == ([], 0)
        assert sorted(row["event_id"] for row in sql_lake.rows("events")) == [1, 2, 3]
