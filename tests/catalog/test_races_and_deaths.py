"""Publishers that race and die, a catalog that fails at each step, answers that are lost: each file is listed once."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException

from exporter.catalog import log_reading, publish
from exporter.catalog.edit import TableEdit
from exporter.catalog.errors import CatalogError, CatalogRace
from exporter.catalog.open import opened_catalog
from exporter.catalog.publish import Publisher
from exporter.catalog.transaction import commit
from exporter.errors import LakeBusy
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.tables.events import EVENTS
from exporter.machine.clock import Clock
from tests.catalog.races import race_and_die
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export
from tests.support.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exporter.catalog.open import OpenCatalog
    from exporter.catalog.outcome import Publication
    from tests.support.catalogs import CatalogLake


async def test_three_publishers_that_race_and_die_list_each_file_once(lake: CatalogLake) -> None:
    await race_and_die(lake)


def _instant() -> Clock:
    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    return Clock(lambda: 0.0, lambda: 0, sleep, lambda: 0.5)


@dataclass
class Beside:
    """A lake in memory with a catalog in SQLite, and what each of their operations meets."""

    lake: CatalogLake
    store: MemoryStore = field(default_factory=MemoryStore)
    before: Callable[[str, str], None] = lambda *_: None
    after: Callable[[str, str], None] = lambda *_: None

    async def publish(self) -> Publication:
        """Publish as a new process."""
        async with self.opened() as opened:
            return await Publisher(opened).publish()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenCatalog]:
        """The catalog as a new process has it."""
        self.store.before, self.store.after = self.before, self.after
        async with opened_catalog(self.lake.settings, self.store, None, _instant()) as opened:
            catalog: Any = opened.tables.catalog
            for name in ("load_table", "create_table", "commit_table", "create_namespace"):
                setattr(catalog, name, self._met(name, getattr(catalog, name)))
            yield opened

    def copy(self, lake: CatalogLake) -> Beside:
        """The same, with a catalog of its own: it names the same lake."""
        copy = Beside(replace(lake, address=self.lake.address))
        shutil.copy(self.database, copy.database)
        copy.store.visible, copy.store.records = dict(self.store.visible), dict(self.store.records)
        return copy

    @property
    def database(self) -> str:
        return self.lake.properties["uri"].removeprefix("sqlite:///")

    def heal(self) -> None:
        self.before = self.after = self.store.before = self.store.after = lambda *_: None

    def _met(self, name: str, operation: Any) -> Any:
        def met(*given: Any, **named: Any) -> Any:
            self.before(name, "")
            done = operation(*given, **named)
            self.after(name, "")
            return done

        return met

    async def listed(self) -> Counter[str]:
        """The keys of the files that the table of events lists."""
        async with opened_catalog(self.lake.settings, self.store, None, _instant()) as opened:
            found = await opened.do(opened.tables.find, EVENTS)
            if found is None:
                return Counter()
            tasks = await opened.do(lambda: list(found.scan().plan_files()))
            prefix = f"{opened.lake.places.lake}/"
        return Counter(task.file.file_path.removeprefix(prefix) for task in tasks)


@pytest.fixture
def only_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """One table is as good as four, where each step is to be the last."""
    for module in (publish, log_reading):
        monkeypatch.setattr(module, "TABLES", (EVENTS,))


async def grown(lake: CatalogLake) -> Beside:
    """A lake of which a catalog has one night, and lacks another in which a file was replaced by others."""
    beside, service = Beside(lake), Service()
    await open_lake(beside.store, lake.address, LakeKind(), "r0", lambda: 0.5)
    service.add("st-1", events={"p1": 2})
    await export(service, beside.store, "r1")
    await beside.publish()
    service.add("st-2", events={"p1": 2})
    await export(service, beside.store, "r2")
    return beside


@pytest.mark.slow
@pytest.mark.usefixtures("only_events")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", [Crash(), LakeBusy("no answer")], ids=["the process is gone", "nothing answers"])
async def test_whatever_step_is_the_last_each_file_is_listed_once(
    sql_lakes: Any, moment: str, error: BaseException
) -> None:
    """A publication ends at any operation of lake or catalog, or all that follow fail; the next one mends it."""
    start = await grown(next(sql_lakes))
    for step in count():
        beside = start.copy(next(sql_lakes))
        failing = Failing(step, error)
        setattr(beside, moment, failing)
        with suppress(Crash, LakeBusy, CatalogError):
            await beside.publish()
        is_whole = not failing.has_failed
        beside.heal()
        assert not await beside.listed() - Counter([*beside.store.files()]), f"listed twice at step {step}"
        last = await beside.publish()
        assert (last.outcome, last.behind) == ("complete", 0)
        assert await beside.listed() == Counter([*beside.store.files()]), f"wrong after step {step}"
        if is_whole:
            break
    assert step > 15


@pytest.mark.usefixtures("only_events")
@pytest.mark.parametrize("is_made", [True, False], ids=["made", "not made"])
@pytest.mark.parametrize("error", [CommitFailedException("no"), CommitStateUnknownException("?"), TimeoutError("lost")])
async def test_a_commit_with_a_wrong_answer_is_looked_up(
    sql_lake: CatalogLake, is_made: bool, error: Exception
) -> None:
    """A commit may be made and called a failure: one that is sent again on the way meets itself.

    No file is listed twice, and none of the table's own that it rests on is removed.
    """
    beside = await grown(sql_lake)
    asked = 0

    def wrong(operation: str, _key: str) -> None:
        nonlocal asked
        if operation == "commit_table":
            asked += 1
            if asked == 1:
                raise error

    setattr(beside, "after" if is_made else "before", wrong)
    published = await beside.publish()
    beside.heal()
    assert (published.outcome, published.behind, published.failures) == ("complete", 0, [])
    assert asked == (1 if is_made else 2)
    assert await beside.listed() == Counter([*beside.store.files()])
    names = [key.rpartition("/")[2] for key in beside.store.records if key.endswith(".avro")]
    assert len(names) == (4 if is_made or isinstance(error, CommitFailedException) else 6)


@pytest.mark.usefixtures("only_events")
async def test_a_slow_publisher_sets_no_mark_back(sql_lake: CatalogLake) -> None:
    """Marks alone are committed on the snapshot that they were planned on: else files would be listed once more."""
    beside = await grown(sql_lake)
    async with opened_catalog(sql_lake.settings, beside.store, None, _instant()) as slow:
        planned = await slow.do(slow.tables.open, EVENTS)
        await beside.publish()
        edit = TableEdit(properties={"ivs-export.published.x": "1"})
        with pytest.raises(CatalogRace):
            await slow.do(commit, planned, edit, slow.lake, {})
