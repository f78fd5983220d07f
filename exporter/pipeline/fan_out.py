"""One scope from end to end: discover → plan → fetch, side by side, and then a writer.

::

    stages → sessions → units → fetch ─────→ deliveries → Writer: normalize, then by checkpoint
                 └ participants to describe ─┘                    stage → commit → publish

Each arrow is a bounded channel, so that memory does not depend on how much there is to export. All steps run at once:
the first events are fetched while later stages are still being listed. What the lists show is delivered, too.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from exporter.discovery.listings import MissingStage
from exporter.discovery.selection import rank
from exporter.errors import (
    ApiError,
    EventUnreadable,
    FileDamaged,
    ScopeLost,
    ShutOut,
    Starved,
    TemporaryFolderRefused,
)
from exporter.ivs.operations import Operation
from exporter.ivs.paging import pages
from exporter.model import Outcome, Unit
from exporter.normalize.listed_model import ListedStage
from exporter.pipeline.channel import Channel, work_on_each
from exporter.pipeline.delivery import (
    ParticipantAwaited,
    ParticipantsListed,
    SessionNews,
    StageListed,
    UnitFetched,
    size_bytes_of,
)
from exporter.pipeline.details import Details, params_of
from exporter.pipeline.fetch import fetch
from exporter.pipeline.stop import StopRequested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from exporter.commit_log.sealing import SessionProgress
    from exporter.discovery.finder import Finder
    from exporter.discovery.listings import StageFound
    from exporter.discovery.unit_finder import FoundUnits, UnitFinder
    from exporter.errors import ExportError
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.pipeline.delivery import Delivery
    from exporter.pipeline.stop import Stop
    from exporter.pipeline.writer import Writer

# Enough of each that no operation waits for another in the ordinary case, and few enough to hold in memory.
_STAGES_WAITING_MAX = 1_000
_SESSIONS_WAITING_MAX = 10_000
_UNITS_WAITING_MAX = 1_000
_TO_DESCRIBE_WAITING_MAX = 10_000
# What is fetched and not yet rows: a quarter of a minute at AWS's quota, for as long as a checkpoint may take.
_DELIVERIES_WAITING_SIZE_BYTES_MAX = 1 << 20

Item = TypeVar("Item")


class Pipeline:
    """The steps of one scope, and the channels between them. ``now_us`` is the service's clock.

    The mutable state: the five channels.
    """

    def __init__(
        self,
        caller: RetryingCaller,
        finder: Finder,
        unit_finder: UnitFinder,
        ledger: ScopeLedger,
        stop: Stop,
        *,
        give_up_days: float,
        now_us: Callable[[], int],
    ) -> None:
        self._caller = caller
        self._finder = finder
        self._unit_finder = unit_finder
        self._ledger = ledger
        self._stop = stop
        self._give_up_days = give_up_days
        self._now_us = now_us
        self._stages = Channel[str](_STAGES_WAITING_MAX)
        self._sessions = Channel["SessionProgress"](_SESSIONS_WAITING_MAX, rank=lambda progress: rank(progress.session))
        self._units = Channel[tuple["SessionProgress", Unit]](_UNITS_WAITING_MAX)
        self._to_describe = Channel[tuple["SessionProgress", str]](_TO_DESCRIBE_WAITING_MAX)
        self._details = Details(caller, ledger, now_us)
        self._deliveries = Channel["Delivery"](_DELIVERIES_WAITING_SIZE_BYTES_MAX, weigh=size_bytes_of)

    def __repr__(self) -> str:
        """Say what waits between the steps, for a debugger."""
        return (
            f"<Pipeline {self._ledger.name}: stages {self._stages!r}, sessions {self._sessions!r},"
            f" units {self._units!r}, deliveries {self._deliveries!r}>"
        )

    async def export(self, stages: AsyncIterator[StageFound], writer: Writer) -> None:
        """Export the ``stages``; what was fetched whole is committed, whatever happens.

        Raises a :class:`ScopeLost` or a :class:`LakeError`, which end the run. Any other failure is noted under the
        name of what failed, and the rest goes on.
        """
        await self._run(stages, self._fetch_and_describe, writer.write(self._deliveries))

    async def survey(self, stages: AsyncIterator[StageFound]) -> None:
        """Make the whole plan of what `export` would fetch, and fetch none of it. Raises as `export`."""

        async def drain_units() -> None:
            await asyncio.gather(self._units.drain(), self._to_describe.drain())

        await self._run(stages, drain_units, self._deliveries.drain())

    async def _run(
        self,
        stages: AsyncIterator[StageFound],
        use_units: Callable[[], Coroutine[Any, Any, None]],
        take_deliveries: Coroutine[Any, Any, None],
    ) -> None:
        """Run all steps until they are through, or a stop is asked for; what was delivered by then is taken."""
        taking = asyncio.create_task(take_deliveries)
        try:
            with suppress(StopRequested):
                await self._stop.cut(self._run_steps(stages, use_units), taking)
        finally:
            await self._deliveries.close()
            await taking

    async def _run_steps(
        self, stages: AsyncIterator[StageFound], use_units: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Run the steps before the writer, each as fast as its own quota and the room in the next channel allow."""
        try:
            async with asyncio.TaskGroup() as steps:
                steps.create_task(self._find_stages(stages))
                steps.create_task(self._find_sessions())
                steps.create_task(self._find_units())
                steps.create_task(use_units())
        except BaseExceptionGroup as group:
            raise _first_of(group) from group

    async def _find_stages(self, stages: AsyncIterator[StageFound]) -> None:
        async with self._listing(self._ledger.name):
            async for stage in stages:
                if entry := self._finder.plan.stage_due(stage):
                    named = ListedStage(entry.arn, entry.name, entry.tags)
                    listed = stage if isinstance(stage, ListedStage) else named
                    await self._deliver(StageListed(listed, entry))
                if isinstance(stage, MissingStage):
                    async for progress in self._finder.sessions_of_missing(stage):
                        await self._pass_on(progress)
                else:
                    self._ledger.listing_needed()
                    await self._stages.put(stage.arn)
        await self._stages.close()

    async def _find_sessions(self) -> None:
        await self._each(self._stages, Operation.LIST_STAGE_SESSIONS, self._find_sessions_of, self._sessions)
        await self._sessions.close()

    async def _find_units(self) -> None:
        await self._each(self._sessions, Operation.LIST_PARTICIPANTS, self._find_units_of, self._units)
        await self._units.close()
        await self._to_describe.close()

    async def _fetch_and_describe(self) -> None:
        """Fetch the units, and describe participants beside that: no run but a backfill takes longer for it."""
        async with asyncio.TaskGroup() as steps:
            describing = steps.create_task(
                self._each(self._to_describe, Operation.GET_PARTICIPANT, self._describe, self._deliveries)
            )
            await self._each(self._units, Operation.LIST_PARTICIPANT_EVENTS, self._fetch_unit, self._deliveries)
            if not self._finder.plan.request.backfill_tables:
                await self._details.finish(describing, len(self._to_describe))

    async def _find_sessions_of(self, stage_arn: str) -> None:
        async with self._listing(stage_arn):
            async for progress in self._finder.sessions(stage_arn):
                await self._pass_on(progress)

    async def _pass_on(self, progress: SessionProgress) -> None:
        self._ledger.listing_needed()
        await self._sessions.put(progress)

    async def _find_units_of(self, progress: SessionProgress) -> None:
        async with self._listing(progress.session.name):
            try:
                async for found in self._unit_finder.units(progress):
                    await self._pass_on_units(progress, found)
            except (Starved, ShutOut, ScopeLost):
                raise
            except ApiError as error:
                if not progress.listing_failed(self._now_us(), self._give_up_days, is_refused=error.is_for_good):
                    raise
        await self._deliver(SessionNews(progress))

    async def _pass_on_units(self, progress: SessionProgress, found: FoundUnits) -> None:
        """Deliver the participants that were listed before any of their events is fetched."""
        is_listed, served_us = found.served_us is not None, found.served_us or self._now_us()
        to_describe = self._finder.plan.describe(progress, found.participant_ids, served_us)
        if found.participants:
            progress.rows_on_their_way += len(found.participants)
            await self._deliver(ParticipantsListed(progress, found.participants, served_us))
        for participant_id in to_describe:
            if found.to_fetch and self._to_describe.is_full:
                break  # events do not wait for details: these rows go without
            if not is_listed:
                await self._deliver(ParticipantAwaited(progress, participant_id))
            await self._to_describe.put((progress, participant_id))
        for unit in found.to_fetch:
            await self._units.put((progress, unit))

    async def _describe(self, participant: tuple[SessionProgress, str]) -> None:
        if (described := await self._details.describe(*participant)) is not None:
            await self._deliver(described)

    async def _fetch_unit(self, found: tuple[SessionProgress, Unit]) -> None:
        progress, unit = found
        try:
            fetched = await fetch(
                lambda: pages(self._caller, Operation.LIST_PARTICIPANT_EVENTS, params_of(unit)),
                unit,
                progress.session,
                progress.final_from_us,
            )
        except ScopeLost:
            raise
        except (Starved, ShutOut) as error:
            self._ledger.unit_deferred(unit.name, error)
        except (ApiError, EventUnreadable, TemporaryFolderRefused) as error:
            await self._fail(unit, progress, error)
        else:
            self._ledger.unit_fetched()
            await self._deliver(UnitFetched(progress, fetched))

    async def _deliver(self, delivery: Delivery) -> None:
        """Put a delivery before the writer: what was fetched whole is committed, even after a stop."""
        try:
            await self._deliveries.put(delivery)
        except asyncio.CancelledError:
            self._deliveries.put_over_bound(delivery)
            raise

    async def _fail(self, unit: Unit, progress: SessionProgress, error: ExportError) -> None:
        """Note a failed unit. One that AWS refuses for good is abandoned in the end; one that is denied, never."""
        if progress.failed(unit.participant_id, self._now_us(), self._give_up_days, is_refused=error.is_for_good):
            self._ledger.unit_ended(Outcome.ABANDONED)
        else:
            self._ledger.unit_failed(unit.name, error)
        await self._deliver(SessionNews(progress))

    async def _each(
        self,
        items: Channel[Item],
        operation: Operation,
        work: Callable[[Item], Coroutine[Any, Any, None]],
        after: Channel[Any],
    ) -> None:
        """Work on items side by side, while no call of this operation waits for a token and there is room after it."""
        pace = self._caller.pace(operation)

        async def may_begin() -> None:
            await pace.free()
            await after.wait_for_room()

        await work_on_each(items, work, self._caller.concurrency, may_begin)

    @asynccontextmanager
    async def _listing(self, name: str) -> AsyncIterator[None]:
        """Count a list as read at the end, or as failed under its name.

        So does a damaged file of a session that was opened again: it alone says whom the list has to show.
        """
        try:
            yield
        except ScopeLost:
            raise
        except (ApiError, FileDamaged) as error:
            self._ledger.listing_failed(name, error)
        else:
            self._ledger.listing_read()


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that a group of errors began with."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
