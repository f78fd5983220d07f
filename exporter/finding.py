"""What is to be fetched in one scope: discover and plan together, against what is committed already.

A sealed session costs no call below the list that shows it. What is known and no longer listed is noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from exporter.api.operations import Operation
from exporter.api.paging import named_pages
from exporter.discover import list_participants, list_sessions
from exporter.domain import Session, Unit
from exporter.errors import LogDamaged, Malformed, Refused
from exporter.ledger import Outcome
from exporter.plan import is_suspect, is_wanted
from exporter.state import SessionState
from exporter.tracking import Tracked, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.api.caller import Caller
    from exporter.archive import Archive
    from exporter.discover import Listed
    from exporter.domain import SessionKey
    from exporter.ledger import ScopeLedger
    from exporter.records import SessionLine
    from exporter.request import Request
    from exporter.settings import RunSettings
    from exporter.state import ScopeState

_SECOND_US = 1_000_000


@dataclass(slots=True)
class Finder:
    """Finds the sessions and units of one scope that this run has work with.

    ``vanished`` are open sessions, and ``unlisted`` sealed ones, (stage, session), that a complete list did not show;
    ``returned`` are the lines of sealed ones that are listed again.
    ``began_us`` is the service's time of the first list's answer, 0 before it.
    """

    caller: Caller
    request: Request
    settings: RunSettings
    state: ScopeState
    archive: Archive
    ledger: ScopeLedger
    began_us: int = 0
    vanished: list[SessionKey] = field(default_factory=list)
    unlisted: list[SessionKey] = field(default_factory=list)
    returned: list[SessionLine] = field(default_factory=list)

    async def stages(self, listed_stages: AsyncIterator[Listed], *, is_whole_region: bool) -> AsyncIterator[str]:
        """The stages' ARNs, each once. Of a whole region, the stages that are gone are noted with their sessions."""
        missing = set(self.state.open) | set(self.state.sealed) if is_whole_region else set()
        async for listed in listed_stages:
            self.began_us = self.began_us or listed.served_us
            self._note_flaws(self.ledger.name, listed)
            for stage_arn in listed.stage_arns:
                missing.discard(stage_arn)
                yield stage_arn
        for stage_arn in sorted(missing):
            self._note_missing(stage_arn, set())

    async def sessions(self, stage_arn: str) -> AsyncIterator[Tracked]:
        """The sessions of a stage that are wanted and not sealed."""
        targets = self.request.targets
        named = None if targets is None else targets.sessions(stage_arn)
        found = self._all_sessions(stage_arn) if named is None else self._named_sessions(stage_arn, set(named))
        async for session in found:
            if is_wanted(session, self.request, active_sessions=self.settings.active_sessions):
                self.ledger.sessions_found += 1
                self.ledger.sessions_active += session.is_listed and session.ended_us is None
                if tracked := await self._track(session):
                    yield tracked
                else:
                    self.ledger.sessions_sealed += 1

    async def units(self, tracked: Tracked) -> AsyncIterator[Unit]:
        """The units of a session that are to be fetched; the others have their outcome already."""
        session, targets = tracked.session, self.request.targets
        named = None if targets is None else targets.participants(session.stage_arn, session.session_id)
        if named is not None:
            for participant_id in named:
                if self._is_to_fetch(tracked, participant_id):
                    yield Unit(session.stage_arn, session.session_id, participant_id)
            return
        began_us = None
        params = {"stageArn": session.stage_arn, "sessionId": session.session_id}
        async for listed in list_participants(named_pages(self.caller, Operation.LIST_PARTICIPANTS, params)):
            began_us = began_us or listed.served_us
            self._note_flaws(session.name, listed)
            for participant_id in listed.participant_ids:
                if self._is_to_fetch(tracked, participant_id):
                    yield Unit(session.stage_arn, session.session_id, participant_id)
        tracked.listed(began_us)

    async def _all_sessions(self, stage_arn: str) -> AsyncIterator[Session]:
        seen: set[str] = set()
        async for listed in self._listed_sessions(stage_arn):
            seen.update(listed.flawed_ids)
            for session in listed.sessions:
                seen.add(session.session_id)
                yield session
        self._note_missing(stage_arn, seen)

    async def _named_sessions(self, stage_arn: str, missing: set[str]) -> AsyncIterator[Session]:
        """The sessions that a list of targets names, with their times where the stage's own list tells them."""
        try:
            async for listed in self._listed_sessions(stage_arn):
                for session in listed.sessions:
                    if session.session_id in missing:
                        missing.discard(session.session_id)
                        yield session
                if not missing:
                    return
        except Refused:
            pass  # the list of sessions has a permission of its own, and may be denied
        for session_id in sorted(missing):
            yield Session(stage_arn, session_id, is_listed=False)

    async def _listed_sessions(self, stage_arn: str) -> AsyncIterator[Listed]:
        pages = named_pages(self.caller, Operation.LIST_STAGE_SESSIONS, {"stageArn": stage_arn})
        async for listed in list_sessions(pages, stage_arn):
            self._note_flaws(stage_arn, listed)
            yield listed

    async def _track(self, session: Session) -> Tracked | None:
        """The session as work; None where it is sealed and not asked for again."""
        refetch = self.request.refetch
        known = self.state.session(session.stage_arn, session.session_id)
        is_new = known is None
        is_sealed = self.state.is_sealed(session.stage_arn, session.session_id)
        if is_sealed and not refetch:
            return None
        if is_sealed or (is_new and is_suspect(session, self.state)):
            archived = await self.archive.session(session.stage_arn, session.session_id)
            if archived is None and is_sealed:
                raise LogDamaged(f"{session.name} is sealed, and no record of the commit log tells which files hold it")
            if archived is not None:
                known = archived.state
                if archived.is_sealed and not is_sealed:
                    self.returned.append(archived.line)
                    is_sealed = True
                    if not refetch:
                        return None
        return Tracked(
            _with_known_times(session, known),
            int(self.settings.grace_s * _SECOND_US),
            known or SessionState(),
            is_new=is_new,
            was_sealed=is_sealed,
            is_refetched=refetch,
        )

    def _is_to_fetch(self, tracked: Tracked, participant_id: str) -> bool:
        self.ledger.units_found += 1
        turn = tracked.find(participant_id)
        if turn is Turn.UNCHANGED:
            self.ledger.outcomes[Outcome.UNCHANGED] += 1
        elif turn is Turn.ABANDONED:
            self.ledger.outcomes[Outcome.ABANDONED] += 1
        return turn is Turn.FETCH

    def _note_missing(self, stage_arn: str, seen: set[str]) -> None:
        self.vanished += [(stage_arn, gone) for gone in sorted(self.state.open.get(stage_arn, {}).keys() - seen)]
        self.unlisted += [(stage_arn, gone) for gone in sorted(self.state.sealed.get(stage_arn, set()) - seen)]

    def _note_flaws(self, name: str, listed: Listed) -> None:
        for flaw in listed.flaws:
            self.ledger.listings_failed += 1
            self.ledger.fail(name, Malformed(flaw))


def _with_known_times(session: Session, known: SessionState | None) -> Session:
    """The session with the times that an earlier run was told, where this one was told none."""
    if session.is_listed or known is None:
        return session
    return replace(session, started_us=known.started_us, ended_us=known.ended_us)
