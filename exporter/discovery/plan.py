"""Plan: what is to be done with each session and unit of a scope, against what the log says. Pure.

A plan grows with each answer of the listings. A run carries it out meanwhile; ``run --dry-run`` makes it to the end and
prints its cost.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import TYPE_CHECKING

import msgspec

from exporter.commit_log.records import LISTING, StageEntry, UnitState
from exporter.commit_log.sealing import SessionProgress
from exporter.commit_log.session_status import SessionStatus
from exporter.commit_log.session_units import NO_NAMED_UNITS
from exporter.commit_log.state import SessionState
from exporter.commit_log.unit_states import Decision
from exporter.discovery.cost import Estimate, Work, estimate
from exporter.discovery.listings import NamedStage
from exporter.discovery.selection import is_suspect, is_wanted
from exporter.discovery.session_times import TOLERANCE_US, believed_end
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.model import Unit
from exporter.normalize.listed_model import ListedStage
from exporter.timestamps import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from exporter.commit_log.archive import Archived
    from exporter.commit_log.session_units import NamedUnits
    from exporter.commit_log.state import ScopeState
    from exporter.discovery.listings import StageFound
    from exporter.discovery.request import Request
    from exporter.model import Session
    from exporter.settings import Settings

# The setting takes any number of seconds, also one that is infinite in microseconds.
_GRACE_US_MAX = 1 << 60


class Standing(Enum):
    """How a session that is listed stands in the commit log.

    ``REOPENED``: it was sealed, and is listed with a later end, or none.
    """

    UNNAMED = auto()
    OPEN = auto()
    SEALED = auto()
    REOPENED = auto()


class ExportPlan:
    """The plan of one scope: which sessions it works on, and what that costs.

    The mutable state: ``units_to_fetch``, the units so far that a run has to fetch; ``to_describe``, the participants
    that it asks for details of; and ``listed_stages``, what the list of stages has shown, by ARN.
    """

    def __init__(self, state: ScopeState, request: Request, settings: Settings) -> None:
        self.state = state
        self.request = request
        self.tables = settings.tables
        self.units_to_fetch = 0
        self.to_describe = 0
        self.listed_stages: dict[str, StageEntry] = {}
        self._settings = settings.run

    def wants(self, session: Session) -> bool:
        """Whether the request takes a session in."""
        return is_wanted(session, self.request, active_sessions=self._settings.active_sessions)

    def standing(self, session: Session) -> Standing:
        """How a session stands in the live state of the log."""
        if self.state.is_sealed(*session.key):
            return _sealed(session, self.state.sealed_by_us(*session.key))
        return Standing.UNNAMED if self.state.session(*session.key) is None else Standing.OPEN

    def standing_in_archive(self, session: Session, archived: Archived) -> Standing:
        """How a session that the live state does not name stands in the log's old records."""
        if not archived.is_sealed:
            return Standing.UNNAMED
        return _sealed(session, archived.state.latest_end_us or archived.state.ended_us)

    def stage_due(self, stage: StageFound) -> StageEntry | None:
        """What a new row of the table ``stages`` says of a stage; None where it would say what the last one does.

        Of one that was named and not listed, nothing is known that a row could say.
        """
        last = self.state.stages.get(stage.arn)
        if isinstance(stage, ListedStage):
            entry = StageEntry(stage.arn, stage.name, None if stage.tags is None else dict(stage.tags))
            self.listed_stages[stage.arn] = entry
        elif last is None or isinstance(stage, NamedStage):
            return None
        else:
            entry = msgspec.structs.replace(last, is_listed=False)
        return entry if self.tables.stages and entry != last else None

    def passes_over(self, standing: Standing, known: SessionState | None = None) -> bool:
        """Whether a run has nothing to do with such a session. ``known`` is its state, where that was looked up."""
        if standing is not Standing.SEALED or self.request.refetch:
            return False
        return not self.request.backfill_tables or (known is not None and not self._lacks_something(known))

    @property
    def asks_for_details(self) -> bool:
        """Whether rows of participants are to have details."""
        return self.tables.participants and self.tables.details

    def asks_again(self, known: SessionState) -> bool:
        """Whether a backfill asks for details of a sealed session that were denied or failed."""
        return self.request.backfill_tables and self.asks_for_details and known.lacks_details

    def _lacks_something(self, known: SessionState) -> bool:
        return self.lacks_rows(known.tables) or self.asks_again(known)

    def lacks_rows(self, tables: Iterable[str]) -> bool:
        """Whether a sealed session with rows in these ``tables`` lacks some in others."""
        wanted = {
            SESSIONS.name: self.tables.sessions,
            PARTICIPANTS.name: self.tables.participants,
        }
        return not {name for name, is_wanted in wanted.items() if is_wanted}.issubset(tables)

    def looks_back(self, session: Session, standing: Standing) -> bool:
        """Whether the log's old records have to be read before work on a session can begin."""
        if standing in {Standing.SEALED, Standing.REOPENED}:
            return True
        return standing is Standing.UNNAMED and is_suspect(session, self.state)

    def progress(
        self,
        session: Session,
        standing: Standing,
        known: SessionState | None,
        now_us: int,
        *,
        named: NamedUnits = NO_NAMED_UNITS,
    ) -> SessionProgress:
        """The session as work that begins. ``known`` is what the log says of it, ``now_us`` the service's time.

        ``named`` are the units that the log names of a session that stays sealed.
        """
        known = _with_believed_ends(known or SessionState(), now_us)
        if standing is Standing.SEALED:
            known = msgspec.structs.replace(known, units=self._abandoned(session, named) | known.units)
        return SessionProgress(
            _with_known_times(session, known),
            int(min(self._settings.grace_s * SECOND_US, _GRACE_US_MAX)),
            known,
            self._status(session, standing),
            is_refetched=self.request.refetch,
            named=named,
        )

    def _abandoned(self, session: Session, named: NamedUnits) -> dict[str, UnitState]:
        """Those of the named units of a sealed session that are abandoned, and their list where that is."""
        full_names = {name: f"{session.name}/{name}".rstrip("/") for name in sorted(named.names | {LISTING})}
        return {
            name: UnitState(
                refused_since_us=self.state.abandoned[full_name],
                is_abandoned=True,
                lacks_details=name in named.lacking_details,
            )
            for name, full_name in full_names.items()
            if full_name in self.state.abandoned
        }

    def _status(self, session: Session, standing: Standing) -> SessionStatus:
        if standing is Standing.SEALED:
            return SessionStatus.KEPT_SEALED
        return SessionStatus.NEW if self.state.session(*session.key) is None else SessionStatus.OPEN

    def units(self, progress: SessionProgress, participant_ids: Iterable[str]) -> Iterator[tuple[Unit, Decision]]:
        """Decide what to do with each unit that was found of a session (`exporter.commit_log.unit_states.decide`)."""
        for participant_id in participant_ids:
            decision = progress.find(participant_id)
            self.units_to_fetch += decision is Decision.FETCH
            yield Unit(*progress.session.key, participant_id), decision

    def describe(self, progress: SessionProgress, participant_ids: Iterable[str], served_us: int) -> list[str]:
        """Choose the participants to ask for details of: those that an answer of ``served_us`` gives a row."""
        if not self.asks_for_details:
            return []
        due = [name for name in participant_ids if progress.row_due(name, served_us) is not None]
        self.to_describe += len(due)
        return due

    def cost(self, scope: str, listing_calls: Mapping[str, int], calls_per_second: float) -> Estimate:
        """What carrying out the plan costs, as far as it is made. ``listing_calls`` made it, and a run repeats them."""
        work = Work(self.units_to_fetch, self.to_describe)
        return estimate(scope, work, listing_calls, self.state.last, calls_per_second)


def _sealed(session: Session, sealed_by_us: int | None) -> Standing:
    """The standing of a sealed session: more can have come where it is listed with a later end, or with none."""
    if not session.is_listed:
        return Standing.SEALED
    if session.ended_us is None:
        return Standing.REOPENED
    is_later = sealed_by_us is not None and session.ended_us > sealed_by_us + TOLERANCE_US
    return Standing.REOPENED if is_later else Standing.SEALED


def _with_known_times(session: Session, known: SessionState) -> Session:
    """The session with its times in the log, where no list of this run shows it."""
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
