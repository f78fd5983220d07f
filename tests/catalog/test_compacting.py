"""Small files become larger ones beside the lake: the same rows, each once, whoever else publishes, whoever dies."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.catalog import compact, listed_files, merging, publish, table_files
from exporter.catalog.abandoned import SAFE_S
from exporter.catalog.compact import Compactor
from exporter.catalog.compacted import ORIGINALS_KEY
from exporter.catalog.errors import CatalogError
from exporter.catalog.publish import Publisher
from exporter.commit_log.commits import FileChanges
from exporter.errors import LakeBusy
from exporter.health.verify import Verified, verify
from exporter.lake import parquet, staging
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.tables.columns import text
from exporter.lake.tables.events import EVENTS
from tests.catalog.test_leaving_and_growing import OTHER, TOKEN, commit
from tests.catalog.test_races_and_deaths import Beside
from tests.support.catalogs import in_order, plain_rows
from tests.support.memory_store import Crash, Failing
from tests.support.service import SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.catalog.open import OpenCatalog
    from exporter.catalog.outcome import CompactedTable, Publication
    from exporter.lake.data_files import DataFile
    from exporter.lake.store import Store
    from exporter.model import Scope
    from tests.support.catalogs import CatalogLake

DAY = date(2026, 11, 23)
TARGET_BYTES = 1 << 20
#: Each so many is the last one: all of them take a minute.
STEPS = 17


@pytest.fixture(autouse=True)
def only_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """One table is as good as four, and is there sooner."""
    for module in (publish, compact):
        monkeypatch.setattr(module, "TABLES", (EVENTS,))


def row_of(number: int, day: int) -> dict[str, Any]:
    moment = datetime.combine(DAY, datetime.min.time(), UTC) + timedelta(days=day, hours=12)
    of = {"stage_arn": f"s{number % 3}", "session_id": "x", "participant_id": f"p{number % 7}"}
    return {"event_id": number, "event_time": moment, "new_token": TOKEN, **of}


async def add(
    store: Store,
    number: int,
    *,
    scope: Scope = SCOPE,
    days: Iterable[int] = (0,),
    rows: list[dict[str, Any]] | None = None,
) -> list[DataFile]:
    """One record with a file for each of some days."""
    of_days = {}
    for day in days:
        made = rows or [row_of(number * 1000 + index, day) for index in range(2)]
        of_days[DAY + timedelta(days=day)] = [pa.RecordBatch.from_pylist(made, EVENTS.schema)]
    files = await staging.stage(store, EVENTS, of_days, f"{scope}-{number:09d}-r-000001")
    await commit(store, scope, FileChanges(added=files))
    return files


async def settle(store: Store) -> None:
    """Records after those of files."""
    for scope in (SCOPE, OTHER):
        await commit(store, scope, FileChanges())


async def compacted(opened: OpenCatalog, target_bytes: int = TARGET_BYTES) -> tuple[Publication, CompactedTable]:
    """Publish, and compact; gives what became of the events."""
    publication = await Publisher(opened).publish()
    await Compactor(opened, publication, target_bytes).compact()
    assert publication.compacted is not None
    assert publication.compacted, publication.failures
    return publication, publication.compacted[0]


async def run(lake: CatalogLake, store: Store) -> CompactedTable:
    async with lake.opened(store) as opened:
        publication, done = await compacted(opened)
    assert publication.failures == []
    return done


def urls(lake: CatalogLake) -> list[str]:
    found = lake.reader().load_table((lake.database, "events"))
    return sorted(task.file.file_path for task in found.scan().plan_files())


async def check_same(lake: CatalogLake, store: Store) -> None:
    expected = await plain_rows(store, "events")
    assert expected
    assert in_order(lake.rows("events")) == in_order(expected)


async def test_small_files_become_one_a_day_and_their_rows_leave_with_their_originals(lake: CatalogLake) -> None:
    """Same rows before, during and after; a second time nothing is done; files that go take their rows with them."""
    async with lake.store() as store:
        files = [file for number in range(3) for file in await add(store, number, days=(0, 1))]
        files += await add(store, 3, scope=OTHER)
        await settle(store)
        await lake.publish(store)
        keys = await store.keys("events/")
        planned = lake.reader().load_table((lake.database, "events")).scan()
        await check_same(lake, store)

        done = await run(lake, store)
        assert (done.merged, done.made, done.snapshots) == (7, 2, 1)
        assert done.size_bytes > 0
        assert len(urls(lake)) == 2
        assert all("/events/data/" in url for url in urls(lake))
        await check_same(lake, store)
        assert in_order(planned.to_arrow().to_pylist()) == in_order(await plain_rows(store, "events"))
        assert await store.keys("events/") == keys
        assert [problem async for problem in verify(store, Verified())] == []

        before = lake.reader().load_table((lake.database, "events")).current_snapshot()
        again = await run(lake, store)
        assert (again.merged, again.made, again.snapshots, again.abandoned) == (0, 0, 0, 0)
        assert lake.reader().load_table((lake.database, "events")).current_snapshot() == before

        # One is lost, one removed on purpose: the others of that day are listed again, and the other day stays.
        await commit(store, SCOPE, FileChanges(lost=[files[0]]))
        await commit(store, SCOPE, FileChanges(retired=[files[4]]))
        published = await lake.publish(store)
        assert (published.outcome, published.behind, published.failures) == ("complete", 0, [])
        assert sum("/data/" in url for url in urls(lake)) == 1
        assert sum(files[2].key in url or files[6].key in url for url in urls(lake)) == 2
        await check_same(lake, store)


async def test_a_compacted_file_is_merged_with_what_comes_later(sql_lake: CatalogLake) -> None:
    """It says of all its originals then; a rebuild lists these alone."""
    async with sql_lake.store() as store:
        files = [(await add(store, number))[0] for number in range(2)]
        await settle(store)
        await run(sql_lake, store)
        await add(store, 2, days=(0, 1), scope=OTHER)
        await settle(store)
        assert (await run(sql_lake, store)).merged == 2
        assert len(urls(sql_lake)) == 2
        await commit(store, SCOPE, FileChanges(retired=files[:1]))
        assert (await sql_lake.publish(store)).failures == []
        assert not any("/data/" in url for url in urls(sql_lake))
        await check_same(sql_lake, store)
        assert (await run(sql_lake, store)).merged == 2
        assert (await sql_lake.publish(store, is_rebuild=True)).failures == []
        assert not any("/data/" in url for url in urls(sql_lake))
        await check_same(sql_lake, store)


async def test_more_than_one_commit_takes(sql_lake: CatalogLake) -> None:
    """It comes in several, each whole by itself."""
    async with sql_lake.store() as store:
        for number in range(2):
            await add(store, number, days=(0, 1))
        await settle(store)
        async with sql_lake.opened(store) as opened:
            publication = await Publisher(opened).publish()
            await Compactor(opened, publication, TARGET_BYTES, batch_bytes_max=1).compact()
        assert publication.compacted is not None
        [done] = publication.compacted
        assert (done.merged, done.made, done.snapshots) == (4, 2, 2)
        await check_same(sql_lake, store)


async def test_a_compacted_file_is_written_as_the_lakes_are(sql_lake: CatalogLake) -> None:
    """Types, ids, encodings, what stands beside the schema, and the order of rows within a group."""
    async with sql_lake.store() as store:
        for number in range(3):
            await add(store, number, rows=[row_of(number * 1000 + index, 0) for index in range(5)])
        await settle(store)
        await run(sql_lake, store)
        [url] = urls(sql_lake)
        body = await store.read(url.removeprefix(f"file://{sql_lake.address}/"))
        original = await store.read((await store.keys("events/"))[0])
        assert body is not None
        assert original is not None
        made, like = pq.ParquetFile(BytesIO(body)), pq.ParquetFile(BytesIO(original))
        assert made.schema_arrow.equals(like.schema_arrow, check_metadata=False)
        extra = {ORIGINALS_KEY.encode()}
        assert made.metadata.metadata.keys() - like.metadata.metadata.keys() == extra
        assert made.metadata.metadata.items() >= like.metadata.metadata.items()
        for index in range(made.metadata.num_columns):
            [mine, theirs] = [file.metadata.row_group(0).column(index) for file in (made, like)]
            assert (mine.compression, set(mine.encodings)) == (theirs.compression, set(theirs.encodings))
        rows = made.read().to_pylist()
        key = [tuple(row[name] for name in EVENTS.sort_by) for row in rows]
        assert key == sorted(key)
        assert len({row["stage_arn"] for row in rows}) == 3


async def test_files_of_the_last_record_and_an_engines_are_left_alone(sql_lake: CatalogLake) -> None:
    """What a recovery may still look at is not merged, nor what is no file of the lake."""
    async with sql_lake.store() as store:
        for number in range(3):
            await add(store, number)
        done = await run(sql_lake, store)
        assert (done.merged, done.made) == (2, 1)
        body = await store.read((await store.keys("events/"))[0])
        assert body is not None
        await store.create("_iceberg/events/data/event_day=2026-11-23/part-0.parquet", body)
        found = sql_lake.reader().load_table(("ivs", "events"))
        found.add_files([f"file://{sql_lake.address}/_iceberg/events/data/event_day=2026-11-23/part-0.parquet"])
        await settle(store)
        assert (await run(sql_lake, store)).merged == 2
        assert len(urls(sql_lake)) == 2


async def test_a_merge_that_is_overtaken_is_planned_anew(sql_lake: CatalogLake) -> None:
    """A part leaves and a file comes between plan and commit: the one's rows are gone, the other's there once."""
    async with sql_lake.store() as store:
        files = [(await add(store, number))[0] for number in range(4)]
        await settle(store)
        await sql_lake.publish(store)
        async with sql_lake.opened(store) as opened:
            loop, catalog, rivals = asyncio.get_running_loop(), opened.tables.catalog, iter(range(1))
            commit_table: Any = catalog.commit_table

            async def overtake() -> None:
                await add(store, 7)
                await commit(store, SCOPE, FileChanges(retired=[files[1]]))
                await sql_lake.publish(store)

            def late(*given: Any) -> Any:
                if next(rivals, None) is not None:
                    asyncio.run_coroutine_threadsafe(overtake(), loop).result()
                return commit_table(*given)

            publication = await Publisher(opened).publish()
            catalog.commit_table = late  # type: ignore[assignment, method-assign] # for the rival to come in between
            await Compactor(opened, publication, TARGET_BYTES).compact()
        assert publication.failures == []
        assert publication.compacted is not None
        # Three of those that are left, and the one that came; the first try's file lies there, and nothing lists it.
        assert (publication.compacted[0].merged, publication.compacted[0].made) == (4, 1)
        assert len(await store.keys("_iceberg/events/data/")) == 2
        await check_same(sql_lake, store)


async def test_compactors_and_publishers_at_once(sql_lake: CatalogLake) -> None:
    """Two of each, while records come and go."""
    async with sql_lake.store() as store:
        first = [(await add(store, number))[0] for number in range(4)]
        await settle(store)
        is_over = asyncio.Event()

        async def write() -> None:
            for number, file in enumerate(first):
                await add(store, 10 + number, days=(0, 1))
                await commit(store, SCOPE, FileChanges(retired=[file]))
                await asyncio.sleep(0.05)
            is_over.set()

        async def keep_on() -> None:
            async with sql_lake.opened(store) as opened:
                while not is_over.is_set():
                    await compacted(opened)

        async def publish_on() -> None:
            while not is_over.is_set():
                await sql_lake.publish(store)

        await asyncio.gather(write(), keep_on(), keep_on(), publish_on())
        await settle(store)
        await run(sql_lake, store)
        assert len(urls(sql_lake)) == 2
        await check_same(sql_lake, store)


async def grown(lake: CatalogLake) -> Beside:
    """A lake in memory with files to merge, one of them in a compacted file already, and one that is to leave it."""
    beside = Beside(lake)
    await open_lake(beside.store, lake.address, LakeKind(), "r0", lambda: 0.5)
    files = [(await add(beside.store, number))[0] for number in range(2)]
    await settle(beside.store)
    async with beside.opened() as opened:
        await compacted(opened)
    await add(beside.store, 2, scope=OTHER)
    await commit(beside.store, SCOPE, FileChanges(retired=files[:1]))
    await add(beside.store, 3)
    await settle(beside.store)
    return beside


async def originals(beside: Beside) -> list[str]:
    """The lake's files whose rows the table has, once for each time that it has them."""
    keys: list[str] = []
    for key, times in (await beside.listed()).items():
        if key.startswith("events/"):
            keys += [key] * times
            continue
        names = pq.read_metadata(BytesIO(beside.store.visible[key])).metadata[ORIGINALS_KEY.encode()]
        keys += [f"events/event_date={DAY}/{name}" for name, *_ in json.loads(names)] * times
    return sorted(keys)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "error"),
    [("before", Crash()), ("after", LakeBusy("no answer"))],
    ids=["the process is gone", "answers are lost"],
)
async def test_whatever_step_is_the_last_each_row_is_listed_once(
    sql_lakes: Any, moment: str, error: BaseException
) -> None:
    """Publication and compaction end at any operation of lake or catalog; the table is whole, and the next mends."""
    start = await grown(next(sql_lakes))
    seen = await originals(start)
    for step in count(random.randrange(STEPS), STEPS):
        beside = start.copy(next(sql_lakes))
        failing = Failing(step, error)
        setattr(beside, moment, failing)
        with suppress(Crash, LakeBusy, CatalogError):
            async with beside.opened() as opened:
                await Compactor(opened, await Publisher(opened).publish(), TARGET_BYTES).compact()
        is_whole = not failing.has_failed
        beside.heal()
        assert await originals(beside) in (seen, sorted(beside.store.files())), f"neither before nor after at {step}"
        async with beside.opened() as opened:
            publication, _ = await compacted(opened)
        assert (publication.outcome, publication.behind) == ("complete", 0)
        assert await originals(beside) == sorted(beside.store.files()), f"wrong after step {step}"
        assert len(await beside.listed()) == 1
        if is_whole:
            break
    assert step > 50


async def test_what_a_dead_compaction_left_is_removed_days_later_and_nothing_else(sql_lake: CatalogLake) -> None:
    """Not what a snapshot of long ago names, not another table's, not a stranger's."""
    async with sql_lake.store() as store:
        for number in range(2):
            await add(store, number)
        await settle(store)
        await run(sql_lake, store)
        await add(store, 2)
        await settle(store)
        await run(sql_lake, store)  # the first compacted file is only in older snapshots now
        [first, second] = await store.keys("_iceberg/events/data/")
        folder, own = first.rpartition("/")[0], secrets.token_hex(8)
        dead = f"{folder}/001700000000-2-500-{own}.parquet"
        strange = f"{folder}/part-00000.parquet"
        other = dead.replace(first.split("/")[3], "ab12")
        for key in (dead, strange, other):
            await store.create(key, b"x")
        await store.stage(dead.replace(own, "0" * 16), b"half")
        young = await store.stage(first.replace(first[-24:-8], "0" * 16), b"being written")

        async with sql_lake.opened(store) as opened:
            _, done = await compacted(opened)
        assert done.abandoned == 2
        assert set(await store.keys("_iceberg/events/data/")) == {first, second, strange, other}
        assert [left.key for left in await store.leftovers("_iceberg")] == [young.key]

        async with sql_lake.opened(store) as opened:
            later = replace(opened.clock, wall_us=lambda: opened_us + (SAFE_S + 60) * 1_000_000)
            opened_us = opened.clock.wall_us()
            opened.clock = later
            _, done = await compacted(opened)
        assert done.abandoned == 1
        assert set(await store.keys("_iceberg/events/data/")) == {first, second, strange, other}
        await check_same(sql_lake, store)


async def test_what_was_taken_away_before_it_is_listed_is_made_anew(
    sql_lake: CatalogLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a compaction whose clock is days ahead: a table that lists what is gone could not be read."""
    merged = merging.Merger.merged
    async with sql_lake.store() as store:
        for number in range(2):
            await add(store, number)
        await settle(store)
        loop, takers = asyncio.get_running_loop(), iter(range(1))

        def taken_away(merger: merging.Merger, *given: Any) -> merging.Merged:
            made = merged(merger, *given)
            if next(takers, None) is not None:
                asyncio.run_coroutine_threadsafe(store.remove(merger.lake.key_of(made.url) or ""), loop).result()
            return made

        monkeypatch.setattr(merging.Merger, "merged", taken_away)
        assert (await run(sql_lake, store)).merged == 2
        await check_same(sql_lake, store)


async def test_files_with_and_without_a_new_column_are_merged_by_who_knows_it(
    sql_lake: CatalogLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older ivs-export would lose what it does not know, and leaves such a table alone."""
    grown = replace(EVENTS, columns=(*EVENTS.columns, text(33, "mood", "how it felt", "where nobody says")), version=2)
    async with sql_lake.store() as store:
        await add(store, 1)
        batch = pa.RecordBatch.from_pylist([{**row_of(2, 0), "mood": "fine"}], grown.schema)
        new = await staging.stage(store, grown, {DAY: [batch]}, f"{SCOPE}-{2:09d}-r-000001")
        await commit(store, SCOPE, FileChanges(added=new))
        await settle(store)
        with monkeypatch.context() as newer:
            for module in (publish, compact):
                newer.setattr(module, "TABLES", (grown,))
            newer.setattr(listed_files, "table_named", {"events": grown}.__getitem__)
            await sql_lake.publish(store)
            async with sql_lake.opened(store) as older:
                failing = await Publisher(older).publish()
                newer.setattr(compact, "TABLES", (EVENTS,))
                await Compactor(older, failing, TARGET_BYTES).compact()
            assert ["does not know (mood); use a newer one" in str(each.error) for each in failing.failures] == [True]
            newer.setattr(compact, "TABLES", (grown,))
            assert (await run(sql_lake, store)).merged == 2
        assert sorted(str(row["mood"]) for row in sql_lake.rows("events")) == ["None", "None", "fine"]


async def test_one_that_cant_be_read_is_named_and_left_as_it_is(sql_lake: CatalogLake) -> None:
    """An original of that day is gone; the other day is merged. What it held is listed again only when it is whole."""
    async with sql_lake.store() as store:
        files = [file for number in range(3) for file in await add(store, number, days=(0, 1))]
        await settle(store)
        await sql_lake.publish(store)
        body = await store.read(files[0].key)
        assert body is not None
        await store.remove(files[0].key)
        async with sql_lake.opened(store) as opened:
            publication, done = await compacted(opened)
        assert [(each.unit, each.error.kind) for each in publication.failures] == [(f"events/{DAY}", "file_lost")]
        assert (done.merged, done.made) == (3, 1)
        await store.create(files[0].key, body)
        assert (await run(sql_lake, store)).merged == 3

        # One that was made of it is gone, without a word of the log, when another one leaves.
        await store.remove(files[0].key)
        await commit(store, SCOPE, FileChanges(retired=[files[2]]))
        await commit(store, SCOPE, FileChanges())
        published = await sql_lake.publish(store)
        assert [(each.unit, each.error.kind) for each in published.failures] == [(str(SCOPE), "file_lost")]
        assert len(sql_lake.rows("events")) == 12
        await store.create(files[0].key, body)
        assert (await sql_lake.publish(store)).failures == []
        await check_same(sql_lake, store)


async def test_a_broken_page_is_named_and_the_other_day_is_merged(sql_lake: CatalogLake) -> None:
    """PyArrow calls it an error of the system's: it is the file's fault, and no temporary folder's."""
    async with sql_lake.store() as store:
        await add(store, 0, rows=[row_of(number, 0) for number in range(3_000)])
        broken = (await add(store, 1, rows=[row_of(number, 0) for number in range(3_000, 6_000)]))[0]
        for number in range(2, 4):
            await add(store, number, days=(1,))
        await settle(store)
        body = await store.read(broken.key)
        assert body is not None
        footer = pq.read_metadata(BytesIO(body)).row_group(0).column(0)
        begin = footer.data_page_offset + 30
        await store.remove(broken.key)
        await store.create(
            broken.key, body[:begin] + bytes(byte ^ 0xFF for byte in body[begin:][:30]) + body[begin + 30 :]
        )
        async with sql_lake.opened(store) as opened:
            publication, done = await compacted(opened)
    [failure] = publication.failures
    assert (failure.unit, failure.error.kind) == (f"events/{DAY}", "file_damaged")
    assert broken.key in str(failure.error)
    assert "\n" not in str(failure.error)
    assert (done.merged, done.made) == (2, 1)


async def test_merging_takes_the_memory_of_few_row_groups(
    sql_lake: CatalogLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are read by ranges, a row group at a time; rows of one group and what is written are all that is held."""
    monkeypatch.setattr(table_files, "_WHOLE_BYTES_MAX", 0)
    monkeypatch.setattr(staging, "encode", partial(parquet.encode, group_rows_max=1_000))
    monkeypatch.setattr(merging, "encode_into", partial(parquet.encode_into, group_rows_max=1_000))
    async with sql_lake.store() as store:
        rows = [{**row_of(number, 0), "participant_id": secrets.token_hex(32)} for number in range(8_000)]
        for number in range(2):
            await add(store, number, rows=rows)
        await settle(store)
        await sql_lake.publish(store)
        sizes = [len(await store.read(key) or b"") for key in await store.keys("events/")]
        lengths: list[int] = []
        async with sql_lake.opened(store) as opened:
            read_range = opened.lake.read_range

            def measured(key: str, begin: int, length: int) -> bytes | None:
                lengths.append(length)
                return read_range(key, begin, length)

            monkeypatch.setattr(opened.lake, "read_range", measured)
            before = pa.default_memory_pool()
            held = pa.proxy_memory_pool(before)
            pa.set_memory_pool(held)
            try:
                _, done = await compacted(opened, 1 << 30)
            finally:
                pa.set_memory_pool(before)
        assert (done.merged, done.made) == (2, 1)
        assert max(lengths) < min(sizes) / 4
        decoded = sum(pa.RecordBatch.from_pylist(rows, EVENTS.schema).nbytes for _ in range(2))
        assert held.max_memory() < decoded / 3, (held.max_memory(), decoded)
