"""Defects that can be put back one at a time, to see that the simulation finds what it is for.

Each patches the real program at run time. What it does wrong is its one sentence.
"""

# ruff: noqa: SLF001 - what is replaced is mostly private

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
import pyarrow as pa

from exporter.catalog import changes as catalog_changes
from exporter.catalog import file_listing, log_reading, transaction_plan
from exporter.commit_log import archive, closing, healing, lost_files, recovery, rejects, session_rows, unit_states
from exporter.commit_log import journal as journal_module
from exporter.commit_log import state as state_module
from exporter.commit_log.archive import Archive, Archived
from exporter.commit_log.commits import FileChanges
from exporter.commit_log.journal import Journal
from exporter.commit_log.layout import record_key
from exporter.commit_log.reader import read_on, records_after
from exporter.commit_log.records import RowWritten, encode_record, link_of
from exporter.commit_log.sealing import SessionProgress
from exporter.commit_log.session_status import SessionStatus
from exporter.commit_log.snapshots import encode_state
from exporter.commit_log.state import ScopeState, SessionState
from exporter.commit_log.unit_states import SessionEnd
from exporter.discovery import plan as plan_module
from exporter.errors import LakeBusy, LakeError
from exporter.ivs import service_time
from exporter.ivs.denials import Denials
from exporter.ivs.service_time import ServiceTime
from exporter.lake import identity as identity_module
from exporter.lake import staging
from exporter.lake.data_files import DataFile, is_older
from exporter.lake.partitions import dates_in
from exporter.lake.tables import folders
from exporter.ledger import ScopeLedger
from exporter.normalize import equals
from exporter.pipeline import checkpoint as checkpoint_module
from exporter.pipeline import committer, fetch, run, session_decisions
from exporter.pipeline import scope as scope_module
from exporter.pipeline.committer import Committer
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.known_ids import KnownIds
from exporter.pipeline.listed_rows import ListedRows
from exporter.pipeline.new_rows import EventRowMaker
from exporter.pipeline.run_ledger import RunLedger
from exporter.pipeline.stop import Stop
from exporter.pipeline.writer import Writer
from exporter.timestamps import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exporter.pipeline.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect by its name: what it does, and what of the program it replaces, as (owner, name, what stands there)."""

    name: str
    sentence: str
    changes: Callable[[], Sequence[tuple[Any, str, Any]]]

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """The program with this defect."""
        with ExitStack() as stack:
            for owner, name, wrong in self.changes():
                stack.enter_context(patch.object(owner, name, wrong))
            yield


DEFECTS: list[Defect] = []


def defect(name: str, sentence: str) -> Callable[[Callable[[], Sequence[tuple[Any, str, Any]]]], None]:
    """Add a defect to the list."""

    def add(changes: Callable[[], Sequence[tuple[Any, str, Any]]]) -> None:
        DEFECTS.append(Defect(name, sentence, changes))

    return add


@defect("half an archive", "The archive shows its table before it has read all of it.")
def _half_an_archive() -> Sequence[tuple[Any, str, Any]]:
    async def session(self: Any, stage_arn: str, session_id: str) -> Archived | None:
        lines = self.__dict__.get("shown")
        if lines is None:
            lines = self.shown = {}
            async for record in records_after(self._records, self._scope, 0):
                archive.fold_entries(lines, record)
        line = lines.get((stage_arn, session_id))
        return None if line is None else Archived(line)

    return [(Archive, "session", session)]


@defect("commit before stage", "A record is written while its files are still on their way.")
def _commit_before_stage() -> Sequence[tuple[Any, str, Any]]:
    waiting: set[asyncio.Task[Any]] = set()

    async def stage_one(files: Any, table: Any, day: Any, rows: Any, name: str) -> DataFile:
        data, digest, count = staging._encoded(table, day, rows)
        key = f"{table.name}/{table.date_key}={day.isoformat()}/{name}.parquet"
        task = asyncio.create_task(files.stage(key, memoryview(data)))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        return DataFile(table.name, key, day.isoformat(), count, len(data), digest, ("",))

    return [(staging, "_stage_one", stage_one)]


@defect("publish before record", "Files become visible before the record that names them.")
def _publish_before_record() -> Sequence[tuple[Any, str, Any]]:
    right = Committer._commit

    async def commit_files(self: Any, waiting: Checkpoint, entries: Any) -> None:
        await staging.publish(self._store, waiting.files)
        await right(self, waiting, entries)

    return [(Committer, "_commit", commit_files)]


@defect(
    "a lease believed", "A commit whose number is taken takes the next one: the lease says that nobody else is there."
)
def _a_lease_believed() -> Sequence[tuple[Any, str, Any]]:
    async def append(self: Any, record: Any) -> bool:
        while not await self.records.create(record_key(str(self.scope), record.number), encode_record(record)):
            record = msgspec.structs.replace(record, number=record.number + 1)
        self.state.fold(record, link_of(record, encode_record(record)))
        return True

    return [(Journal, "_append", append)]


@defect("begin without a fence", "A run begins without a record of its own.")
def _begin_without_a_fence() -> Sequence[tuple[Any, str, Any]]:
    async def begin(self: Any, _at: str) -> None:
        self._epoch = self.state.number + 1

    return [(Journal, "begin", begin)]


@defect("a named file discarded", "Recovery discards what is staged before it looks at what the last record names.")
def _a_named_file_discarded() -> Sequence[tuple[Any, str, Any]]:
    right = recovery.recover

    async def recover(store: Any, journal: Any, at: str, *, is_repair: bool = False) -> None:
        for folder in folders():
            for staged in await store.leftovers(folder):
                if is_older(staged.key, str(journal.scope), journal.epoch):
                    await store.discard(staged)
        await right(store, journal, at, is_repair=is_repair)

    return [(scope_module, "recover", recover)]


@defect("recovery publishes nothing", "Recovery leaves the last record's files where they are.")
def _recovery_publishes_nothing() -> Sequence[tuple[Any, str, Any]]:
    async def recover(*_: Any) -> None:
        """Do nothing."""

    return [(scope_module, "recover", recover)]


@defect("another's file discarded", "A run discards all that is staged, also what a later run has staged.")
def _anothers_file_discarded() -> Sequence[tuple[Any, str, Any]]:
    return [(recovery, "is_older", lambda key, scope, _: scope in key)]


@defect("numbered by piece", "Equal events of a unit are numbered anew in each piece of it.")
def _numbered_by_piece() -> Sequence[tuple[Any, str, Any]]:
    async def pieces(self: Any, tracked: Any, fetched: Any, stamp: Any) -> Any:
        async for pages in self._pieces(fetched):
            piece = replace(fetched, pages=pages, size_bytes=sum(map(len, pages)))
            yield await self.take([(tracked, piece)], stamp)

    return [(EventRowMaker, "pieces", pieces)]


@defect("a shifted list believed", "Where an event stands on two pages, it is taken for two.")
def _a_shifted_list_believed() -> Sequence[tuple[Any, str, Any]]:
    return [(fetch, "on_several", lambda _: pa.array([], pa.int64()))]


@defect("equals are one", "Equal events of a unit all have the first one's id.")
def _equals_are_one() -> Sequence[tuple[Any, str, Any]]:
    return [(equals, "event_id", lambda identity, _number: identity)]


@defect("sealed without the grace", "A session is final as soon as it has ended.")
def _sealed_without_the_grace() -> Sequence[tuple[Any, str, Any]]:
    return [(SessionEnd, "final_from_us", property(lambda self: self.ended_us))]


@defect("sealed by its last page", "A unit's fetch is dated by its last page.")
def _sealed_by_its_last_page() -> Sequence[tuple[Any, str, Any]]:
    right = fetch._read

    async def read(pages: Any, unit: Any, session: Any) -> Any:
        served: list[int] = []

        async def noted() -> Any:
            async for page in pages:
                served.append(page.served_us)
                yield page

        return replace(await right(noted(), unit, session), began_us=served[-1])

    return [(fetch, "_read", read)]


@defect("sealed with a failed unit", "A session is sealed although a unit of it could not be fetched.")
def _sealed_with_a_failed_unit() -> Sequence[tuple[Any, str, Any]]:
    right = SessionProgress.failed

    def failed(self: Any, participant_id: str, *given: Any, **named: Any) -> bool:
        is_abandoned = right(self, participant_id, *given, **named)
        self.units._unfinished.discard(participant_id)
        return is_abandoned

    return [(SessionProgress, "failed", failed)]


@defect("a vanished unit forgotten", "A known unit that the list of participants lacks is let go of.")
def _a_vanished_unit_forgotten() -> Sequence[tuple[Any, str, Any]]:
    right = SessionProgress.listed

    def listed(self: Any, began_us: int | None, *, is_flawless: bool) -> list[str]:
        self.units._missing = None
        return right(self, began_us, is_flawless=is_flawless)

    return [(SessionProgress, "listed", listed)]


@defect(
    "far dates obeyed",
    "An answer's Date counts however far from the local clock it lies, and so does the log's latest.",
)
def _far_dates_obeyed() -> Sequence[tuple[Any, str, Any]]:
    return [
        (service_time, "_is_near", lambda *_: True),
        (service_time, "FAR_US", 1 << 62),
        (healing, "AHEAD_US_MAX", 1 << 62),
    ]


@defect("dated when read", "An answer is dated by the clocks of the moment at which it is read.")
def _dated_when_read() -> Sequence[tuple[Any, str, Any]]:
    right = ServiceTime.answered
    return [(ServiceTime, "answered", lambda self, date, _asked: right(self, date, self.asked()))]


@defect("a denied operation asked on", "A denied operation is asked for each unit anew.")
def _a_denied_operation_asked_on() -> Sequence[tuple[Any, str, Any]]:
    return [(Denials, "check", lambda *_: None)]


@defect("conditions unasked", "Whether a store keeps conditional puts is not asked.")
def _conditions_unasked() -> Sequence[tuple[Any, str, Any]]:
    right = identity_module.open_lake

    async def open_lake(store: Any, *given: Any) -> Any:
        async def refused(*_: Any) -> bool:
            return True

        store.refuses = refused
        return await right(store, *given)

    return [(run, "open_lake", open_lake)]


@defect("rejects kept again", "An event without a time is kept anew by each run.")
def _rejects_kept_again() -> Sequence[tuple[Any, str, Any]]:
    return [(rejects, "_lacking", lambda found, _held: pa.repeat(pa.scalar(value=True), len(found)))]


@defect("a snapshot one record short", "A snapshot lacks the sessions of the last commit that it counts.")
def _a_snapshot_one_record_short() -> Sequence[tuple[Any, str, Any]]:
    def encode(state: ScopeState) -> bytes:
        short = msgspec.json.decode(msgspec.json.encode(state), type=ScopeState)
        for line in state.last.sessions if state.last else ():
            short.open.get(line.stage_arn, {}).pop(line.session_id, None)
            short.sealed.get(line.stage_arn, {}).pop(line.session_id, None)
        return encode_state(short)

    return [(journal_module, "encode_state", encode)]


@defect(
    "a lost answer is a failure",
    "A record whose answer was lost is taken for not written, and its files are discarded.",
)
def _a_lost_answer_is_a_failure() -> Sequence[tuple[Any, str, Any]]:
    right = Committer._commit

    async def commit_files(self: Any, waiting: Checkpoint, entries: Any) -> None:
        try:
            await right(self, waiting, entries)
        except LakeBusy:
            await self.discard(waiting.files)
            raise

    return [(Committer, "_commit", commit_files)]


@defect("a lost answer is a loss", "A file whose publication was not answered is called lost by the next record.")
def _a_lost_answer_is_a_loss() -> Sequence[tuple[Any, str, Any]]:
    async def publish_or_lose(self: Any, files: Sequence[DataFile]) -> None:
        lost = []
        for line in files:
            try:
                await self._store.publish(line.staged)
            except LakeBusy:
                lost.append(line)
        if lost:
            result = await self._journal.commit(text_of(self._clock.wall_us()), changes=FileChanges(lost=lost))
            result.check()

    return [(Committer, "_publish", publish_or_lose)]


@defect("publication unawaited", "The next record is written while the last one's files are still being published.")
def _publication_unawaited() -> Sequence[tuple[Any, str, Any]]:
    right = staging.publish
    waiting: set[asyncio.Task[Any]] = set()

    async def publish_beside(files: Any, lines: Any) -> list[DataFile]:
        async def quiet() -> None:
            with suppress(LakeError):
                await right(files, lines)

        task = asyncio.create_task(quiet())
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        return []

    return [(committer, "publish", publish_beside)]


@defect("a refetch without a look", "A unit that is fetched again is compared with nothing.")
def _a_refetch_without_a_look() -> Sequence[tuple[Any, str, Any]]:
    return [(SessionState, "may_have_rows_of", lambda *_: False)]


@defect("stale ids", "What the lake holds of a session is remembered from an earlier run.")
def _stale_ids() -> Sequence[tuple[Any, str, Any]]:
    def init(self: Any, files: Any, _known: Any = None) -> None:
        self.gone = set()
        self._files = files
        self._known = files._lake.__dict__.setdefault("remembered", KnownIds(1 << 30))

    return [(KnownEvents, "__init__", init), (KnownEvents, "forget", lambda *_: None)]


@defect(
    "a session come back is new", "A session that was gone from its list and is listed again is taken for a new one."
)
def _a_session_come_back_is_new() -> Sequence[tuple[Any, str, Any]]:
    return [(plan_module, "is_suspect", lambda *_: False)]


@defect("deferred units forgotten", "What the run did not come to is in no outcome.")
def _deferred_units_forgotten() -> Sequence[tuple[Any, str, Any]]:
    def close(self: Any) -> None:
        self._is_closed = True

    return [(ScopeLedger, "close", close)]


@defect("an outcome dropped", "Each checkpoint drops the outcome of one unit.")
def _an_outcome_dropped() -> Sequence[tuple[Any, str, Any]]:
    right = Writer._commit

    async def commit(self: Any, *, is_last: bool = False) -> None:
        await self._normalize()
        self._checkpoint.outcomes = self._checkpoint.outcomes[1:]
        await right(self, is_last=is_last)

    return [(Writer, "_commit", commit)]


@defect("complete past a failed list", "The lake is called complete although a list was not read to its end.")
def _complete_past_a_failed_list() -> Sequence[tuple[Any, str, Any]]:
    right = closing.close

    async def close(journal: Any, ledger: Any, report: Any, **others: Any) -> None:
        flaws = ledger._listings_failed, ledger._listings_open
        ledger.close()
        ledger._listings_failed = ledger._listings_open = 0
        await right(journal, ledger, report, **others)
        ledger._listings_failed, ledger._listings_open = flaws

    return [(scope_module, "close", close)]


@defect("one date a checkpoint", "Of rows on both sides of a midnight only the first date's are written.")
def _one_date_a_checkpoint() -> Sequence[tuple[Any, str, Any]]:
    return [(checkpoint_module, "dates_in", lambda table, rows: dates_in(table, rows)[:1])]


@defect("given up by a refetch's failure", "A refetch that fails takes back that a unit was given up.")
def _given_up_taken_back() -> Sequence[tuple[Any, str, Any]]:
    right = SessionProgress.failed

    def failed(self: Any, *given: Any, **named: Any) -> bool:
        status, self.status = self.status, SessionStatus.OPEN
        try:
            return right(self, *given, **named)
        finally:
            self.status = status

    return [(SessionProgress, "failed", failed)]


@defect("the overtaken go on", "A run whose number was taken by another reads on, and commits behind it.")
def _the_overtaken_go_on() -> Sequence[tuple[Any, str, Any]]:
    right = Journal._append

    async def append(self: Any, record: Any) -> bool:
        if await right(self, record):
            return True
        await read_on(self.records, self.scope, self.state)
        fresh = {"number": self.state.number + 1, "previous": self.state.link.checksum}
        return await right(self, msgspec.structs.replace(record, **fresh))

    return [(Journal, "_append", append)]


@defect("a final row forgotten", "That a participant has its final row is not noted, and it gets another one.")
def _a_final_row_forgotten() -> Sequence[tuple[Any, str, Any]]:
    right = SessionProgress.row_written
    return [(SessionProgress, "row_written", lambda self, name, _, **more: right(self, name, RowWritten.FIRST, **more))]


@defect("final before the grace", "A participant's row is called final as soon as its session has ended.")
def _final_before_the_grace() -> Sequence[tuple[Any, str, Any]]:
    right = unit_states.row_due

    def row_due(unit: Any, end: Any, served_us: int) -> Any:
        return right(unit, None if end is None else end._replace(grace_us=0), served_us)

    return [(unit_states, "row_due", row_due)]


@defect("rows after their events", "Rows of participants wait for the run's last commit, whatever it commits before.")
def _rows_after_their_events() -> Sequence[tuple[Any, str, Any]]:
    right = ListedRows.flush

    def flush(self: Any, checkpoint: Any, taken: Any, *, is_last: bool = False, is_stopped: bool = False) -> None:
        if is_last:
            right(self, checkpoint, taken, is_last=True, is_stopped=is_stopped)

    return [(ListedRows, "flush", flush)]


@defect("sealed without a row", "A session that is sealed has no final row where it had one before.")
def _sealed_without_a_row() -> Sequence[tuple[Any, str, Any]]:
    right = session_rows.is_row_due

    def is_row_due(progress: Any, *, is_sealed: bool) -> bool:
        return right(progress, is_sealed=is_sealed) and not progress.known.tables

    return [(session_decisions, "is_row_due", is_row_due)]


@defect(
    "lost rows not missed", "What a lost file held of stages, sessions and participants is taken to be there still."
)
def _lost_rows_not_missed() -> Sequence[tuple[Any, str, Any]]:
    return [(module, "has_file_of", lambda *_: False) for module in (lost_files, recovery, state_module)]


@defect("listed before it is there", "The files of a log's last record are published while they are still staged.")
def _listed_before_it_is_there() -> Sequence[tuple[Any, str, Any]]:
    async def is_last_ready(*_: Any) -> bool:
        return True

    async def read_end(*_: Any) -> bytes:
        return b""

    return [(log_reading, "_is_last_ready", is_last_ready), (file_listing, "read_end", read_end)]


@defect("a commit sent again", "A commit that was overtaken, or had no answer, is sent again as it was planned.")
def _a_commit_sent_again() -> Sequence[tuple[Any, str, Any]]:
    right = transaction_plan.TransactionPlanner.plan
    planned: dict[tuple[int, str], Any] = {}

    async def plan(self: Any, table: str, found: Any, logs: Any, marks: Any, *, is_rebuild: bool) -> Any:
        key = id(logs), table
        if key not in planned:
            planned[key] = logs, await right(self, table, found, logs, marks, is_rebuild=is_rebuild)
        return planned[key][1]

    return [(transaction_plan.TransactionPlanner, "plan", plan)]


@defect("what left stays listed", "A file that leaves the lake stays in the catalog, and its mark moves on.")
def _what_left_stays_listed() -> Sequence[tuple[Any, str, Any]]:
    right = transaction_plan._edit

    def edit(found: Any, changes: Any, listed: Any, _removed: Any, *, is_rebuild: bool) -> Any:
        return right(found, changes, listed, [], is_rebuild=is_rebuild)

    return [(transaction_plan, "_edit", edit)]


@defect("what is gone must be listed", "A file that a later record takes away is listed first, be it gone or not.")
def _what_is_gone_must_be_listed() -> Sequence[tuple[Any, str, Any]]:
    return [(catalog_changes, "_skip", lambda _added, _log, _number: 0)]


@defect("unpublished and untold", "That a publication failed does not count for the run's outcome.")
def _unpublished_and_untold() -> Sequence[tuple[Any, str, Any]]:
    return [(RunLedger, "_unpublished", property(lambda _: []))]


@defect("a deadline cuts a publication", "A run whose time is over while it publishes lets go of that.")
def _a_deadline_cuts_a_publication() -> Sequence[tuple[Any, str, Any]]:
    return [(Stop, "cut_by_signal", lambda self, work: self.cut(work))]
