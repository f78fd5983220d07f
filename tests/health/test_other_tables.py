"""A table beside ``events``: what the log, recovery, verify, repair and status do for one, they do for all."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from exporter.commit_log.commits import FileChanges, LogEntries
from exporter.commit_log.journal import Journal
from exporter.commit_log.named_files import NamedFiles, check_has_log
from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state, records_after
from exporter.commit_log.records import SessionEntry
from exporter.commit_log.recovery import recover
from exporter.errors import LogDamaged
from exporter.health.problems import ProblemKind
from exporter.health.repair import Repair
from exporter.health.status import statuses
from exporter.health.upkeep import Upkeep
from exporter.health.verify import Verified, verify
from exporter.lake import tables
from exporter.lake.data_files import file_name
from exporter.lake.staging import stage
from exporter.lake.tables.columns import number, stage_arn, text, time
from exporter.lake.tables.events import EVENTS
from exporter.lake.tables.table import NEVER, PartitionDate, Table
from tests.support.memory_store import MemoryStore
from tests.support.service import DAY_US, SCOPE, STAGE, Service

if TYPE_CHECKING:
    from exporter.lake.data_files import DataFile

AT = "2026-11-23T12:00:00Z"
DAY = date(2026, 11, 23)
GADGETS = Table(
    name="gadgets",
    row="a gadget",
    version=3,
    columns=(
        stage_arn(1),
        text(2, "session_id", "the session", NEVER),
        number(3, "event_id", "a number", NEVER),
        time(4, "seen_at", "when it was seen", NEVER),
    ),
    sort_by=("stage_arn", "seen_at"),
    date=PartitionDate("gadget_date", ("seen_at",)),
)


@pytest.fixture(autouse=True)
def two_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "TABLES", (EVENTS, GADGETS))


async def staged(store: MemoryStore, journal: Journal, number: int = 1) -> list[DataFile]:
    """One file, of two rows with the same id: rows of this table have no ids of their own, whatever its columns."""
    rows = pa.record_batch([[STAGE] * 2, ["st-a"] * 2, [7, 7], [DAY_US, DAY_US]], schema=GADGETS.schema)
    name = file_name(str(SCOPE), journal.epoch, journal.run_id, number)
    return await stage(store, GADGETS, {DAY: [rows]}, name)


async def begun(store: MemoryStore, run_id: str) -> Journal:
    journal = Journal(store, SCOPE, run_id, await read_state(store, SCOPE))
    await journal.begin(AT)
    return journal


async def committed() -> tuple[MemoryStore, DataFile]:
    """A lake whose run was gone right after its record: one file is named, and another one that nobody names staged."""
    store = MemoryStore()
    journal = await begun(store, "r1")
    [file] = await staged(store, journal)
    await staged(store, journal, 2)
    sessions = [SessionEntry(STAGE, "st-a", "open", files=(0,))]
    (await journal.commit(AT, changes=FileChanges(added=[file]), entries=LogEntries(sessions=sessions))).check()
    return store, file


async def recovered() -> tuple[MemoryStore, DataFile]:
    store, file = await committed()
    await recover(store, await begun(store, "r2"), AT)
    return store, file


async def kinds(store: MemoryStore, verified: Verified | None = None) -> list[ProblemKind]:
    return [problem.kind async for problem in verify(store, verified or Verified())]


async def test_a_record_names_the_schemas_of_its_files() -> None:
    """The version of each table that it adds files of, and no other."""
    store, _ = await committed()
    versions = [record.schema_versions async for record in records_after(store, SCOPE) if record.kind == "commit"]
    assert versions == [{"gadgets": 3}]


async def test_recovery_publishes_what_the_record_names_and_discards_the_rest() -> None:
    """Its folder is looked through like any other."""
    store, file = await recovered()
    assert list(store.visible) == [file.key]
    assert await store.leftovers("gadgets") == []


async def test_verify_reads_and_counts_each_table() -> None:
    """Rows are counted by table, and a column that events are told apart by means nothing elsewhere."""
    store, _ = await recovered()
    verified = Verified()
    assert await kinds(store, verified) == []
    assert (verified.files, verified.rows) == (1, {"gadgets": 2})


async def test_status_counts_each_table_for_itself() -> None:
    """Rows of another table are no events, and its dates are not theirs."""
    store, _ = await recovered()
    [status] = await statuses(store, 1)
    assert status.lake.rows == {"gadgets": 2}
    assert (status.lake.files, status.lake.first_date) == (1, None)
    assert (status.summary()["events"], status.summary()["files"]) == (0, 1)


async def test_a_damaged_file_is_set_aside_and_its_session_opened() -> None:
    """Repair mends what verify finds in any table."""
    store, file = await recovered()
    store.visible[file.key] = store.visible[file.key][:-1]
    assert await kinds(store) == [ProblemKind.DAMAGED]
    repaired = await Repair(Upkeep(store, "r3", Service().clock, this_process(), is_gone)).run()
    assert (list(repaired.done), repaired.left, repaired.sessions_opened) == ([file.key], [], 1)
    assert await kinds(store) == []


async def test_a_file_that_no_record_names_is_named_again() -> None:
    """Repair reads it as what it is, and a run would not add to its partition before that."""
    store, file = await recovered()
    stranger = file.key.replace("-r1-", "-r0-")
    store.visible[stranger] = store.visible[file.key]
    named = NamedFiles(store, await begun(store, "r3"))
    with pytest.raises(LogDamaged, match="does not name a file that is there"):
        await named.check([file])
    assert await kinds(store) == [ProblemKind.UNNAMED]
    assert (await Repair(Upkeep(store, "r4", Service().clock, this_process(), is_gone)).run()).left == []
    verified = Verified()
    assert await kinds(store, verified) == []
    assert verified.rows == {"gadgets": 4}


async def test_files_of_any_table_miss_their_log() -> None:
    """A lake that has files of this table alone, and no log, has lost it."""
    store, _ = await recovered()
    store.records.clear()
    with pytest.raises(LogDamaged, match="no commit log"):
        await check_has_log(store, SCOPE)
