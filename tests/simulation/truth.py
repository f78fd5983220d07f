"""What happens at AWS in a simulated world: stages, sessions, participants and events, each from a moment on.

All of it is decided before the world begins; what the API shows is a question of the time at which it is asked. Times
are in microseconds since the epoch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.model import Scope

#: One event as a row of the lake: (stage, session, participant, time, name, remote participant, error code, extra).
Row = tuple[str, str, str, int, str, str | None, str | None, str | None]
#: An event without a time has the time `UNDATED`, the name ``reject``, and all that it says as its extra.
UNDATED = -1
SessionKey = tuple[str, str]
UnitKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """The time from ``from_us`` until just before ``until_us``."""

    from_us: int
    until_us: int

    def __contains__(self, moment_us: int) -> bool:
        return self.from_us <= moment_us < self.until_us


@dataclass(frozen=True, slots=True)
class Event:
    """An event as the API answers it, from ``visible_us`` on, and the row that it must become."""

    fields: dict[str, Any]
    row: Row
    visible_us: int


@dataclass(frozen=True, slots=True)
class Participant:
    """A participant, listed from ``visible_us`` on, with its events in the order in which the API lists them.

    ``refused`` are the times in which its events are asked for in vain, and ``refusal`` what is answered then;
    ``hidden`` are those in which no list shows it. It counts as a publisher from ``published_us`` on.
    """

    participant_id: str
    visible_us: int
    events: tuple[Event, ...]
    refused: tuple[Span, ...] = ()
    refusal: str = "ValidationException"
    hidden: tuple[Span, ...] = ()
    published_us: int = 0

    def item(self, now_us: int) -> dict[str, Any]:
        """It, as ListParticipants shows it."""
        return {
            "participantId": self.participant_id,
            "userId": f"user of {self.participant_id}",
            "published": now_us >= self.published_us,
        }

    def details(self, now_us: int) -> dict[str, Any]:
        """It, as GetParticipant shows it."""
        return {**self.item(now_us), "attributes": {"plan": self.participant_id[:1]}, "browserName": "Firefox"}

    def is_shown(self, now_us: int) -> bool:
        """Whether ListParticipants shows it."""
        return self.visible_us <= now_us and not any(now_us in span for span in self.hidden)

    def shown(self, now_us: int) -> list[Event]:
        """The events that the API shows."""
        return [event for event in self.events if event.visible_us <= now_us]


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a stage. ``hidden`` are the times in which no list shows it.

    ``first_end`` is an end that the API told before it told ``ended_us``: (told from, told until, end).
    """

    stage_arn: str
    session_id: str
    started_us: int
    ended_us: int
    participants: tuple[Participant, ...]
    hidden: tuple[Span, ...] = ()
    first_end: tuple[int, int, int] | None = None

    @property
    def key(self) -> SessionKey:
        """(stage, session)."""
        return (self.stage_arn, self.session_id)

    def is_shown(self, now_us: int) -> bool:
        """Whether a list shows it."""
        return self.started_us <= now_us and not any(now_us in span for span in self.hidden)

    def shown_end_us(self, now_us: int) -> int | None:
        """The end that the API tells; None while it goes on."""
        if self.first_end is not None and self.first_end[0] <= now_us < self.first_end[1]:
            return self.first_end[2]
        return self.ended_us if self.ended_us <= now_us else None

    def rows(self, now_us: int | None = None) -> Iterator[Row]:
        """The rows of all events that are shown, or of all that ever will be."""
        for participant in self.participants:
            for event in participant.events:
                if now_us is None or event.visible_us <= now_us:
                    yield event.row

    @property
    def last_us(self) -> int:
        """The moment from which everything of the session is shown."""
        return max(
            [self.ended_us]
            + [participant.visible_us for participant in self.participants]
            + [event.visible_us for participant in self.participants for event in participant.events]
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage, in no list in the times that are ``hidden``; ``denied`` says which operation is not allowed when.

    ``names`` are its names and tags, each from a moment on.
    """

    arn: str
    sessions: tuple[Session, ...]
    hidden: tuple[Span, ...] = ()
    denied: tuple[tuple[str, Span], ...] = ()
    names: tuple[tuple[int, str | None, dict[str, str] | None], ...] = ((0, "x", None),)

    @property
    def told(self) -> list[tuple[str | None, dict[str, str] | None]]:
        """Its names and tags, at any time."""
        return [(name, tags) for _, name, tags in self.names]

    def item(self, now_us: int) -> dict[str, Any]:
        """It, as ListStages shows it."""
        _, name, tags = [each for each in self.names if each[0] <= now_us][-1]
        shown = {"arn": self.arn, "name": name, "tags": tags}
        return {key: value for key, value in shown.items() if value is not None}

    def is_shown(self, now_us: int) -> bool:
        """Whether ListStages shows it."""
        return not any(now_us in span for span in self.hidden)


@dataclass(frozen=True, slots=True)
class Truth:
    """All stages of the scopes that there are."""

    stages: dict[Scope, tuple[Stage, ...]]

    def sessions(self, scope: Scope | None = None) -> Iterator[Session]:
        """The sessions of a scope, or of all."""
        for each, stages in self.stages.items():
            if scope in {None, each}:
                for stage in stages:
                    yield from stage.sessions

    def hidden_of(self, session: Session) -> list[Span]:
        """When no list shows the session, be it for its stage's sake."""
        spans = list(session.hidden)
        for stages in self.stages.values():
            spans += [span for stage in stages if stage.arn == session.stage_arn for span in stage.hidden]
        return spans


def canonical(fields: dict[str, Any]) -> str | None:
    """What has no column of its own, as a row's ``extra`` is compared; None where there is nothing."""
    return json.dumps(fields, sort_keys=True) if fields else None
