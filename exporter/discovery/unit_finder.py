"""Discover: the units of one session, as its list of participants shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.commit_log.unit_states import Decision
from exporter.discovery.listings import list_participants
from exporter.errors import Refused
from exporter.ivs.operations import Operation
from exporter.ivs.paging import named_pages
from exporter.model import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from exporter.commit_log.sealing import SessionProgress
    from exporter.discovery.listings import ListingPage
    from exporter.discovery.oddities import Oddities
    from exporter.discovery.plan import ExportPlan
    from exporter.ivs.retry import RetryingCaller
    from exporter.ledger import ScopeLedger
    from exporter.model import Session, Unit
    from exporter.normalize.listed_model import ListedParticipant

_OUTCOMES = {Decision.UNCHANGED: Outcome.UNCHANGED, Decision.ABANDONED: Outcome.ABANDONED}
_MISSING = "known participants are missing from the lists of their sessions; they are fetched all the same"


@dataclass(frozen=True, slots=True)
class FoundUnits:
    """Units of a session ``to_fetch``, and the participants that an answer of ``served_us`` listed; None of no list."""

    to_fetch: list[Unit]
    participants: list[ListedParticipant] = field(default_factory=list)
    served_us: int | None = None

    @property
    def participant_ids(self) -> list[str]:
        """The participants that a row may be due of: those that were listed; without a list, those to fetch."""
        found = self.to_fetch if self.served_us is None else self.participants
        return [each.participant_id for each in found]


class UnitFinder:
    """Lists the participants of sessions, and gives the units that its ``plan`` makes work of.

    ``now_us`` is the service's clock. ``participants_in_lake`` reads which participants the lake's files hold events
    of, for a session.
    """

    def __init__(
        self,
        caller: RetryingCaller,
        plan: ExportPlan,
        ledger: ScopeLedger,
        *,
        now_us: Callable[[], int],
        participants_in_lake: Callable[[SessionProgress], Awaitable[set[str]]],
        oddities: Oddities,
    ) -> None:
        self._caller = caller
        self._plan = plan
        self._ledger = ledger
        self._now_us = now_us
        self._participants_in_lake = participants_in_lake
        self._oddities = oddities

    async def units(self, progress: SessionProgress) -> AsyncIterator[FoundUnits]:
        """The units of a session, as they are listed; those that are not to be fetched have their outcome already.

        Units that the log names, that are not final and that the list lacks come last. Raises what ends the list;
        where AWS refuses it for good, those units come before.
        """
        session, targets = progress.session, self._plan.request.targets
        if progress.was_sealed and not progress.is_refetched:
            yield await self._units_for_rows(progress)
            return
        named = None if targets is None else targets.participants(session.stage_arn, session.session_id)
        if named is not None:
            yield FoundUnits(self._to_fetch(progress, named))
            return
        await self._expect_in_lake(progress)
        began_us: int | None = None
        is_flawless = True
        try:
            async for listed in self._listed_participants(session):
                began_us = listed.served_us if began_us is None else began_us
                is_flawless &= listed.note_in(self._ledger, session.name)
                yield FoundUnits(
                    self._to_fetch(progress, listed.participant_ids), listed.participants, listed.served_us
                )
        except Refused as error:
            if error.is_for_good:
                yield FoundUnits(self._to_fetch(progress, sorted(progress.units.missing)))
            raise
        if missing := progress.listed(began_us, is_flawless=is_flawless):
            self._oddities.note(_MISSING, session.name, [f"{session.name}/{name}" for name in missing])
            yield FoundUnits(self._to_fetch(progress, missing))

    async def _units_for_rows(self, progress: SessionProgress) -> FoundUnits:
        """All participants of a sealed session that lacks rows, at once: a commit has the rows of all, or of none.

        Those that no record names are fetched.
        """
        session = progress.session
        if not session.is_listed:
            progress.listed(self._now_us(), is_flawless=True)
            return FoundUnits([])
        participants: list[ListedParticipant] = []
        served_us, is_flawless = None, True
        async for listed in self._listed_participants(session):
            served_us = listed.served_us if served_us is None else served_us
            is_flawless &= listed.note_in(self._ledger, session.name)
            participants += listed.participants
        progress.listed(served_us, is_flawless=is_flawless)
        to_fetch = self._to_fetch(progress, [participant.participant_id for participant in participants])
        return FoundUnits(to_fetch, participants if is_flawless else [], served_us)

    def _listed_participants(self, session: Session) -> AsyncIterator[ListingPage]:
        params = {"stageArn": session.stage_arn, "sessionId": session.session_id}
        return list_participants(named_pages(self._caller, Operation.LIST_PARTICIPANTS, params))

    async def _expect_in_lake(self, progress: SessionProgress) -> None:
        """Of a session that was opened again, expect the participants in the lake: the log has let go of its units."""
        if progress.known.is_unsure and not progress.was_sealed:
            progress.units.expect(await self._participants_in_lake(progress), progress.end)

    def _to_fetch(self, progress: SessionProgress, participant_ids: Iterable[str]) -> list[Unit]:
        """The units that are to be fetched; each of the others is noted with its outcome."""
        to_fetch: list[Unit] = []
        for unit, decision in self._plan.units(progress, participant_ids):
            self._ledger.unit_found()
            if decision is Decision.FETCH:
                to_fetch.append(unit)
            else:
                self._ledger.unit_ended(_OUTCOMES[decision])
        return to_fetch
