"""One law over any history: the lake holds exactly what the API has shown, once, and calls nothing sealed too early.

Several stages' sessions start, grow, end, change their ends and are forgotten by the way; participants rejoin, and are
missing from lists; lists have flaws, answers are dated years ahead; runs, backfills and refetches come in any order,
are killed at any step, sleep through their lease and are overtaken, and clocks jump.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.commit_log.reader import read_state
from exporter.discovery.request import Period, Request
from exporter.errors import GaveUp, LakeError, Overtaken, Refused
from exporter.settings import RunSettings
from tests.support.memory_store import Crash, Failing, MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, SECOND_US, STAGE, Participant, Service, SessionDouble, lake_rows

if TYPE_CHECKING:
    from exporter.errors import ApiError
    from exporter.ledger import ScopeLedger

GRACE_US = 900 * SECOND_US
REQUESTS = {
    "nightly": Request(),
    "refetch": Request(refetch=True),
    "backfill": Request(period=Period(since_us=0)),
}


STAGES = [f"{STAGE}{number}" for number in range(3)]
IMPOSSIBLE_ENDS_US = [-62_135_596_800 * SECOND_US, 4_000_000_000 * SECOND_US]


class History(RuleBasedStateMachine):
    """A service and a lake, and whatever can happen to the two."""

    @initialize()
    def begin(self) -> None:
        self.service, self.store, self.runs, self.sessions = Service(), MemoryStore(), 0, 0
        self.service.stages = {stage: {} for stage in STAGES}
        self.hidden: dict[str, dict[str, SessionDouble]] = {stage: {} for stage in STAGES}
        self.failing: list[Participant] = []
        self.right_date = self.service.date
        self.has_clock_jumped = False

    def _run(self, request: Request, rows_max: int) -> ScopeLedger:
        self.runs += 1
        settings = RunSettings(checkpoint_s=1e9)
        return asyncio.run(
            export(self.service, self.store, f"r{self.runs}", request, rows_max=rows_max, settings=settings)
        )

    @property
    def _listed(self) -> list[SessionDouble]:
        return [session for sessions in self.service.stages.values() for session in sessions.values()]

    @property
    def _growing(self) -> list[SessionDouble]:
        """The sessions that may still get events: active ones, and those in their grace time.

        After a clock has jumped nobody can say when a grace time is over: none of it is promised then.
        """
        return [
            session
            for session in self._listed
            if session.ended_us is None
            or (not self.has_clock_jumped and self.service.now_us < session.ended_us + GRACE_US)
        ]

    @rule(
        stage=st.sampled_from(STAGES),
        participants=st.dictionaries(st.sampled_from("abc"), st.integers(0, 5), max_size=3),
        ended=st.booleans(),
    )
    def start(self, stage: str, participants: dict[str, int], ended: bool) -> None:
        self.sessions += 1
        self.service.add(f"st-{self.sessions}", ended=ended, events=participants, stage=stage)

    @precondition(lambda self: self._growing)
    @rule(data=st.data(), participant=st.sampled_from("abcd"), count=st.integers(1, 4))
    def grow(self, data: st.DataObject, participant: str, count: int) -> None:
        self.service.join(data.draw(st.sampled_from(self._growing)), participant, count)

    @precondition(lambda self: any(session.ended_us is None for session in self._growing))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        active = [session for session in self._growing if session.ended_us is None]
        data.draw(st.sampled_from(active)).ended_us = self.service.now_us

    @precondition(lambda self: any(session.ended_us is not None for session in self._listed))
    @rule(
        data=st.data(), ended_us=st.sampled_from([None, None, -62_135_596_800 * SECOND_US, 4_000_000_000 * SECOND_US])
    )
    def take_an_end_back(self, data: st.DataObject, ended_us: int | None) -> None:
        """A session that had ended goes on, whatever its list says of its end; it can grow, and end again."""
        session = data.draw(st.sampled_from([session for session in self._listed if session.ended_us is not None]))
        session.ended_us = ended_us

    @rule(hours=st.sampled_from([0.1, 1.0, 24.0]))
    def wait(self, hours: float) -> None:
        self.service.now_us += int(hours * HOUR_US)

    @rule(hours=st.sampled_from([0.2, 1.0, 48.0]))
    def jump_back(self, hours: float) -> None:
        self.has_clock_jumped = True
        self.service.now_us -= int(hours * HOUR_US)

    @rule(date=st.sampled_from(["Mon, 24 Nov 2036 12:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "", "soon"]))
    def date_answers_elsewhere(self, date: str) -> None:
        self.service.date = lambda: date

    @rule()
    def date_answers_rightly(self) -> None:
        self.service.date = self.right_date

    @precondition(lambda self: any(session.participants for session in self._listed))
    @rule(data=st.data(), error=st.sampled_from([GaveUp("500s"), Refused("gone", "ResourceNotFoundException")]))
    def break_a_unit(self, data: st.DataObject, error: ApiError) -> None:
        """A participant's events can't be had until it is mended."""
        session = data.draw(st.sampled_from([session for session in self._listed if session.participants]))
        self.failing.append(session.participants[data.draw(st.sampled_from(sorted(session.participants)))])
        self.failing[-1].error = error

    @rule(data=st.data())
    def shorten_lists(self, data: st.DataObject) -> None:
        """Some participants that an earlier list has shown are missing from the lists of their sessions."""
        state = asyncio.run(read_state(self.store, SCOPE))
        known = [
            f"{stage}/{session_id}/{participant_id}"
            for stage, sessions in state.open.items()
            for session_id, session in sessions.items()
            for participant_id in session.units
        ]
        self.service.unlisted |= set(data.draw(st.lists(st.sampled_from(known), max_size=3)) if known else [])

    @precondition(lambda self: self._listed)
    @rule(data=st.data())
    def put_a_flaw_in(self, data: st.DataObject) -> None:
        """A list of participants, or of sessions, has an item without an id."""
        names = [f"{stage}/{name}" for stage, sessions in self.service.stages.items() for name in sessions]
        self.service.flawed[data.draw(st.sampled_from([*names, *STAGES]))] = 0

    @rule()
    def mend(self) -> None:
        """All lists are whole again, and all units can be had."""
        for participant in self.failing:
            participant.error = None
        self.failing, self.service.unlisted = [], set()
        self.service.flawed.clear()

    @precondition(lambda self: self._listed)
    @rule(data=st.data())
    def hide(self, data: st.DataObject) -> None:
        """A session is missing from the lists for a while, as one that AWS forgets, or that slips between two pages."""
        stage = data.draw(st.sampled_from([stage for stage in STAGES if self.service.stages[stage]]))
        name = data.draw(st.sampled_from(sorted(self.service.stages[stage])))
        self.hidden[stage][name] = self.service.stages[stage].pop(name)

    @precondition(lambda self: any(self.hidden.values()))
    @rule()
    def show(self) -> None:
        for stage, sessions in self.hidden.items():
            self.service.stages[stage] |= sessions
        self.hidden = {stage: {} for stage in STAGES}

    @rule()
    def turn_the_order(self) -> None:
        self.service.newest_first = not self.service.newest_first

    @rule(kind=st.sampled_from(sorted(REQUESTS)), rows_max=st.sampled_from([1, 5, 1000]))
    def run_whole(self, kind: str, rows_max: int) -> None:
        ledger = self._run(REQUESTS[kind], rows_max)
        assert ledger.units_found == sum(ledger.outcomes.values())
        assert not self.store.staged
        # A session's list is asked for only where it is neither sealed nor missing; a stage's, always.
        if any(stage in self.service.flawed for stage in STAGES):
            assert not ledger.is_complete
        is_whole = not (self.failing or self.service.unlisted)
        if is_whole and not self.service.flawed:
            assert ledger.is_complete or ledger.sessions_vanished
        if is_whole:
            rows = lake_rows(self.store)
            hidden = {name for sessions in self.hidden.values() for name in sessions}
            shown = Counter({row: count for row, count in rows.items() if row[0] not in hidden})
            assert shown == self.service.truth()

    @rule(
        kind=st.sampled_from(sorted(REQUESTS)),
        rows_max=st.sampled_from([1, 5, 1000]),
        step=st.integers(0, 60),
        moment=st.sampled_from(["before", "after"]),
        error=st.sampled_from([Crash(), LakeError("no answer")]),
    )
    def run_cut_short(self, kind: str, rows_max: int, step: int, moment: str, error: BaseException) -> None:
        setattr(self.store, moment, Failing(step, error))
        try:
            self._run(REQUESTS[kind], rows_max)
        except (Crash, LakeError, BaseExceptionGroup):
            pass
        finally:
            self.store.restart()

    @rule(record=st.integers(1, 4), kind=st.sampled_from(sorted(REQUESTS)))
    def run_overtaken(self, record: int, kind: str) -> None:
        """A run sleeps before one of its records; another one takes the lease over and runs whole meanwhile."""
        done = 0
        create = self.store.create

        async def create_later(key: str, body: bytes) -> bool:
            nonlocal done
            if "/records/" in key:
                done += 1
                if done == record:
                    self.store.restart()
                    settings = RunSettings(checkpoint_s=1e9)
                    await export(self.service, self.store, f"o{self.runs}", rows_max=3, settings=settings)
            return await create(key, body)

        self.store.create = create_later  # type: ignore[method-assign] # the moment of the long sleep
        try:
            self._run(REQUESTS[kind], 2)
        except Overtaken:
            assert done >= record
        finally:
            self.store.create = create  # type: ignore[method-assign] # as it was
            self.store.restart()

    @invariant()
    def nothing_is_doubled_or_made_up(self) -> None:
        if hasattr(self, "store"):
            everything = Service()
            everything.stages = {stage: self.service.stages[stage] | self.hidden[stage] for stage in STAGES}
            assert not lake_rows(self.store) - everything.truth()

    def teardown(self) -> None:
        """Whatever has been, a night on which all is well brings all that is listed, and a later one seals it."""
        if not hasattr(self, "store"):
            return
        self.mend()
        self.date_answers_rightly()
        self.service.now_us = max([self.service.now_us, *(session.started_us + HOUR_US for session in self._listed)])
        for session in self._listed:
            if session.ended_us is None or not session.started_us <= session.ended_us <= self.service.now_us:
                session.ended_us = self.service.now_us
        self._run(Request(), 1000)
        self.service.now_us += HOUR_US
        self._run(Request(), 1000)
        ledger = self._run(Request(), 1000)
        assert ledger.is_complete
        assert ledger.sessions_sealed == ledger.sessions_found == len(self._listed)
        self.run_whole("nightly", 1000)


History.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_history = pytest.mark.slow(History.TestCase)
