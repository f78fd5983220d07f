"""One law over any history: the lake holds exactly what the API has shown, once.

Sessions start, grow, end and are forgotten by the way; participants rejoin; runs, backfills and refetches come in any
order, are killed at any step, sleep through their lease and are overtaken, and clocks jump.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.errors import LakeError, Overtaken
from exporter.request import Request
from exporter.settings import RunSettings
from tests.doubles import (
    HOUR_US,
    SECOND_US,
    STAGE,
    Crash,
    Failing,
    MemoryStore,
    Service,
    SessionDouble,
    export,
    lake_rows,
)

GRACE_US = 900 * SECOND_US
REQUESTS = {
    "nightly": Request(),
    "refetch": Request(refetch=True),
    "backfill": Request(since_us=0),
}


class History(RuleBasedStateMachine):
    """A service and a lake, and whatever can happen to the two."""

    @initialize()
    def begin(self) -> None:
        self.service, self.store, self.runs, self.sessions = Service(), MemoryStore(), 0, 0
        self.hidden: dict[str, SessionDouble] = {}
        self.has_clock_jumped = False

    def _run(self, request: Request, rows_max: int) -> None:
        self.runs += 1
        settings = RunSettings(checkpoint_s=1e9)
        asyncio.run(export(self.service, self.store, f"r{self.runs}", request, rows_max=rows_max, settings=settings))

    @property
    def _growing(self) -> list[SessionDouble]:
        """The sessions that may still get events: active ones, and those in their grace time.

        After a clock has jumped nobody can say when a grace time is over: none of it is promised then.
        """
        return [
            session
            for session in self.service.stages[STAGE].values()
            if session.ended_us is None
            or (not self.has_clock_jumped and self.service.now_us < session.ended_us + GRACE_US)
        ]

    @rule(participants=st.dictionaries(st.sampled_from("abc"), st.integers(0, 5), max_size=3), ended=st.booleans())
    def start(self, participants: dict[str, int], ended: bool) -> None:
        self.sessions += 1
        self.service.add(f"st-{self.sessions}", ended=ended, events=participants)

    @precondition(lambda self: self._growing)
    @rule(data=st.data(), participant=st.sampled_from("abcd"), count=st.integers(1, 4))
    def grow(self, data: st.DataObject, participant: str, count: int) -> None:
        self.service.join(data.draw(st.sampled_from(self._growing)), participant, count)

    @precondition(lambda self: any(session.ended_us is None for session in self._growing))
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        active = [session for session in self._growing if session.ended_us is None]
        data.draw(st.sampled_from(active)).ended_us = self.service.now_us

    @rule(hours=st.sampled_from([0.1, 1.0, 24.0]))
    def wait(self, hours: float) -> None:
        self.service.now_us += int(hours * HOUR_US)

    @rule(hours=st.sampled_from([1.0, 48.0]))
    def jump_back(self, hours: float) -> None:
        self.has_clock_jumped = True
        self.service.now_us -= int(hours * HOUR_US)

    @precondition(lambda self: self.service.stages[STAGE])
    @rule(data=st.data())
    def hide(self, data: st.DataObject) -> None:
        """A session is missing from the lists for a while, as one that AWS forgets, or that slips between two pages."""
        name = data.draw(st.sampled_from(sorted(self.service.stages[STAGE])))
        self.hidden[name] = self.service.stages[STAGE].pop(name)

    @precondition(lambda self: self.hidden)
    @rule()
    def show(self) -> None:
        self.service.stages[STAGE] |= self.hidden
        self.hidden = {}

    @rule()
    def turn_the_order(self) -> None:
        self.service.newest_first = not self.service.newest_first

    @rule(kind=st.sampled_from(sorted(REQUESTS)), rows_max=st.sampled_from([1, 5, 1000]))
    def run_whole(self, kind: str, rows_max: int) -> None:
        self._run(REQUESTS[kind], rows_max)
        rows = lake_rows(self.store)
        assert Counter({row: count for row, count in rows.items() if row[0] not in self.hidden}) == self.service.truth()
        assert not self.store.staged

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
            everything.stages = {STAGE: self.service.stages[STAGE] | self.hidden}
            assert not lake_rows(self.store) - everything.truth()


History.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_history = pytest.mark.slow(History.TestCase)
