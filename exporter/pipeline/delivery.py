"""What the steps before the writer deliver to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.commit_log.records import StageEntry
    from exporter.commit_log.sealing import SessionProgress
    from exporter.model import FetchedUnit
    from exporter.normalize.listed_model import DescribedParticipant, ListedParticipant, ListedStage
    from exporter.normalize.participants import NoDetails

# What a delivery takes in memory without a unit's pages, and what a listed participant takes, about.
_SIZE_BYTES = 1_000
_PARTICIPANT_SIZE_BYTES = 350


@dataclass(frozen=True, slots=True)
class StageListed:
    """A stage of which the table ``stages`` lacks a row; ``entry`` is what that row says."""

    stage: ListedStage
    entry: StageEntry


@dataclass(frozen=True, slots=True)
class SessionNews:
    """A session that has news, whatever they are."""

    progress: SessionProgress


@dataclass(frozen=True, slots=True)
class ParticipantsListed:
    """Participants of a session, listed by an answer of ``served_us``."""

    progress: SessionProgress
    participants: Sequence[ListedParticipant]
    served_us: int


@dataclass(frozen=True, slots=True)
class ParticipantAwaited:
    """A participant that no list shows, and whose details are asked for: they alone can give it a row."""

    progress: SessionProgress
    participant_id: str


@dataclass(frozen=True, slots=True)
class ParticipantDescribed:
    """A participant's details, or why there are none; ``served_us`` is the answer's time."""

    progress: SessionProgress
    participant_id: str
    described: DescribedParticipant | NoDetails
    served_us: int


@dataclass(frozen=True, slots=True)
class UnitFetched:
    """A unit of a session that was fetched whole."""

    progress: SessionProgress
    fetched: FetchedUnit


Delivery = StageListed | SessionNews | ParticipantsListed | ParticipantAwaited | ParticipantDescribed | UnitFetched


def size_bytes_of(delivery: Delivery) -> int:
    """What a delivery takes, in memory or in its unit's temporary file, about."""
    match delivery:
        case ParticipantsListed(_, participants):
            return _SIZE_BYTES + _PARTICIPANT_SIZE_BYTES * len(participants)
        case UnitFetched(_, fetched):
            return _SIZE_BYTES + fetched.size_bytes
        case _:
            return _SIZE_BYTES
