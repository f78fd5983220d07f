"""One scope from end to end: discover → plan → fetch → normalize → stage → commit → publish.

Everything runs at once. Between the steps stand bounded channels, so that memory does not depend on how much there is
to export, and the first events are fetched while later stages are still being listed.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from exporter.api.operations import Operation
from exporter.api.paging import named_pages, pages
from exporter.channel import Channel, Closed
from exporter.discover import list_participants, list_sessions
from exporter.domain import Fetched, Session, Unit
from exporter.errors import ApiError, CredentialsLost, EventUnreadable, Malformed, Refused, Starved
from exporter.fetch import fetch
from exporter.ledger import Outcome
from exporter.plan import is_wanted, rank

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from exporter.api.caller import Caller
    from exporter.discover import Listed
    from exporter.ledger import ScopeLedger
    from exporter.request import Request, Stop
    from exporter.writer import Writer

# Enough of each that no operation waits for another in the ordinary case, and few enough to hold in memory.
_STAGES_WAITING_MAX = 1_000
_SESSIONS_WAITING_MAX = 10_000
_UNITS_WAITING_MAX = 1_000
_FETCHED_WAITING_MAX = 4

Item = TypeVar("Item")


@dataclass(slots=True)
class Pipeline:
    """What the steps of one scope share: the way to the API, the wishes of the run, and the ledger."""

    caller: Caller
    request: Request
    ledger: ScopeLedger
    stop: Stop
    active_sessions: bool
    _stages: Channel[str] = field(default_factory=lambda: Channel(_STAGES_WAITING_MAX))
    _sessions: Channel[Session] = field(default_factory=lambda: Channel(_SESSIONS_WAITING_MAX, rank))
    _units: Channel[tuple[Unit, Session]] = field(default_factory=lambda: Channel(_UNITS_WAITING_MAX))
    _fetched: Channel[Fetched] = field(default_factory=lambda: Channel(_FETCHED_WAITING_MAX))
    _starved: set[str] = field(default_factory=set)

    async def export(self, stages: AsyncIterator[Listed], writer: Writer) -> None:
        """Export the scope whose ``stages`` are given; what was fetched whole is committed, whatever happens.

        Raises :class:`CredentialsLost` or a :class:`LakeError`, which end the run. Any other failure is noted under the
        name of what failed, and the rest goes on.
        """
        writing = asyncio.create_task(writer.write(self._fetched))
        try:
            await self.stop.cut(self._gather(stages), writing)
        finally:
            await self._fetched.close()
            await writing

    async def _gather(self, stages: AsyncIterator[Listed]) -> None:
        """Discover, plan and fetch, each as fast as its own quota and the room behind it allow."""
        try:
            async with asyncio.TaskGroup() as steps:
                steps.create_task(self._find_stages(stages))
                steps.create_task(self._find_sessions())
                steps.create_task(self._find_units())
                steps.create_task(self._fetch_units())
        except BaseExceptionGroup as group:
            raise _first_of(group) from group

    async def _find_stages(self, stages: AsyncIterator[Listed]) -> None:
        async with self._listing(self.ledger.name):
            async for listed in stages:
                self._note_flaws(self.ledger.name, listed)
                self.ledger.listings_open += len(listed.stage_arns)
                for stage_arn in listed.stage_arns:
                    await self._stages.put(stage_arn)
        await self._stages.close()

    async def _find_sessions(self) -> None:
        await self._each(self._stages, Operation.LIST_STAGE_SESSIONS, self._find_sessions_of)
        await self._sessions.close()

    async def _find_units(self) -> None:
        await self._each(self._sessions, Operation.LIST_PARTICIPANTS, self._find_units_of)
        await self._units.close()

    async def _fetch_units(self) -> None:
        await self._each(self._units, Operation.LIST_PARTICIPANT_EVENTS, self._fetch_unit)
        await self._fetched.close()

    async def _find_sessions_of(self, stage_arn: str) -> None:
        targets = self.request.targets
        named = None if targets is None else targets.sessions(stage_arn)
        async with self._listing(stage_arn):
            if named is None:
                async for session in self._sessions_of(stage_arn):
                    await self._want(session)
            else:
                await self._find_named_sessions(stage_arn, set(named))

    async def _find_named_sessions(self, stage_arn: str, missing: set[str]) -> None:
        """Learn the times of sessions that a list of targets names; those not learnt of are exported all the same."""
        try:
            async for session in self._sessions_of(stage_arn):
                if session.session_id in missing:
                    missing.discard(session.session_id)
                    await self._want(session)
                if not missing:
                    break
        except Refused:
            pass  # the list of sessions has a permission of its own, and may be denied
        finally:
            for session_id in sorted(missing):
                await self._want(Session(stage_arn, session_id, is_listed=False))

    async def _sessions_of(self, stage_arn: str) -> AsyncIterator[Session]:
        answers = named_pages(self.caller, Operation.LIST_STAGE_SESSIONS, {"stageArn": stage_arn})
        async for listed in list_sessions(answers, stage_arn):
            self._note_flaws(stage_arn, listed)
            for session in listed.sessions:
                yield session

    async def _want(self, session: Session) -> None:
        if is_wanted(session, self.request, active_sessions=self.active_sessions):
            self.ledger.sessions_found += 1
            self.ledger.sessions_active += session.is_listed and session.ended_us is None
            self.ledger.listings_open += 1
            await self._sessions.put(session)

    async def _find_units_of(self, session: Session) -> None:
        targets = self.request.targets
        named = None if targets is None else targets.participants(session.stage_arn, session.session_id)
        async with self._listing(session.name):
            if named is not None:
                await self._found(session, named)
                return
            params = {"stageArn": session.stage_arn, "sessionId": session.session_id}
            async for listed in list_participants(named_pages(self.caller, Operation.LIST_PARTICIPANTS, params)):
                self._note_flaws(session.name, listed)
                await self._found(session, listed.participant_ids)

    async def _found(self, session: Session, participant_ids: Iterable[str]) -> None:
        for participant_id in participant_ids:
            self.ledger.units_found += 1
            await self._units.put((Unit(session.stage_arn, session.session_id, participant_id), session))

    async def _fetch_unit(self, found: tuple[Unit, Session]) -> None:
        unit, session = found
        params = {
            "stageArn": unit.stage_arn,
            "sessionId": unit.session_id,
            "participantId": unit.participant_id,
        }
        try:
            fetched = await fetch(lambda: pages(self.caller, Operation.LIST_PARTICIPANT_EVENTS, params), unit, session)
        except CredentialsLost:
            raise
        except Starved as error:
            self._note_starved(error)
            self.ledger.outcomes[Outcome.DEFERRED] += 1
        except (ApiError, EventUnreadable) as error:
            self.ledger.fail(unit.name, error)
            self.ledger.outcomes[Outcome.FAILED] += 1
        else:
            await self._fetched.put(fetched)

    async def _each(self, items: Channel[Item], operation: Operation, work: Callable[[Item], Awaitable[None]]) -> None:
        """Work on so many items at once as keep the operation's pace busy: another begins when no call waits."""
        pace = self.caller.pace(operation)
        slots = asyncio.Semaphore(self.caller.concurrency)
        async with asyncio.TaskGroup() as tasks:
            while True:
                await slots.acquire()
                await pace.free()
                try:
                    item = await items.get()
                except Closed:
                    return
                tasks.create_task(_run(work, item)).add_done_callback(lambda _: slots.release())
                await asyncio.sleep(0)  # so that its first call waits for its token before the next one is begun

    @asynccontextmanager
    async def _listing(self, name: str) -> AsyncIterator[None]:
        """A list that is open until it was read to its end, or has failed under its name."""
        try:
            yield
        except CredentialsLost:
            raise
        except Starved as error:
            self._note_starved(error)
            return
        except ApiError as error:
            self.ledger.fail(name, error)
        self.ledger.listings_open -= 1

    def _note_flaws(self, name: str, listed: Listed) -> None:
        for flaw in listed.flaws:
            self.ledger.fail(name, Malformed(flaw))

    def _note_starved(self, error: Starved) -> None:
        if str(error) not in self._starved:
            self._starved.add(str(error))
            self.ledger.fail(self.ledger.name, error)


async def _run(work: Callable[[Item], Awaitable[None]], item: Item) -> None:
    await work(item)


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that a group of errors began with."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
