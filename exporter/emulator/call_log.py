"""The log of granted calls: how many of each operation, and how often each page was asked for and answered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.emulator.protocol.requests import CallRequest

#: Of how many different pages the counts are kept; later ones are counted by operation only.
_PAGES_MAX = 1_000_000

#: Operation, stage, session, participant, offset of the page, and the number of pages before it.
PageKey = tuple[str, str, str, str, int, int]


class CallLog:
    """``granted`` counts calls by operation, ``asked`` by page, and ``answered`` those that got their right answer."""

    def __init__(self) -> None:
        self.granted: Counter[str] = Counter()
        self.asked: Counter[PageKey] = Counter()
        self.answered: Counter[PageKey] = Counter()

    def note_granted(self, operation: str) -> None:
        """Count a call that the quota granted."""
        self.granted[operation] += 1

    def note_asked(self, request: CallRequest) -> None:
        """Count a granted call whose request is a good one."""
        _count(self.asked, request.key)

    def note_answered(self, request: CallRequest) -> None:
        """Count a call that got its right answer whole."""
        _count(self.answered, request.key)

    def reset(self) -> None:
        """Count from nothing again."""
        self.granted.clear()
        self.asked.clear()
        self.answered.clear()

    def describe(self) -> dict[str, Any]:
        """The counts as plain data, pages in the order in which they were first asked for."""
        names = ("operation", "stage", "session", "participant", "offset", "turn")
        pages = [
            {**dict(zip(names, key, strict=True)), "asked": asked, "answered": self.answered[key]}
            for key, asked in self.asked.items()
        ]
        return {"granted": dict(self.granted), "pages": pages}


def _count(counter: Counter[PageKey], key: PageKey) -> None:
    if key in counter or len(counter) < _PAGES_MAX:
        counter[key] += 1
