"""A region that shows no stage: it is named, what is missed there is missed by name, and nothing is believed of it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

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
from tests.support.exports import ACCOUNT, FAST, NOW_US, REGION, beside, options_of, stage_of
from tests.support.logs import capture_logs
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.exports import Exports

ELSEWHERE, OTHER = "eu-west-1", "444455556666"
ACCOUNTS = (Account(), Account("emulator-2", "emulator", OTHER))
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
        assert emulator.calls.granted["GetCallerIdentity"] == 0  # nothing hangs on it
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


@asynccontextmanager
async def sts_that_refuses() -> AsyncIterator[str]:
    """The URL of an STS that knows nobody's keys."""
    async with Emulator(options_of(accounts=(Account("nobody", "nobody"),))) as sts:
        yield sts.url


async def test_of_several_accounts_none_is_blamed(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing says whose an empty list is, both are named, each time, and nothing is written of them."""
    worlds = {(ACCOUNT, REGION): FixedWorld(stages_of()), (OTHER, REGION): FixedWorld(stages_of(OTHER))}
    async with sts_that_refuses() as url, Emulator(options_of(small_world(), accounts=ACCOUNTS), worlds) as emulator:
        await exports.run(emulator)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
        await exports.run(emulator)
        worlds[OTHER, REGION].data = []
        before = files_of(exports.lake)
        exports.sts_url = url
        for _ in range(2):
            exported = await exports.run(emulator)
            assert exported.exit_code == 3
            assert set(exported.failed) == {f"{ACCOUNT}-{REGION}", f"{OTHER}-{REGION}"}
            assert "mend the profile" in exported.summary["failures"][0]["message"]
            assert exported.summary["empty_regions"] == [{"region": REGION, "account_id": None}]
            assert files_of(exports.lake) == before


async def test_where_nobody_tells_the_account_what_is_missed_is_named_and_nothing_is_written(exports: Exports) -> None:
    """The lake has one account there, and it may be another one that was asked: exit 3, each time, and no record."""
    world = FixedWorld(stages_of())
    async with sts_that_refuses() as url, Emulator(options_of(small_world()), {(ACCOUNT, REGION): world}) as emulator:
        await exports.run(emulator)
        world.data = []
        before = files_of(exports.lake)
        exports.sts_url = url
        for _ in range(2):
            missed = await exports.run(emulator)
            assert missed.exit_code == 3
            assert missed.failed == {stage_of(f"s{n}") + "/st-active0000000": "vanished" for n in range(2)}
            assert missed.summary["sessions"]["vanished"] == 2
            assert missed.summary["empty_regions"] == [{"region": REGION, "account_id": None}]
            assert files_of(exports.lake) == before
        left_out = await exports.run(emulator, exclude_stages=tuple(stage_of(f"s{n}") for n in range(2)))
        assert (left_out.exit_code, left_out.failed) == (0, {})
        exports.sts_url = None
        assert (await exports.run(emulator)).exit_code == 3
        assert (await exports.run(emulator)).exit_code == 0  # warned once: now it is known whose they are


async def test_a_silent_sts_is_waited_for_no_longer_than_a_hint_is_worth(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that takes the call and never answers is one that does not tell."""

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await is_over.wait()

    world, is_over = FixedWorld(stages_of()), asyncio.Event()
    monkeypatch.setattr("exporter.aws.roles._CALLER_WAIT_S", 0.2)
    silent = await asyncio.start_server(never, "127.0.0.1")
    async with silent, Emulator(options_of(small_world()), {(ACCOUNT, REGION): world}) as emulator:
        await exports.run(emulator)
        world.data = []
        exports.sts_url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
        missed = await exports.run(emulator)
        is_over.set()
        assert (missed.exit_code, missed.summary["empty_regions"]) == (3, [{"region": REGION, "account_id": None}])


@contextmanager
def warned() -> Iterator[list[str]]:
    """The warnings of another account that come meanwhile, once it is over."""
    reasons: list[str] = []
    with capture_logs() as logs:
        yield reasons
    reasons += [line["reason"] for line in logs if line["event"] == "another account"]


async def test_a_neighbour_tells_whose_an_empty_region_is(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages in one region name the account that was asked in another: its sessions are missed, and nobody else's."""
    worlds = {
        (ACCOUNT, REGION): FixedWorld(stages_of()),
        (OTHER, REGION): FixedWorld(stages_of(OTHER)),
        (OTHER, ELSEWHERE): FixedWorld(stages_of(OTHER, region=ELSEWHERE)),
    }
    regions = (REGION, ELSEWHERE)
    async with Emulator(options_of(small_world(), accounts=ACCOUNTS, regions=regions), worlds) as emulator:
        with warned() as lines:
            await exports.run(emulator, regions=(REGION,))
        assert not lines
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
        with warned() as lines:
            await exports.run(emulator, regions=(REGION,))
        [line] = lines
        assert f"the lake has scopes of account {ACCOUNT} in {REGION}, and this run's credentials are of" in line
        worlds[OTHER, REGION].data = []
        with warned() as lines:
            exported = await exports.run(emulator, regions=regions)
        assert not lines  # its scope is known by now
        assert exported.exit_code == 3
        assert set(exported.failed) == {stage_of(f"s{n}", OTHER) + "/st-active0000000" for n in range(2)}
        assert exported.summary["empty_regions"] == [{"region": REGION, "account_id": OTHER}]


@pytest.mark.parametrize(
    ("regions", "can_ask"),
    [((REGION, ELSEWHERE), False), ((REGION,), True), ((REGION,), False)],
    ids=["known from a neighbour", "known from STS", "known from another region at last"],
)
async def test_an_empty_region_of_one_account_says_nothing_of_anothers(
    exports: Exports,
    monkeypatch: pytest.MonkeyPatch,
    regions: tuple[str, ...],
    can_ask: bool,
) -> None:
    """Two accounts share a lake, by runs of their own. One has no stage where the other has some: nothing failed.

    The run says that the lake knows another account there (its profile may be wrong), and no file of the other's
    log changes, so neither run ever waits for the other, nor takes the other's sessions for gone.
    """
    worlds = {
        (ACCOUNT, REGION): FixedWorld(stages_of()),
        (OTHER, REGION): FixedWorld(),
        (OTHER, ELSEWHERE): FixedWorld(stages_of(OTHER, region=ELSEWHERE)),
    }
    options = options_of(small_world(), accounts=ACCOUNTS, regions=(REGION, ELSEWHERE))
    async with sts_that_refuses() as url, Emulator(options, worlds) as emulator:
        exports.sts_url = None if can_ask else url
        log = exports.lake / "_log" / f"{ACCOUNT}-{REGION}"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
        await exports.run(emulator, regions=(ELSEWHERE,))
        for _ in range(2):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
            own = await exports.run(emulator, regions=(REGION,))
            assert (own.exit_code, own.summary["sessions"]["vanished"]) == (0, 0)
            before = files_of(log)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
            with warned() as lines:
                other = await exports.run(emulator, regions=regions)
            assert (other.exit_code, other.failed) == (0, {})
            assert other.summary["empty_regions"] == [{"region": REGION, "account_id": OTHER}]
            [line] = [line for line in lines if REGION in line]
            assert f"the lake has scopes of account {ACCOUNT} in {REGION}, and this run's credentials are of" in line
            assert files_of(log) == before
        assert emulator.calls.granted["GetCallerIdentity"] == (2 if can_ask else 0)
        [status] = [each for each in await statuses(DirectoryStore(exports.lake), 9) if each.scope.region == REGION]
        assert [run.run_id for run in status.runs] == ["run4", "run2"]


@pytest.mark.parametrize("can_ask", [True, False], ids=["known from STS", "known from nothing"])
async def test_an_account_that_is_new_to_the_lake_and_shows_no_stage_may_be_a_wrong_profile(
    exports: Exports, monkeypatch: pytest.MonkeyPatch, can_ask: bool
) -> None:
    """The lake has open sessions of the region that was asked: they are named each night, and nothing is written."""
    worlds = {(ACCOUNT, REGION): FixedWorld(stages_of()), (OTHER, REGION): FixedWorld()}
    options = options_of(small_world(), accounts=ACCOUNTS, regions=(REGION,))
    async with sts_that_refuses() as url, Emulator(options, worlds) as emulator:
        exports.sts_url = None if can_ask else url
        await exports.run(emulator)
        before = files_of(exports.lake / "_log" / f"{ACCOUNT}-{REGION}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator-2")
        for _ in range(2):
            exported = await exports.run(emulator)
            assert exported.exit_code == 3
            assert set(exported.failed) == {stage_of(f"s{n}") + "/st-active0000000" for n in range(2)}
            asked = [{"region": REGION, "account_id": OTHER if can_ask else None}]
            assert exported.summary["empty_regions"] == asked
            assert files_of(exports.lake / "_log" / f"{ACCOUNT}-{REGION}") == before


async def test_the_lakes_scopes_are_listed_once_and_sts_is_asked_once(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of empty regions: a log has many names."""
    regions = (REGION, ELSEWHERE, "eu-central-1")
    worlds = {(ACCOUNT, region): FixedWorld(stages_of(region=region)) for region in regions}
    lists: list[str] = []

    async def keys(store: DirectoryStore, prefix: str, after: str = "") -> list[str]:
        lists.append(prefix)
        return await all_keys(store, prefix, after)

    all_keys = DirectoryStore.keys
    async with Emulator(options_of(small_world(), regions=regions), worlds) as emulator:
        await exports.run(emulator)
        for world in worlds.values():
            world.data = []
        monkeypatch.setattr(DirectoryStore, "keys", keys)
        missed = await exports.run(emulator)
        assert (missed.exit_code, missed.summary["sessions"]["vanished"]) == (3, 6)
        assert lists.count("_log/") == 1
        assert emulator.calls.granted["GetCallerIdentity"] == 1


async def test_a_role_tells_whose_sessions_are_missed(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each account has a role, an empty list is of that account alone; the other's scope is complete."""
    worlds = {(ACCOUNT, REGION): FixedWorld(stages_of()), (OTHER, REGION): FixedWorld(stages_of(OTHER))}
    roles = tuple(AccountSettings(role_arn=f"arn:aws:iam::{account}:role/ivs-export") for account in (ACCOUNT, OTHER))
    async with Emulator(options_of(small_world(), accounts=ACCOUNTS), worlds) as emulator:
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
