"""The laws of a lake, as the contract has them, against the world's own truth and clock.

Each instant at which something becomes visible is looked at: a record that is made, a file that is published or
discarded, a call that the service gets, a command that ends. What breaks a law ends the world.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from exporter.cli.exit_codes import FAILED
from exporter.ivs.operations import Operation
from tests.simulation.catalog_laws import CatalogLaws
from tests.simulation.facts import ScopeLog, lacking, scope_of
from tests.simulation.plan import EPOCH_US, SECOND_US, Faults
from tests.simulation.reading import read_record, scope_name, table_of
from tests.simulation.table_laws import TableLaws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.ledger import ScopeLedger
    from exporter.pipeline.run_ledger import RunLedger
    from tests.simulation.facts import Facts
    from tests.simulation.loop import SeededLoop
    from tests.simulation.plan import Step
    from tests.simulation.truth import Session, SessionKey, UnitKey

_OUTCOMES = ("exported", "empty", "unchanged", "failed", "deferred", "abandoned")
_DENIED_MAX = 20
_GIVE_UP_DAYS_MIN = 1.0
_OTHER_TABLES = frozenset({"stages", "sessions", "participants"})
_LISTS = (Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS)


class BrokenLaw(Exception):
    """A promise that was not kept. ``law`` is its short name."""

    def __init__(self, law: str, text: str) -> None:
        super().__init__(f"{law}: {text}")
        self.law = law


class Laws:
    """Watches a world. What breaks a law is handed to ``loop.fail``."""

    def __init__(self, facts: Facts, loop: SeededLoop) -> None:
        self.facts = facts
        self.loop = loop
        self.tables = TableLaws(facts, self.broken)
        self.catalog = CatalogLaws(facts, lambda law, text: self.broken(law, text))  # noqa: PLW0108 - it is replaced at the end
        self._denied: Counter[tuple[int, str, str]] = Counter()
        self._sealed_before: dict[int, frozenset[SessionKey]] = {}
        self._open_before: dict[int, frozenset[SessionKey]] = {}
        self._whole: set[SessionKey] = set()

    def broken(self, law: str, text: str) -> None:
        """Note that a law is broken, and end the world."""
        self.loop.fail(BrokenLaw(law, text))

    # What happens in the lake.

    def created(self, key: str, body: bytes) -> None:
        """A record is made: what it names is durable, it stands in order, fenced, and what it says is true."""
        if "/records/" not in key:
            return
        record, facts = read_record(body), self.facts
        log = facts.logs.setdefault(scope_name(key), ScopeLog())
        self._check_order(key, record, log)
        self._check_files(key, record, log)
        before = dict(log.status)
        for line in record.get("sessions", ()):
            session = (line["stage_arn"], line["session_id"])
            if line["status"] == "vanished" and log.status.get(session) != "vanished":
                log.vanished_by[session] = record["run_id"]
            log.status[session] = line["status"]
            for participant_id, state in line.get("units", {}).items():
                self._note_unit((*session, participant_id), is_abandoned=state.get("is_abandoned", False))
            is_sealed_now = line["status"] == "sealed" and before.get(session) != "sealed"
            if is_sealed_now and not facts.is_spoilt(session):
                self._check_whole(session, f"{key} seals")
        self.tables.committed(key, record, before)
        self.catalog.logged(key, record)

    def _check_order(self, key: str, record: Mapping[str, Any], log: ScopeLog) -> None:
        if record["number"] != log.number + 1:
            self.broken("the log has no gap", f"{key} stands behind {log.number}")
        log.number = record["number"]
        if record["kind"] == "begin":
            log.epoch = record["number"]
        elif record["epoch"] != log.epoch:
            self.broken("who is overtaken commits no more", f"{key} is of epoch {record['epoch']}, not {log.epoch}")

    def _check_files(self, key: str, record: Mapping[str, Any], log: ScopeLog) -> None:
        facts, lake = self.facts, self.facts.lake
        facts.lost |= set(record.get("lost", ()))
        if lost := facts.lost - facts.spoilt:
            self.broken("nothing that a record names goes", f"{key} says that {sorted(lost)} are gone")
        if record["kind"] == "commit":
            hidden = [each for each in log.last_files if each not in lake.visible and each not in facts.spoilt]
            if hidden:
                self.broken("a record is written when the files of the last are visible", f"{key}: {hidden} are not")
            log.last_files = []
        for file in record.get("files", ()):
            log.last_files.append(file["key"])
            if file["key"] in facts.named:
                self.broken("names are unique for ever", f"{key} names {file['key']} again")
            facts.named[file["key"]] = key
            staged = lake.staged.get(file["handle"][0])
            data = lake.visible.get(file["key"]) if staged is None else staged[1]
            if data is None or (staged is not None and staged[0].key != file["key"]):
                self.broken("a record names only what is durable", f"{key} names {file['key']}, which is not there")
                return
            if table_of(file["key"]) in _OTHER_TABLES:
                self._check_length(key, file, data, len(self.tables.rows(file["key"])))
                continue
            rows = facts.rows(file["key"], data)
            self._check_length(key, file, data, len(rows))
            for _, row in rows:
                facts.committed.setdefault((row[0], row[1]), Counter())[row] += 1
                facts.units.add((row[0], row[1], row[2]))

    def _check_length(self, key: str, file: Mapping[str, Any], data: bytes, count: int) -> None:
        if (file["key"].endswith(".parquet") and count != file["rows"]) or len(data) != file["size_bytes"]:
            self.broken("a record tells what is in its files", f"{key}: {file['key']} has {count} rows")

    def _note_unit(self, unit: UnitKey, *, is_abandoned: bool) -> None:
        facts, name = self.facts, "/".join(unit).rstrip("/")
        facts.units.add(unit)
        if not is_abandoned:
            facts.abandoned.discard(name)
            return
        facts.abandoned.add(name)
        if not facts.may_be_given_up(unit, _GIVE_UP_DAYS_MIN):
            self.broken("only what AWS refuses for long is given up", f"{name} is")

    def published(self, key: str, data: bytes) -> None:
        """A file becomes visible: it is committed, and its rows are what the API has shown, once."""
        facts = self.facts
        if facts.lake.ignores_conditions:
            self.broken("a store that ignores conditions is not used", f"{key} was published in one")
        if key not in facts.named:
            self.broken("readers see committed rows only", f"{key} is visible, and no record names it")
        if table_of(key) in _OTHER_TABLES:
            return
        for number, row in facts.rows(key, data):
            unit = (row[0], row[1], row[2])
            if number is not None and (unit, number) in facts.ids:
                self.broken("every event once", f"{key} has an id again: {row}")
            if number is not None:
                facts.ids.add((unit, number))
            facts.visible[row] += 1
            facts.identities[row[:-1]] += 1
            if facts.visible[row] > (shown := facts.shown(row)):
                self.broken("every event once", f"{key}: the API has shown {shown} of {row}, and this is one more")

    def discarded(self, key: str) -> None:
        """A staged file is removed: no record names it."""
        if key in self.facts.named and key not in self.facts.lake.visible:
            by = self.facts.named[key]
            self.broken("nothing that a record names goes", f"{key} was discarded, and {by} names it")

    def removed(self, key: str) -> None:
        """A visible file is removed: it was spoilt by something else, and is set aside by a repair."""
        if key not in self.facts.spoilt:
            self.broken("nothing is removed that is sound", f"{key} was removed")

    def spoilt(self, key: str) -> None:
        """A visible file is gone, or changed, and not by the program: readers have its rows no longer."""
        self.facts.spoil(key)
        if table_of(key) in _OTHER_TABLES:
            self.tables.spoilt(key)

    def deleted(self, key: str) -> None:
        """A record is removed: it is none of the log's."""
        if "/records/" in key:
            self.broken("nothing is taken from the log", f"{key} was deleted")

    def changed(self, step: Step, operation: str, key: str) -> None:
        """A process changes something in the lake: it is there to do so."""
        if step.kind in {"survey", "verify", "status", "publish"}:
            self.broken("who only looks changes nothing", f"step {step.number}, {step.kind}: {operation} {key}")

    def verified(self, step: Step, problems: Sequence[object]) -> None:
        """The lake is verified, perhaps beside a run, in a world in which nothing is cut short: there is no problem."""
        self.broken("no alarm is false", f"step {step.number}: {problems[0]}")

    # What the service is asked.

    def begun(self, step: Step) -> None:
        """A command begins: what is sealed by now is asked for no more."""
        self.tables.begun(step)
        logs = self.facts.logs.values()
        self._sealed_before[step.number] = frozenset().union(*(log.sessions("sealed") for log in logs))
        self._open_before[step.number] = frozenset().union(*(log.sessions("open") for log in logs))

    def called(self, step: Step, operation: Operation, params: Mapping[str, Any]) -> None:
        """The service gets a call: none for what is sealed, but by a refetch."""
        if step.kind == "refetch" or step.backfills or operation in _LISTS:
            return
        if step.kind == "survey" and step.faults.stale:
            return  # a run's own record shows that a list of records was stale; a dry run writes none
        session = (params["stageArn"], params["sessionId"])
        if session in self._sealed_before[step.number] and self.facts.log_of(session).status[session] == "sealed":
            if self.facts.sessions[session].first_end is not None:
                return  # it is opened again where its other end was seen too late
            self.broken("a sealed session costs no call", f"{operation} for {session} in step {step.number}")

    def answered(self, step: Step, operation: Operation, params: Mapping[str, Any], page: Mapping[str, Any]) -> None:
        """A call is answered: who was listed has a row no later than events."""
        if operation is Operation.LIST_PARTICIPANTS:
            self.tables.listed(step, (params["stageArn"], params["sessionId"]), page[operation.member])
        if operation is Operation.LIST_STAGE_SESSIONS:
            self.tables.listed_sessions(step, params["stageArn"], page[operation.member])

    def denied(self, step: Step, operation: Operation, params: Mapping[str, Any]) -> None:
        """A call is denied: after a few dozens of them none is made any more."""
        key = (step.number, operation, params["stageArn"])
        self._denied[key] += 1
        if self._denied[key] > _DENIED_MAX + step.concurrency:
            self.broken("a denied operation is asked no more", f"step {step.number}: {self._denied[key]} times")

    # What a run says of itself.

    def ended(self, step: Step, ledger: RunLedger, exit_code: int, began_us: int, *, was_alone: bool) -> None:
        """A run comes to its end: its words are true."""
        is_calm = was_alone and step.faults == Faults() and step.asleep_after is None and not self.facts.spoilt
        if exit_code == FAILED and is_calm and not self.facts.lake.ignores_conditions:
            self.broken("a run fails for a reason", f"step {step.number}: {ledger.failures}")
        for scope in ledger.scopes:
            self._check_words(step, scope)
            if is_calm and step.stopped_s is None:
                self._check_nothing_is_put_off(step, scope)
            self._check_complete_until(step, scope)
        if exit_code == 0:
            self._check_nothing_is_short(step, began_us)
            self._check_nothing_is_denied(step)
            self._check_nothing_was_told_to_vanish(step)
            if step.kind in {"nightly", "refetch"}:
                self._check_nothing_vanished(step, began_us)

    def _check_words(self, step: Step, scope: ScopeLedger) -> None:
        units = scope.summary()["units"]
        if units["found"] != sum(units[name] for name in _OUTCOMES):
            self.broken("found is the sum of the outcomes", f"step {step.number}: {units}")

    def _check_nothing_is_put_off(self, step: Step, scope: ScopeLedger) -> None:
        """Nothing stops the run, or is in its way: no unit is without an outcome of its own."""
        deferred = scope.summary()["units"]["deferred"]
        if deferred and not self.facts.is_any_stage_denied:
            self.broken("nothing is put off for no reason", f"step {step.number}: {deferred} units, {scope.failures}")

    def _check_complete_until(self, step: Step, scope: ScopeLedger) -> None:
        until_us = scope.complete_until_us
        for key, session in self.facts.sessions.items():
            is_past = until_us is not None and session.ended_us < until_us and scope_of(key[0]) == scope.name
            if is_past and not self.facts.was_ever_hidden(key) and not self.facts.is_spoilt(key):
                self._check_whole(key, f"step {step.number} is complete until {_words(until_us or 0)}, past the end of")

    def _check_nothing_is_short(self, step: Step, began_us: int) -> None:
        """Exit 0: what the API showed all the while is in the lake."""
        facts = self.facts
        for key, session in facts.sessions.items():
            if not (_is_wanted(step, session, began_us) and facts.was_shown(key, began_us)) or facts.is_spoilt(key):
                continue
            for participant in session.participants:
                unit = (*key, participant.participant_id)
                is_known = participant.visible_us <= began_us and not participant.hidden
                if not is_known or not _is_target(step, unit) or facts.is_excused(unit):
                    continue
                # Which of equal events is left for later, while more may come, is nobody's to choose.
                wanted = Counter(event.row[:-1] for event in participant.shown(began_us))
                if missing := lacking(wanted, facts.identities):
                    self.broken("never exit 0 when short", f"step {step.number} lacks {_some(missing)}")

    def _check_nothing_is_denied(self, step: Step) -> None:
        """Exit 0: nothing was denied, but the list that a list of targets can do without."""
        needed = {operation for number, operation, _ in self._denied if number == step.number}
        if step.kind == "targets":
            needed.discard(Operation.LIST_STAGE_SESSIONS)
        if needed:
            self.broken("never exit 0 when denied", f"step {step.number} was denied {sorted(needed)}")

    def _check_nothing_was_told_to_vanish(self, step: Step) -> None:
        """Exit 0: this run has told of no session that it vanished."""
        for log in self.facts.logs.values():
            for session, run_id in log.vanished_by.items():
                if run_id == f"r{step.number}":
                    self.broken("what vanishes is told", f"{session}: step {step.number} wrote so, and ended with 0")

    def _check_nothing_vanished(self, step: Step, began_us: int) -> None:
        """Exit 0: every session that was open is listed still, or another run beside this one told of it."""
        for session in self._open_before[step.number]:
            if session in self.facts.sessions and self.facts.was_hidden(session, began_us):
                log = self.facts.log_of(session)
                status = log.status[session]
                if status == "vanished" and log.vanished_by[session] != f"r{step.number}":
                    continue
                self.broken("what vanishes is told", f"{session} was not listed in step {step.number}, and is {status}")

    def _check_whole(self, key: SessionKey, what: str) -> None:
        """A session that is called whole has all of its events in the log, those to come included."""
        session = self.facts.sessions.get(key)
        if session is None or key in self._whole:
            return
        if missing := self.facts.lacks(session, self.facts.committed.get(key, Counter())):
            late_s = (session.last_us - self.facts.now_us) / SECOND_US
            self.broken(
                "what is called whole is whole",
                f"{what} {key}, which ended at {_words(session.ended_us)}, and lacks {_some(missing)}; its last event"
                f" is shown {late_s:.1f} s from now",
            )
        elif not (self.facts.abandoned or self.facts.spoilt or any(each.hidden for each in session.participants)):
            self._whole.add(key)  # and stays so

    # The end of the world.

    def at_the_end(self, began_us: int) -> None:
        """After quiet runs: the lake is the truth, all that was listed is sealed, and nothing is left behind."""
        facts = self.facts
        for key, session in facts.sessions.items():
            if not facts.was_shown(key, began_us) or facts.is_refused(session):
                continue
            if missing := facts.lacks(session, facts.visible):
                self.broken("the lake is what the API has shown", f"{key} lacks {_some(missing)}")
            if facts.is_in_the_way(session):
                continue
            status = facts.log_of(key).status.get(key)
            if status != "sealed":
                self.broken("what is over is sealed", f"{key} is {status}")
        self.tables.at_the_end(began_us)
        # What a new lake was tried out with is left where that was cut short: nobody looks for it again.
        left = [staged.key for staged, _ in facts.lake.staged.values() if not staged.key.startswith("_log/trial-")]
        if left:
            self.broken("nothing is left behind", f"{left} are staged")


def _is_wanted(step: Step, session: Session, began_us: int) -> bool:
    """Whether a run surely had a session to export; one that may be taken for active or for ended is not sure."""
    if step.dates != "true":
        began_us += step.skew_us - 3 * SECOND_US  # an end that lies after its now is none
    if session.ended_us > began_us and (not step.active_sessions or step.since_us or step.until_us):
        return False
    ended_us = session.ended_us if session.first_end is None else session.first_end[2]
    is_late = step.until_us is not None and session.started_us >= step.until_us
    return not is_late and (step.since_us is None or ended_us >= step.since_us)


def _is_target(step: Step, unit: UnitKey) -> bool:
    return step.kind != "targets" or any(
        all(not named or named == own for named, own in zip(target, unit, strict=True)) for target in step.targets
    )


def _some(rows: Counter[Any]) -> str:
    return f"{rows.total()} rows, {next(iter(rows))} for one"


def _words(moment_us: int) -> str:
    return f"{(moment_us - EPOCH_US) / SECOND_US:.1f} s"
