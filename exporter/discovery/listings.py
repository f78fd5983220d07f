"""Discover: what there is to export, from the API's three listings.

An item is taken once, however often a shifting list shows it. An item without a usable name is reported, not dropped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from exporter.discovery.session_times import doubt
from exporter.errors import Malformed
from exporter.model import Scope, Session, scope_of
from exporter.text import quoted
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from exporter.ivs.responses import Page

# What msgspec and json raise for what is none of the kind.
_UNREADABLE = (msgspec.MsgspecError, ValueError)
# Thousands of ids wait in memory, and stand in each record. AWS's own have up to 64 letters.
_ID_LENGTH_MAX = 1_024


class _StageItem(msgspec.Struct):
    arn: str = ""


class _SessionItem(msgspec.Struct):
    sessionId: str = ""  # noqa: N815 - the service's own name
    startTime: str | None = None  # noqa: N815 - the same
    endTime: str | None = None  # noqa: N815 - the same


class _ParticipantItem(msgspec.Struct):
    participantId: str = ""  # noqa: N815 - the service's own name


Item = TypeVar("Item", _StageItem, _SessionItem, _ParticipantItem)


@dataclass(slots=True)
class ListingPage:
    """What one page of a listing brought that was not there before, and what is wrong with the rest of it.

    ``served_us`` is the service's time of the answer, None where no call was made. ``contested`` are sessions that an
    earlier page showed with another end. ``flaws`` say what can't be read; a list that has one is not whole. ``doubts``
    say which ends of sessions can't be true, and so count as none.
    """

    served_us: int | None = None
    stage_arns: list[str] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    participant_ids: list[str] = field(default_factory=list)
    contested: list[Session] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


async def list_stages(pages: AsyncIterator[Page], region: str) -> AsyncIterator[ListingPage]:
    """The ARNs of a region's stages, page by page. All must be of one account, which a scope is."""
    seen: set[str] = set()
    scope: Scope | None = None
    async for page in pages:
        listed = ListingPage(page.served_us)
        for stage in _read(_StageItem, page, "stages", listed):
            own = scope_of(stage.arn)
            scope = scope or own
            if own is None or own.region != region or own != scope:
                listed.flaws.append(f"ListStages in {region} gave a stage that is none of it: {quoted(stage.arn)}")
            elif stage.arn not in seen:
                seen.add(stage.arn)
                listed.stage_arns.append(stage.arn)
        yield listed


async def first_scope(stages: AsyncIterator[ListingPage]) -> tuple[ListingPage, AsyncIterator[ListingPage]]:
    """What is listed up to the first stage, which shows the scope, and the whole list from its beginning on.

    The first part has no stage where the list has none.
    """
    first = ListingPage()
    async for listed in stages:
        first.served_us = listed.served_us if first.served_us is None else first.served_us
        first.flaws += listed.flaws
        if listed.stage_arns:
            first.stage_arns = listed.stage_arns
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
        listed = ListingPage(page.served_us)
        for item in _read(_SessionItem, page, "stageSessions", listed):
            if flaw := _flaw_of_id(item.sessionId, "ListStageSessions gave a session"):
                listed.flaws.append(flaw)
                continue
            noted = ListingPage()
            session = _session_of(stage_arn, item, page.served_us, noted)
            if item.sessionId not in ends:
                ends[item.sessionId] = session.ended_us
                listed.sessions.append(session)
                listed.flaws += noted.flaws
                listed.doubts += noted.doubts
            elif ends[item.sessionId] not in {None, session.ended_us}:  # one that has just ended is no contradiction
                listed.flaws.append(f"session {quoted(item.sessionId)} is listed twice, with different ends")
                listed.contested.append(session)
        yield listed


async def list_participants(pages: AsyncIterator[Page]) -> AsyncIterator[ListingPage]:
    """The participants of a session, page by page."""
    seen: set[str] = set()
    async for page in pages:
        listed = ListingPage(page.served_us)
        for item in _read(_ParticipantItem, page, "participants", listed):
            if flaw := _flaw_of_id(item.participantId, "ListParticipants gave a participant"):
                listed.flaws.append(flaw)
            elif item.participantId not in seen:
                seen.add(item.participantId)
                listed.participant_ids.append(item.participantId)
        yield listed


def _flaw_of_id(text: str, whose: str) -> str:
    """What is wrong with an id, or nothing."""
    if not text:
        return f"{whose} without an id"
    return f"{whose} with an id of {len(text):,} letters: {quoted(text)}" if len(text) > _ID_LENGTH_MAX else ""


def _session_of(stage_arn: str, item: _SessionItem, now_us: int, noted: ListingPage) -> Session:
    """The session, without an end that can't be true; what is wrong with it is ``noted``."""
    started_us = read_us(item.startTime) if item.startTime else None
    ended_us = read_us(item.endTime) if item.endTime else None
    name = f"session {quoted(item.sessionId)}"
    if item.endTime and ended_us is None:
        noted.flaws.append(f"{name} ended at {quoted(item.endTime)}, which is not a time")
    if reason := doubt(started_us, ended_us, now_us):
        noted.doubts.append(f"{name}: {reason}")
        ended_us = None
    return Session(stage_arn, item.sessionId, started_us, ended_us)


def _read(kind: type[Item], page: Page, member: str, listed: ListingPage) -> list[Item]:
    """The items of a page. What is none of that kind is a flaw of ``listed``, and the others are read all the same.

    Raises :class:`Malformed` where the page is no list.
    """
    try:
        return msgspec.json.decode(page.items, type=list[kind])  # type: ignore[valid-type] # one of three
    except (*_UNREADABLE, RecursionError):
        pass  # one item is enough for that
    try:
        raw = json.loads(page.items)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{member} is no list that can be read: {quoted(str(error))}") from error
    items: list[Item] = []
    for item in raw:
        try:
            items.append(_convert(kind, item))
        except _UNREADABLE as error:
            listed.flaws.append(f"{member} holds something that is none: {quoted(str(error))}")
    return items


def _convert(kind: type[Item], item: dict[str, object]) -> Item:
    """One item by the members that are asked for: half of a surrogate pair in another is no reason to lose it."""
    if not isinstance(item, dict):
        raise ValueError("an item is no object")  # noqa: TRY004 - what the caller takes for a flaw
    fields = {name: item[name] for name in kind.__struct_fields__ if name in item}
    json.dumps(fields, ensure_ascii=False).encode()  # a name must be writable, or is an error
    return msgspec.convert(fields, kind)
