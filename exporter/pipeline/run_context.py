"""What all scopes of one run share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.normalize.privacy import privacy_of

if TYPE_CHECKING:
    from exporter.discovery.request import Request
    from exporter.lake.store import Store
    from exporter.machine.clock import Clock
    from exporter.normalize.privacy import Privacy
    from exporter.pipeline.budget import Budget
    from exporter.pipeline.stop import Stop
    from exporter.pipeline.surroundings import Surroundings
    from exporter.settings import Settings


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all scopes of one run share. ``store`` is the lake, and ``budget`` bounds the rows that wait in memory."""

    run_id: str
    settings: Settings
    request: Request
    stop: Stop
    store: Store
    budget: Budget
    surroundings: Surroundings

    @property
    def privacy(self) -> Privacy:
        """What is written of users. Raises :class:`UsageError` where user ids are to be hashed without a key."""
        return privacy_of(self.settings.privacy)

    @property
    def clock(self) -> Clock:
        """The run's clock: this machine's, or a test's."""
        return self.surroundings.clock
