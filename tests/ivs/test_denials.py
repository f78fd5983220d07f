"""When an operation that is denied is asked no more: the rule for any order of answers, and what it costs a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.commit_log.records import UnitState, decode_record
from exporter.errors import Refused, ShutOut, Throttled
from exporter.ivs.denials import SCOPE_REFUSALS, SCOPE_STAGES, STAGE_REFUSALS, Denials
from exporter.ivs.operations import Operation
from exporter.ivs.retry import RetryingCaller
from exporter.ledger import ScopeLedger
from exporter.machine.clock import Clock
from exporter.model import Outcome
from exporter.settings import QuotaSettings, RetrySettings, RunSettings
from exporter.telemetry.logger import FIELDS
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import SCOPE, Service, lake_rows, passing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.ivs.responses import Page

EVENTS, PARTICIPANTS, SESSIONS = (
    Operation.LIST_PARTICIPANT_EVENTS,
    Operation.LIST_PARTICIPANTS,
    Operation.LIST_STAGE_SESSIONS,
)
GRANTED, INVALID = "", "ValidationException"
CODES = ("AccessDeniedException", "403", INVALID, "ResourceNotFoundException", GRANTED)


def refusal(code: str) -> Refused:
    return Refused(f"ListParticipantEvents: {code} (status 403)", code)


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from(CODES)), max_size=400))
def test_what_is_denied_is_asked_no_more_and_nothing_else(answers: list[tuple[str, str]]) -> None:
    """The rule holds for any answers in any order.

    A stage is shut out by 20 refusals of one code with no success there meanwhile, the scope by three such stages or 60
    refusals with no success in any; what is wrong with one unit shuts nobody out.
    """
    denials = Denials(EVENTS)
    seen: dict[str, list[str]] = {}
    for stage, code in answers:
        if code == GRANTED:
            denials.granted(stage)
        else:
            denials.refused(stage, refusal(code))
        seen.setdefault(stage, []).append(code)
    granted = {stage for stage, codes in seen.items() if GRANTED in codes}
    last = {stage: codes[_after_the_last(GRANTED, codes) :] for stage, codes in seen.items()}
    denied = {
        stage: Counter(code for code in codes if code in {"AccessDeniedException", "403"})
        for stage, codes in last.items()
    }
    shut = {stage for stage, codes in denied.items() if max(codes.values(), default=0) >= STAGE_REFUSALS}
    refusals = sum(codes.total() for codes in denied.values())
    is_scope_shut = not granted and (len(shut) >= SCOPE_STAGES or refusals >= SCOPE_REFUSALS)
    for stage in "ABCDEF":
        if is_scope_shut or stage in shut:
            with pytest.raises(ShutOut, match="asked no more"):
                denials.check(stage)
        else:
            denials.check(stage)


def _after_the_last(wanted: str, codes: list[str]) -> int:
    return len(codes) - codes[::-1].index(wanted) if wanted in codes else 0


class Denying:
    """A client in front of the service double that refuses what a policy leaves out, after some turns of the loop."""

    def __init__(self, service: Service, denied: Mapping[Operation, Any], turns: int = 3) -> None:
        self.service = service
        self.service_time = service.service_time
        self.denied = denied
        self.turns = turns
        self.asked: Counter[Operation] = Counter()

    async def ask(self, operation: Operation, params: Mapping[str, Any]) -> Page:
        self.asked[operation] += 1
        for _ in range(self.turns):
            await asyncio.sleep(0)
        denied = self.denied.get(operation, ())
        if denied == "all" or params.get("stageArn") in denied:
            # AWS names the resource in some services; a name in the message does not make it another cause.
            where = "/".join(str(params.get(name, "")) for name in ("stageArn", "sessionId", "participantId"))
            said = f"no permission on {where}; allow ivs:{operation} to the credentials in use"
            raise Refused(f"{operation}: AccessDeniedException (status 403): {said}", "AccessDenied")
        return await self.service.call(operation, params)


async def run(
    client: Denying, store: MemoryStore, run_id: str = "r1", *, concurrency: int = 32, give_up_days: float = 30.0
) -> ScopeLedger:
    """A whole run of the real pipeline through the real caller, with no wait for tokens."""
    denying: Any = client
    quota, settings = QuotaSettings(calls_per_second=1e9), RunSettings(give_up_days=give_up_days)
    clock = passing(client.service)
    ledger = await export(
        client.service,
        store,
        run_id,
        settings=settings,
        call_with=lambda ledger: RetryingCaller(denying, quota, RetrySettings(), concurrency, clock, ledger),
    )
    assert ledger.units_found == sum(ledger.outcomes.values())
    return ledger


def a_world(stages: int, sessions: int, participants: int) -> Service:
    service = Service()
    service.page_size = 100
    service.stages.clear()
    for stage in range(stages):
        arn = f"arn:aws:ivs:us-east-1:111122223333:stage/s{stage}"
        for session in range(sessions):
            service.add(f"st-{session:013}", events={f"p{n}": 1 for n in range(participants)}, stage=arn)
    return service


def size_of_records(store: MemoryStore, run_id: str) -> int:
    return sum(len(body) for key, body in store.records.items() if "/records/" in key and run_id.encode() in body)


@pytest.mark.parametrize(
    ("stages", "sessions", "participants", "nights"),
    [(1, 4, 500, 3), (4, 2, 250, 3), pytest.param(5, 10, 800, 1, marks=pytest.mark.slow)],
)
async def test_a_denied_operation_costs_some_dozen_calls_and_one_failure(
    stages: int, sessions: int, participants: int, nights: int
) -> None:
    """However many participants there are, the calls are few, and the failure is one that counts them all.

    Every unit has an outcome, each night's record is short, nothing is ever abandoned, and with the permission back
    everything comes.
    """
    service, store = a_world(stages, sessions, participants), MemoryStore()
    units = stages * sessions * participants
    for night in range(nights):
        client = Denying(service, {EVENTS: "all"})
        ledger = await run(client, store, f"night{night}", give_up_days=1.0)
        assert STAGE_REFUSALS <= client.asked[EVENTS] <= SCOPE_REFUSALS + 32
        assert ledger.outcomes[Outcome.FAILED] == client.asked[EVENTS]
        assert ledger.outcomes[Outcome.DEFERRED] == units - client.asked[EVENTS]
        [failure] = ledger.failures
        assert (failure.count, len(failure.units)) == (units, 10)
        assert "ivs:ListParticipantEvents" in failure.message
        assert (ledger.is_complete, ledger.more_to_do) == (False, True)
        # That a unit was found is said once, so that no shorter list can hide it; a name takes some bytes here.
        assert size_of_records(store, f"night{night}") < 60_000 + (18 * units if night == 0 else 0)
        service.now_us += 3 * 86_400_000_000
    if units < 10_000:
        ledger = await run(Denying(service, {}), store, "after")
        assert ledger.is_complete
        assert lake_rows(store) == service.truth()


@pytest.mark.parametrize("operation", [PARTICIPANTS, SESSIONS])
async def test_lists_are_denied_alike(operation: Operation) -> None:
    """Lists that are denied stay unread, fail as one cause that counts them all, and nothing is called complete."""
    service, store = a_world(300, 1, 1), MemoryStore()
    client = Denying(service, {operation: "all"})
    ledger = await run(client, store)
    assert client.asked[operation] <= SCOPE_REFUSALS + 32
    [failure] = ledger.failures
    assert failure.count == ledger.listings_failed == 300
    assert (ledger.listings_open, ledger.is_complete, ledger.complete_until_us) == (0, False, None)


async def test_one_stage_that_is_shut_out_does_not_hold_the_others_up() -> None:
    """Where a policy leaves out one stage of three, that one costs some calls and the others are exported whole."""
    service, store = a_world(3, 2, 200), MemoryStore()
    shut = "arn:aws:ivs:us-east-1:111122223333:stage/s1"
    client = Denying(service, {EVENTS: (shut,)})
    ledger = await run(client, store)
    assert ledger.outcomes[Outcome.EXPORTED] == 800
    assert client.asked[EVENTS] <= 800 + STAGE_REFUSALS + 32
    [failure] = ledger.failures
    assert failure.count == 400
    assert all(name.startswith(shut) for name in failure.units)
    assert f"asked no more in {shut}" in failure.message


async def test_units_that_are_refused_for_themselves_are_all_asked_for() -> None:
    """A unit that AWS does not know says nothing of the next; later nights write no line of it till it is abandoned."""
    service, store = a_world(1, 1, 150), MemoryStore()
    for session in service.stages["arn:aws:ivs:us-east-1:111122223333:stage/s0"].values():
        for name, participant in session.participants.items():
            participant.error = Refused(f"no participant {name}", "ResourceNotFoundException")
    ledger = await run(Denying(service, {}), store, "night0")
    assert ledger.outcomes == {Outcome.FAILED: 150}
    service.now_us += 86_400_000_000
    ledger = await run(Denying(service, {}), store, "night1")
    assert ledger.outcomes == {Outcome.FAILED: 150}
    assert size_of_records(store, "night1") < 40_000
    records = [decode_record(key, body) for key, body in store.records.items() if "/records/" in key]
    written: list[UnitState] = [
        unit
        for record in records
        if record.run_id == "night1"
        for line in record.sessions
        for unit in line.units.values()
    ]
    assert written == []


async def test_a_long_pause_by_throttling_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """An operation that has met throttles alone for over a minute has one line at the level warning, with its name."""
    service = a_world(1, 1, 1)
    throttles = iter([90.0, 90.0])

    class Throttling(Denying):
        async def ask(self, operation: Operation, params: Mapping[str, Any]) -> Page:
            if operation is EVENTS and (pause_s := next(throttles, None)) is not None:
                raise Throttled("slow down", pause_s)
            return await super().ask(operation, params)

    ledger = ScopeLedger(SCOPE.region, SCOPE.account_id)
    client: Any = Throttling(service, {})
    caller = RetryingCaller(client, QuotaSettings(), RetrySettings(), 4, passing(service), ledger)
    arn = "arn:aws:ivs:us-east-1:111122223333:stage/s0"
    await caller.call(EVENTS, {"stageArn": arn, "sessionId": f"st-{0:013}", "participantId": "p0"})
    lines = [record for record in caplog.records if record.msg == "paused by throttling"]
    assert len(lines) == 1
    assert vars(lines[0])[FIELDS]["operation"] == EVENTS


async def test_an_answer_that_was_on_its_way_ends_no_pause(caplog: pytest.LogCaptureFixture) -> None:
    """Of three calls sent at once, one is answered between the throttles of the others: one pause, logged once."""
    service = a_world(1, 1, 1)
    arrived = [asyncio.Event() for _ in range(3)]
    throttles = iter((Throttled("slow down", 90.0), None, Throttled("slow down", 90.0)))

    class Throttling(Denying):
        async def ask(self, operation: Operation, params: Mapping[str, Any]) -> Page:
            if (event := next(events, None)) is not None:
                answer = next(throttles)
                await event.wait()
                if answer is not None:
                    raise answer
            return await super().ask(operation, params)

    async def sleep(seconds: float) -> None:
        if seconds > 1.0:
            await arrived[-1].wait()  # nobody's pause is over before all three have their answers
        passed_s[0] += seconds
        await asyncio.sleep(0)

    events, passed_s = iter(arrived), [0.0]
    client: Any = Throttling(service, {})
    clock = Clock(lambda: passed_s[0], lambda: service.now_us, sleep, lambda: 0.5)
    ledger = ScopeLedger(SCOPE.region, SCOPE.account_id)
    caller = RetryingCaller(client, QuotaSettings(calls_per_second=5_000.0), RetrySettings(), 4, clock, ledger)
    params = {"stageArn": "arn:aws:ivs:us-east-1:111122223333:stage/s0", "sessionId": f"st-{0:013}"}
    calls = [asyncio.create_task(caller.call(EVENTS, {**params, "participantId": "p0"})) for _ in range(3)]
    for event in arrived:
        for _ in range(20):
            await asyncio.sleep(0)
        passed_s[0] += 1.0
        event.set()
    await asyncio.gather(*calls)
    assert [record.msg for record in caplog.records].count("paused by throttling") == 1
