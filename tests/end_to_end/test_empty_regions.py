"""A region that shows no stage: it is named, what is missed there is missed by name, and nothing is believed of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.discovery.request import Request
from exporter.emulator import Account, Emulator
from exporter.emulator.world.fixed_world import FixedWorld
from exporter.health.status import statuses
from exporter.lake.stores.directory import DirectoryStore
from exporter.pipeline.run import survey
from exporter.pipeline.run_ledger import RunLedger
from exporter.pipeline.stop import Stop
from exporter.settings import AccountSettings, Settings
from exporter.timestamps import text_of
from tests.support.exports import ACCOUNT, FAST, NOW_US, REGION, beside, options_of, small_world, stage_of
from tests.support.oracle import expected, lake_rows

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.exports import Exports

ELSEWHERE, OTHER = "eu-west-1", "444455556666"
HOUR_US = 3_600_000_000


def stages_of(account: str = ACCOUNT, stages: int = 2, region: str = REGION) -> list[dict[str, Any]]:
    """Stages with a session that has ended and one that has not."""

    def session(name: str, ended_us: int | None = None) -> dict[str, Any]:
        started_us = NOW_US - 5 * HOUR_US
        events = [{"name": "JOINED", "participantId": "p1", "eventTime": text_of(started_us)}]
        end = {} if ended_us is None else {"endTime": text_of(ended_us)}
        participants = [{"participantId": "p1", "events": events}]
        return {"sessionId": name, "startTime": text_of(started_us), **end, "participants": participants}

    return [
        {
            "arn": stage_of(f"s{n}", account, region),
            "sessions": [session("st-ended00000000", NOW_US - 2 * HOUR_US), session("st-active0000000")],
        }
        for n in range(stages)
    ]


def files_of(lake: Path) -> dict[str, bytes]:
    return {path.relative_to(lake).as_posix(): path.read_bytes() for path in lake.rglob("*") if path.is_file()}


async def test_a_region_without_stages_is_named_with_where_they_are(exports: Exports) -> None:
    """Nothing is there, which is no failure; where the stages are is said, asked once in each of the other regions."""
    regions = (REGION, ELSEWHERE)
    worlds = {(ACCOUNT, REGION): FixedWorld()}
    async with Emulator(options_of(small_world(3), regions=regions), worlds) as emulator:
        exported = await exports.run(emulator, regions=(REGION,))
        assert exported.exit_code == 0
        words = exported.summary
        assert (words["outcome"], words["more_to_do"]) == ("nothing", False)
        assert words["empty_regions"] == [{"region": REGION, "account_id": ACCOUNT}]  # as the stages elsewhere tell
        assert words["regions_with_stages"] == [ELSEWHERE]
        assert words["scopes"][0]["has_stages"] is False
        assert emulator.calls.granted["ListStages"] <= 7
        emulator.calls.reset()
        both = await exports.run(emulator, regions=regions)
        assert (both.exit_code, both.summary["outcome"]) == (0, "complete")
        assert both.summary["regions_with_stages"] == [ELSEWHERE]
        assert emulator.calls.granted["ListStages"] == 2  # nobody is looked for who was found


async def test_a_hint_that_fails_fails_nothing(exports: Exports) -> None:
    """The other regions refuse or break: the run ends as it would have without asking them."""
    faults = ("server_error operation=ListStages", "denied operation=ListStages")
    for fault in faults:
        async with Emulator(options_of(small_world(3)), {(ACCOUNT, REGION): FixedWorld()}) as emulator:
            exported = await exports.run(emulator)
            assert (exported.exit_code, exported.summary["regions_with_stages"]) == (0, [])
            emulator.faults.add(fault)
            assert (await exports.run(emulator)).exit_code != 0


async def test_open_sessions_of_a_region_that_shows_no_stage_are_missed(exports: Exports) -> None:
    """They vanish once, by name, with exit 3; the lake is not called complete; and what returns is taken up again."""
    world = FixedWorld(stages_of())
    async with Emulator(options_of(small_world()), {(ACCOUNT, REGION): world}) as emulator:
        first = await exports.run(emulator)
        assert (first.exit_code, first.summary["sessions"]["active"]) == (0, 2)
        until = first.summary["scopes"][0]["complete_until"]
        world.data = []
        emulator.clock.advance(7_200.0)
        missed = await exports.run(emulator)
        assert missed.exit_code == 3
        assert missed.failed == {stage_of(f"s{n}") + "/st-active0000000": "vanished" for n in range(2)}
        [scope] = missed.summary["scopes"]
        assert (scope["account_id"], scope["has_stages"], scope["sessions"]["vanished"]) == (ACCOUNT, False, 2)
        assert scope["complete_until"] == until
        again = await exports.run(emulator)
        assert (again.exit_code, again.summary["empty_regions"]) == (0, [{"region": REGION, "account_id": ACCOUNT}])
        assert again.summary["scopes"][0]["complete_until"] == until
        [status] = await statuses(DirectoryStore(exports.lake), 2)
        assert [each.run_id for each in status.runs] == ["run3", "run2"]  # it leaves a trace
        world.data = stages_of()
        emulator.calls.reset()
        back = await exports.run(emulator)
        assert back.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())
        assert {key[2] for key in emulator.calls.asked if key[0] == "ListParticipants"} == {"st-active0000000"}


async def test_of_several_accounts_none_is_blamed(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of them an empty list is of nobody can tell: both are named, each time, and nothing is written of them."""
    worlds = {(ACCOUNT, REGION): FixedWorld(stages_of()), (OTHER, REGION): FixedWorld(stages_of(OTHER))}
    accounts = (Account(), Account("emulator-2", "emulator", OTHER))
    async with Emulator(options_of(small_world(), accounts=accounts), worlds) as emulator:
        await exports.run(emulator)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
        await exports.run(emulator)
        worlds[OTHER, REGION].data = []
        before = files_of(exports.lake)
        for _ in range(2):
            exported = await exports.run(emulator)
            assert exported.exit_code == 3
            assert set(exported.failed) == {f"{ACCOUNT}-{REGION}", f"{OTHER}-{REGION}"}
            assert "mend the profile" in exported.summary["failures"][0]["message"]
            assert files_of(exports.lake) == before


def warned(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if "another account" in line]


async def test_a_neighbour_tells_whose_an_empty_region_is(
    exports: Exports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stages in one region name the account that was asked in another: its sessions are missed, and nobody else's."""
    worlds = {
        (ACCOUNT, REGION): FixedWorld(stages_of()),
        (OTHER, REGION): FixedWorld(stages_of(OTHER)),
        (OTHER, ELSEWHERE): FixedWorld(stages_of(OTHER, region=ELSEWHERE)),
    }
    accounts = (Account(), Account("emulator-2", "emulator", OTHER))
    regions = (REGION, ELSEWHERE)
    async with Emulator(options_of(small_world(), accounts=accounts, regions=regions), worlds) as emulator:
        await exports.run(emulator, regions=(REGION,))
        assert not warned(capsys)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
        await exports.run(emulator, regions=(REGION,))
        [line] = warned(capsys)
        assert f"the lake has scopes of account {ACCOUNT} in {REGION}, and this run's credentials are of" in line
        worlds[OTHER, REGION].data = []
        exported = await exports.run(emulator, regions=regions)
        assert not warned(capsys)  # its scope is known by now
        assert exported.exit_code == 3
        assert set(exported.failed) == {stage_of(f"s{n}", OTHER) + "/st-active0000000" for n in range(2)}
        assert exported.summary["empty_regions"] == [{"region": REGION, "account_id": OTHER}]


async def test_a_profile_of_another_account_is_told_where_its_region_is_empty(
    exports: Exports, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its stages elsewhere name it: the lake's scope of the other account fails by name, and is left as it is."""
    worlds = {
        (ACCOUNT, REGION): FixedWorld(stages_of()),
        (OTHER, REGION): FixedWorld(),
        (OTHER, ELSEWHERE): FixedWorld(stages_of(OTHER, region=ELSEWHERE)),
    }
    accounts = (Account(), Account("emulator-2", "emulator", OTHER))
    regions = (REGION, ELSEWHERE)
    async with Emulator(options_of(small_world(), accounts=accounts, regions=regions), worlds) as emulator:
        await exports.run(emulator, regions=(REGION,))
        before = files_of(exports.lake / "_log" / f"{ACCOUNT}-{REGION}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
        for _ in range(2):
            exported = await exports.run(emulator, regions=regions)
            assert (exported.exit_code, exported.failed) == (3, {f"{ACCOUNT}-{REGION}": "vanished"})
            assert f"the credentials are of account {OTHER}" in exported.summary["failures"][0]["message"]
            assert exported.summary["empty_regions"] == [{"region": REGION, "account_id": OTHER}]
            assert len(warned(capsys)) == 1
        assert files_of(exports.lake / "_log" / f"{ACCOUNT}-{REGION}") == before


async def test_a_role_tells_whose_sessions_are_missed(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each account has a role, an empty list is of that account alone; the other's scope is complete."""
    worlds = {(ACCOUNT, REGION): FixedWorld(stages_of()), (OTHER, REGION): FixedWorld(stages_of(OTHER))}
    accounts = (Account(), Account("emulator-2", "emulator", OTHER))
    roles = tuple(AccountSettings(role_arn=f"arn:aws:iam::{account}:role/ivs-export") for account in (ACCOUNT, OTHER))
    async with Emulator(options_of(small_world(), accounts=accounts), worlds) as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", emulator.url)
        assert (await exports.run(emulator, accounts=roles)).exit_code == 0
        worlds[OTHER, REGION].data = []
        exported = await exports.run(emulator, accounts=roles)
        assert exported.exit_code == 3
        assert set(exported.failed) == {stage_of(f"s{n}", OTHER) + "/st-active0000000" for n in range(2)}
        own, other = exported.summary["scopes"]
        assert (own["outcome"], other["outcome"]) == ("nothing", "partial")
        assert (await exports.run(emulator, accounts=roles)).exit_code == 0


async def test_a_dry_run_of_an_empty_region_writes_nothing(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planning beside a lake with open sessions leaves it as it is."""
    world = FixedWorld(stages_of())
    async with Emulator(options_of(small_world()), {(ACCOUNT, REGION): world}) as emulator:
        await exports.run(emulator)
        world.data = []
        before = files_of(exports.lake)
        ledger = RunLedger("dry")
        monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", emulator.url)
        settings = Settings(lake=str(exports.lake), regions=(REGION,), quota=FAST)
        await survey(settings, Request(), ledger, Stop(), beside(emulator))
        assert ledger.empty_regions == [{"region": REGION, "account_id": ACCOUNT}]
        assert files_of(exports.lake) == before
