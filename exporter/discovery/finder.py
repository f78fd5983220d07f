"""Discover: the stages and sessions of one scope that a run has work with, list by list, each as its plan decides.

A sealed session costs no call after the list that shows it. A committed session that is no longer listed is noted,
where the list was whole: one that failed, or that has a flaw, says nothing of what it lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from exporter.commit_log.closing import ListingReport
from exporter.commit_log.records import UnitState
from exporter.commit_log.session_units import NO_NAMED_UNITS
from exporter.discovery.backfill import Backfill
from exporter.discovery.listings import MissingStage, NamedStage, list_sessions
from exporter.discovery.plan import Standing
from exporter.errors import LogDamaged, Refused, ShutOut
from exporter.ivs.operations import Operation
from exporter.ivs.paging import named_pages
from exporter.model import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from collections.abc import Set as AbstractSet

    from exporter.commit_log.archive import Archive
    from exporter.commit_log.records import SessionEntry
    from exporter.commit_log.sealing import SessionProgress
    from exporter.commit_log.state import SessionState
    from exporter.discovery.listings import ListingPage, StageFound
    from exporter.discovery.oddities import Oddities
    from exporter.discovery.plan import ExportPlan
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.model import SessionKey

_OPENED = "sealed sessions are listed with a later end, or none: they are opened again"


class Finder:
    """Lists what one scope has, and gives what its ``plan`` makes work of.

    ``now_us`` is the service's clock. Stages that are ``excluded`` are passed over: nothing of them is listed, and
    nothing is missed.

    The mutable state: what the lists have shown so far (`report`), the sessions of which work has begun, and of those
    the ones that anybody still works on.
    """

    def __init__(
        self,
        caller: RetryingCaller,
        plan: ExportPlan,
        archive: Archive,
        ledger: ScopeLedger,
        *,
        now_us: Callable[[], int],
        excluded: frozenset[str] = frozenset(),
        oddities: Oddities,
    ) -> None:
        self.plan = plan
        self._caller = caller
        self._archive = archive
        self._backfill = Backfill(plan, archive)
        self._ledger = ledger
        self._now_us = now_us
        self._excluded = excluded
        self._oddities = oddities
        self._began_us: int | None = None
        self._vanished: list[SessionKey] = []
        self._unlisted: list[SessionKey] = []
        self._returned: list[SessionEntry] = []
        self._begun: set[SessionKey] = set()
        self._at_work: WeakValueDictionary[SessionKey, SessionProgress] = WeakValueDictionary()

    @property
    def report(self) -> ListingReport:
        """What the lists have shown so far, for the record that closes the run."""
        return ListingReport(self._began_us, tuple(self._vanished), tuple(self._unlisted), tuple(self._returned))

    async def stages(
        self, listed_stages: AsyncIterator[ListingPage], *, is_whole_region: bool, is_empty: bool = False
    ) -> AsyncIterator[StageFound]:
        """The stages, each once. Of a whole region those that are gone come last, noted with their sessions.

        Of a region that ``is_empty`` none does: it may be the wrong one, so their open sessions are noted, and no more.
        """
        missing, is_flawless = await self._committed_stages() if is_whole_region else set(), True
        async for listed in listed_stages:
            if self._began_us is None:
                self._began_us = listed.served_us
            is_flawless &= listed.note_in(self._ledger, self._ledger.name)
            for stage in listed.stages:
                missing.discard(stage.arn)
                if stage.arn not in self._excluded:
                    yield NamedStage(stage.arn) if listed.served_us is None else stage
        if is_flawless:
            for stage_arn in sorted(missing):
                self._note_missing(stage_arn, set())
                if not is_empty:
                    yield MissingStage(stage_arn)

    async def _committed_stages(self) -> set[str]:
        """The stages that the log names; those of its old records, too, where all sessions are looked through."""
        state = self.plan.state
        named = {*state.open, *state.sealed, *state.stages}
        return (named | await self._backfill.stages()) - self._excluded

    async def sessions(self, stage_arn: str) -> AsyncIterator[SessionProgress]:
        """The sessions of a stage that are wanted and not sealed."""
        targets = self.plan.request.targets
        named = None if targets is None else targets.sessions(stage_arn)
        found = self._all_sessions(stage_arn) if named is None else self._named_sessions(stage_arn, set(named))
        async for session, is_again in found:
            if is_again:
                if progress := await self._listed_again(session):
                    yield progress
            elif named is None and not session.is_listed:
                if self.plan.wants(session) and (progress := await self._begin(session)):
                    yield progress
            elif self.plan.wants(session):
                self._ledger.sessions_found += 1
                self._ledger.sessions_active += session.is_listed and session.ended_us is None
                progress = await self._begin(session)
                self._ledger.sessions_sealed += progress is None or progress.was_sealed
                if progress is not None:
                    yield progress

    async def sessions_of_missing(self, stage: MissingStage) -> AsyncIterator[SessionProgress]:
        """The sessions of a stage that is gone, which a backfill has work with."""
        for session in await self._unlisted_sessions(stage.arn, frozenset()):
            if self.plan.wants(session) and (progress := await self._begin(session)):
                yield progress

    async def _unlisted_sessions(self, stage_arn: str, listed: AbstractSet[str]) -> list[Session]:
        sessions = await self._backfill.unlisted_sessions(stage_arn, listed)
        self._unlisted += [session.key for session in sessions]  # the record with their rows names them once more
        return sessions

    async def _listed_again(self, session: Session) -> SessionProgress | None:
        """Note that a list shows a session again, with another end; return it as work where none has begun.

        A session at work is not sealed in this run. One that is committed as sealed already, the next run sees.
        """
        if session.key in self._begun:
            if progress := self._at_work.get(session.key):
                progress.contest()
            return None
        if not (self.plan.request.is_whole and self.plan.state.is_sealed(*session.key)):
            return None
        progress = await self._begin(session)
        self._ledger.sessions_sealed -= progress is not None
        return progress

    async def _all_sessions(self, stage_arn: str) -> AsyncIterator[tuple[Session, bool]]:
        seen: set[str] = set()
        is_flawless = True
        async for listed in self._listed_sessions(stage_arn):
            is_flawless &= not listed.flaws
            for session in listed.sessions:
                seen.add(session.session_id)
                yield session, False
            for session in listed.contested:
                yield session, True
        if is_flawless:
            self._note_missing(stage_arn, seen)
            for session in await self._unlisted_sessions(stage_arn, seen):
                yield session, False

    async def _named_sessions(self, stage_arn: str, missing: set[str]) -> AsyncIterator[tuple[Session, bool]]:
        """The sessions that a list of targets names, with their times where the stage's own list shows them."""
        named = frozenset(missing)
        try:
            async for listed in self._listed_sessions(stage_arn):
                for session in listed.sessions:
                    if session.session_id in missing:
                        missing.discard(session.session_id)
                        yield session, False
                for session in listed.contested:
                    if session.session_id in named:
                        yield session, True
                if not missing:
                    return
        except (Refused, ShutOut):
            pass  # the list of sessions has a permission of its own, and may be denied
        for session_id in sorted(missing):
            yield Session(stage_arn, session_id, is_listed=False), False

    async def _listed_sessions(self, stage_arn: str) -> AsyncIterator[ListingPage]:
        pages = named_pages(self._caller, Operation.LIST_STAGE_SESSIONS, {"stageArn": stage_arn})
        async for listed in list_sessions(pages, stage_arn):
            listed.note_in(self._ledger, stage_arn)
            if listed.doubts:
                self._oddities.note("ends of sessions can't be true, and count as none", stage_arn, listed.doubts)
            yield listed

    async def _begin(self, session: Session) -> SessionProgress | None:
        """The session as work that begins; None where it is sealed and is not to be asked for again."""
        standing = self.plan.standing(session)
        if self.plan.passes_over(standing):
            return None
        known = self.plan.state.session(*session.key)
        if self.plan.looks_back(session, standing):
            standing, known = await self._look_back(session, standing, known)
            if self.plan.passes_over(standing, known):
                return None
        if standing is Standing.REOPENED:
            self._oddities.note(_OPENED, session.stage_arn, [session.name])
        named = NO_NAMED_UNITS
        if standing is Standing.SEALED:
            are_asked_again = known is not None and self.plan.asks_again(known)
            named = await self._archive.named_units(*session.key, are_asked_again=are_asked_again)
        progress = self.plan.progress(session, standing, known, self._now_us(), named=named)
        self._begun.add(session.key)
        self._at_work[session.key] = progress
        return progress

    async def _look_back(
        self, session: Session, standing: Standing, known: SessionState | None
    ) -> tuple[Standing, SessionState | None]:
        """The session's standing and state, with what the log's old records say of it.

        Raises :class:`LogDamaged` where it is sealed and no record says so.
        """
        archived = await self._archive.session(*session.key)
        if archived is None:
            if standing is Standing.UNNAMED:
                return standing, known
            raise LogDamaged(f"{session.name} is sealed, and no record of the commit log says which files hold it")
        known = archived.state
        if standing is Standing.UNNAMED:
            standing = self.plan.standing_in_archive(session, archived)
            if standing is Standing.SEALED and session.is_listed:
                self._returned.append(archived.entry)
        if standing is not Standing.SEALED:
            # The file that holds events of a unit may be lost, and one without events is in no file.
            named = await self._archive.units(*session.key)
            known.units = dict.fromkeys(sorted(named), UnitState()) | known.units
        return standing, known

    def _note_missing(self, stage_arn: str, seen: set[str]) -> None:
        state = self.plan.state
        self._vanished += [(stage_arn, gone) for gone in sorted(state.open.get(stage_arn, {}).keys() - seen)]
        self._unlisted += [(stage_arn, gone) for gone in sorted(state.sealed.get(stage_arn, {}).keys() - seen)]
