"""The field's words as types: scope, session, unit, and what passes from step to step. They depend on nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Where IVS Real-Time is served. Source: Amazon IVS Real-Time User Guide.
REGIONS = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "eu-central-1",
    "eu-west-1",
    "us-east-1",
    "us-west-2",
)

# The patterns and lengths are those of the botocore model `ivs-realtime` 2020-07-14; an account has twelve digits.
_STAGE_ARN = re.compile(r"arn:aws:ivs:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12}):stage/[a-zA-Z0-9-]+")
_STAGE_ARN_LENGTH_MAX = 128
_SESSION_ID = re.compile(r"st-[a-zA-Z0-9]{13}")
_PARTICIPANT_ID = re.compile(r"[a-zA-Z0-9-]{1,64}")


#: (stage ARN, session id)
SessionKey = tuple[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """One AWS account in one region: what the API's quota, a lease and a commit log belong to."""

    account_id: str
    region: str

    def __str__(self) -> str:
        """The name that files, folders and log lines carry: ``<account>-<region>``."""
        return f"{self.account_id}-{self.region}"


@dataclass(frozen=True, slots=True)
class Session:
    """A stage session, with its times in microseconds since the epoch, UTC.

    ``ended_us`` is None while the session is active. Both times are None where only a list of targets named the session
    and no listing of its stage told of it (``is_listed`` is False then).
    """

    stage_arn: str
    session_id: str
    started_us: int | None = None
    ended_us: int | None = None
    is_listed: bool = True

    @property
    def key(self) -> SessionKey:
        """What tells the session from all others: ids are a stage's own."""
        return (self.stage_arn, self.session_id)

    @property
    def name(self) -> str:
        """What failures and logs call the session."""
        return f"{self.stage_arn}/{self.session_id}"


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One participant of one session of one stage: the smallest thing that is exported whole."""

    stage_arn: str
    session_id: str
    participant_id: str

    @property
    def name(self) -> str:
        """What failures and logs call the unit."""
        return f"{self.stage_arn}/{self.session_id}/{self.participant_id}"


class RawPages(Protocol):
    """Pages that can be read any number of times, in memory or not."""

    def __iter__(self) -> Iterator[bytes]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """Every page of one unit's events, each the raw bytes of a JSON array, in the order of the answer.

    ``began_us`` is the service's time of the first page's answer. ``limits`` says of some events, by their identity's
    hash, how many equal ones to believe at most. ``size_bytes`` is that of the pages together.
    """

    unit: Unit
    session: Session
    pages: RawPages
    began_us: int
    limits: Mapping[int, int] = field(default_factory=dict)
    size_bytes: int = 0


def scope_of(stage_arn: str) -> Scope | None:
    """The scope that a stage's ARN names, or None where the text is not such an ARN."""
    match = _STAGE_ARN.fullmatch(stage_arn)
    if match is None or len(stage_arn) > _STAGE_ARN_LENGTH_MAX:
        return None
    return Scope(match["account_id"], match["region"])


def is_session_id(text: str) -> bool:
    """Whether IVS could have made this session id."""
    return _SESSION_ID.fullmatch(text) is not None


def is_participant_id(text: str) -> bool:
    """Whether IVS could have made this participant id."""
    return _PARTICIPANT_ID.fullmatch(text) is not None
