"""The laws of a lake, as the contract has them, against the world's own truth and clock.

Each instant at which something becomes visible is looked at: a record that is made, a file that is published or
discarded, a call that the service gets, a run that ends. What breaks a law ends the world.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.api.operations import Operation
from exporter.cli.exits import FAILED
from tests.simulation.plan import EPOCH_US, SECOND_US, Faults
from tests.simulation.process import true_us
from tests.simulation.reading import read_record, read_rows, scope_name
from tests.simulation.truth import UNDATED, Row, SessionKey, UnitKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ledger import ScopeLedger
    from exporter.run_ledger import RunLedger
    from tests.simulation.lake import Lake
    from tests.simulation.loop import SeededLoop
    from tests.simulation.plan import Plan, Step
    from tests.simulation.truth import Session, Truth

_DENIED_MAX = 20
_OUTCOMES = ("exported", "empty", "unchanged", "failed", "deferred", "abandoned")


class BrokenLaw(Exception):
    """A promise that was not kept. ``law`` is its short name."""

    def __init__(self, law: str, text: str) -> None:
        super().__init__(f"{law}: {text}")
        self.law = law


@dataclass(slots=True)
class ScopeLog:
    """What the records of a scope say so far, folded by hand."""

    number: int = 0
    epoch: int = 0
    last_files: list[str] = field(default_factory=list)
    status: dict[SessionKey, str] = field(default_factory=dict)

    def sealed(self) -> frozenset[SessionKey]:
        """The sessions that are sealed."""
        return frozenset(session for session, status in self.status.items() if status == "sealed")

    def open(self) -> frozenset[SessionKey]:
        """The sessions of which more may come."""
        return frozenset(session for session, status in self.status.items() if status == "open")


class Laws:
    """Watches a world. What breaks a law is handed to ``loop.fail``."""

    def __init__(self, plan: Plan, truth: Truth, loop: SeededLoop) -> None:
        self.plan = plan
        self.truth = truth
        self.loop = loop
        self.lake: Lake
        self.logs: dict[str, ScopeLog] = {}
        self.named: dict[str, str] = {}
        self.committed: dict[SessionKey, Counter[Row]] = {}
        self.visible: Counter[Row] = Counter()
        self.abandoned: set[str] = set()
        self._visible_identities: Counter[tuple[Any, ...]] = Counter()
        self._denied: Counter[tuple[int, str, str]] = Counter()
        self._whole: set[SessionKey] = set()
        self._ids: set[tuple[UnitKey, int]] = set()
        self._rows_in: dict[str, list[tuple[int | None, Row]]] = {}
        self._sealed_before: dict[int, frozenset[SessionKey]] = {}
        self._stages = {stage.arn: stage for stages in truth.stages.values() for stage in stages}
        self._sessions = {session.key: session for session in truth.sessions()}
        self._known: set[UnitKey] = set()
        self._hiding = {
            (*session.key, participant.participant_id)
            for session in truth.sessions()
            for participant in session.participants
            if participant.hidden
        }
        self._hidden = {session.key: truth.hidden_of(session) for session in truth.sessions()}
        self._shown: dict[Row, list[int]] = {}
        for session in truth.sessions():
            for participant in session.participants:
                for event in participant.events:
                    self._shown.setdefault(event.row, []).append(event.visible_us)
        for moments in self._shown.values():
            moments.sort()

    @property
    def now_s(self) -> float:
        """The virtual time."""
        return self.loop.time()

    @property
    def now_us(self) -> int:
        """The true time."""
        return true_us(self.loop)

    def broken(self, law: str, text: str) -> None:
        """Note that a law is broken, and end the world."""
        self.loop.fail(BrokenLaw(law, text))

    # What happens in the lake.

    def created(self, key: str, body: bytes) -> None:
        """A record was made: what it names is durable, in order, fenced, and true."""
        if "/records/" not in key:
            return
        record, log = read_record(body), self.logs.setdefault(scope_name(key), ScopeLog())
        self._check_order(key, record, log)
        self._check_files(key, record, log)
        for line in record.get("sessions", ()):
            session = (line["stage_arn"], line["session_id"])
            log.status[session] = line["status"]
            for participant_id, unit in line.get("units", {}).items():
                name = "/".join((*session, participant_id)).rstrip("/")
                self._known.add((*session, participant_id))
                (self.abandoned.add if unit.get("is_abandoned") else self.abandoned.discard)(name)
            if line["status"] == "sealed":
                self._check_whole(session, f"{key} seals")

    def _check_order(self, key: str, record: Mapping[str, Any], log: ScopeLog) -> None:
        if record["number"] != log.number + 1:
            self.broken("the log has no gap", f"{key} stands behind {log.number}")
        log.number = record["number"]
        if record["kind"] == "begin":
            log.epoch = record["number"]
        elif record["epoch"] != log.epoch:
            self.broken("who is overtaken commits no more", f"{key} is of epoch {record['epoch']}, not {log.epoch}")

    def _check_files(self, key: str, record: Mapping[str, Any], log: ScopeLog) -> None:
        if lost := set(record.get("lost", ())):
            self.broken("nothing that a record names goes", f"{key} says that {sorted(lost)} are gone")
        if record["kind"] == "commit":
            hidden = [each for each in log.last_files if each not in self.lake.visible]
            if hidden:
                self.broken("a record is written when the files of the last are visible", f"{key}: {hidden} are not")
            log.last_files = []
        for file in record.get("files", ()):
            log.last_files.append(file["key"])
            if file["key"] in self.named:
                self.broken("names are unique for ever", f"{key} names {file['key']} again")
            self.named[file["key"]] = key
            staged = self.lake.staged.get(file["handle"][0])
            data = self.lake.visible.get(file["key"]) if staged is None else staged[1]
            if data is None or (staged is not None and staged[0].key != file["key"]):
                self.broken("a record names only what is durable", f"{key} names {file['key']}, which is not there")
                return
            rows = self._rows(file["key"], data)
            if (file["key"].endswith(".parquet") and len(rows) != file["rows"]) or len(data) != file["size_bytes"]:
                self.broken("a record tells what is in its files", f"{key}: {file['key']} has {len(rows)} rows")
            for _, row in rows:
                self.committed.setdefault((row[0], row[1]), Counter())[row] += 1

    def published(self, key: str, data: bytes) -> None:
        """A file became visible: it is committed, and its rows are what the API has shown, once."""
        if self.lake.ignores_conditions:
            self.broken("a store that ignores conditions is not used", f"{key} was published in one")
        if key not in self.named:
            self.broken("readers see committed rows only", f"{key} is visible, and no record names it")
        for number, row in self._rows(key, data):
            unit = (row[0], row[1], row[2])
            if number is not None and (unit, number) in self._ids:
                self.broken("every event once", f"{key} has an id again: {row}")
            if number is not None:
                self._ids.add((unit, number))
            self.visible[row] += 1
            self._visible_identities[row[:-1]] += 1
            shown = bisect_right(self._shown.get(row, ()), self.now_us)
            if self.visible[row] > shown:
                self.broken("every event once", f"{key}: the API has shown {shown} of {row}, and this is one more")

    def discarded(self, key: str) -> None:
        """A staged file was removed: no record names it."""
        if key in self.named and key not in self.lake.visible:
            self.broken("nothing that a record names goes", f"{key} was discarded, and {self.named[key]} names it")

    def removed(self, key: str, data: bytes) -> None:
        """A visible file was removed: none is, but by a repair of something."""
        self.broken("a run never removes anything", f"{key} with {len(data)} bytes was removed")

    def deleted(self, key: str) -> None:
        """A record was removed: it was none of the log's."""
        if "/records/" in key:
            self.broken("nothing is taken from the log", f"{key} was deleted")

    def _rows(self, key: str, data: bytes) -> list[tuple[int | None, Row]]:
        if key not in self._rows_in:
            self._rows_in[key] = read_rows(key, data)
        return self._rows_in[key]

    # What the service is asked.

    def begun(self, step: Step) -> None:
        """A command begins: what is sealed by now is asked for no more."""
        self._sealed_before[step.number] = frozenset().union(*(log.sealed() for log in self.logs.values()))

    def called(self, step: Step, operation: Operation, params: Mapping[str, Any]) -> None:
        """The service got a call: none for what is sealed, but by a refetch."""
        if step.kind == "refetch" or operation in {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}:
            return
        session = (params["stageArn"], params["sessionId"])
        if session in self._sealed_before.get(step.number, ()):
            log = self.logs.get(_scope_of(session[0]))
            is_moved = self._sessions[session].first_end is not None  # it is opened again where that was seen too late
            if log is not None and log.status.get(session) == "sealed" and not is_moved:
                self.broken("a sealed session costs no call", f"{operation} for {session} in step {step.number}")

    def denied(self, step: Step, operation: Operation, params: Mapping[str, Any]) -> None:
        """A call was denied: after a few dozens of them none is made any more."""
        key = (step.number, operation, params.get("stageArn", ""))
        self._denied[key] += 1
        if self._denied[key] > _DENIED_MAX + step.concurrency:
            self.broken(
                "a denied operation is asked no more", f"step {step.number} was denied {self._denied[key]} times"
            )

    # What a run says of itself.

    def ended(self, step: Step, ledger: RunLedger, exit_code: int, began_us: int, *, was_alone: bool) -> None:
        """A run came to its end: its words are true."""
        is_calm = was_alone and step.faults == Faults() and step.asleep_after is None
        if exit_code == FAILED and is_calm and not self.lake.ignores_conditions:
            self.broken("a run fails for a reason", f"step {step.number}: {ledger.failures}")
        for scope in ledger.scopes:
            self._check_words(step, scope)
            self._check_complete_until(step, scope)
        if exit_code == 0:
            self._check_nothing_is_short(step, began_us)

    def _check_words(self, step: Step, scope: ScopeLedger) -> None:
        units = scope.summary()["units"]
        if units["found"] != sum(units[name] for name in _OUTCOMES):
            self.broken("found is the sum of the outcomes", f"step {step.number}: {units}")

    def _check_complete_until(self, step: Step, scope: ScopeLedger) -> None:
        until_us = scope.complete_until_us
        if until_us is None or scope.account_id is None:
            return
        for key, session in self._sessions.items():
            if _scope_of(key[0]) != scope.name or session.ended_us >= until_us:
                continue
            if not any(span.from_us <= self.now_us for span in self._hidden[key]):
                self._check_whole(key, f"step {step.number} is complete until {_words(until_us)}, past the end of")

    def _check_nothing_is_short(self, step: Step, began_us: int) -> None:
        """Exit 0: what the API showed all the while is in the lake."""
        for key, session in self._sessions.items():
            if not self._is_wanted(step, session, began_us) or not self._was_shown(key, began_us):
                continue
            for participant in session.participants:
                unit = (*key, participant.participant_id)
                if not _is_target(step, unit) or self._is_excused(unit):
                    continue
                if any(span.from_us <= self.now_us and began_us < span.until_us for span in participant.hidden):
                    continue
                if participant.visible_us > began_us:
                    continue
                # Which of equal events is left for later, while more may come, is nobody's to choose.
                wanted = Counter(event.row[:-1] for event in participant.shown(began_us))
                if missing := _lacking(wanted, self._visible_identities):
                    self.broken("never exit 0 when short", f"step {step.number} lacks {_some(missing)}")
                    return

    def _is_wanted(self, step: Step, session: Session, began_us: int) -> bool:
        if step.dates != "true":
            began_us += step.skew_us - 3 * SECOND_US  # an end that lies after its now is none
        if session.ended_us > began_us and (not step.active_sessions or step.since_us or step.until_us):
            return False  # it may be taken for active, or for ended
        is_late = step.until_us is not None and session.started_us >= step.until_us
        is_early = step.since_us is not None and session.ended_us < step.since_us
        if session.first_end is not None and step.since_us is not None and session.first_end[2] < step.since_us:
            return False
        return not (is_late or is_early)

    def _was_shown(self, key: SessionKey, began_us: int) -> bool:
        session = self._sessions[key]
        spans = self._hidden[key]
        return session.started_us <= began_us and not any(
            span.from_us <= self.now_us and began_us < span.until_us for span in spans
        )

    def _check_whole(self, key: SessionKey, what: str) -> None:
        """A session that is called whole has all of its events in the log, those to come included."""
        session = self._sessions.get(key)
        if session is None or key in self._whole:
            return
        wanted: Counter[Row] = Counter(row for row in session.rows() if not self._is_excused((row[0], row[1], row[2])))
        if missing := _lacking(wanted, self.committed.get(key, Counter())):
            late = f"{(session.last_us - self.now_us) / SECOND_US:.1f} s from now"
            self.broken(
                "what is called whole is whole",
                f"{what} {key}, which ended at {_words(session.ended_us)}, and lacks {_some(missing)}; its last event"
                f" is shown {late}",
            )
        elif not self.abandoned and not any(each.hidden for each in session.participants):
            self._whole.add(key)  # and stays so

    def _is_excused(self, unit: UnitKey) -> bool:
        """Whether a unit was given up, or no list has ever shown it: nobody can know of it then."""
        is_abandoned = "/".join(unit) in self.abandoned or "/".join(unit[:2]) in self.abandoned
        return is_abandoned or (unit not in self._known and unit in self._hiding)

    # The end of the world.

    def at_the_end(self, began_us: int) -> None:
        """After a quiet run: the lake is the truth, all that was listed is sealed, and nothing is left behind."""
        for key, session in self._sessions.items():
            if not self._was_shown(key, began_us) or self.is_in_the_way(session):
                continue
            wanted = Counter(row for row in session.rows() if not self._is_excused((row[0], row[1], row[2])))
            if missing := _lacking(wanted, self.visible):
                self.broken("the lake is what the API has shown", f"{key} lacks {_some(missing)}")
            status = self.logs[_scope_of(key[0])].status.get(key)
            if status != "sealed":
                self.broken("what is over is sealed", f"{key} is {status}")
        # What a new lake was tried out with is left where that was cut short: nobody looks for it again.
        left = [staged.key for staged, _ in self.lake.staged.values() if not staged.key.startswith("_log/trial-")]
        if left:
            self.broken("nothing is left behind", f"{left} are staged")

    @property
    def is_something_in_the_way(self) -> bool:
        """Whether the world holds something that no run can finish."""
        return any(map(self.is_denied, self._stages)) or any(map(self.is_in_the_way, self._sessions.values()))

    def is_denied(self, stage_arn: str) -> bool:
        """Whether a permission is missing in a stage now."""
        return any(self.now_us in span for _, span in self._stages[stage_arn].denied)

    def is_in_the_way(self, session: Session) -> bool:
        """Whether something of the session may be left open for good: it is refused, denied, or has no time."""
        now_us = self.now_us
        return self.is_denied(session.stage_arn) or any(
            any(now_us in span for span in each.refused) or any(event.row[3] == UNDATED for event in each.events)
            for each in session.participants
        )


def _is_target(step: Step, unit: UnitKey) -> bool:
    return step.kind != "targets" or any(
        all(not named or named == own for named, own in zip(target, unit, strict=True)) for target in step.targets
    )


def _scope_of(stage_arn: str) -> str:
    *_, region, account_id, _ = stage_arn.split(":")
    return f"{account_id}-{region}"


def _lacking(wanted: Counter[Any], held: Counter[Any]) -> Counter[Any]:
    return Counter({row: count - held[row] for row, count in wanted.items() if held[row] < count})


def _some(rows: Counter[Any]) -> str:
    return f"{rows.total()} rows, {next(iter(rows))} for one"


def _words(moment_us: int) -> str:
    return f"{(moment_us - EPOCH_US) / SECOND_US:.1f} s"
