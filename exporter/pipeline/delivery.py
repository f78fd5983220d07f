"""What the steps before the writer deliver to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.commit_log.sealing import SessionProgress
    from exporter.model import FetchedUnit

# What a delivery takes in memory without its unit's pages, about.
_SIZE_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A unit of a session that was fetched whole; None where the delivery says only that the session has news."""

    progress: SessionProgress
    fetched: FetchedUnit | None = None

    @property
    def size_bytes(self) -> int:
        """What it takes, in memory or in its unit's temporary file."""
        return _SIZE_BYTES + (self.fetched.size_bytes if self.fetched else 0)
