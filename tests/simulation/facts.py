"""What is so in a simulated world: what its lake and its logs hold, read by hand, beside the truth."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.process import true_us
from tests.simulation.reading import read_rows
from tests.simulation.truth import UNDATED, Row, SessionKey, UnitKey

if TYPE_CHECKING:
    from tests.simulation.lake import Lake
    from tests.simulation.loop import SeededLoop
    from tests.simulation.truth import Participant, Session, Truth


@dataclass(slots=True)
class ScopeLog:
    """What the records of a scope say so far, folded by hand. ``vanished_by`` is the run that told so of a session."""

    number: int = 0
    epoch: int = 0
    last_files: list[str] = field(default_factory=list)
    status: dict[SessionKey, str] = field(default_factory=dict)
    vanished_by: dict[SessionKey, str] = field(default_factory=dict)

    def sessions(self, status: str) -> frozenset[SessionKey]:
        """The sessions that are ``open``, ``sealed`` or ``vanished``."""
        return frozenset(session for session, each in self.status.items() if each == status)


class Facts:
    """What is known of a world beside its program.

    ``named`` are the files that records name, each with the record's key; ``committed`` are their rows by session;
    ``visible`` are the rows that readers see, and ``identities`` the same without what has no column. ``abandoned`` are
    the names of units, or sessions, that were given up. ``units`` are those that the log has named. ``spoilt`` are the
    files that something else than the program has removed or changed, and ``lost`` those of which the log knows it.
    """

    def __init__(self, truth: Truth, loop: SeededLoop) -> None:
        self.truth = truth
        self.lake: Lake
        self.logs: dict[str, ScopeLog] = {}
        self.named: dict[str, str] = {}
        self.committed: dict[SessionKey, Counter[Row]] = {}
        self.visible: Counter[Row] = Counter()
        self.identities: Counter[tuple[Any, ...]] = Counter()
        self.ids: set[tuple[UnitKey, int]] = set()
        self.abandoned: set[str] = set()
        self.units: set[UnitKey] = set()
        self.spoilt: set[str] = set()
        self.lost: set[str] = set()
        self.sessions = {session.key: session for session in truth.sessions()}
        self.stages = {stage.arn: stage for stages in truth.stages.values() for stage in stages}
        self._loop = loop
        self._rows_in: dict[str, list[tuple[int | None, Row]]] = {}
        self._hidden = {session.key: truth.hidden_of(session) for session in truth.sessions()}
        self._participants = {
            (*session.key, each.participant_id): each for session in truth.sessions() for each in session.participants
        }
        self._shown_us: dict[Row, list[int]] = {}
        for participant in self._participants.values():
            for event in participant.events:
                self._shown_us.setdefault(event.row, []).append(event.visible_us)
        for moments in self._shown_us.values():
            moments.sort()

    @property
    def now_us(self) -> int:
        """The true time."""
        return true_us(self._loop)

    def log_of(self, session: SessionKey) -> ScopeLog:
        """The log that tells of a session."""
        return self.logs.setdefault(scope_of(session[0]), ScopeLog())

    def rows(self, key: str, data: bytes) -> list[tuple[int | None, Row]]:
        """The rows of a data file, with their ids."""
        if key not in self._rows_in:
            self._rows_in[key] = read_rows(key, data)
        return self._rows_in[key]

    def data_of(self, key: str) -> bytes:
        """A data file, staged or visible."""
        found = self.lake.visible.get(key)
        return next(data for staged, data in self.lake.staged.values() if staged.key == key) if found is None else found

    def rows_in(self, key: str) -> list[tuple[int | None, Row]]:
        """The rows of a file of events or rejects that a record names."""
        return self._rows_in[key]

    def participant(self, unit: UnitKey) -> Participant | None:
        """A participant, if there is such a one."""
        return self._participants.get(unit)

    def shown(self, row: Row) -> int:
        """How many of such events the API has shown by now."""
        return bisect_right(self._shown_us.get(row, ()), self.now_us)

    def spoil(self, key: str) -> None:
        """Note that a visible file is removed or changed by something else: readers have its rows no longer."""
        self.spoilt.add(key)
        for number, row in self._rows_in.get(key, ()):
            self.visible[row] -= 1
            self.identities[row[:-1]] -= 1
            self.committed[row[0], row[1]][row] -= 1
            if number is not None:
                self.ids.discard(((row[0], row[1], row[2]), number))

    def is_spoilt(self, session: SessionKey) -> bool:
        """Whether rows of a session were lost, and the log does not know it yet: to find that is a repair's work."""
        unknown = self.spoilt - self.lost
        return any((row[0], row[1]) == session for key in unknown for _, row in self._rows_in.get(key, ()))

    def lacks(self, session: Session, held: Counter[Row]) -> Counter[Row]:
        """Those of a session's rows that are not held, those to come included, but for units that are excused."""
        wanted = Counter(row for row in session.rows() if not self.is_excused((row[0], row[1], row[2])))
        return lacking(wanted, held)

    def is_excused(self, unit: UnitKey) -> bool:
        """Whether a unit was given up, or no list has ever shown it: nobody can know of it then."""
        is_abandoned = "/".join(unit) in self.abandoned or "/".join(unit[:2]) in self.abandoned
        return is_abandoned or (bool(self._participants[unit].hidden) and unit not in self.units)

    def was_shown(self, session: SessionKey, began_us: int) -> bool:
        """Whether lists have shown a session all the time from ``began_us`` on."""
        is_hidden = any(span.from_us <= self.now_us and began_us < span.until_us for span in self._hidden[session])
        return self.sessions[session].started_us <= began_us and not is_hidden

    def was_hidden(self, session: SessionKey, began_us: int) -> bool:
        """Whether no list has shown a session at any time from ``began_us`` on."""
        return any(span.from_us <= began_us and self.now_us < span.until_us for span in self._hidden[session])

    def was_ever_hidden(self, session: SessionKey) -> bool:
        """Whether there was a time at which no list showed a session that had begun."""
        return any(span.from_us <= self.now_us for span in self._hidden[session])

    def may_be_given_up(self, unit: UnitKey, days: float) -> bool:
        """Whether AWS may have refused a unit for so long, or has shown events of it that can't be read.

        What is asked for while its session is in no list is refused, too. No more is needed than a first refusal and
        one after that time: nobody may have asked in between.
        """
        participant = self._participants.get(unit)
        if participant is None:
            return True  # the list of a session's participants, or a name out of somebody's list
        since_us = self.now_us - int(days * 86_400_000_000)
        is_refused = any(span.from_us <= since_us for span in (*participant.refused, *self._hidden[unit[:2]]))
        return is_refused or any(event.row[3] == UNDATED for event in participant.events)

    def is_denied(self, stage_arn: str) -> bool:
        """Whether a permission is missing in a stage now."""
        return any(self.now_us in span for _, span in self.stages[stage_arn].denied)

    def is_refused(self, session: Session) -> bool:
        """Whether something of a session can't be fetched: it is refused, or its stage denied."""
        return self.is_denied(session.stage_arn) or any(
            any(self.now_us in span for span in each.refused) for each in session.participants
        )

    def is_in_the_way(self, session: Session) -> bool:
        """Whether something of a session may be left open for good: it is refused, denied, or has no time."""
        return self.is_refused(session) or any(
            event.row[3] == UNDATED for each in session.participants for event in each.events
        )

    @property
    def is_any_stage_denied(self) -> bool:
        """Whether a permission is missing somewhere, at any time."""
        return any(stage.denied for stage in self.stages.values())

    @property
    def is_anything_in_the_way(self) -> bool:
        """Whether the world holds something that no run can finish."""
        return any(map(self.is_denied, self.stages)) or any(map(self.is_in_the_way, self.sessions.values()))


def scope_of(stage_arn: str) -> str:
    """The name of a stage's scope."""
    *_, region, account_id, _ = stage_arn.split(":")
    return f"{account_id}-{region}"


def lacking(wanted: Counter[Any], held: Counter[Any]) -> Counter[Any]:
    """What is wanted and not held, each as often."""
    return Counter({row: count - held[row] for row, count in wanted.items() if held[row] < count})
