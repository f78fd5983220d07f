"""What lists show that is odd and fails nothing: said once for a scope, however many lists show it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from exporter.telemetry.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How many names stand in one warning.
_NAMED_MAX = 3
_log = Logger(__name__)


@dataclass(slots=True)
class _Met:
    lists: int = 0
    count: int = 0
    names: list[str] = field(default_factory=list)


class Oddities:
    """Odd things in one scope's lists, by what is said of them. The mutable state: what was met, and not reported yet.

    ``scope`` is the scope's name.
    """

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._met: dict[str, _Met] = {}

    def note(self, event: str, where: str, names: Sequence[str]) -> None:
        """Note what the list of ``where``, a stage or session, shows. All ``names`` are logged at the level debug."""
        _log.debug(event, where=where, names=names)
        met = self._met.setdefault(event, _Met())
        met.lists += 1
        met.count += len(names)
        met.names += names[: _NAMED_MAX - len(met.names)]

    def report(self) -> None:
        """Warn of each, with how many there were, in how many lists, and the first of them."""
        for event, met in self._met.items():
            _log.warning(event, scope=self._scope, count=met.count, lists=met.lists, first=met.names)
        self._met.clear()
