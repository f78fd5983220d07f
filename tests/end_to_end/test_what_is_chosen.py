"""Targets, times, stages and regions: what is asked for is exported, and nothing else is asked of the service."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest

from exporter.discovery import target_list
from exporter.discovery.request import Period, Request
from exporter.emulator import Account, Emulator, EmulatorOptions
from exporter.settings import RetrySettings, RunSettings
from tests.support.exports import ACCOUNT, NOW_US, REGION, options_of
from tests.support.oracle import expected, lake_rows, micros, session_times
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.support.exports import Exports
    from tests.support.oracle import Row

WORLD = small_world(24)
DAY_US = 86_400_000_000
OTHER = "444455556666"


def chosen(rows: Counter[Row], is_chosen: Callable[[str, str, str], bool]) -> Counter[Row]:
    """The rows whose stage, session and participant are chosen."""
    return type(rows)({row: count for row, count in rows.items() if is_chosen(*row[2:5])})


def list_of(path: Path, rows: Iterable[tuple[str, ...]]) -> Request:
    """The request that a list of targets in a file makes."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("stage_arn", "session_id", "participant_id"))
        writer.writerows((*row, "", "")[:3] for row in rows)
    return Request(target_list.read(str(path)))


def units_of(emulator: Emulator) -> list[tuple[str, str, str]]:
    return sorted((unit.stage_arn, unit.session_id, unit.participant_id) for unit, _ in emulator.truth().units())


@pytest.mark.slow
async def test_targets_with_whole_tuples(exports: Exports, tmp_path: Path) -> None:
    """Only the named participants are fetched, and no participants are listed."""
    async with Emulator(options_of(WORLD)) as emulator:
        named = units_of(emulator)[::3]
        exported = await exports.run(emulator, list_of(tmp_path / "list.csv", named), regions=())
        assert lake_rows(exports.lake) == chosen(expected(emulator.truth()), lambda *unit: unit in named)
        assert exported.exit_code == 0
        assert exported.summary["units"]["found"] == len(named)
        assert set(emulator.calls.granted) == {"ListStageSessions", "ListParticipantEvents"}


async def test_targets_where_sessions_may_not_be_listed(exports: Exports, tmp_path: Path) -> None:
    """A denied list of sessions is passed over: whole tuples are exported without it."""
    async with Emulator(options_of(WORLD, faults=("denied operation=ListStageSessions",))) as emulator:
        named = units_of(emulator)[::3]
        exported = await exports.run(emulator, list_of(tmp_path / "list.csv", named))
        assert lake_rows(exports.lake) == chosen(expected(emulator.truth()), lambda *unit: unit in named)
        assert exported.failed == {}
        assert exported.exit_code == 0


@pytest.mark.slow
async def test_targets_of_stages_and_sessions(exports: Exports, tmp_path: Path) -> None:
    """A row without the later columns stands for all that is below it."""
    async with Emulator(options_of(WORLD)) as emulator:
        units = units_of(emulator)
        stage, (other, session, _) = units[0][0], units[-1]
        assert stage != other
        exported = await exports.run(emulator, list_of(tmp_path / "list.csv", [(stage,), (other, session)]))
        assert exported.exit_code == 0
        rows = chosen(expected(emulator.truth()), lambda arn, its_session, _: arn == stage or its_session == session)
        assert lake_rows(exports.lake) == rows


async def test_targets_that_are_not_there(exports: Exports, tmp_path: Path) -> None:
    """A participant, a session and a stage that the service does not know fail by name, beside one that it knows."""
    async with Emulator(options_of(WORLD)) as emulator:
        known = units_of(emulator)[0]
        unknown = [
            (*known[:2], "nobody"),
            (known[0], "st-0000000000000", "a"),
            (known[0][:-4] + "none", "st-0000000000000", "a"),
        ]
        exported = await exports.run(emulator, list_of(tmp_path / "list.csv", [known, *unknown]))
        assert exported.failed == dict.fromkeys(["/".join(each) for each in unknown], "refused")
        assert exported.exit_code == 3
        assert lake_rows(exports.lake) == chosen(expected(emulator.truth()), lambda *unit: unit == known)


@pytest.mark.slow
async def test_targets_of_two_accounts(exports: Exports, tmp_path: Path) -> None:
    """What another account holds is refused by name, in a scope of its own, and the own account's is exported."""
    accounts = (Account(), Account("other", "other", OTHER))
    async with Emulator(options_of(WORLD, accounts=accounts)) as emulator:
        units = units_of(emulator)
        exported = await exports.run(emulator, list_of(tmp_path / "list.csv", units))
        others = {"/".join(unit) for unit in units if OTHER in unit[0]}
        [failure] = exported.summary["failures"]
        assert (failure["error"], failure["count"]) == ("refused", len(others))
        assert set(failure["units"]) <= others
        assert exported.exit_code == 3
        assert lake_rows(exports.lake) == expected(emulator.truth(ACCOUNT))


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (-5.0, -2.5),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [(-3.0, None), (None, -3.0), (-3.0, -2.999), (5.0, None)]
        ),
    ],
)
async def test_sessions_of_a_range(since: float | None, until: float | None, exports: Exports) -> None:
    """Exactly the sessions that overlap [since, until) are exported; one that goes on overlaps whatever comes."""
    since_us, until_us = (None if days is None else int(NOW_US + days * DAY_US) for days in (since, until))
    async with Emulator(options_of(WORLD)) as emulator:
        wanted = {
            session_id
            for session_id, (started_us, ended_us) in session_times(emulator).items()
            if (until_us is None or started_us < until_us)
            and (since_us is None or ended_us is None or ended_us >= since_us)
        }
        exported = await exports.run(emulator, Request(period=Period(since_us, until_us)))
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == chosen(expected(emulator.truth()), lambda _, session, __: session in wanted)
        assert {session for _, _, session, *_ in emulator.calls.asked if session} == wanted
        await exports.run(emulator)
        assert lake_rows(exports.lake) == expected(emulator.truth())


@pytest.mark.slow
async def test_one_stage_alone(exports: Exports) -> None:
    """Only the stage that is named is asked about."""
    async with Emulator(options_of(WORLD)) as emulator:
        stage = units_of(emulator)[0][0]
        exported = await exports.run(emulator, stages=(stage,))
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == chosen(expected(emulator.truth()), lambda arn, *_: arn == stage)
        assert {arn for _, arn, *_ in emulator.calls.asked} == {stage}


async def test_excluded_stage_is_passed_over(exports: Exports) -> None:
    """Nothing of it is asked for or exported; what an earlier run knows of it is neither asked for nor missed."""
    async with Emulator(options_of(WORLD)) as emulator:
        stage = units_of(emulator)[0][0]
        exported = await exports.run(emulator, exclude_stages=(stage,))
        assert exported.exit_code == 0
        others = chosen(expected(emulator.truth()), lambda arn, *_: arn != stage)
        assert lake_rows(exports.lake) == others != expected(emulator.truth())
        assert stage not in {arn for _, arn, *_ in emulator.calls.asked}
        await exports.run(emulator)
        assert lake_rows(exports.lake) == expected(emulator.truth())
        emulator.calls.asked.clear()
        exported = await exports.run(emulator, exclude_stages=(stage,))
        assert (exported.exit_code, exported.failed) == (0, {})
        assert stage not in {arn for _, arn, *_ in emulator.calls.asked}


async def test_excluded_stage_that_is_gone_is_not_missed(exports: Exports) -> None:
    """A stage that is no longer listed leaves its open sessions vanished, but not where it is excluded."""
    async with Emulator(options_of(WORLD)) as emulator:
        stages = {arn for arn, *_ in units_of(emulator)}
        await exports.run(emulator)
    async with Emulator(options_of(small_world(24, stages=1))) as emulator:
        gone = stages - {arn for arn, *_ in units_of(emulator)}
        assert gone
        excluded = await exports.run(emulator, exclude_stages=tuple(gone))
        assert not [name for name in excluded.failed if str(name).startswith(tuple(gone))]
        missed = await exports.run(emulator)
        assert "vanished" in {error for name, error in missed.failed.items() if str(name).startswith(tuple(gone))}


@pytest.mark.parametrize("size", [1e308, 5e-324])
async def test_numbers_of_any_size(size: float, exports: Exports) -> None:
    """With any window of time it is a run as any other."""
    run = RunSettings(checkpoint_s=size, grace_s=size, give_up_days=size, deadline_s=1e308)
    async with Emulator(options_of(WORLD)) as emulator:
        exported = await exports.run(emulator, run=run, retry=RetrySettings(timeout_s=1e308))
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


def two_regions(**changes: Any) -> EmulatorOptions:
    return options_of(WORLD, regions=(REGION, "eu-west-1"), **changes)


async def test_several_regions(exports: Exports) -> None:
    """Each region is a scope of its own in one lake; one without stages adds nothing, and is no failure."""
    async with Emulator(two_regions()) as emulator:
        exported = await exports.run(emulator, regions=(REGION, "ap-south-1", "eu-west-1"))
        assert exported.exit_code == 0
        rows = lake_rows(exports.lake)
        assert rows == expected(emulator.truth())
        assert {row[:2] for row in rows} == {(ACCOUNT, REGION), (ACCOUNT, "eu-west-1")}
        logs = sorted(path.parent.name for path in (exports.lake / "_log").glob("*/records"))
        assert logs == [f"{ACCOUNT}-eu-west-1", f"{ACCOUNT}-{REGION}"]


async def test_region_that_is_new_to_this_version(exports: Exports) -> None:
    """Where IVS Real-Time is served changes; a region that is not known here is exported as any other."""
    async with Emulator(options_of(WORLD, regions=("ap-southeast-12",))) as emulator:
        exported = await exports.run(emulator)
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


@pytest.mark.slow
async def test_only_regions_without_stages(exports: Exports) -> None:
    """There is nothing to do, and that is no failure."""
    async with Emulator(options_of(WORLD)) as emulator:
        exported = await exports.run(emulator, regions=("ap-south-1", "eu-west-1"))
        assert exported.ledger.outcome == "nothing"
        assert exported.exit_code == 0


async def test_a_denied_region_beside_a_good_one(exports: Exports) -> None:
    """The denied region is named, the other one is exported; where both are denied, the run fails."""
    async with Emulator(two_regions(faults=("denied operation=ListStages first=1",))) as emulator:
        exported = await exports.run(emulator)
        [(region, error)] = exported.failed.items()
        good = "eu-west-1" if region == REGION else REGION
        assert error == "refused"
        assert exported.exit_code == 3
        assert lake_rows(exports.lake) == expected(emulator.truth(region=good)) != expected(emulator.truth())
        emulator.faults.replace(["denied operation=ListStages"])
        exported = await exports.run(emulator)
        assert exported.failed == {REGION: "refused", "eu-west-1": "refused"}
        assert exported.exit_code == 1


def test_times_are_read_as_written() -> None:
    """The oracle's own reading of times, on which these tests rest, is right for each form that the service has."""
    assert micros("2026-11-23T12:00:00Z") == NOW_US
    assert micros("2026-11-23T21:00:00.000001234+09:00") == NOW_US + 1
    assert micros("2026-11-23T06:30:00.5-05:30") == NOW_US + 500_000
    assert micros("2026-11-23") is None
