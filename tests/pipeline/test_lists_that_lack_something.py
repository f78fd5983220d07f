"""Lists that shrink, that have a flaw, or that tell other times than before: nothing is sealed early, nothing is lost.

Each world has several stages and sessions; only one of them is odd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.commit_log.process import is_gone, this_process
from exporter.commit_log.reader import read_state, records_after
from exporter.commit_log.records import UnitState
from exporter.discovery.request import Period, Request
from exporter.errors import GaveUp, Refused
from exporter.health.repair import Repair
from exporter.health.status import statuses
from exporter.health.upkeep import Upkeep
from exporter.ivs.operations import Operation
from exporter.model import Outcome
from exporter.pipeline.stop import Stop
from exporter.settings import RunSettings
from tests.support.logs import capture_logs
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, SECOND_US, STAGE, Service, SessionDouble, lake_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ledger import ScopeLedger

DAY_US = 24 * HOUR_US
STAGES = [f"{STAGE}{number}" for number in range(3)]
#: The one that is odd, in the second stage.
ODD = f"{STAGES[1]}/st-1-0"


class World:
    """Three stages with two ended sessions of three participants each, a lake, and the lists' oddities."""

    def __init__(self) -> None:
        self.service, self.store, self.runs = Service(), MemoryStore(), 0
        for number, stage in enumerate(STAGES):
            for session in range(2):
                self.service.add(f"st-{number}-{session}", events={"p1": 2, "p2": 4, "p3": 1}, stage=stage)
        del self.service.stages[STAGE]
        self.logs: list[Any] = []

    @property
    def odd(self) -> SessionDouble:
        return self.service.stages[STAGES[1]]["st-1-0"]

    async def night(self, request: Request | None = None, days: float = 1.0, **others: Any) -> ScopeLedger:
        """A run, some time after the one before."""
        self.runs += 1
        self.service.now_us += int(days * DAY_US) if self.runs > 1 else 0
        self.service.calls.clear()
        with capture_logs() as logs:
            ledger = await export(self.service, self.store, f"r{self.runs}", request, **others)
        self.logs = logs
        return ledger

    def asked(self, participant_id: str) -> int:
        """How often the odd session's participant was asked for in the last run."""
        call = (Operation.LIST_PARTICIPANT_EVENTS, STAGES[1], "st-1-0", participant_id)
        return self.service.calls[call]

    def refuse(self, error: Exception, operation: Operation, **params: str) -> None:
        """Refuse some of the calls from here on."""

        def refuse(called: Operation, given: Mapping[str, Any]) -> None:
            if called is operation and all(given.get(name) == value for name, value in params.items()):
                raise error

        self.service.on_call = refuse

    @property
    def is_whole(self) -> bool:
        return lake_rows(self.store) == self.service.truth()


@pytest.fixture
def world() -> World:
    return World()


async def test_a_unit_that_failed_and_is_no_longer_listed_is_fetched_all_the_same(world: World) -> None:
    """The list lacks a participant that failed before: it is asked for by its known id, and its session stays open."""
    participant = world.odd.participants["p2"]
    participant.error = GaveUp("500s")
    assert (await world.night()).outcomes[Outcome.FAILED] == 1
    world.service.unlisted.add("p2")
    ledger = await world.night()
    assert ledger.outcomes[Outcome.FAILED] == 1
    assert ledger.sessions_sealed == 5
    assert ledger.complete_until_us == world.odd.ended_us
    assert [entry["first"] for entry in world.logs if entry["log_level"] == "warning"] == [[f"{ODD}/p2"]]
    participant.error = None
    ledger = await world.night()
    assert ledger.is_complete
    assert world.is_whole
    assert ledger.sessions_sealed == 5
    ledger = await world.night()
    assert (ledger.sessions_sealed, world.asked("p2")) == (6, 0)
    assert ledger.complete_until_us == world.service.now_us
    assert not world.logs


async def test_a_unit_that_was_found_and_deferred_is_not_forgotten(world: World) -> None:
    """A run is stopped when it has listed a session and fetched little of it; the next list lacks what it owes."""
    stop = Stop()
    world.service.on_call = lambda operation, _: (
        stop.ask("SIGTERM") if operation is Operation.LIST_PARTICIPANT_EVENTS else None
    )
    world.service.concurrency = 1
    assert (await world.night(stop=stop)).outcomes[Outcome.DEFERRED]
    known = [
        (stage, session_id, participant_id)
        for stage, sessions in (await read_state(world.store, SCOPE)).open.items()
        for session_id, session in sessions.items()
        for participant_id in session.units
    ]
    assert known
    world.service.on_call = lambda *_: None
    world.service.unlisted |= {"p1", "p2", "p3"}
    await world.night()
    assert {(row[0], row[1]) for row in lake_rows(world.store)} == {named[1:] for named in known}


async def test_a_session_that_comes_back_without_a_known_unit_is_not_sealed_without_it(world: World) -> None:
    """A session was gone from its list and comes back, and its own list lacks a participant that is owed."""
    world.odd.participants["p2"].error = GaveUp("500s")
    await world.night()
    gone = world.service.stages[STAGES[1]].pop("st-1-0")
    assert (await world.night()).sessions_vanished == 1
    world.service.stages[STAGES[1]]["st-1-0"] = gone
    world.service.unlisted.add("p2")
    assert (await world.night()).outcomes[Outcome.FAILED] == 1
    assert (await read_state(world.store, SCOPE)).session(STAGES[1], "st-1-0")
    world.odd.participants["p2"].error = None
    assert (await world.night()).is_complete
    assert world.is_whole
    assert (await world.night()).sessions_sealed == 6


async def test_a_vanished_unit_that_is_refused_is_given_up_in_the_end(world: World) -> None:
    """No longer listed and refused for good, it fails each night, until it is given up and its session is sealed."""
    world.odd.participants["p2"].error = GaveUp("500s")
    await world.night()
    world.service.unlisted.add("p2")
    world.odd.participants["p2"].error = Refused("gone", "ResourceNotFoundException")
    for days in (1.0, 20.0):
        ledger = await world.night(days=days)
        assert ledger.outcomes[Outcome.FAILED] == 1
        assert ledger.sessions_sealed == 5
    ledger = await world.night(days=11.0)
    assert ledger.outcomes[Outcome.ABANDONED] == 1
    assert ledger.is_complete
    ledger = await world.night()
    assert (ledger.sessions_sealed, world.asked("p2")) == (6, 0)
    (status,) = await statuses(world.store, 1)
    assert status.units.abandoned == [f"{ODD}/p2"]


@pytest.mark.parametrize("page", [0, 1])
async def test_a_participants_list_with_a_flaw_seals_nothing(page: int, world: World) -> None:
    """An item without an id may be a participant: the session stays open until a list comes without a flaw."""
    world.service.page_size = 2
    world.service.flawed[ODD] = page * 2
    for _ in range(3):
        ledger = await world.night()
        assert not ledger.is_complete
        assert (ledger.sessions_sealed, ledger.complete_until_us) == (5, None)
    world.service.join(world.odd, "p4", 3)
    del world.service.flawed[ODD]
    ledger = await world.night()
    assert ledger.is_complete
    assert ledger.sessions_sealed == 6
    assert ledger.complete_until_us == world.service.now_us
    assert world.is_whole


async def test_a_sessions_list_with_a_flaw_tells_nothing_of_what_it_lacks(world: World) -> None:
    """A session without an id stands where a known one did: that one has neither vanished, nor is it let go of."""
    world.odd.participants["p2"].error = GaveUp("500s")
    await world.night()
    hidden = dict(world.service.stages[STAGES[1]])
    world.service.stages[STAGES[1]].clear()
    world.service.flawed[STAGES[1]] = 0
    ledger = await world.night()
    assert (ledger.sessions_vanished, ledger.is_complete) == (0, False)
    state = await read_state(world.store, SCOPE)
    assert state.session(STAGES[1], "st-1-0")
    assert state.is_sealed(STAGES[1], "st-1-1")
    world.service.stages[STAGES[1]] |= hidden
    del world.service.flawed[STAGES[1]]
    world.odd.participants["p2"].error = None
    assert (await world.night()).sessions_sealed == 6
    assert world.is_whole


async def test_a_stages_list_with_a_flaw_tells_nothing_of_what_it_lacks(world: World) -> None:
    """The same of the stages: none of their sessions has vanished because of a list that is not whole."""
    world.odd.participants["p2"].error = GaveUp("500s")
    await world.night()
    hidden = world.service.stages.pop(STAGES[1])
    world.service.flaws = ["a stage without an ARN"]
    ledger = await world.night()
    assert (ledger.sessions_vanished, ledger.is_complete) == (0, False)
    world.service.stages[STAGES[1]], world.service.flaws = hidden, []
    world.odd.participants["p2"].error = None
    assert (await world.night()).sessions_sealed == 6
    assert world.is_whole


REFUSALS = [
    Refused("forgotten", "ResourceNotFoundException"),
    Refused("invalid", "ValidationException"),
]
NO_REFUSALS = [
    GaveUp("gave up after 8 tries: 500"),
    Refused("denied", "AccessDeniedException"),
    Refused("a proxy's page", "404", is_aws=False),
    Refused("a proxy's words", "ResourceNotFoundException", is_aws=False),
    Refused("a redirect", "302", is_aws=False),
]


@pytest.mark.parametrize("of", ["unit", "list"])
@pytest.mark.parametrize("error", NO_REFUSALS, ids=str)
async def test_only_aws_gives_up(error: Exception, of: str, world: World) -> None:
    """Faults, missing permissions and what a proxy says fail for years, and never seal a session."""
    operation = Operation.LIST_PARTICIPANTS if of == "list" else Operation.LIST_PARTICIPANT_EVENTS
    world.refuse(error, operation, sessionId="st-1-0")
    for days in (0.0, 31.0, 400.0):
        ledger = await world.night(days=days)
        assert not ledger.is_complete
        assert ledger.outcomes[Outcome.ABANDONED] == 0
        assert ledger.complete_until_us is None if of == "list" else world.odd.ended_us
    world.service.on_call = lambda *_: None
    assert (await world.night()).sessions_sealed == 6
    assert world.is_whole


@pytest.mark.parametrize("of", ["unit", "list"])
@pytest.mark.parametrize("error", REFUSALS, ids=str)
async def test_a_refusal_counts_from_its_first_day(error: Exception, of: str, world: World) -> None:
    """Days of other failures before it are none; from the first refusal on it takes `give_up_days`."""
    operation = Operation.LIST_PARTICIPANTS if of == "list" else Operation.LIST_PARTICIPANT_EVENTS
    world.refuse(GaveUp("500s"), operation, sessionId="st-1-0")
    await world.night()
    await world.night(days=40.0)
    world.refuse(error, operation, sessionId="st-1-0")
    for days in (1.0, 29.0):
        assert not (await world.night(days=days)).is_complete
    assert (await world.night(days=1.1)).is_complete
    assert (await world.night()).sessions_sealed == 6


async def test_one_day_of_refusals_is_not_enough(world: World) -> None:
    """However little `give_up_days` is, a unit is refused on two days before it is given up."""
    settings = RunSettings(give_up_days=1e-9)
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANT_EVENTS, participantId="p2", sessionId="st-1-0")
    for _ in range(3):
        ledger = await world.night(days=0.1, settings=settings)
        assert ledger.outcomes[Outcome.ABANDONED] == 0
    assert (await world.night(settings=settings)).outcomes[Outcome.ABANDONED] == 1


async def test_a_success_begins_the_count_anew(world: World) -> None:
    """Refused, answered while the session may still grow, and refused a month later: that is the first day again."""
    world.odd.ended_us = world.service.now_us - 60 * SECOND_US
    refused = {"participantId": "p2", "sessionId": "st-1-0"}
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANT_EVENTS, **refused)
    await world.night()
    world.service.on_call = lambda *_: None
    await world.night(days=0.001)
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANT_EVENTS, **refused)
    assert not (await world.night(days=40.0)).is_complete
    assert (await world.night(days=31.0)).is_complete


async def test_refusals_of_an_active_session_do_not_count(world: World) -> None:
    """Only from the session's end on can AWS have forgotten a unit."""
    world.odd.ended_us = None
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANT_EVENTS, participantId="p2", sessionId="st-1-0")
    await world.night()
    ledger = await world.night(days=40.0)
    assert ledger.outcomes[Outcome.FAILED] == 1
    world.odd.ended_us = world.service.now_us
    for days in (1.0, 29.0):
        assert (await world.night(days=days)).outcomes[Outcome.FAILED] == 1
    assert (await world.night(days=2.0)).outcomes[Outcome.ABANDONED] == 1


async def test_refusals_before_a_later_end_do_not_count(world: World) -> None:
    """The session went on: what AWS refused before its end, it may have refused because of that."""
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANT_EVENTS, participantId="p2", sessionId="st-1-0")
    await world.night()
    world.odd.ended_us = world.service.now_us + 20 * DAY_US
    for days in (25.0, 7.0):
        assert (await world.night(days=days)).outcomes[Outcome.FAILED] == 1
    assert (await world.night(days=24.0)).outcomes[Outcome.ABANDONED] == 1


async def test_known_units_are_fetched_where_their_list_is_refused(world: World) -> None:
    """A session whose participants AWS no longer lists is given up without what is known of it only if that fails."""
    world.odd.participants["p2"].error = GaveUp("500s")
    await world.night()
    world.odd.participants["p2"].error = None
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANTS, sessionId="st-1-0")
    await world.night()
    assert world.is_whole
    await world.night(days=31.0)
    assert (await world.night()).sessions_sealed == 6


IMPOSSIBLE_ENDS_US = [
    -62_135_596_800 * SECOND_US,
    -1,
    0,
    1_577_836_799 * SECOND_US,
    253_402_300_799 * SECOND_US,
    4_000_000_000 * SECOND_US,
]


@pytest.mark.parametrize("ended_us", IMPOSSIBLE_ENDS_US)
async def test_a_session_with_an_impossible_end_is_exported_and_open(ended_us: int, world: World) -> None:
    """Its units are fetched each night, it is named, and the run is complete; with a true end it is sealed."""
    world.odd.ended_us, true_end_us = ended_us, world.odd.ended_us
    for night in range(2):
        ledger = await world.night()
        assert ledger.is_complete
        assert ledger.sessions_sealed == 5
        assert world.is_whole
        assert any("st-1-0" in str(entry) for entry in world.logs)
        world.service.join(world.odd, "p2", night + 1)
    world.odd.ended_us = true_end_us
    assert (await world.night()).sessions_sealed == 6
    assert world.is_whole


@pytest.mark.parametrize("first_us", [*IMPOSSIBLE_ENDS_US, None])
@pytest.mark.parametrize("later_hours", [0.5, 20.0])
async def test_a_sealed_session_with_another_end_is_opened_again(
    first_us: int | None, later_hours: float, world: World
) -> None:
    """A later end, none, or an impossible one: what may have come since is fetched, and nothing is written twice."""
    assert (await world.night()).sessions_sealed == 6
    world.odd.ended_us, end_us = first_us, world.odd.ended_us
    world.service.join(world.odd, "p2", 3)
    world.service.join(world.odd, "p4", 3)
    assert (await world.night()).sessions_sealed == 5
    assert world.is_whole
    assert end_us is not None
    world.odd.ended_us = end_us + int(later_hours * HOUR_US)
    world.service.join(world.odd, "p3", 2)
    assert (await world.night()).sessions_sealed == 6
    assert world.is_whole
    await world.night()
    assert {call[0] for call in world.service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}


@pytest.mark.parametrize("request_", [Request(), Request(refetch=True), Request(period=Period(since_us=0))], ids=str)
async def test_a_later_end_opens_a_sealed_session_in_any_run(request_: Request, world: World) -> None:
    """Whatever kind of run meets it, the session is open until its new grace time is over."""
    await world.night()
    world.odd.ended_us = world.service.now_us + DAY_US - 60 * SECOND_US
    world.service.join(world.odd, "p2", 3)
    await world.night(request_)
    assert world.is_whole
    assert (await read_state(world.store, SCOPE)).session(STAGES[1], "st-1-0")
    world.service.join(world.odd, "p2", 3)
    assert (await world.night()).sessions_sealed == 6
    assert world.is_whole


async def test_an_earlier_end_opens_nothing(world: World) -> None:
    """What was sealed by a later end is sealed by an earlier one, too; a fraction of a second is none."""
    await world.night()
    assert world.odd.ended_us is not None
    for ended_us in (world.odd.ended_us + SECOND_US // 2, world.odd.ended_us - HOUR_US // 2):
        world.odd.ended_us = ended_us
        assert (await world.night()).sessions_sealed == 6
        assert {call[0] for call in world.service.calls} == {Operation.LIST_STAGES, Operation.LIST_STAGE_SESSIONS}


async def test_an_end_that_moves_later_makes_units_open_again(world: World) -> None:
    """Units that were final by the earlier end are asked for again by the later one."""
    world.odd.participants["p1"].error = GaveUp("500s")
    await world.night()
    world.odd.ended_us = world.service.now_us + DAY_US - HOUR_US
    world.service.join(world.odd, "p2", 3)
    await world.night()
    assert world.asked("p2")
    world.odd.participants["p1"].error = None
    assert (await world.night(days=0.1)).sessions_sealed == 6
    assert world.is_whole


async def test_the_latest_end_counts(world: World) -> None:
    """An end that moves earlier, or is gone for a night, does not shorten the grace time of the one before."""
    world.odd.ended_us = late_us = world.service.now_us - 60 * SECOND_US
    assert (await world.night()).sessions_sealed == 5
    world.odd.ended_us = None
    await world.night(days=0.001)
    world.odd.ended_us = late_us - HOUR_US
    assert (await world.night(days=0.001)).sessions_sealed == 5
    world.service.join(world.odd, "p2", 3)
    ledger = await world.night(days=0.1)
    assert ledger.sessions_sealed == 6
    assert world.is_whole


@pytest.mark.parametrize("second_us", [None, 55 * 60 * SECOND_US])
async def test_a_session_that_is_listed_with_two_ends_is_not_sealed(second_us: int | None, world: World) -> None:
    """One list tells two ends of it: it is exported, named, and open, until its list tells one."""
    world.service.page_size = 1
    assert world.odd.ended_us is not None
    other_us = None if second_us is None else world.odd.ended_us + second_us
    world.service.repeated[STAGES[1]] = ("st-1-0", SessionDouble(world.odd.started_us, other_us))
    for _ in range(2):
        ledger = await world.night()
        assert [failure.error for failure in ledger.failures] == ["malformed"]
        assert ledger.sessions_sealed == 5
    assert world.is_whole
    world.service.join(world.odd, "p2", 2)
    world.service.repeated.clear()
    world.odd.ended_us = other_us or world.odd.ended_us + HOUR_US
    await world.night()
    assert world.is_whole
    assert (await world.night()).sessions_sealed == 6


@pytest.mark.parametrize("second_us", [None, 55 * 60 * SECOND_US])
async def test_a_sealed_session_that_is_listed_with_two_ends_is_opened(second_us: int | None, world: World) -> None:
    """The later page of a list contradicts what the session was sealed by: nothing that came since is lost."""
    await world.night()
    assert world.odd.ended_us is not None
    other_us = None if second_us is None else world.odd.ended_us + second_us
    world.service.repeated[STAGES[1]] = ("st-1-0", SessionDouble(world.odd.started_us, other_us))
    world.service.join(world.odd, "p2", 2)
    ledger = await world.night(days=0.0)
    assert (ledger.sessions_found, ledger.sessions_sealed) == (6, 5)
    assert world.is_whole
    assert (await read_state(world.store, SCOPE)).session(STAGES[1], "st-1-0")


async def test_a_refusal_that_goes_on_is_told_once(world: World) -> None:
    """The log does not grow by what fails each night in the same way."""
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANT_EVENTS, participantId="p2", sessionId="st-1-0")
    await world.night()
    records = {key: body for key, body in world.store.records.items() if b"refused_since_us" in body}
    assert len(records) == 1
    state = await read_state(world.store, SCOPE)
    session = state.session(STAGES[1], "st-1-0")
    assert session is not None
    assert session.units["p2"].refused_since_us == world.service.now_us
    assert (await world.night()).outcomes[Outcome.FAILED] == 1
    later = {key: body for key, body in world.store.records.items() if b'"p2"' in body and key not in records}
    assert not later


def test_a_failure_of_before_counts_as_no_refusal() -> None:
    """Earlier programs counted failures of any kind in two fields: a unit that failed for years was not refused."""
    unit = msgspec.json.decode(b'{"rows":3,"failures":700,"failing_since_us":1500000000000000}', type=UnitState)
    assert unit == UnitState(rows=3, failing_since_us=1_500_000_000_000_000)


@pytest.mark.parametrize("unlisted", [{"p1", "p2", "p3"}, {"p1"}], ids=len)
async def test_a_session_that_is_opened_again_is_not_sealed_where_its_file_is_gone(
    unlisted: set[str], world: World
) -> None:
    """Whoever finds the file gone, the log lets go of it, and names whom only that file named; the list lacks them."""
    await world.night()
    [gone] = world.store.files()
    del world.store.visible[gone]
    world.odd.ended_us = world.service.now_us + DAY_US - HOUR_US
    world.service.unlisted |= {f"{ODD}/{participant_id}" for participant_id in unlisted}
    ledger = await world.night()
    assert (ledger.is_complete, ledger.more_to_do) == (False, True)
    assert [(failure.error, failure.count) for failure in ledger.failures] == [("file_lost", 1)]
    assert {key async for record in records_after(world.store, SCOPE) for key in record.lost} == {gone}
    session = (await read_state(world.store, SCOPE)).session(STAGES[1], "st-1-0")
    assert session is not None
    assert set(session.units) == {"p1", "p2", "p3"}
    await world.night()
    assert world.is_whole
    assert (await world.night()).sessions_sealed == 6


@pytest.mark.parametrize("opens", ["a later end", "a log that was ahead", "a repair", "a list that came back"])
@pytest.mark.parametrize("is_failing", [False, True])
async def test_a_unit_that_was_empty_is_not_forgotten_where_its_session_is_opened_again(
    opens: str, is_failing: bool, world: World
) -> None:
    """It had no events when its session was sealed, has some now, and is no longer listed: no file tells of it."""
    world.service.join(world.odd, "p4", 0)
    now_us = world.service.now_us
    if opens == "a log that was ahead":
        world.service.now_us += 365 * DAY_US
    assert (await world.night()).sessions_sealed == 6
    if opens == "a log that was ahead":
        world.service.now_us = now_us
    elif opens == "a repair":
        [(key, data)] = world.store.files().items()
        world.store.visible[f"{key.rpartition('/')[0]}/{SCOPE}-000000000001-r0-000001.parquet"] = data
        await Repair(Upkeep(world.store, "repair", world.service.clock, this_process(), is_gone)).run()
    else:
        if opens == "a list that came back":
            gone = world.service.stages[STAGES[1]].pop("st-1-0")
            await world.night()
            world.service.stages[STAGES[1]]["st-1-0"] = gone
        world.odd.ended_us = world.service.now_us + DAY_US - HOUR_US
    world.service.join(world.odd, "p4", 3)
    world.service.unlisted.add("p4")
    if is_failing:
        world.refuse(GaveUp("500s"), Operation.LIST_PARTICIPANTS, sessionId="st-1-0")
        await world.night()
        world.service.on_call = lambda *_: None
    ledger = await world.night()
    assert (ledger.is_complete, ledger.sessions_sealed) == (True, 5)
    assert world.is_whole
    assert (await world.night()).sessions_sealed == 6


async def test_a_session_that_is_gone_and_back_again_and_again_keeps_what_is_known(world: World) -> None:
    """Each time it is said how much of it is there, and refusals count from the first on."""
    world.refuse(REFUSALS[0], Operation.LIST_PARTICIPANT_EVENTS, participantId="p2", sessionId="st-1-0")
    await world.night()
    for _ in range(3):
        gone = world.service.stages[STAGES[1]].pop("st-1-0")
        [failure] = (await world.night(days=5.0)).failures
        assert (failure.error, failure.message) == ("vanished", "no longer listed; in the lake: 3 rows of 3 units")
        world.service.stages[STAGES[1]]["st-1-0"] = gone
        assert (await world.night()).outcomes[Outcome.FAILED] == 1
        assert world.asked("p1") == 0
    assert (await world.night(days=11.0)).outcomes[Outcome.FAILED] == 1
    assert (await world.night(days=2.0)).outcomes[Outcome.ABANDONED] == 1
    assert (await world.night()).sessions_sealed == 6


async def test_a_session_that_is_gone_comes_back_to_a_clock_before_its_start() -> None:
    """The clock fell back while no list showed it: it is known all the same, and nothing of it is written again."""
    service, store = Service(), MemoryStore()
    service.stages = {STAGE: {}}
    service.add("st-1", ended=False, events={"a": 3}, stage=STAGE)
    await export(service, store, "r1")
    gone = service.stages[STAGE].pop("st-1")
    await export(service, store, "r2")
    service.now_us -= 48 * HOUR_US
    service.stages[STAGE]["st-1"] = gone
    await export(service, store, "r3")
    assert sum(lake_rows(store).values()) == 3


async def test_a_time_that_was_taken_back_is_taken_back_of_a_session_that_is_gone(world: World) -> None:
    """It was fetched by a clock that was a year ahead, has gone, and comes back: its units are not final by that."""
    world.odd.participants["p2"].error = GaveUp("500s")
    odd, now_us = world.odd, world.service.now_us
    world.service.now_us += 365 * DAY_US
    await world.night()
    gone = world.service.stages[STAGES[1]].pop("st-1-0")
    await world.night()
    world.service.now_us = now_us
    await world.night()
    odd.participants["p2"].error = None
    world.service.stages[STAGES[1]]["st-1-0"] = gone
    world.service.join(odd, "p1", 2)
    await world.night()
    assert world.is_whole
