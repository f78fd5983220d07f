"""What the report knows: rows of the views, typed. Moments are in microseconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import SessionKey


@dataclass(frozen=True, slots=True)
class SessionTotals:
    """How many took part in a session, and how often what happened."""

    participants: int
    publishers: int
    viewers: int
    peak_viewers: int
    errors: int
    rejoins: int


@dataclass(frozen=True, slots=True)
class SessionHours:
    """The hours of all participants of a session together. The connected ones are a range."""

    published: float
    watched: float
    connected_low: float
    connected_high: float


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session, as ``session_summary`` has it."""

    key: SessionKey
    stage_name: str | None
    start_us: int | None
    end_us: int | None
    is_complete: bool
    counts: SessionTotals
    hours: SessionHours


@dataclass(frozen=True, slots=True)
class IncompleteSession:
    """A session of which a number can't be signed. ``is_final`` is None where no list has the session.

    ``is_in_doubt`` is of one whose own row says that it is complete, where the log does not bear that out.
    """

    key: SessionKey
    start_us: int | None
    end_us: int | None
    is_final: bool | None
    abandoned: int | None
    is_in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class DayHours:
    """A stage's participant hours on a UTC day: a range, and of it what was guessed and what replicas were there."""

    stage_arn: str
    day_us: int
    low: float
    high: float
    guessed_high: float
    replica_high: float


@dataclass(frozen=True, slots=True)
class DayPeak:
    """The most that were connected to one session of a stage at once, on a UTC day."""

    stage_arn: str
    day_us: int
    peak: int


@dataclass(frozen=True, slots=True)
class FailureLine:
    """Errors of a stage on a UTC day."""

    stage_arn: str
    day_us: int
    event_name: str
    error_code: str
    events: int
    participants: int


@dataclass(frozen=True, slots=True)
class WaitLine:
    """How long participants of a stage waited for their first publication or subscription, and how many had one."""

    stage_arn: str
    what: str
    participants: int
    of_participants: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class SessionFinding:
    """A finding of the domain checks; without a stage it is of the whole lake."""

    name: str
    severity: str
    stage_arn: str | None
    session_id: str | None
    count: int


@dataclass(frozen=True, slots=True)
class LakeFacts:
    """What the views say of all sessions."""

    sessions: Sequence[SessionLine]
    incomplete: Sequence[IncompleteSession]
    hours: Sequence[DayHours]
    peaks: Sequence[DayPeak]
    failures: Sequence[FailureLine]
    waits: Sequence[WaitLine]
    findings: Sequence[SessionFinding]


@dataclass(frozen=True, slots=True)
class LanePerson:
    """A participant that has a lane. One that has ever published is a publisher; of the others only some have lanes."""

    participant_id: str
    user_id: str | None
    is_publisher: bool
    published_s: float
    watched_s: float
    errors: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """One interval of a participant. ``is_guessed``: no event of its own says when it ended."""

    kind: str
    start_us: int
    end_us: int
    is_guessed: bool
    is_replica: bool


@dataclass(frozen=True, slots=True)
class Level:
    """A minute, or another step of time, with a change: when it begins, the most at once in it, how many at its end."""

    at_us: int
    peak: int
    at_end: int


@dataclass(frozen=True, slots=True)
class Audience:
    """A publisher of a session, and who watched it."""

    participant_id: str | None
    user_id: str | None
    viewers: int
    watched_s: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A viewer and the publisher that it watched."""

    viewer_id: str
    viewer_user_id: str | None
    publisher_id: str | None
    publisher_user_id: str | None
    watched_s: float


@dataclass(frozen=True, slots=True)
class SessionWait:
    """The waits of a session's participants: how many fall below each bound of `WAIT_BOUNDS_S`, the rest last."""

    what: str
    counts: Sequence[int]
    of_participants: int
    p50_s: float | None
    p95_s: float | None


#: The upper bounds of the steps in which waits are counted, in seconds.
WAIT_BOUNDS_S = (1, 2, 5, 10, 30, 60, 300, 1800)


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """An error of a session: how often, and how many participants met it."""

    event_name: str
    error_code: str
    events: int
    participants: int


@dataclass(frozen=True, slots=True)
class Lanes:
    """The participants with a lane, and what is drawn in it; and the others as a crowd.

    ``crowd`` is how many of the others were connected at once. ``publishers`` and ``viewers`` are how many there are,
    with a lane and without.
    """

    people: Sequence[LanePerson]
    stretches: Mapping[str, Sequence[Stretch]]
    errors: Mapping[str, Sequence[int]]
    crowd: Sequence[Level]
    publishers: int
    viewers: int


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the views say of one session."""

    line: SessionLine
    lanes: Lanes
    levels: Mapping[str, Sequence[Level]]
    audiences: Sequence[Audience]
    pairs: Sequence[Pair]
    waits: Sequence[SessionWait]
    errors: Sequence[ErrorLine]
