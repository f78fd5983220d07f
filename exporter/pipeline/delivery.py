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

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return _SIZE_BYTES


@dataclass(frozen=True, slots=True)
class SessionNews:
    """A session that has news, whatever they are."""

    progress: SessionProgress

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return _SIZE_BYTES


@dataclass(frozen=True, slots=True)
class ParticipantsListed:
    """Participants of a session, listed by an answer of ``served_us``."""

    progress: SessionProgress
    participants: Sequence[ListedParticipant]
    served_us: int

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return _SIZE_BYTES + _PARTICIPANT_SIZE_BYTES * len(self.participants)


@dataclass(frozen=True, slots=True)
class ParticipantAwaited:
    """A participant that no list shows, and whose details are asked for: they alone can give it a row."""

    progress: SessionProgress
    participant_id: str

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return _SIZE_BYTES


@dataclass(frozen=True, slots=True)
class ParticipantDescribed:
    """A participant's details, or why there are none; ``served_us`` is the answer's time."""

    progress: SessionProgress
    participant_id: str
    described: DescribedParticipant | NoDetails
    served_us: int

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        return _SIZE_BYTES


@dataclass(frozen=True, slots=True)
class UnitFetched:
    """A unit of a session that was fetched whole."""

    progress: SessionProgress
    fetched: FetchedUnit

    @property
    def size_bytes(self) -> int:
        """What it takes, in memory or in its unit's temporary file."""
        return _SIZE_BYTES + self.fetched.size_bytes


Delivery = StageListed | SessionNews | ParticipantsListed | ParticipantAwaited | ParticipantDescribed | UnitFetched
