"""Discover: what there is to export, from the API's three listings.

An item is taken once, however often a shifting list shows it. An item without a usable name is reported, not dropped.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.discovery.session_times import doubt
from exporter.errors import Malformed
from exporter.model import Scope, Session, scope_of
from exporter.normalize.listed import decode_participants, decode_sessions, decode_stages
from exporter.normalize.listed_model import ListedStage
from exporter.text import counted, quoted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.ivs.responses import Page
    from exporter.ledger import ScopeLedger
    from exporter.normalize.listed_model import ListedParticipant, ListedSession

# How many flawed stages are named.
_NAMED_MAX = 3
# Thousands of ids wait in memory, and stand in each record. AWS's own have up to 64 letters.
_ID_LENGTH_MAX = 1_024
# What a flaw's text shows of an item, as `quoted` writes it. The rest is the cause, which many items may have.
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")


@dataclass(slots=True)
class ListingPage:
    """What one page of a listing brought that was not there before, and what is wrong with the rest of it.

    ``served_us`` is the service's time of the answer, None where no call was made. ``contested`` are sessions that an
    earlier page showed with another end. ``flaws`` say what can't be read; a list that has one is not whole. ``doubts``
    say which ends of sessions can't be true, and so count as none. ``unknown_fields`` are the names of members that
    this program does not know, and how often each came.
    """

    served_us: int | None = None
    stages: list[ListedStage] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    participants: list[ListedParticipant] = field(default_factory=list)
    contested: list[Session] = field(default_factory=list, init=False)
    flaws: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list, init=False)
    unknown_fields: Counter[str] = field(default_factory=Counter, init=False)

    @property
    def participant_ids(self) -> list[str]:
        """The ids of the participants, in their order."""
        return [participant.participant_id for participant in self.participants]

    def note_in(self, ledger: ScopeLedger, name: str) -> bool:
        """Note in the ledger what is odd about the page of the list ``name``; True where nothing is wrong with it."""
        ledger.note_unknown(self.unknown_fields)
        for flaw in self.flaws:
            error = Malformed(flaw)
            error.group = _QUOTED.sub("…", flaw)
            ledger.listing_flawed(name, error)
        return not self.flaws


@dataclass(frozen=True, slots=True)
class MissingStage:
    """A stage that the log names and that a complete list of stages lacks."""

    arn: str


@dataclass(frozen=True, slots=True)
class NamedStage:
    """A stage that the settings or a list of targets name; no list of stages was asked for."""

    arn: str


StageFound = ListedStage | NamedStage | MissingStage


async def list_stages(pages: AsyncIterator[Page], region: str) -> AsyncIterator[ListingPage]:
    """The stages of a region, page by page. All must be of one account, which a scope is.

    Those that are none come as one flaw, with a page of its own after the last.
    """
    seen: set[str] = set()
    strange: list[str] = []
    served_us: int | None = None
    scope: Scope | None = None
    async for page in pages:
        served_us = page.served_us
        decoded = decode_stages(page.items)
        listed = ListingPage(page.served_us, flaws=decoded.flaws)
        listed.unknown_fields.update(decoded.unknown_fields)
        for stage in decoded.items:
            own = scope_of(stage.arn)
            scope = scope or own
            if own is None or own.region != region or own != scope:
                strange.append(stage.arn)
            elif stage.arn not in seen:
                seen.add(stage.arn)
                listed.stages.append(stage)
        yield listed
    if strange:
        named = ", ".join(map(quoted, strange[:_NAMED_MAX]))
        more = ", …" if len(strange) > _NAMED_MAX else ""
        flaw = f"ListStages in {region} gave {counted(len(strange), 'stage')} of another account or region, or none"
        yield ListingPage(served_us, flaws=[f"{flaw}: {named}{more}"])


async def first_scope(stages: AsyncIterator[ListingPage]) -> tuple[ListingPage, AsyncIterator[ListingPage]]:
    """What is listed up to the first stage, which shows the scope, and the whole list from its beginning on.

    The first part has no stage where the list has none.
    """
    first = ListingPage()
    async for listed in stages:
        first.served_us = listed.served_us if first.served_us is None else first.served_us
        first.flaws += listed.flaws
        first.unknown_fields += listed.unknown_fields
        if listed.stages:
            first.stages = listed.stages
            break
    return first, _chained(first, stages)


async def _chained(first: ListingPage, others: AsyncIterator[ListingPage]) -> AsyncIterator[ListingPage]:
    yield first
    async for listed in others:
        yield listed


async def list_sessions(pages: AsyncIterator[Page], stage_arn: str) -> AsyncIterator[ListingPage]:
    """The sessions of a stage, page by page."""
    ends: dict[str, int | None] = {}
    async for page in pages:
        decoded = decode_sessions(page.items)
        listed = ListingPage(page.served_us, flaws=decoded.flaws)
        listed.unknown_fields.update(decoded.unknown_fields)
        for item in decoded.items:
            if flaw := _flaw_of_id(item.session_id, "ListStageSessions gave a session"):
                listed.flaws.append(flaw)
                continue
            noted = ListingPage()
            session = _session_of(stage_arn, item, page.served_us, noted)
            if item.session_id not in ends:
                ends[item.session_id] = session.ended_us
                listed.sessions.append(session)
                listed.flaws += noted.flaws
                listed.doubts += noted.doubts
            elif ends[item.session_id] not in {None, session.ended_us}:  # one that has just ended is no contradiction
                listed.flaws.append(f"session {quoted(item.session_id)} is listed twice, with different ends")
                listed.contested.append(session)
        yield listed


async def list_participants(pages: AsyncIterator[Page]) -> AsyncIterator[ListingPage]:
    """The participants of a session, page by page."""
    seen: set[str] = set()
    async for page in pages:
        decoded = decode_participants(page.items)
        listed = ListingPage(page.served_us, flaws=decoded.flaws)
        listed.unknown_fields.update(decoded.unknown_fields)
        for item in decoded.items:
            if flaw := _flaw_of_id(item.participant_id, "ListParticipants gave a participant"):
                listed.flaws.append(flaw)
            elif item.participant_id not in seen:
                seen.add(item.participant_id)
                listed.participants.append(item)
        yield listed


def _flaw_of_id(text: str, whose: str) -> str:
    """What is wrong with an id, or nothing."""
    return f"{whose} with an id of {len(text):,} letters: {quoted(text)}" if len(text) > _ID_LENGTH_MAX else ""


def _session_of(stage_arn: str, item: ListedSession, now_us: int, noted: ListingPage) -> Session:
    """The session, without an end that can't be true; what is wrong with it is ``noted``."""
    name, ended_us = f"session {quoted(item.session_id)}", item.ended_us
    if item.unreadable_end is not None:
        noted.flaws.append(f"{name} ended at {quoted(item.unreadable_end)}, which is not a time")
    if reason := doubt(item.started_us, ended_us, now_us):
        noted.doubts.append(f"{name}: {reason}")
        ended_us = None
    return Session(stage_arn, item.session_id, item.started_us, ended_us, extra=item.extra)
