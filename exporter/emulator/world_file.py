"""Worlds that somebody has written by hand, in a file or as plain data, checked and completed."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from exporter.emulator.protocol.request_rules import rules_of
from exporter.emulator.world.fixed_world import FixedWorld
from exporter.emulator.world.written import (
    MEMBERS,
    PARTICIPANT_DETAILS,
    STAGE_DETAILS,
    WrittenEvent,
    WrittenParticipant,
    WrittenSession,
    WrittenStage,
    WrittenWorld,
)
from exporter.model import Scope, is_region, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`")


def read_world_file(path: Path) -> dict[tuple[str, str], FixedWorld]:
    """The worlds of a file in TOML (``.toml``) or JSON, by account and region.

    Raises ValueError, which names the file, the section and what is wrong with it.
    """
    try:
        raw = path.read_bytes()
        values = tomllib.loads(raw.decode()) if path.suffix.lower() == ".toml" else msgspec.json.decode(raw)
        return worlds_of(values)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None


def worlds_of(values: object) -> dict[tuple[str, str], FixedWorld]:
    """The worlds that plain data describes, by account and region, in the order in which they are named.

    Raises ValueError for the first thing that is wrong.
    """
    try:
        written = msgspec.convert(values, WrittenWorld)
    except msgspec.ValidationError as error:
        raise ValueError(_said(str(error))) from None
    _check_stages(written.stages)
    stages: dict[Scope, list[dict[str, Any]]] = {}
    for stage in written.stages:
        scope = scope_of(stage.arn)
        if scope is not None:  # which the check has seen
            stages.setdefault(scope, []).append(_stage(stage))
    return {(scope.account_id, scope.region): FixedWorld(found) for scope, found in stages.items()}


def _said(message: str) -> str:
    """What msgspec found, with its place before it."""
    match = _AT.fullmatch(message)
    what, where = (match["what"], match["where"]) if match else (message, None)
    if unknown := _UNKNOWN.fullmatch(what):
        close = get_close_matches(unknown["name"], sorted(MEMBERS), n=1)
        what = f"{unknown['name']!r} is no member here" + (f"; did you mean {close[0]}?" if close else "")
    return f"{where}: {what}" if where else what


# Checks beyond types. Each names the section as `stages[0].sessions[1]`.


def _check_stages(stages: list[WrittenStage]) -> None:
    _check_once("stages", "arn", [stage.arn for stage in stages])
    for number, stage in enumerate(stages):
        where = f"stages[{number}]"
        scope = scope_of(stage.arn)
        if scope is None or not is_region(scope.region) or rules_of("GetStage")["arn"].flaw(stage.arn):
            example = "arn:aws:ivs:us-east-1:111122223333:stage/AbCd"
            raise ValueError(f"{where}: arn {stage.arn!r} is no stage's, such as {example}")
        _check_once(where, "sessionId", [session.session_id for session in stage.sessions])
        if sum(session.end_time is UNSET for session in stage.sessions) > 1:
            raise ValueError(f"{where}: more than one session has no endTime, and one at most can be active")
        for index, session in enumerate(stage.sessions):
            _check_session(f"{where}.sessions[{index}]", session)


def _check_session(where: str, session: WrittenSession) -> None:
    _check_id(where, "sessionId", session.session_id)
    if session.end_time is not UNSET and session.end_time < session.start_time:
        raise ValueError(f"{where}: endTime is before startTime")
    _check_once(where, "participantId", [participant.participant_id for participant in session.participants])
    for number, participant in enumerate(session.participants):
        within = f"{where}.participants[{number}]"
        _check_id(within, "participantId", participant.participant_id)
        for index, event in enumerate(participant.events):
            if event.participant_id not in (UNSET, participant.participant_id):
                raise ValueError(f"{within}.events[{index}]: participantId is not that of its participant")


def _check_id(where: str, member: str, text: str) -> None:
    """Refuse an id that no call could ask for."""
    flaw = rules_of("ListParticipantEvents")[member].flaw(text)
    if flaw or not text:
        raise ValueError(f"{where}: {member} {text!r} is refused: {flaw or 'it is empty'}")


def _check_once(where: str, member: str, texts: Iterable[str]) -> None:
    for one, other in pairwise(sorted(texts)):
        if one == other:
            raise ValueError(f"{where}: {member} {one!r} stands there twice")


# From what is written to what the API shows.


def _stage(stage: WrittenStage) -> dict[str, Any]:
    shown = _plain(stage, "sessions")
    active = [session.session_id for session in stage.sessions if session.end_time is UNSET]
    listed = {name: value for name, value in shown.items() if name not in STAGE_DETAILS}
    return {
        **listed,
        **({"activeSessionId": active[0]} if active else {}),
        "details": {name: value for name, value in shown.items() if name in STAGE_DETAILS},
        "sessions": [_session(session) for session in stage.sessions],
    }


def _session(session: WrittenSession) -> dict[str, Any]:
    has_ended = session.end_time is not UNSET
    participants = [_participant(participant, has_ended=has_ended) for participant in session.participants]
    return {**_plain(session, "participants"), "participants": participants}


def _participant(participant: WrittenParticipant, *, has_ended: bool) -> dict[str, Any]:
    shown = {**_known_from(participant.events, has_ended=has_ended), **_plain(participant, "events")}
    return {
        **{name: value for name, value in shown.items() if name not in PARTICIPANT_DETAILS},
        "details": {name: value for name, value in shown.items() if name in PARTICIPANT_DETAILS},
        "events": [{"participantId": participant.participant_id, **_event(event)} for event in participant.events],
    }


def _known_from(events: list[WrittenEvent], *, has_ended: bool) -> dict[str, Any]:
    """What a participant's events say of it, where it is not written."""
    joined = [event.event_time for event in events if event.name == "JOINED"]
    comings = sorted((event.event_time, event.name) for event in events if event.name in ("JOINED", "LEFT"))
    is_away = has_ended or not comings or comings[-1][1] == "LEFT"
    return {
        "state": "DISCONNECTED" if is_away else "CONNECTED",
        **({"firstJoinTime": _text(min(joined))} if joined else {}),
        "published": any(event.name == "PUBLISH_STARTED" for event in events),
        "replicationType": "NONE",
    }


def _event(event: WrittenEvent) -> dict[str, Any]:
    shown = _plain(event)
    for name in ("previousToken", "newToken"):
        if name in shown:
            shown[name] = _with_extra(shown[name])
    return shown


def _plain(written: msgspec.Struct, below: str = "") -> dict[str, Any]:
    """The members that are written, as the API shows them, without the list ``below``."""
    return _with_extra(dict(_members(written, below)))


def _with_extra(members: dict[str, Any]) -> dict[str, Any]:
    extra = members.pop("extra")
    return {**members, **extra}


def _members(written: msgspec.Struct, below: str) -> Iterator[tuple[str, Any]]:
    for field in msgspec.structs.fields(written):
        value = getattr(written, field.name)
        if field.encode_name != below and value is not UNSET:
            yield field.encode_name, msgspec.to_builtins(value)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
