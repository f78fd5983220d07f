"""The commit log by itself: whose record counts, what a start reads, and what is said of a log that is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from exporter.commit_log.commits import CommitOutcome, CommitResult
from exporter.commit_log.journal import SNAPSHOT_RECORDS, Journal
from exporter.commit_log.layout import record_key
from exporter.commit_log.reader import read_state, records_after, scopes_in
from exporter.commit_log.records import FORMAT_MAJOR
from exporter.commit_log.state import ScopeState
from exporter.errors import LakeBusy, LakeError, LakeTooNew, Overtaken
from exporter.model import Scope
from tests.support.logs import capture_logs
from tests.support.memory_store import MemoryStore
from tests.support.past_nights import COMMITS_A_NIGHT, Past
from tests.support.service import SCOPE

if TYPE_CHECKING:
    from exporter.lake.store import Records

AT = "2026-11-23T12:00:00Z"
STRANGE = (".DS_Store", "000000000001 (copy).json", "000000000003.json~", "3.json", "000000000003/x.json", "~$x.json")
SNAPSHOTS = f"_log/{SCOPE}/snapshots/"


async def a_journal(records: Records, run_id: str) -> Journal:
    """A run's journal that has read the log, and has not begun."""
    return Journal(records, SCOPE, run_id, await read_state(records, SCOPE))


async def begun(records: Records, run_id: str) -> Journal:
    journal = await a_journal(records, run_id)
    await journal.begin(AT)
    return journal


async def runs_of(records: Records) -> list[tuple[str, int]]:
    """Whose each record is, and of which epoch."""
    return [(record.run_id, record.epoch) async for record in records_after(records, SCOPE, 0)]


async def test_whoever_loses_the_number_of_its_begin_record_begins_behind_the_other(records: Records) -> None:
    """Its epoch is then the later one, so it is the other that may commit no more."""
    first, second = await a_journal(records, "r1"), await a_journal(records, "r2")
    await first.begin(AT)
    await second.begin(AT)
    assert (first.epoch, second.epoch) == (1, 2)
    assert (await first.commit(AT)).outcome is CommitOutcome.OVERTAKEN
    assert (await second.commit(AT)).outcome is CommitOutcome.COMMITTED
    assert await runs_of(records) == [("r1", 1), ("r2", 2), ("r2", 2)]
    assert second.state == await read_state(records, SCOPE)


async def test_a_run_that_others_always_overtake_gives_up() -> None:
    """Each time that it wants to begin, somebody has taken the number: it does not try for ever."""

    class Busy(MemoryStore):
        async def create(self, key: str, body: bytes) -> bool:
            other = Journal(lake, SCOPE, "other", await read_state(lake, SCOPE))
            await other.begin(AT)
            return await super().create(key, body)

    lake, busy = MemoryStore(), Busy()
    busy.records = lake.records
    with pytest.raises(Overtaken, match="all the time"):
        await (await a_journal(busy, "r1")).begin(AT)
    assert {run_id for run_id, _ in await runs_of(lake)} == {"other"}


async def test_an_overtaken_journal_never_commits_again(records: Records) -> None:
    """However often it tries, and though the other has ended."""
    loser = await begun(records, "loser")
    winner = await begun(records, "winner")
    (await winner.commit(AT)).check()
    for _ in range(3):
        assert (await loser.commit(AT)).outcome is CommitOutcome.OVERTAKEN
    assert await runs_of(records) == [("loser", 1), ("winner", 2), ("winner", 2)]


async def test_a_commit_that_the_lake_does_not_answer_is_unknown() -> None:
    """The record may be there: what became of it is a value with the lake's own error, and `check` raises that."""
    lake = MemoryStore()
    journal = await begun(lake, "r1")
    failing = LakeBusy("no answer")

    def fail(operation: str, _key: str) -> None:
        if operation == "create":
            raise failing

    lake.after = fail
    result = await journal.commit(AT)
    assert result == CommitResult(CommitOutcome.UNKNOWN, failing)
    with pytest.raises(LakeBusy, match="no answer"):
        result.check()
    lake.restart()
    assert await runs_of(lake) == [("r1", 1), ("r1", 1)]
    assert (await journal.commit("2026-11-23T12:00:01Z")).outcome is CommitOutcome.OVERTAKEN


async def test_the_services_time_never_goes_back(records: Records) -> None:
    """A record of a run whose clock is behind carries the latest time that the log knows."""
    journal = await begun(records, "r1")
    (await journal.commit(AT, latest_us=1_000)).check()
    (await journal.commit(AT, latest_us=10)).check()
    await begun(records, "r2")
    assert [record.latest_us async for record in records_after(records, SCOPE, 0)] == [0, 1_000, 1_000, 1_000]


class Counted(MemoryStore):
    """A lake that counts what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def read(self, key: str) -> bytes | None:
        self.reads += 1
        return await super().read(key)


@pytest.mark.slow
async def test_what_a_start_reads_does_not_grow_with_the_past() -> None:
    """Over hundreds of nights, a start reads one snapshot, the records up to the next, and those of one night."""
    lake, reads = Counted(), []
    past = Past(lake)
    for night in range(400):
        await past.add_night()
        if night < 40 or night % 13 == 0:
            lake.reads = 0
            assert await read_state(lake, SCOPE) == past.state
            reads.append(lake.reads)
    assert past.commits == 400 * COMMITS_A_NIGHT
    assert max(reads) <= 1 + SNAPSHOT_RECORDS + COMMITS_A_NIGHT
    assert max(reads[20:]) <= max(reads[:20]), "as in the first nights"


async def test_the_last_two_snapshots_are_kept(records: Records) -> None:
    """Whoever has listed the last one can still read it when another run writes the next; older ones are removed."""
    past = Past(records)
    written: list[str] = []
    for _ in range(5 * SNAPSHOT_RECORDS // COMMITS_A_NIGHT):
        await past.add_night()
        keys = await records.keys(SNAPSHOTS)
        written += sorted(set(keys) - set(written))
        assert keys == written[-2:]
    assert len(written) > 3


async def test_a_log_with_a_gap_is_refused(records: Records) -> None:
    """A record that somebody removed may have named anything: nothing is built on what is left."""
    journal = await begun(records, "r1")
    for _ in range(3):
        (await journal.commit(AT)).check()
    await records.delete(record_key(str(SCOPE), 3))
    with pytest.raises(LakeError, match=f"record 3 of {SCOPE} is missing"):
        await read_state(records, SCOPE)


class Forgetful(MemoryStore):
    """A lake that lists what it does not have any more."""

    async def read(self, key: str) -> bytes | None:
        await super().read(key)
        return None


@pytest.mark.parametrize("nights", [1, 10], ids=["record", "snapshot"])
async def test_what_is_listed_and_gone_is_an_error(nights: int) -> None:
    """A record or snapshot that is listed and can't be read is no empty log."""
    past = Past(Forgetful())
    for _ in range(nights):
        await past.add_night()
    with pytest.raises(LakeError, match="was listed and is gone"):
        await read_state(past.records, SCOPE)


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"", LakeError, "damaged"),
        (b"\x00" * 100, LakeError, "damaged"),
        (b'{"format":"ivs-export commit log","major":1,"number":"one"}', LakeError, "damaged"),
        (b'{"format":"a shopping list","major":1}', LakeError, "no record of a commit log"),
        (msgspec.json.encode({"format": "ivs-export commit log", "major": FORMAT_MAJOR + 1}), LakeTooNew, "newer"),
    ],
    ids=["empty", "zeroes", "wrong type", "another format", "a newer version"],
)
async def test_a_damaged_record_is_refused_by_its_key(
    body: bytes, error: type[LakeError], words: str, records: Records
) -> None:
    """No record that can't be read is passed over."""
    place = record_key(str(SCOPE), 2)
    await begun(records, "r1")
    assert await records.create(place, body)
    with pytest.raises(error, match=words) as raised:
        await read_state(records, SCOPE)
    assert place in str(raised.value)


async def test_the_scopes_of_a_lake_are_those_with_a_log(records: Records) -> None:
    """Whatever else lies there is none, and is named; what the exporter keeps there beside scopes is not."""
    other = Scope("444455556666", "eu-west-1")
    await begun(records, "r1")
    await Journal(records, other, "r1", ScopeState()).begin(AT)
    strange = (".DS_Store", "555566667777-eu-west-1 (copy)/records/000000000001.json", "readme", "some-notes/x.txt")
    silent = ("lake.json", "trial-x.json", "555566667777-eu-west-1/.DS_Store", "555566667777-eu-west-1/lease/1.json")
    for name in strange + silent:
        await records.create(f"_log/{name}", b"")
    with capture_logs() as logs:
        assert await scopes_in(records) == [SCOPE, other]
    [line] = logs
    assert (line["event"], line["log_level"]) == ("files_passed_over", "warning")
    assert line["names"] == sorted(name.split("/")[0] for name in strange)


@pytest.mark.parametrize("name", STRANGE)
async def test_what_is_not_ours_is_passed_over(name: str, records: Records) -> None:
    """A sync tool's copy or a desktop's file among records, snapshots and leases is left alone, and named once."""
    first = await begun(records, "r1")
    (await first.commit(AT)).check()
    for folder in ("records", "snapshots"):
        await records.create(f"_log/{SCOPE}/{folder}/{name}", b"?")
    with capture_logs() as logs:
        state = await read_state(records, SCOPE)
    assert state.number == 2
    assert logs
    assert all(line["names"] == [name] for line in logs)
    await begun(records, "r2")
    assert len(await records.keys(f"_log/{SCOPE}/records/")) == 4
