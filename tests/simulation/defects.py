"""Defects that can be put back one at a time, to see that the simulation finds what it is for.

Each patches the real program at run time. What it does wrong is its one sentence.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec

from exporter import archive, commit, exporting, fetch, finding, held, intake, normalize, recovery, stage, writer
from exporter.archive import Archive, Archived
from exporter.commit import Journal, records_after
from exporter.errors import LakeBusy, LakeError, Overtaken
from exporter.held import Held
from exporter.ledger import ScopeLedger
from exporter.present import Present
from exporter.records import FileLine, encode_record, record_key
from exporter.recovery import is_older
from exporter.state import ScopeState, encode_state
from exporter.tables import EVENTS, split_by_date
from exporter.tracking import Tracked
from exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


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
                archive._add(lines, record)
        line = lines.get((stage_arn, session_id))
        return None if line is None else Archived(line)

    return [(Archive, "session", session)]


@defect("commit before stage", "A record is written while its files are still on their way.")
def _commit_before_stage() -> Sequence[tuple[Any, str, Any]]:
    waiting: set[asyncio.Task[Any]] = set()

    async def stage_one(files: Any, table: Any, day: Any, rows: Any, name: str) -> FileLine:
        data, digest = stage._encoded(table, rows)
        key = f"{table.name}/{table.date_key}={day.isoformat()}/{name}.parquet"
        task = asyncio.create_task(files.stage(key, memoryview(data)))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        return FileLine(table.name, key, day.isoformat(), sum(each.num_rows for each in rows), len(data), digest, ("",))

    return [(stage, "_stage_one", stage_one)]


@defect("publish before record", "Files become visible before the record that names them.")
def _publish_before_record() -> Sequence[tuple[Any, str, Any]]:
    right = Writer._commit

    async def commit_files(self: Any, waiting: Held) -> None:
        await writer.publish(self.store, waiting.files)
        await right(self, waiting)

    return [(Writer, "_commit", commit_files)]


@defect(
    "a lease believed", "A commit whose number is taken takes the next one: the lease says that nobody else is there."
)
def _a_lease_believed() -> Sequence[tuple[Any, str, Any]]:
    async def append(self: Any, record: Any) -> None:
        while not await self.records.create(record_key(str(self.scope), record.number), encode_record(record)):
            record = msgspec.structs.replace(record, number=record.number + 1)
        self.state.fold(record)

    return [(Journal, "_append", append)]


@defect("begin without a fence", "A run begins without a record of its own.")
def _begin_without_a_fence() -> Sequence[tuple[Any, str, Any]]:
    async def begin(self: Any, at: str) -> None:
        self.epoch = self.state.number + 1

    return [(Journal, "begin", begin)]


@defect("a named file discarded", "Recovery discards what is staged before it looks at what the last record names.")
def _a_named_file_discarded() -> Sequence[tuple[Any, str, Any]]:
    right = recovery.recover

    async def recover(store: Any, journal: Any, at: str) -> None:
        for staged in await store.leftovers(EVENTS.name):
            if is_older(staged.key, str(journal.scope), journal.epoch):
                await store.discard(staged)
        await right(store, journal, at)

    return [(exporting, "recover", recover)]


@defect("recovery publishes nothing", "Recovery leaves the last record's files where they are.")
def _recovery_publishes_nothing() -> Sequence[tuple[Any, str, Any]]:
    async def recover(store: Any, journal: Any, at: str) -> None:
        """Do nothing."""

    return [(exporting, "recover", recover)]


@defect("another's file discarded", "A run discards all that is staged, also what a later run has staged.")
def _anothers_file_discarded() -> Sequence[tuple[Any, str, Any]]:
    return [(recovery, "is_older", lambda key, scope, epoch: scope in key)]


@defect("numbered by piece", "Equal events of a unit are numbered anew in each piece of it.")
def _numbered_by_piece() -> Sequence[tuple[Any, str, Any]]:
    return [(intake, "_numbered_on", lambda normal, *_: normal)]


@defect("a shifted list believed", "Where an event stands on two pages, it is taken for two.")
def _a_shifted_list_believed() -> Sequence[tuple[Any, str, Any]]:
    async def on_several_pages(_: Any) -> set[int]:
        return set()

    return [(fetch, "_on_several_pages", on_several_pages)]


@defect("equals are one", "Of equal events of a unit only one is kept.")
def _equals_are_one() -> Sequence[tuple[Any, str, Any]]:
    return [(normalize, "event_id", lambda identity, _number: identity)]


@defect("sealed without the grace", "A session is final as soon as it has ended.")
def _sealed_without_the_grace() -> Sequence[tuple[Any, str, Any]]:
    return [(Tracked, "final_from_us", property(lambda self: self.session.ended_us))]


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
    right = Tracked.failed

    def failed(self: Any, participant_id: str, now_us: int, give_up_days: float | None) -> bool:
        is_abandoned = right(self, participant_id, now_us, give_up_days)
        self.unfinished -= bool(participant_id) and not is_abandoned
        return is_abandoned

    return [(Tracked, "failed", failed)]


@defect("a snapshot one record short", "A snapshot lacks the last record that it counts.")
def _a_snapshot_one_record_short() -> Sequence[tuple[Any, str, Any]]:
    right_append, right_encode = Journal._append, encode_state
    before: dict[str, bytes] = {}

    async def append(self: Any, record: Any) -> None:
        short = right_encode(self.state)
        await right_append(self, record)
        before[str(self.scope)] = short

    def encode(state: ScopeState) -> bytes:
        short = msgspec.json.decode(before[state.last.scope if state.last else ""], type=ScopeState)
        return right_encode(msgspec.structs.replace(short, number=state.number))

    return [(Journal, "_append", append), (commit, "encode_state", encode)]


@defect(
    "a lost answer is a failure",
    "A record whose answer was lost is taken for not written, and its files are discarded.",
)
def _a_lost_answer_is_a_failure() -> Sequence[tuple[Any, str, Any]]:
    right = Writer._commit

    async def commit_files(self: Any, waiting: Held) -> None:
        try:
            await right(self, waiting)
        except LakeBusy:
            await self._discard(waiting.files)
            raise

    return [(Writer, "_commit", commit_files)]


@defect("a lost answer is a loss", "A file whose publication was not answered is taken for gone.")
def _a_lost_answer_is_a_loss() -> Sequence[tuple[Any, str, Any]]:
    async def publish(files: Any, lines: Any) -> list[FileLine]:
        gone = []
        for line in lines:
            is_visible = False
            with suppress(LakeBusy):
                is_visible = await files.publish(line.staged)
            if not is_visible:
                gone.append(line)
        return gone

    return [(recovery, "publish", publish), (writer, "publish", publish)]


@defect("publication unawaited", "The next record is written while the last one's files are still being published.")
def _publication_unawaited() -> Sequence[tuple[Any, str, Any]]:
    right = writer.publish
    waiting: set[asyncio.Task[Any]] = set()

    async def publish(files: Any, lines: Any) -> list[FileLine]:
        async def quiet() -> None:
            with suppress(LakeError):
                await right(files, lines)

        task = asyncio.create_task(quiet())
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        return []

    return [(writer, "publish", publish)]


@defect("a refetch without a look", "A unit that is fetched again is compared with nothing.")
def _a_refetch_without_a_look() -> Sequence[tuple[Any, str, Any]]:
    return [(Tracked, "holds_rows_of", lambda *_: False)]


@defect("stale ids", "What the lake holds of a session is remembered from an earlier run.")
def _stale_ids() -> Sequence[tuple[Any, str, Any]]:
    right = Present._load

    async def load(self: Any, asked: Any) -> None:
        lake = self.files._lake
        self._sessions = lake.__dict__.setdefault("remembered", OrderedDict())
        await right(self, asked)

    return [(Present, "_load", load), (Present, "forget", lambda *_: None)]


@defect(
    "a session come back is new", "A session that was gone from its list and is listed again is taken for a new one."
)
def _a_session_come_back_is_new() -> Sequence[tuple[Any, str, Any]]:
    return [(finding, "is_suspect", lambda *_: False)]


@defect("deferred units forgotten", "What the run did not come to is in no outcome.")
def _deferred_units_forgotten() -> Sequence[tuple[Any, str, Any]]:
    def close(self: Any) -> None:
        self.is_closed = True

    return [(ScopeLedger, "close", close)]


@defect("an outcome dropped", "Each checkpoint drops the outcome of one unit.")
def _an_outcome_dropped() -> Sequence[tuple[Any, str, Any]]:
    right = Writer._checkpoint

    async def checkpoint(self: Any) -> None:
        await self._normalize()
        self._held.outcomes = self._held.outcomes[1:]
        await right(self)

    return [(Writer, "_checkpoint", checkpoint)]


@defect("complete past a failed list", "The lake is called complete although a list was not read to its end.")
def _complete_past_a_failed_list() -> Sequence[tuple[Any, str, Any]]:
    right = Writer.close

    async def close(self: Any, finder: Any, *, is_whole: bool) -> None:
        flaws = self.ledger.listings_failed, self.ledger.listings_open
        self.ledger.close()
        self.ledger.listings_failed = self.ledger.listings_open = 0
        await right(self, finder, is_whole=is_whole)
        self.ledger.listings_failed, self.ledger.listings_open = flaws

    return [(Writer, "close", close)]


@defect("one date a checkpoint", "Of rows on both sides of a midnight only the first date's are written.")
def _one_date_a_checkpoint() -> Sequence[tuple[Any, str, Any]]:
    def first_date(table: Any, rows: Any) -> Any:
        return dict(list(split_by_date(table, rows).items())[:1])

    return [(held, "split_by_date", first_date)]


@defect("the overtaken go on", "A run whose number was taken by another reads on, and commits behind it.")
def _the_overtaken_go_on() -> Sequence[tuple[Any, str, Any]]:
    right = Journal._append

    async def append(self: Any, record: Any) -> None:
        try:
            await right(self, record)
        except Overtaken:
            await commit.read_on(self.records, self.scope, self.state)
            self.epoch = self.state.number + 1
            again = msgspec.structs.replace(record, number=self.state.number + 1, epoch=self.epoch, kind="begin")
            await right(self, msgspec.structs.replace(again, files=(), sessions=(), summary=None))
            await right(self, msgspec.structs.replace(record, number=self.state.number + 1, epoch=self.epoch))

    return [(Journal, "_append", append)]
