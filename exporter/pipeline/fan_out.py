"""One scope from end to end: discover → plan → fetch → normalize → stage → commit → publish.

Everything runs at once. Between the steps stand bounded channels, so that memory does not depend on how much there is
to export, and the first events are fetched while later stages are still being listed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.discovery.selection import rank
from exporter.errors import (
    ApiError,
    EventUnreadable,
    FileDamaged,
    Refused,
    ScopeLost,
    ShutOut,
    Starved,
    TemporaryFolderRefused,
)
from exporter.ivs.operations import Operation
from exporter.ivs.paging import pages
from exporter.ledger import Outcome
from exporter.pipeline.channel import Channel, Closed
from exporter.pipeline.fetch import fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from exporter.commit_log.sealing import SessionProgress
    from exporter.discovery.finder import Finder
    from exporter.errors import ExportError
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.model import Unit
    from exporter.pipeline.stop import Stop
    from exporter.pipeline.writer import Delivery, Writer

# Enough of each that no operation waits for another in the ordinary case, and few enough to hold in memory.
_STAGES_WAITING_MAX = 1_000
_SESSIONS_WAITING_MAX = 10_000
_UNITS_WAITING_MAX = 1_000
# What is fetched and not yet rows: a quarter of a minute at AWS's quota, for as long as a checkpoint may take. A
# work without its pages takes some 1,000 bytes.
_WORKS_WAITING_SIZE_BYTES_MAX = 1 << 20
_WORK_SIZE_BYTES = 1_000

Item = TypeVar("Item")


@dataclass(slots=True)
class Pipeline:
    """The steps of one scope, and the channels between them."""

    caller: RetryingCaller
    finder: Finder
    ledger: ScopeLedger
    stop: Stop
    give_up_days: float
    now_us: Callable[[], int]
    _stages: Channel[str] = field(default_factory=lambda: Channel(_STAGES_WAITING_MAX))
    _sessions: Channel[SessionProgress] = field(
        default_factory=lambda: Channel(_SESSIONS_WAITING_MAX, lambda tracked: rank(tracked.session))
    )
    _units: Channel[tuple[Unit, SessionProgress]] = field(default_factory=lambda: Channel(_UNITS_WAITING_MAX))
    _works: Channel[Delivery] = field(
        default_factory=lambda: Channel(_WORKS_WAITING_SIZE_BYTES_MAX, weigh=_size_bytes_of)
    )
    _units_passed: int = 0

    async def export(self, stages: AsyncIterator[str], writer: Writer) -> None:
        """Export the ``stages``; what was fetched whole is committed, whatever happens.

        Raises a :class:`ScopeLost` or a :class:`LakeError`, which end the run. Any other failure is noted under the
        name of what failed, and the rest goes on.
        """
        writing = asyncio.create_task(writer.write(self._works))
        try:
            await self.stop.cut(self._gather(stages), writing)
        finally:
            await self._works.close()
            await writing

    async def survey(self, stages: AsyncIterator[str]) -> int:
        """Find all that `export` would fetch, fetch none of it, and say how many units it is."""
        await self.stop.cut(self._gather(stages, is_dry=True))
        return self._units_passed

    async def _gather(self, stages: AsyncIterator[str], *, is_dry: bool = False) -> None:
        """Discover, plan and fetch, each as fast as its own quota and the room behind it allow."""
        try:
            async with asyncio.TaskGroup() as steps:
                steps.create_task(self._find_stages(stages))
                steps.create_task(self._find_sessions())
                steps.create_task(self._find_units(is_dry=is_dry))
                steps.create_task(self._pass_units() if is_dry else self._fetch_units())
        except BaseExceptionGroup as group:
            raise _first_of(group) from group

    async def _find_stages(self, stages: AsyncIterator[str]) -> None:
        async with self._listing(self.ledger.name):
            async for stage_arn in stages:
                self.ledger.listing_needed()
                await self._stages.put(stage_arn)
        await self._stages.close()

    async def _find_sessions(self) -> None:
        await self._each(self._stages, Operation.LIST_STAGE_SESSIONS, self._find_sessions_of, self._sessions)
        await self._sessions.close()

    async def _find_units(self, *, is_dry: bool) -> None:
        find = self._find_units_of if is_dry else self._find_and_report_units_of
        await self._each(self._sessions, Operation.LIST_PARTICIPANTS, find, self._units)
        await self._units.close()

    async def _pass_units(self) -> None:
        with suppress(Closed):
            while True:
                await self._units.get()
                self._units_passed += 1

    async def _fetch_units(self) -> None:
        await self._each(self._units, Operation.LIST_PARTICIPANT_EVENTS, self._fetch_unit, self._works)

    async def _find_sessions_of(self, stage_arn: str) -> None:
        async with self._listing(stage_arn):
            async for tracked in self.finder.sessions(stage_arn):
                self.ledger.listing_needed()
                await self._sessions.put(tracked)

    async def _find_units_of(self, tracked: SessionProgress) -> None:
        async with self._listing(tracked.session.name):
            try:
                async for unit in self.finder.units(tracked):
                    await self._units.put((unit, tracked))
            except (Starved, ShutOut, ScopeLost):
                raise
            except ApiError as error:
                if not tracked.listing_failed(self.now_us(), self.give_up_days, is_refused=_is_for_good(error)):
                    raise

    async def _find_and_report_units_of(self, tracked: SessionProgress) -> None:
        await self._find_units_of(tracked)
        await self._hand_on((tracked, None))

    async def _fetch_unit(self, found: tuple[Unit, SessionProgress]) -> None:
        unit, tracked = found
        params = {
            "stageArn": unit.stage_arn,
            "sessionId": unit.session_id,
            "participantId": unit.participant_id,
        }
        try:
            fetched = await fetch(
                lambda: pages(self.caller, Operation.LIST_PARTICIPANT_EVENTS, params),
                unit,
                tracked.session,
                tracked.final_from_us,
            )
        except ScopeLost:
            raise
        except (Starved, ShutOut) as error:
            self.ledger.unit_deferred(unit.name, error)
        except (ApiError, EventUnreadable, TemporaryFolderRefused) as error:
            await self._fail(unit, tracked, error)
        else:
            await self._hand_on((tracked, fetched))

    async def _hand_on(self, work: Delivery) -> None:
        """Give the writer its next work. What was fetched whole is committed, even where the stop comes meanwhile."""
        try:
            await self._works.put(work)
        except asyncio.CancelledError:
            self._works.leave(work)
            raise

    async def _fail(self, unit: Unit, tracked: SessionProgress, error: ExportError) -> None:
        """Note a failed unit. One that AWS refuses for good is abandoned in the end; one that is denied, never."""
        is_refused = _is_for_good(error)
        if tracked.failed(unit.participant_id, self.now_us(), self.give_up_days, is_refused=is_refused):
            self.ledger.unit_ended(Outcome.ABANDONED)
        else:
            self.ledger.unit_failed(unit.name, error)
        await self._hand_on((tracked, None))

    async def _each(
        self, items: Channel[Item], operation: Operation, work: Callable[[Item], Awaitable[None]], behind: Channel[Any]
    ) -> None:
        """Work on so many items at once as keep the operation's pace busy.

        Another begins when no call waits, and when there is room for what comes of it in the channel ``behind``.
        """
        pace = self.caller.pace(operation)
        slots = asyncio.Semaphore(self.caller.concurrency)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await slots.acquire()
                await pace.free()
                await behind.room()
                try:
                    item = await items.get()
                except Closed:
                    return
                tasks.create_task(_run(work, item)).add_done_callback(lambda _: slots.release())
                await asyncio.sleep(0)  # so that its first call waits for its token before the next one is begun

    @asynccontextmanager
    async def _listing(self, name: str) -> AsyncIterator[None]:
        """A list that is open until it was read to its end, or has failed under its name.

        Where a file of a session that was opened again is damaged, nobody knows whom its list has to show.
        """
        try:
            yield
        except ScopeLost:
            raise
        except (ApiError, FileDamaged) as error:
            self.ledger.listing_failed(name, error)
        else:
            self.ledger.listing_read()


def _is_for_good(error: ExportError) -> bool:
    """Whether AWS itself refuses for good: nothing else is a reason to give something up."""
    return isinstance(error, Refused) and error.is_for_good


def _size_bytes_of(work: Delivery) -> int:
    """What a work takes, in memory or in a unit's temporary file."""
    _, fetched = work
    return _WORK_SIZE_BYTES + (fetched.size_bytes if fetched else 0)


async def _run(work: Callable[[Item], Awaitable[None]], item: Item) -> None:
    await work(item)


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that a group of errors began with."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
