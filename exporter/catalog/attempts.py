"""How often a commit is tried again, and how long is waited before it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.catalog.errors import CatalogMismatch, CatalogRace

if TYPE_CHECKING:
    from exporter.catalog.errors import CatalogError

#: Attempts that may fail, for whichever reason: others may be faster so often.
FAILURES_MAX = 30
#: Of these, attempts that may fail for another reason than that others were faster.
FAULTS_MAX = 3
_WAIT_S, _WAIT_S_MAX = 0.1, 5.0


@dataclass(slots=True)
class CommitAttempts:
    """The attempts to make one commit. The mutable state: how many failed, and how many of these by a fault."""

    _failures: int = field(init=False, default=0)
    _faults: int = field(init=False, default=0)

    def wait_after(self, error: CatalogError) -> float | None:
        """Count an attempt that failed, and return how many seconds to wait at most before the next.

        None where there is to be no other: it would fail in the same way, or too many have failed.
        """
        if isinstance(error, CatalogMismatch):
            return None
        self._failures += 1
        self._faults += not isinstance(error, CatalogRace)
        if self._failures > FAILURES_MAX or self._faults > FAULTS_MAX:
            return None
        return min(_WAIT_S_MAX, _WAIT_S * 2.0**self._failures)
