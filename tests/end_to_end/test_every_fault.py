"""Every kind of fault that the emulator has: rows equal the truth, or what is missing is named, and the rest there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.emulator import Emulator, FixedWorld, Size
from exporter.emulator.faults.kinds import kinds
from exporter.ivs import paging
from exporter.settings import HttpSettings, RetrySettings, RunSettings
from tests.support.exports import ACCOUNT, REGION, mostly_slow, options_of, stage_of
from tests.support.oracle import expected, expected_rejects, lake_rejects, lake_rows, session_times, without_units
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from exporter.model import Unit
    from tests.support.exports import Exports

#: Some twenty units, five of them of several pages, one participant replicated, one session active.
WORLD = small_world(24)
PATIENT, IMPATIENT = (HttpSettings(connect_timeout_s=20.0, read_timeout_s=read_s) for read_s in (20.0, 1.0))

#: Faults that pass: within the attempts of a call, nothing of them is left in the lake.
PASSING = [
    "throttle p=0.2",
    "throttle code=none p=0.2",
    "throttle status=400 p=0.2",
    "throttle status=400 code=TooManyRequestsException every=4",
    "throttle retry_after_s=1 first=1",
    "server_error times=1",
    "server_error status=503 times=2",
    "html times=1",
    "reset times=1",
    "cut times=1",
    "cut_json times=1",
    "bad_json times=1",
    "empty_body times=1",
    "empty_object times=1",
    "not_an_object times=1",
    "null_list times=1",
    "silence every=9",
    "slow seconds=0.1 every=5",
    "token_refused first=1",
    "empty_pages",
    "unknown_fields p=0.5",
    "wrong_types p=0.5",
    "foreign_participant p=0.5",
]

#: Faults that stay, and the kind of failure that each is reported as.
LASTING = {
    "server_error": "gave_up",
    "html": "gave_up",
    "reset": "gave_up",
    "cut": "gave_up",
    "cut_json": "gave_up",
    "bad_json": "gave_up",
    "empty_body": "gave_up",
    "empty_object": "gave_up",
    "not_an_object": "gave_up",
    "null_list": "gave_up",
    "silence": "gave_up",
    "denied": "refused",
    "not_found": "refused",
    "invalid": "refused",
    "token_repeats": "endless",
    "endless": "endless",
}


def chosen_of(emulator: Emulator, every: int = 4) -> dict[str, set[str]]:
    """Every so manieth participant, with the names of its units: a replicated one has two."""
    named: dict[str, set[str]] = {}
    for unit, _ in emulator.truth().units():
        named.setdefault(unit.participant_id, set()).add(unit.name)
    return {participant: named[participant] for participant in sorted(named)[::every]}


def units_of(emulator: Emulator) -> dict[Unit, int]:
    return dict(emulator.truth().units())


def test_no_kind_is_left_out() -> None:
    """Each kind that the emulator knows is met by a test in this module."""
    tested = {text.split()[0] for text in PASSING} | set(LASTING) | {"no_time", "expired_token"}
    assert tested == {name for name, _ in kinds()}


@pytest.mark.parametrize("fault", mostly_slow(PASSING, 6))
async def test_what_passes_leaves_no_trace(fault: str, exports: Exports) -> None:
    """A fault that passes costs calls, and the lake is as if there had been none."""
    async with Emulator(options_of(WORLD, faults=(fault,))) as emulator:
        exported = await exports.run(emulator, http=IMPATIENT if "silence" in fault else PATIENT)
        assert lake_rows(exports.lake) == expected(emulator.truth())
        assert exported.exit_code == 0
        assert exported.summary["failures"] == []
        hits = sum(each["hits"] for each in emulator.faults.describe())
        if fault.startswith("throttle"):
            assert exported.summary["throttled"] == hits > 0
        elif "times=" in fault:
            assert hits > 0
            assert exported.summary["retries"] == hits


@pytest.mark.parametrize("kind", mostly_slow(LASTING, 6))
async def test_what_stays_fails_its_units_alone(kind: str, exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that can't be fetched are named with their failure's kind; all others are exported; later, these alone."""
    monkeypatch.setattr(paging, "PAGES_MAX", 20)
    async with Emulator(options_of(WORLD)) as emulator:
        chosen = chosen_of(emulator)
        for participant in chosen:
            emulator.faults.add(f"{kind} operation=ListParticipantEvents participant={participant}")
        names = set().union(*chosen.values())
        exported = await exports.run(emulator, http=IMPATIENT if kind == "silence" else PATIENT)
        whole = expected(emulator.truth())
        assert exported.failed == dict.fromkeys(names, LASTING[kind])
        assert exported.exit_code == 3
        assert exported.summary["units"]["failed"] == len(names)
        assert lake_rows(exports.lake) == without_units(whole, names) != whole
        emulator.faults.clear()
        emulator.calls.reset()
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == whole
        active = {session_id for session_id, (_, ended_us) in session_times(emulator).items() if ended_us is None}
        again = {key[3] for key in emulator.calls.asked if key[3] and key[2] not in active}
        assert again <= set(chosen)


@pytest.mark.slow
async def test_a_token_refused_for_good(exports: Exports) -> None:
    """A list whose token is refused twice fails its unit; nothing of its first page is in the lake."""
    async with Emulator(options_of(WORLD)) as emulator:
        emulator.faults.add("token_refused operation=ListParticipantEvents")
        names = {unit.name for unit, count in units_of(emulator).items() if count > 100}
        exported = await exports.run(emulator)
        assert exported.failed == dict.fromkeys(names, "token_refused") != {}
        assert exported.exit_code == 3
        assert lake_rows(exports.lake) == without_units(expected(emulator.truth()), names)


async def test_events_without_a_time_are_kept_beside_the_tables(exports: Exports) -> None:
    """An event that can't be dated is neither dropped nor dated by guess: it is kept, once, and its unit is named."""
    async with Emulator(options_of(WORLD, faults=("no_time units=1/3 p=0.2",))) as emulator:
        rejects = expected_rejects(emulator.truth())
        for _ in range(2):
            exported = await exports.run(emulator)
            assert exported.failed == dict.fromkeys((name for name, _ in rejects), "event_unreadable") != {}
            assert exported.exit_code == 3
            assert lake_rows(exports.lake) == expected(emulator.truth())
            assert lake_rejects(exports.lake) == rejects
        emulator.faults.clear()
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())
        assert lake_rejects(exports.lake) == rejects


@pytest.mark.parametrize(
    "kind", mostly_slow(["denied", "not_found", "invalid", "server_error", "null_list", "token_repeats"], 10)
)
async def test_a_stage_whose_sessions_cannot_be_listed(kind: str, exports: Exports) -> None:
    """The stage is named, and the other stages are exported."""
    async with Emulator(options_of(WORLD)) as emulator:
        stage_arn = min(unit.stage_arn for unit in units_of(emulator))
        emulator.faults.add(f"{kind} operation=ListStageSessions stage={stage_arn}")
        exported = await exports.run(emulator)
        assert exported.failed == {stage_arn: LASTING[kind]}
        assert exported.exit_code == 3
        if kind != "token_repeats":  # what was listed before the repetition is exported
            names = {unit.name for unit in units_of(emulator) if unit.stage_arn == stage_arn}
            assert lake_rows(exports.lake) == without_units(expected(emulator.truth()), names)
        emulator.faults.clear()
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


@pytest.mark.parametrize(
    "kind", mostly_slow(["denied", "not_found", "invalid", "reset", "empty_object", "endless"], 10)
)
async def test_a_session_whose_participants_cannot_be_listed(
    kind: str, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is named and stays open; the next run takes it in."""
    monkeypatch.setattr(paging, "PAGES_MAX", 20)
    async with Emulator(options_of(WORLD)) as emulator:
        stage_arn, session_id = min((unit.stage_arn, unit.session_id) for unit in units_of(emulator))
        emulator.faults.add(f"{kind} operation=ListParticipants session={session_id}")
        exported = await exports.run(emulator)
        assert exported.failed == {f"{stage_arn}/{session_id}": LASTING[kind]}
        assert exported.exit_code == 3
        if kind != "endless":  # what was listed before it was given up is exported
            names = {unit.name for unit in units_of(emulator) if unit.session_id == session_id}
            assert lake_rows(exports.lake) == without_units(expected(emulator.truth()), names)
        emulator.faults.clear()
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


@pytest.mark.parametrize("kind", mostly_slow(["denied", "server_error", "empty_body", "silence", "throttle"], 10))
async def test_a_region_whose_stages_cannot_be_listed(kind: str, exports: Exports) -> None:
    """Where every scope fails, the run fails."""
    retry = RetrySettings(attempts=2, timeout_s=0.3)
    async with Emulator(options_of(faults=(f"{kind} operation=ListStages",))) as emulator:
        exported = await exports.run(emulator, http=IMPATIENT, retry=retry)
        assert exported.exit_code == 1
        assert set(exported.failed) == {REGION}
        assert not exports.lake.exists() or not lake_rows(exports.lake)


@pytest.mark.slow
async def test_a_list_of_stages_that_breaks_off(exports: Exports) -> None:
    """The stages of the first page are exported, and the scope is named; the next run takes in the others."""
    world = small_world(
        stages=103,
        sessions=Size.fixed(1),
        participants=Size.fixed(1),
        events=Size.fixed(2),
        active_share=0.0,
        replicated_share=0.0,
    )
    async with Emulator(options_of(world, faults=("token_refused operation=ListStages",))) as emulator:
        exported = await exports.run(emulator)
        assert exported.failed == {f"{ACCOUNT}-{REGION}": "token_refused"}
        assert exported.exit_code == 3
        assert lake_rows(exports.lake).total() == 200
        emulator.faults.clear()
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


@pytest.mark.slow
async def test_throttling_without_an_end_defers(exports: Exports) -> None:
    """Where an operation meets nothing but throttles, its units are deferred, and the next run exports them."""
    async with Emulator(options_of(WORLD)) as emulator:
        emulator.faults.add("throttle operation=ListParticipantEvents")
        retry, a_few = RetrySettings(attempts=2, timeout_s=1.0), RunSettings(concurrency=2)
        exported = await exports.run(emulator, retry=retry, run=a_few)
        [failure] = exported.summary["failures"]
        assert (failure["error"], failure["count"]) == ("starved", exported.summary["units"]["found"])
        assert exported.exit_code == 3
        assert exported.summary["units"]["deferred"] == exported.summary["units"]["found"] > 0
        emulator.faults.clear()
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


@pytest.mark.slow
async def test_one_unit_throttled_without_an_end_fails_alone(exports: Exports) -> None:
    """Where others succeed meanwhile, a call that is always throttled ends when its time is used up."""
    async with Emulator(options_of(WORLD)) as emulator:
        participant, names = next(iter(chosen_of(emulator).items()))
        emulator.faults.add(f"throttle operation=ListParticipantEvents participant={participant}")
        exported = await exports.run(emulator, retry=RetrySettings(attempts=2, timeout_s=3.0))
        assert set(exported.failed) <= names | {f"{ACCOUNT}-{REGION}"}
        assert exported.exit_code == 3
        assert lake_rows(exports.lake) == without_units(expected(emulator.truth()), names)


async def test_credentials_that_expire_on_the_way(exports: Exports) -> None:
    """Static keys can't be renewed: the run commits what it has and fails, and one with good keys completes it."""
    events = [{"name": "JOINED", "eventTime": "2026-11-22T10:00:00Z"}]
    session = {"sessionId": "st-0000000000001", "startTime": "2026-11-22T10:00:00Z", "endTime": "2026-11-22T11:00:00Z"}
    session["participants"] = [{"participantId": name, "events": events} for name in ("a", "b", "z")]  # type: ignore[assignment] # as JSON
    worlds = {(ACCOUNT, REGION): FixedWorld([{"arn": stage_of("one"), "sessions": [session]}])}
    async with Emulator(options_of(), worlds) as emulator:
        emulator.faults.add("expired_token participant=z")
        exported = await exports.run(emulator, run=RunSettings(concurrency=1))
        assert exported.error is not None
        assert exported.error.kind == "credentials"
        assert exported.exit_code == 1
        assert {row[4] for row in lake_rows(exports.lake)} == {"a", "b"}
        emulator.faults.clear()
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


async def test_credentials_that_are_expired_at_the_start(exports: Exports) -> None:
    """Nothing is written, and the run fails with its scope: there is more to do."""
    async with Emulator(options_of(faults=("expired_token",))) as emulator:
        exported = await exports.run(emulator)
        assert exported.failed == {None: "credentials"}
        assert [(scope["outcome"], scope["more_to_do"]) for scope in exported.summary["scopes"]] == [("failed", True)]
        assert exported.exit_code == 1
