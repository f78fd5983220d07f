"""What failed in a run, by cause: equal causes are one failure with a count, and their number is bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.errors import ShutOut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from exporter.errors import ExportError

#: The names that a failure carries, the first ones.
UNITS_NAMED = 10
#: Causes that are kept apart; further ones are counted by their kind.
CAUSES_MAX = 100
#: The kind of what a run did not come to. It is no cause, so it comes after those that are.
DEFERRED = "deferred"
#: What is said of details that a row could not wait for. A later run alone does not ask for them again.
DETAILS_LATE = "details of participants came too late for their rows: `run --backfill-tables` asks again, once sealed"

_NAME_LENGTH_MAX = 4_000
_MESSAGE_LENGTH_MAX = 2_000
_OTHERS = "further causes of this kind, which are not listed one by one"
# A shorter part of a unit's name may well stand in a message by chance.
_PART_LENGTH_MIN = 4
# A time, as AWS's signatures and as people write it: each refusal of one cause has its own.
_TIME = re.compile(r"\d{8}T\d{6}Z|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?")


@dataclass(slots=True)
class Failure:
    """One cause: its kind, its message, how many units (or lists, scopes) it met, and the first of them by name.

    A name is that of a unit, a session, a stage, a region or a scope, its parts joined by ``/``. ``is_settled`` says
    that the message is a later one, which says more than the first.
    """

    error: str
    message: str
    count: int = 0
    units: list[str] = field(default_factory=list)
    is_settled: bool = False

    @property
    def unit(self) -> str | None:
        """The first that it met; None where it is of the whole run."""
        return self.units[0] if self.units else None

    def summary(self) -> dict[str, Any]:
        """The failure as ``--json`` prints it."""
        return {
            "error": self.error,
            "message": self.message,
            "count": self.count,
            "units": list(self.units),
            "unit": self.unit,
        }

    def settle(self, message: str) -> None:
        """Take the text of a later error for the cause."""
        if self.message != _OTHERS:
            self.message, self.is_settled = _cut(message, _MESSAGE_LENGTH_MAX), True

    def meet(self, names: Iterable[str], count: int) -> None:
        """Count ``count`` more that the cause met, the first of them by name."""
        self.count += count
        self.units += list(names)[: UNITS_NAMED - len(self.units)]


class Failures:
    """The failures of a scope or a run, in the order in which their causes were first met."""

    def __init__(self) -> None:
        self._by_cause: dict[tuple[str, str], Failure] = {}

    def add(self, name: str, error: ExportError) -> None:
        """Note that ``error`` met what has this name.

        Errors of one group are one failure. The text of the first is kept, but that of a :class:`ShutOut` says more.
        """
        name, text = _cut(name, _NAME_LENGTH_MAX), str(error)
        failure = self._of(error.kind, _TIME.sub("…", error.group or _without(name, text)), text)
        failure.meet([name], 1)
        if isinstance(error, ShutOut):
            failure.settle(text)

    def defer(self, name: str, message: str, count: int) -> None:
        """Note ``count`` things, under one name, that the run did not come to."""
        self._of(DEFERRED, message, message).meet([name], count)

    def recall(self, error: str, message: str, units: Iterable[str], count: int) -> None:
        """Add a failure as a record has it: its kind, its message, the first that it met, and how many."""
        self._of(error, message, message).meet(units, count)

    def merge(self, others: Failures) -> None:
        """Add those of a scope to those of a run."""
        for (kind, key), other in others._by_cause.items():
            failure = self._of(kind, key, other.message)
            failure.meet(other.units, other.count)
            if other.is_settled:
                failure.settle(other.message)

    def causes(self) -> list[Failure]:
        """The failures; what was deferred comes last."""
        return sorted(self._by_cause.values(), key=lambda failure: failure.error == DEFERRED)

    @property
    def count(self) -> int:
        """How many units, lists and scopes failed, with those that were deferred for a cause."""
        return sum(failure.count for failure in self._by_cause.values())

    def __len__(self) -> int:
        return len(self._by_cause)

    def _of(self, kind: str, key: str, message: str) -> Failure:
        key = _cut(key, _MESSAGE_LENGTH_MAX)
        found = self._by_cause.get((kind, key))
        if found is None and len(self._by_cause) >= CAUSES_MAX and kind != DEFERRED:
            key, message = _OTHERS, _OTHERS
            found = self._by_cause.get((kind, key))
        if found is None:
            found = self._by_cause[kind, key] = Failure(kind, _cut(message, _MESSAGE_LENGTH_MAX))
        return found


def _without(name: str, message: str) -> str:
    """A message without the name of what it met: what is the same of all of them."""
    for part in sorted(name.split("/"), key=len, reverse=True):
        if len(part) >= _PART_LENGTH_MIN:
            message = message.replace(part, "…")
    return message


def _cut(text: str, length_max: int) -> str:
    return text if len(text) <= length_max else text[: length_max - 1] + "…"
