"""The laws of the tables beside events: one final row of each thing that is over, no row twice, none too late."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.facts import scope_of
from tests.simulation.reading import read_table, scope_name, table_of
from tests.simulation.truth import UNDATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.simulation.facts import Facts
    from tests.simulation.plan import Step
    from tests.simulation.truth import Session, SessionKey, UnitKey

TableRow = dict[str, Any]
#: What of a participant stands in two answers, or in one alone.
_END = "the end"
_COUNTS = ("participant_count", "event_count", "abandoned_count", "is_complete")
#: What names a thing in each table.
_KEYS = {
    "stages": ("stage_arn",),
    "sessions": ("stage_arn", "session_id"),
    "participants": ("stage_arn", "session_id", "participant_id"),
}
_DETAILS = ("off", "fetched", "denied", "not_found", "failed")
#: A row with these has another one after it, where ``--backfill-tables`` could fetch the details.
_LACKING = ("denied", "failed")


@dataclass(slots=True)
class _SessionRows:
    """The rows of one session since it was last opened, in the order of their commits.

    ``generation`` counts how often it was opened again, or its end was moved.
    """

    generation: int = 0
    end_us: int = 0
    opened: list[TableRow] = field(default_factory=list)
    final: list[TableRow] = field(default_factory=list)
    participants: dict[tuple[str, bool], TableRow] = field(default_factory=dict)

    def open_again(self) -> None:
        self.generation += 1
        self.opened, self.final, self.participants = [], [], {}

    def forget_first_rows(self) -> None:
        """Only final rows count from now on."""
        self.participants = {key: row for key, row in self.participants.items() if key[1]}

    def lose(self, table: str, gone: set[str]) -> None:
        """Let go of rows that readers have no longer: all of the session's own, or those of the participants ``gone``.

        Of several rows of a session the one that is left need not be the last: nothing is told by it.
        """
        if table == "sessions":
            self.opened, self.final = [], []
        else:
            self.participants = {key: row for key, row in self.participants.items() if key[0] not in gone}


class TableLaws:
    """Watches the rows of the tables beside events, as records commit them."""

    def __init__(self, facts: Facts, broken: Callable[[str, str], None]) -> None:
        self._facts = facts
        self._broken = broken
        self._steps: dict[str, Step] = {}
        self._rows: dict[str, list[TableRow]] = {}
        self._sessions: defaultdict[SessionKey, _SessionRows] = defaultdict(_SessionRows)
        self._stages: dict[str, list[TableRow]] = defaultdict(list)
        self._opened_by: dict[SessionKey, str] = {}
        self._rows_of: Counter[tuple[str, ...]] = Counter()
        self._listed: defaultdict[int, set[UnitKey]] = defaultdict(set)
        self._listed_sessions: defaultdict[int, set[SessionKey]] = defaultdict(set)
        self._begun: set[SessionKey] = set()

    def begun(self, step: Step) -> None:
        """A run begins: what it writes follows from its settings."""
        self._steps[f"r{step.number}"] = step

    def listed(self, step: Step, session: SessionKey, participants: Iterable[Mapping[str, Any]]) -> None:
        """A page of a list shows these participants to a run."""
        self._listed[step.number].update((*session, each["participantId"]) for each in participants)

    def listed_sessions(self, step: Step, stage_arn: str, sessions: Iterable[Mapping[str, Any]]) -> None:
        """A page of a list shows these sessions to a run."""
        self._listed_sessions[step.number].update((stage_arn, each["sessionId"]) for each in sessions)

    def committed(self, key: str, record: Mapping[str, Any], before: Mapping[SessionKey, str]) -> None:
        """A record is made; ``before`` is what the log said of sessions until then."""
        for line in record.get("sessions", ()):
            self._note_generation(record, line, before)
        self._note_lost(scope_name(key), record)
        for file in record.get("files", ()):
            table = table_of(file["key"])
            if table in _KEYS:
                for row in self.rows(file["key"]):
                    self._take(key, record, table, row, before)
        lines = record.get("sessions", ())
        self._begun |= {(line["stage_arn"], line["session_id"]) for line in lines if line.get("started_us") is not None}
        step = self._steps.get(record["run_id"])
        if step is None:
            return
        for line in record.get("sessions", ()):
            session = (line["stage_arn"], line["session_id"])
            if line["status"] == "sealed" and before.get(session) != "sealed" and not self._is_spoilt(session):
                self._check_sealed(key, step, line)
        self._check_not_late(key, record, step)

    def spoilt(self, key: str) -> None:
        """Something else removes or changes a visible file: its rows are to be written again, once that is known."""
        table = table_of(key)
        for row in self.rows(key):
            if table == "stages":
                self._stages[row["stage_arn"]] = []
            else:
                self._sessions[_session_of(row)].lose(table, {row.get("participant_id", "")})

    def rows(self, key: str) -> list[TableRow]:
        """The rows of a data file."""
        if key not in self._rows:
            self._rows[key] = read_table(self._facts.data_of(key))
        return self._rows[key]

    def at_the_end(self, began_us: int) -> None:
        """After quiet runs: the newest row of each thing is the truth."""
        facts = self._facts
        for key, session in facts.sessions.items():
            if not facts.was_shown(key, began_us) or facts.is_in_the_way(session):
                continue
            if facts.log_of(key).status.get(key) == "sealed":
                self._check_end_of(key, session)
        for arn, stage in facts.stages.items():
            if any(span.until_us > began_us for span in stage.hidden):
                continue
            if not self._stages[arn]:
                self._broken("what is listed has a row", f"{arn} has none")
                return
            item, row = stage.item(facts.now_us), self._stages[arn][-1]
            told = (row["stage_name"], row["tags"], row["is_listed"])
            if told != (item.get("name"), item.get("tags"), True):
                self._broken("a stage's last row is the truth", f"{told}, not {item}")

    # What a record says of sessions.

    def _note_generation(
        self, record: Mapping[str, Any], line: Mapping[str, Any], before: Mapping[SessionKey, str]
    ) -> None:
        session = (line["stage_arn"], line["session_id"])
        rows = self._sessions[session]
        was_let_go = before.get(session) == "sealed" and line["status"] != "sealed"
        end_us = max(line.get("ended_us") or 0, line.get("latest_end_us") or 0)
        is_moved = rows.end_us > 0 and end_us > rows.end_us
        if was_let_go:
            self._opened_by[session] = record["run_id"]
        if was_let_go or is_moved or record.get("void_after_us") is not None:
            rows.open_again()
        rows.end_us = max(rows.end_us, end_us)

    def _note_lost(self, scope: str, record: Mapping[str, Any]) -> None:
        """A lost file's rows are written again before more events, and with them all that the table has of the same."""
        for key in record.get("lost", ()):
            table = table_of(key)
            if table not in _KEYS:
                continue
            for arn in list(self._stages) if table == "stages" else ():
                if scope_of(arn) == scope:
                    self._stages[arn] = []
            for row in self.rows(key):
                self._rows_of[_name(table, row)] -= 1
                if table == "sessions":
                    self._sessions[_session_of(row)].opened.clear()
                elif table == "participants":
                    self._sessions[_session_of(row)].participants.clear()

    def _is_spoilt(self, session: SessionKey) -> bool:
        """Whether rows of a session are gone, in any table, and the log does not know it yet."""
        facts = self._facts
        return facts.is_spoilt(session) or any(
            _session_of(row) == session
            for key in facts.spoilt - facts.lost
            if table_of(key) in {"sessions", "participants"}
            for row in self.rows(key)
        )

    # Rows.

    def _take(
        self, key: str, record: Mapping[str, Any], table: str, row: TableRow, before: Mapping[SessionKey, str]
    ) -> None:
        if row["run_id"] != record["run_id"]:
            self._broken("a row names its run", f"{key}: {row}")
        self._rows_of[_name(table, row)] += 1
        if table == "stages":
            self._take_stage(key, row)
        elif table == "sessions":
            self._take_session(key, row, before)
        else:
            self._take_participant(key, row)

    def _take_stage(self, key: str, row: TableRow) -> None:
        last = self._stages[row["stage_arn"]]
        if (row["stage_name"], row["tags"]) not in self._facts.stages[row["stage_arn"]].told:
            self._broken("a row is what was listed", f"{key}: {row}")
        told = ("stage_name", "tags", "is_listed")
        if last and [last[-1][name] for name in told] == [row[name] for name in told]:
            self._broken("no row twice", f"{key} says of a stage what its last row does: {row}")
        last.append(row)

    def _take_session(self, key: str, row: TableRow, before: Mapping[SessionKey, str]) -> None:
        session = _session_of(row)
        rows = self._sessions[session]
        if not row["is_final"]:
            if rows.opened and _times(rows.opened[-1]) == _times(row):
                self._broken("no row twice", f"{key} says of a session what its last row does: {row}")
            rows.opened.append(row)
            return
        is_news = rows.final and any(rows.final[-1][name] != row[name] for name in _COUNTS)
        if rows.final and not (before.get(session) == "sealed" and is_news):
            self._broken("one final row of each thing", f"{key} has another one of a session: {row}")
        rows.final.append(row)
        self._check_counts(key, session, row, may_be_short=before.get(session) == "sealed")

    def _take_participant(self, key: str, row: TableRow) -> None:
        unit = (row["stage_arn"], row["session_id"], row["participant_id"])
        rows = self._sessions[unit[:2]]
        before = rows.participants.get((unit[2], row["is_final"]))
        if before is not None and (before["details"] not in _LACKING or row["details"] in _LACKING):
            self._broken("no row twice", f"{key} has another row of a participant: {row}")
        rows.participants[unit[2], row["is_final"]] = row
        participant = self._facts.participant(unit)
        if participant is None or row["user_id"] != f"user of {unit[2]}" or row["details"] not in _DETAILS:
            self._broken("a row is what was listed", f"{key}: {row}")
            return
        session = self._facts.sessions[unit[:2]]
        is_known = unit[:2] in self._begun | self._listed_sessions[int(row["run_id"][1:])]
        if row["session_start"] != session.started_us and (row["session_start"] is not None or is_known):
            self._broken("a row is what was listed", f"{key}: {row}")
        if row["details"] == "fetched" and row["attributes"] != {"plan": unit[2][:1]}:
            self._broken("a row is what was listed", f"{key}: {row}")
        if row["is_final"] and not row["published"]:
            self._broken("a final row is from after the end", f"{key}: {row}")

    def _check_counts(self, key: str, session: SessionKey, row: TableRow, *, may_be_short: bool) -> None:
        """What the final row of a session counts is what the log and the lake have.

        It ``may_be_short`` where a refetch or a backfill finds what no list showed before, and fetches that next.
        """
        facts = self._facts
        if facts.is_spoilt(session):
            return
        committed = facts.committed.get(session, Counter())
        names = {name for *of_session, name in facts.units if tuple(of_session) == session and name}
        name = "/".join(session)
        is_list_abandoned = name in facts.abandoned
        counts: tuple[int | None, int | None, int | None] = (
            None if is_list_abandoned else len(names),
            sum(count for each, count in committed.items() if each[3] != UNDATED),
            sum(f"{name}/{each}" in facts.abandoned for each in names),
        )
        is_complete = not (counts[2] or is_list_abandoned or any(each[3] == UNDATED for each in +committed))
        found = (row["participant_count"], row["event_count"], row["abandoned_count"])
        if found == (None, None, None) and not row["is_complete"] and facts.was_ever_hidden(session):
            return  # no list shows it any more
        is_complete = is_complete and not (may_be_short and not row["is_complete"])
        if found != counts or row["is_complete"] != is_complete:
            said = f"{found}, complete: {row['is_complete']}"
            self._broken("a session's counts are true", f"{key}: {session} has {counts}, {is_complete}, not {said}")

    # What must be there.

    def _check_sealed(self, key: str, step: Step, line: Mapping[str, Any]) -> None:
        """A session that is sealed has its final row in that record, and its participants' there or before."""
        session = (line["stage_arn"], line["session_id"])
        rows = self._sessions[session]
        if "sessions" in step.tables and not rows.final:
            self._broken("what is sealed has its final rows", f"{key}: no row of {session}")
        if "participants" in step.tables:
            self._check_participants(key, session, rows)
        elif "participants" not in line.get("tables", ()):
            rows.forget_first_rows()  # those that have no final row from before are made up for, with one that is final

    def _check_participants(self, key: str, session: SessionKey, rows: _SessionRows) -> None:
        facts = self._facts
        if "/".join(session) in facts.abandoned:
            return
        if not rows.participants and facts.was_ever_hidden(session):
            return  # it was made up for while no list showed it: nobody could say whom it had
        for participant in facts.sessions[session].participants:
            unit = (*session, participant.participant_id)
            if participant.hidden or unit not in facts.units:
                continue
            if (participant.participant_id, True) not in rows.participants:
                self._broken("what is sealed has its final rows", f"{key}: no row of {unit}")

    def _check_not_late(self, key: str, record: Mapping[str, Any], step: Step) -> None:
        """No row comes later than the first event that it explains."""
        if step.kind == "targets":
            return  # what targets name, no list need have shown
        for file in record.get("files", ()):
            if table_of(file["key"]) not in {"events", "_rejects"}:
                continue
            for _, row in self._facts.rows_in(file["key"]):
                self._check_explained(key, step, (row[0], row[1], row[2]))

    def _is_left_to_a_backfill(self, step: Step, session: SessionKey) -> bool:
        """Whether a refetch adds to a session that was sealed while tables were switched off.

        Where it finds a file of it gone, it opens the session, and the next run writes the rows.
        """
        is_opened = self._opened_by.get(session) == f"r{step.number}"
        is_sealed = self._facts.log_of(session).status.get(session) == "sealed"
        return step.kind == "refetch" and (is_sealed or is_opened)

    def _check_explained(self, key: str, step: Step, unit: UnitKey) -> None:
        is_listed = unit in self._listed[step.number]
        needs = {"stages", "sessions"}
        if is_listed and not self._is_left_to_a_backfill(step, (unit[0], unit[1])):
            needs.add("participants")
        lacks = [
            table for table in sorted(needs & step.tables) if self._rows_of[table, *unit[: len(_KEYS[table])]] <= 0
        ]
        if lacks:
            self._broken("no row comes later than its events", f"{key} has events of {unit}, and none of {lacks}")

    def _check_end_of(self, key: SessionKey, session: Session) -> None:
        rows = self._sessions[key]
        if not rows.final:
            self._broken("what is over has a final row", f"{key} has none")
            return
        last = rows.final[-1]
        if last["session_start"] != session.started_us or last["session_end"] != session.ended_us:
            self._broken("a session's last row is the truth", f"{session.started_us}, {session.ended_us}: {last}")
        if last["participant_count"] is not None:
            self._check_counts(_END, key, last, may_be_short=False)
        self._check_participants(_END, key, rows)


def _times(row: TableRow) -> tuple[Any, Any]:
    return row["session_start"], row["session_end"]


def _session_of(row: TableRow) -> SessionKey:
    return row["stage_arn"], row["session_id"]


def _name(table: str, row: TableRow) -> tuple[str, ...]:
    return (table, *(row[column] for column in _KEYS[table]))
