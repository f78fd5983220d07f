"""What is to be fetched in one scope: discover and plan together, against what is committed already.

A sealed session costs no call below the list that shows it. What is known and no longer listed is noted, where the list
was whole: one that failed, or that has a flaw, says nothing of what it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import msgspec
import structlog

from exporter.commit_log.records import UnitState
from exporter.commit_log.sealing import Decision, SessionProgress
from exporter.commit_log.state import SessionState
from exporter.discovery.listings import list_participants, list_sessions
from exporter.discovery.selection import is_suspect, is_wanted
from exporter.discovery.session_times import TOLERANCE_US, believed_end
from exporter.errors import LogDamaged, Malformed, Refused, ShutOut
from exporter.ivs.operations import Operation
from exporter.ivs.paging import named_pages
from exporter.ledger import Outcome
from exporter.model import Session, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from exporter.commit_log.archive import Archive
    from exporter.commit_log.records import SessionEntry
    from exporter.commit_log.state import ScopeState
    from exporter.discovery.listings import ListingPage
    from exporter.discovery.request import Request
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.model import SessionKey
    from exporter.settings import RunSettings

_SECOND_US = 1_000_000
_GRACE_US_MAX = 1 << 60  # any number of seconds may be given, also one that is infinite in microseconds
#: How many names stand in one warning.
_NAMED_MAX = 10
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Finder:
    """Finds the sessions and units of one scope that this run has work with.

    ``vanished`` are open sessions, and ``unlisted`` sealed ones, (stage, session), that a complete list did not show;
    ``returned`` are the lines of sealed ones that are listed again.
    ``began_us`` is the service's time of the first list's answer, 0 before it; ``now_us`` tells the time now, and
    ``participants_held`` of whom the lake's files hold events of a session. Stages that are ``excluded`` are passed
    over: nothing of them is asked, and nothing of them is missed.
    """

    caller: RetryingCaller
    request: Request
    settings: RunSettings
    state: ScopeState
    archive: Archive
    ledger: ScopeLedger
    now_us: Callable[[], int]
    participants_held: Callable[[SessionProgress], Awaitable[set[str]]]
    excluded: frozenset[str] = frozenset()
    began_us: int = 0
    vanished: list[SessionKey] = field(default_factory=list)
    unlisted: list[SessionKey] = field(default_factory=list)
    returned: list[SessionEntry] = field(default_factory=list)
    _begun: set[SessionKey] = field(default_factory=set)
    _at_work: WeakValueDictionary[SessionKey, SessionProgress] = field(default_factory=WeakValueDictionary)

    async def stages(self, listed_stages: AsyncIterator[ListingPage], *, is_whole_region: bool) -> AsyncIterator[str]:
        """The stages' ARNs, each once. Of a whole region, the stages that are gone are noted with their sessions."""
        known = set(self.state.open) | set(self.state.sealed) if is_whole_region else set()
        missing, is_flawless = known - self.excluded, True
        async for listed in listed_stages:
            self.began_us = self.began_us or listed.served_us
            is_flawless &= self._note_flaws(self.ledger.name, listed)
            for stage_arn in listed.stage_arns:
                missing.discard(stage_arn)
                if stage_arn not in self.excluded:
                    yield stage_arn
        if is_flawless:
            for stage_arn in sorted(missing):
                self._note_missing(stage_arn, set())

    async def sessions(self, stage_arn: str) -> AsyncIterator[SessionProgress]:
        """The sessions of a stage that are wanted and not sealed."""
        targets = self.request.targets
        named = None if targets is None else targets.sessions(stage_arn)
        found = self._all_sessions(stage_arn) if named is None else self._named_sessions(stage_arn, set(named))
        async for session, is_again in found:
            if is_again:
                if tracked := await self._told_again(session):
                    yield tracked
            elif is_wanted(session, self.request, active_sessions=self.settings.active_sessions):
                self.ledger.sessions_found += 1
                self.ledger.sessions_active += session.is_listed and session.ended_us is None
                tracked = await self._track(session)
                self.ledger.sessions_sealed += tracked is None or tracked.was_sealed
                if tracked is not None:
                    yield tracked

    async def _told_again(self, session: Session) -> SessionProgress | None:
        """Take note of a session that its list has shown before, with another end: the session as work, if it is new.

        One at work is not sealed in this run. One that is committed as sealed already, the next run sees.
        """
        if session.key in self._begun:
            if tracked := self._at_work.get(session.key):
                tracked.is_contested = True
            return None
        if not (self.request.is_whole and self.state.is_sealed(*session.key)):
            return None
        tracked = await self._track(session)
        self.ledger.sessions_sealed -= tracked is not None
        return tracked

    async def units(self, tracked: SessionProgress) -> AsyncIterator[Unit]:
        """The units of a session that are to be fetched; the others have their outcome already.

        Those that are known, not final and missing from the list come last. Raises what ends the list; where AWS
        refuses it for good, the known ones come before.
        """
        session, targets = tracked.session, self.request.targets
        named = None if targets is None else targets.participants(session.stage_arn, session.session_id)
        if named is not None:
            for unit in self._to_fetch(tracked, named):
                yield unit
            return
        await self._expect_held(tracked)
        began_us, is_flawless = None, True
        params = {"stageArn": session.stage_arn, "sessionId": session.session_id}
        try:
            async for listed in list_participants(named_pages(self.caller, Operation.LIST_PARTICIPANTS, params)):
                began_us = began_us or listed.served_us
                is_flawless &= self._note_flaws(session.name, listed)
                for unit in self._to_fetch(tracked, listed.participant_ids):
                    yield unit
        except Refused as error:
            if error.is_for_good:
                for unit in self._to_fetch(tracked, sorted(tracked.missing)):
                    yield unit
            raise
        if missing := tracked.listed(began_us, is_flawless=is_flawless):
            _log.warning(
                "known participants are missing from the list of their session; they are fetched all the same",
                session=session.name,
                count=len(missing),
                participants=missing[:_NAMED_MAX],
            )
            for unit in self._to_fetch(tracked, missing):
                yield unit

    async def _expect_held(self, tracked: SessionProgress) -> None:
        """Of a session that was opened again, look up whom the lake knows: the log has let go of its units."""
        if tracked.known.is_unsure and not tracked.was_sealed:
            tracked.expect(await self.participants_held(tracked))

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

    async def _named_sessions(self, stage_arn: str, missing: set[str]) -> AsyncIterator[tuple[Session, bool]]:
        """The sessions that a list of targets names, with their times where the stage's own list tells them."""
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
        pages = named_pages(self.caller, Operation.LIST_STAGE_SESSIONS, {"stageArn": stage_arn})
        async for listed in list_sessions(pages, stage_arn):
            self._note_flaws(stage_arn, listed)
            if listed.doubts:
                _log.warning(
                    "ends of sessions can't be true, and count as none",
                    stage=stage_arn,
                    count=len(listed.doubts),
                    doubts=listed.doubts[:_NAMED_MAX],
                )
            yield listed

    async def _track(self, session: Session) -> SessionProgress | None:
        """The session as work; None where it is sealed and not asked for again."""
        refetch = self.request.refetch
        known = self.state.session(session.stage_arn, session.session_id)
        is_new = known is None
        is_sealed = self.state.is_sealed(session.stage_arn, session.session_id)
        is_opened = is_sealed and _is_opened(session, self.state.sealed_by_us(session.stage_arn, session.session_id))
        if is_sealed and not refetch and not is_opened:
            return None
        if is_sealed or (is_new and is_suspect(session, self.state)):
            archived = await self.archive.session(session.stage_arn, session.session_id)
            if archived is None and is_sealed:
                raise LogDamaged(f"{session.name} is sealed, and no record of the commit log tells which files hold it")
            if archived is not None:
                known = archived.state
                if archived.is_sealed and not is_sealed:
                    is_sealed = True
                    is_opened = _is_opened(session, known.latest_end_us or known.ended_us)
                    if not is_opened:
                        self.returned.append(archived.line)
                        if not refetch:
                            return None
            if known is not None and (is_opened or not is_sealed):
                # The file that holds events of a unit may be lost, and one without events is in no file.
                named = await self.archive.units(session.stage_arn, session.session_id)
                known.units = dict.fromkeys(sorted(named), UnitState()) | known.units
        if is_opened:
            _log.warning(
                "a sealed session is listed with a later end, or none: it is opened again", session=session.name
            )
        known = _with_believed_ends(known or SessionState(), self.now_us())
        tracked = SessionProgress(
            _with_known_times(session, known),
            int(min(self.settings.grace_s * _SECOND_US, _GRACE_US_MAX)),
            known,
            is_new=is_new,
            was_sealed=is_sealed and not is_opened,
            is_refetched=refetch,
        )
        self._begun.add(session.key)
        self._at_work[session.key] = tracked
        return tracked

    def _to_fetch(self, tracked: SessionProgress, participant_ids: Iterable[str]) -> Iterator[Unit]:
        """The units that are to be fetched; each of the others is noted with its outcome."""
        for participant_id in participant_ids:
            self.ledger.unit_found()
            turn = tracked.find(participant_id)
            if turn is Decision.UNCHANGED:
                self.ledger.unit_ended(Outcome.UNCHANGED)
            elif turn is Decision.ABANDONED:
                self.ledger.unit_ended(Outcome.ABANDONED)
            else:
                yield Unit(tracked.session.stage_arn, tracked.session.session_id, participant_id)

    def _note_missing(self, stage_arn: str, seen: set[str]) -> None:
        self.vanished += [(stage_arn, gone) for gone in sorted(self.state.open.get(stage_arn, {}).keys() - seen)]
        self.unlisted += [(stage_arn, gone) for gone in sorted(self.state.sealed.get(stage_arn, {}).keys() - seen)]

    def _note_flaws(self, name: str, listed: ListingPage) -> bool:
        """Note what is wrong with a page; True where nothing is."""
        for flaw in listed.flaws:
            self.ledger.listing_flawed(name, Malformed(flaw))
        return not listed.flaws


def _is_opened(session: Session, sealed_by_us: int | None) -> bool:
    """Whether a session that was sealed is listed as one of which more can have come: with a later end, or none."""
    if not session.is_listed:
        return False
    if session.ended_us is None:
        return True
    return sealed_by_us is not None and session.ended_us > sealed_by_us + TOLERANCE_US


def _with_known_times(session: Session, known: SessionState) -> Session:
    """The session with the times that an earlier run was told, where this one was told none."""
    if session.is_listed:
        return session
    return replace(session, started_us=known.started_us, ended_us=known.ended_us)


def _with_believed_ends(known: SessionState, now_us: int) -> SessionState:
    """What is known, without ends that no session can have: an earlier program may have believed them."""
    if known.ended_us is None and known.latest_end_us is None:
        return known
    ended_us, latest_end_us = believed_end(known.ended_us, now_us), believed_end(known.latest_end_us, now_us)
    if (ended_us, latest_end_us) == (known.ended_us, known.latest_end_us):
        return known
    return msgspec.structs.replace(known, ended_us=ended_us, latest_end_us=latest_end_us)
