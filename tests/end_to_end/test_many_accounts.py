"""Many accounts in one run: the real command beside an emulator that gives each account its role."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from exporter.emulator import Account, Emulator, FixedWorld, RoleOptions, Size
from exporter.lake.stores import open as open_module
from exporter.model import REGIONS
from exporter.settings import AccountSettings
from tests.support.command import Ended, command_line, end_of, until
from tests.support.exports import ACCOUNT, options_of, stage_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from aiobotocore.session import AioSession

    from tests.support.exports import Exports

ROOT = Path(__file__).parents[2]
OTHER = "444455556666"
PLACES = ("eu-west-1", "us-east-1")
EXTERNAL_ID = "hush-hush-hush"
FAST = ("--calls-per-second", "5000")
#: What STS answers, as far as it is read, but for the keys' end.
GIVEN = (
    "<a><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>b</SecretAccessKey>"
    "<SessionToken>c</SessionToken><Expiration>{}</Expiration></Credentials></AssumeRoleResult></a>"
)
#: Sixty units in each scope: four seconds at fifteen calls a second.
EVEN = small_world(3, stages=1, sessions=Size.fixed(2), participants=Size.fixed(30), events=Size.fixed(4))
SLOW = ("--calls-per-second", "15")


def emulator_of(*accounts: str, **changes: Any) -> Emulator:
    """The first account's keys are those of the command."""
    world = changes.pop("world", None)
    keys = tuple(
        Account(account_id=each) if place == 0 else Account(each, "other", each) for place, each in enumerate(accounts)
    )
    return Emulator(options_of(world, **{"accounts": keys, "regions": PLACES, **changes}))


def table_of(account: str, role: str = "ivs-export", **members: object) -> str:
    """One ``[[accounts]]`` table."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in members.items()]
    return "\n".join(["[[accounts]]", f'role_arn = "arn:aws:iam::{account}:role/{role}"', *lines, ""])


@asynccontextmanager
async def serving(answer: Callable[[web.BaseRequest], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """An HTTP server with one answer to everything, by its URL."""
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Lake:
    """Runs of the real command, one after another, into one lake."""

    path: Path

    def rows(self) -> Any:
        return lake_rows(self.path)

    async def run(self, emulator: Emulator, *tables: str, options: Iterable[str] = FAST) -> Ended:
        config = self.path.parent / "accounts.toml"
        config.write_text(f"regions = {json.dumps(PLACES)}\nlake = {json.dumps(str(self.path))}\n" + "".join(tables))
        urls = {
            "AWS_ENDPOINT_URL_IVS_REALTIME": emulator.url,
            "AWS_ENDPOINT_URL_STS": emulator.url,
            "IVS_EXPORT_TEST_CLOCK": emulator.url,
        }
        return await end_of(command_line("run", "--json", "--config", str(config), *options), os.environ | urls)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


async def test_two_accounts_in_two_regions(lake: Lake) -> None:
    """Each account's rows are in the lake, under a log for each scope; a role is assumed once, no secret is shown."""
    roles = RoleOptions(external_id=EXTERNAL_ID)
    async with emulator_of(ACCOUNT, OTHER, roles=roles) as emulator:
        tables = [table_of(account, external_id=EXTERNAL_ID) for account in (ACCOUNT, OTHER)]
        run = await lake.run(emulator, *tables, options=(*FAST, "--log-level", "debug"))
        assert (run.code, run.failed) == (0, {})
        assert lake.rows() == expected(emulator.truth())
        assert {row[:2] for row in lake.rows()} == {
            (account, place) for account in (ACCOUNT, OTHER) for place in PLACES
        }
        logs = sorted(path.name for path in (lake.path / "_log").iterdir() if path.is_dir())
        assert logs == [f"{account}-{place}" for account in (ACCOUNT, OTHER) for place in PLACES]
        assert emulator.calls.granted["AssumeRole"] == 2
        shown = run.logged + json.dumps(run.summary)
        for secret in (EXTERNAL_ID, "ASIA", emulator.roles.issue(OTHER, 1.0).session_token or ""):
            assert secret not in shown
        again = await lake.run(emulator, *tables)
        assert again.summary["events"]["written"] == 0


@pytest.mark.slow
async def test_without_accounts_sts_is_not_asked(lake: Lake) -> None:
    """The account of the run's own credentials is exported, and no role is assumed."""
    async with emulator_of(ACCOUNT, OTHER) as emulator:
        run = await lake.run(emulator)
        assert run.code == 0
        assert lake.rows() == expected(emulator.truth(ACCOUNT))
        assert emulator.calls.granted["AssumeRole"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", [{"role": "another"}, pytest.param({"external_id": "not-this-one"}, marks=pytest.mark.slow)]
)
async def test_a_wrong_role_fails_its_scopes_alone(wrong: dict[str, str], lake: Lake) -> None:
    """They are named, the other account is exported, and the exit code is 3; where all are wrong, it is 1."""
    async with emulator_of(ACCOUNT, OTHER, roles=RoleOptions(external_id=EXTERNAL_ID)) as emulator:
        good, bad = ({"external_id": EXTERNAL_ID}, {"external_id": EXTERNAL_ID, **wrong})
        run = await lake.run(emulator, table_of(ACCOUNT, **good), table_of(OTHER, **bad))
        assert run.failed == {f"{OTHER}-{place}": "credentials" for place in PLACES}
        assert all("AccessDenied" in failure["message"] for failure in run.summary["failures"])
        assert run.code == 3
        assert lake.rows() == expected(emulator.truth(ACCOUNT))
        assert emulator.calls.granted["AssumeRole"] == 2
        run = await lake.run(emulator, table_of(ACCOUNT, **bad), table_of(OTHER, **bad))
        assert (run.code, run.summary["outcome"]) == (1, "failed")
        for secret in (EXTERNAL_ID, "not-this-one"):
            assert secret not in run.logged + json.dumps(run.summary)


@pytest.mark.slow
async def test_keys_are_renewed_before_they_end(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role is assumed again ahead of the end that STS set, not when its keys are refused: they never are.

    The clock by which the service judges keys stands still. Keys live so long that a quarter of it, in which they are
    renewed, is more than the second for which they are kept.
    """
    ahead_s: list[float] = []
    last: dict[str, Account] = {}
    async with emulator_of(ACCOUNT, OTHER, world=EVEN, roles=RoleOptions(life_s=5.0)) as emulator:
        now_s, really = time.time(), emulator.roles.issue

        def issue(account_id: str, life_s: float) -> Account:
            if account_id in last:
                ahead_s.append((last[account_id].expires_s or 0.0) - time.time())
            last[account_id] = really(account_id, life_s)
            return last[account_id]

        monkeypatch.setattr(emulator.roles, "issue", issue)
        monkeypatch.setattr(emulator._signatures, "_wall_s", lambda: now_s)  # noqa: SLF001 - the service's, not STS's
        run = await lake.run(emulator, table_of(ACCOUNT), table_of(OTHER), options=("--calls-per-second", "5"))
        assert (run.code, run.failed) == (0, {})
        assert max(ahead_s) > 0.0


@pytest.mark.slow
async def test_keys_that_live_shorter_than_the_run(lake: Lake) -> None:
    """A run that takes some times as long as a role's keys live is complete."""
    async with emulator_of(ACCOUNT, OTHER, world=EVEN, roles=RoleOptions(life_s=1.0)) as emulator:
        run = await lake.run(emulator, table_of(ACCOUNT), table_of(OTHER), options=SLOW)
        assert (run.code, run.failed) == (0, {})
        assert lake.rows() == expected(emulator.truth())
        assert emulator.calls.granted["AssumeRole"] > 2


@pytest.mark.slow
async def test_keys_that_end_unforeseen_are_replaced(lake: Lake) -> None:
    """Where the service says that keys have expired, their role is assumed again, once for all of its regions."""
    async with emulator_of(ACCOUNT, OTHER, world=EVEN) as emulator:
        exporting = asyncio.create_task(lake.run(emulator, table_of(ACCOUNT), table_of(OTHER), options=SLOW))
        await until(lambda: emulator.calls.granted["ListParticipantEvents"] >= 40)
        emulator.roles.expire_all()
        run = await exporting
        assert (run.code, run.failed) == (0, {})
        assert lake.rows() == expected(emulator.truth())
        assert emulator.calls.granted["AssumeRole"] == 4


@pytest.mark.slow
async def test_a_role_that_is_lost_in_mid_run(lake: Lake) -> None:
    """What its scopes had fetched is committed, the other account is exported whole, and the next run does the rest."""
    async with emulator_of(ACCOUNT, OTHER, world=EVEN) as emulator:
        tables = (table_of(ACCOUNT), table_of(OTHER))
        exporting = asyncio.create_task(lake.run(emulator, *tables, options=SLOW))
        await until(lambda: emulator.calls.granted["ListParticipantEvents"] >= 80)
        emulator.roles.refused.add(OTHER)
        emulator.roles.expire_all()
        run = await exporting
        assert run.code == 3
        assert run.failed == {f"{OTHER}-{place}": "credentials" for place in PLACES}
        rows, whole = lake.rows(), expected(emulator.truth())
        assert rows <= whole
        assert {row for row in rows if row[0] == ACCOUNT} == set(expected(emulator.truth(ACCOUNT)))
        assert 0 < len([row for row in rows if row[0] == OTHER]) < len(expected(emulator.truth(OTHER)))
        emulator.roles.refused.clear()
        assert (await lake.run(emulator, *tables)).code == 0
        assert lake.rows() == whole


@pytest.mark.slow
async def test_a_role_that_shows_another_account(lake: Lake) -> None:
    """The scope fails by name, and nothing that the role showed is in the lake."""
    worlds = {(OTHER, "us-east-1"): FixedWorld([{"arn": stage_of("one", "777788889999"), "sessions": []}])}
    options = options_of(accounts=(Account(), Account("other", "other", OTHER)), regions=PLACES)
    async with Emulator(options, worlds) as emulator:
        run = await lake.run(emulator, table_of(ACCOUNT), table_of(OTHER, regions=["us-east-1"]))
        [failure] = run.summary["failures"]
        assert failure["unit"] == f"{OTHER}-us-east-1"
        assert failure["message"] == f"arn:aws:iam::{OTHER}:role/ivs-export lists stages of account 777788889999"
        assert run.code == 3
        assert lake.rows() == expected(emulator.truth(ACCOUNT))


@pytest.mark.slow
async def test_targets_and_stages_of_many_accounts(lake: Lake, tmp_path: Path) -> None:
    """Each is read with the role of its account; one of an account that is not listed is refused before anything."""
    async with emulator_of(ACCOUNT, OTHER) as emulator:
        units = sorted((unit.stage_arn, unit.session_id, unit.participant_id) for unit, _ in emulator.truth().units())
        with (tmp_path / "list.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("stage_arn", "session_id", "participant_id"), *units[::3]])
        targets = (*FAST, "--targets", str(tmp_path / "list.csv"))
        run = await lake.run(emulator, table_of(OTHER), options=targets)
        assert run.code == 2
        assert f"account {ACCOUNT} is none of the [[accounts]] in the file" in run.summary["failures"][0]["message"]
        assert not lake.path.exists()
        run = await lake.run(emulator, table_of(ACCOUNT), table_of(OTHER), options=targets)
        assert (run.code, run.failed) == (0, {})
        assert {row[2:5] for row in lake.rows()} == {unit for unit in units[::3] if _has_events(emulator, unit)}
        stage = units[-1][0]
        run = await lake.run(emulator, table_of(OTHER), options=(*FAST, "--stage", stage))
        assert run.code == 0
        assert {row for row in lake.rows() if row[2] == stage} == {
            row for row in expected(emulator.truth()) if row[2] == stage
        }


def _has_events(emulator: Emulator, unit: tuple[str, str, str]) -> bool:
    return any(row[2:5] == unit for row in expected(emulator.truth()))


@pytest.mark.slow
async def test_what_a_dry_run_of_many_accounts_tells(lake: Lake) -> None:
    """The plan has each account's scopes, and nothing is written."""
    async with emulator_of(ACCOUNT, OTHER) as emulator:
        run = await lake.run(emulator, table_of(ACCOUNT), table_of(OTHER), options=(*FAST, "--dry-run"))
        assert {plan["scope"] for plan in run.summary["plan"]} == {
            f"{account}-{place}" for account in (ACCOUNT, OTHER) for place in PLACES
        }
        assert not lake.path.exists()


async def test_the_lake_is_written_with_the_runs_own_credentials(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that the store is opened with has those, whatever roles are assumed beside it."""
    opened: list[Any] = []
    really = open_module.open_store

    def spy(address: str, make_session: Callable[[], AioSession], s3: Any) -> AbstractAsyncContextManager[Any]:
        opened.append(make_session())
        return really(address, make_session, s3)

    monkeypatch.setattr("exporter.pipeline.surroundings.open_store", spy)
    async with emulator_of(ACCOUNT, OTHER) as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", emulator.url)
        accounts = (AccountSettings(role_arn=f"arn:aws:iam::{OTHER}:role/ivs-export"),)
        exported = await exports.run(emulator, accounts=accounts)
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth(OTHER))
        [session] = opened
        assert (await session.get_credentials()).access_key == "emulator"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>sign in</html>", "STS's answer can't be read"),
        (200, "<a></a>", "STS's answer can't be read"),
        (200, "", "STS's answer can't be read"),
        (200, GIVEN.format("2020-01-01T00:00:00Z"), "by this machine's clock"),
        (200, GIVEN.format("soon"), "STS's answer can't be read"),
        (403, f"<a><Error><Code>X</Code><Message>not {EXTERNAL_ID}</Message></Error></a>", "not ***"),
        pytest.param(503, "<a><Error><Code>Busy</Code></Error></a>", "Busy", marks=pytest.mark.slow),
    ],
)
async def test_an_answer_of_sts_that_is_none(status: int, body: str, said: str, exports: Exports) -> None:
    """Whatever a proxy, a wrong clock or a fault makes of an answer fails the account by name; no secret is run."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text=body, content_type="text/xml")

    async with emulator_of(ACCOUNT, OTHER) as emulator, serving(answer) as url:
        exports.sts_url = url
        account = AccountSettings(
            role_arn=f"arn:aws:iam::{OTHER}:role/ivs-export", external_id=SecretStr(EXTERNAL_ID), regions=PLACES[:1]
        )
        exported = await exports.run(emulator, accounts=(account,))
        [failure] = exported.summary["failures"]
        assert (failure["unit"], failure["error"]) == (f"{OTHER}-eu-west-1", "credentials")
        assert said in failure["message"]
        assert EXTERNAL_ID not in failure["message"]
        assert exported.exit_code == 1


async def test_own_credentials_that_were_rotated_meanwhile(
    exports: Exports, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where they have expired when a role is to be assumed, they are read anew, and the role is assumed with those."""
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = old\naws_secret_access_key = old\naws_session_token = old\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    def rotated() -> float:
        """Whoever asks for the time finds the keys rotated, and the old ones ended."""
        file.write_text("[default]\naws_access_key_id = new\naws_secret_access_key = new\n")
        return time.time()

    keys = (Account("old", "old", ACCOUNT, "old", expires_s=0.0), Account("new", "new", ACCOUNT))
    options = options_of(accounts=(*keys, Account("other", "other", OTHER)), regions=PLACES)
    async with Emulator(options) as emulator:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", emulator.url)
        monkeypatch.setattr(emulator._signatures, "_wall_s", rotated)  # noqa: SLF001 - only calls shall rotate the keys
        exported = await exports.run(
            emulator, accounts=(AccountSettings(role_arn=f"arn:aws:iam::{OTHER}:role/ivs-export"),)
        )
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth(OTHER))


@pytest.mark.slow
async def test_the_accounts_of_the_docs(lake: Lake) -> None:
    """The file that docs/running.md shows exports the accounts that it names, each where it says."""
    section = (ROOT / "docs/running.md").read_text().partition("## Many accounts")[2].partition("\n## ")[0]
    shown = section.partition("```toml")[2].partition("```")[0].partition("\n\n")[2]
    async with emulator_of(ACCOUNT, OTHER, roles=RoleOptions()) as emulator:
        run = await lake.run(emulator, shown)
        assert run.code == 0
        assert lake.rows() == expected(emulator.truth(ACCOUNT)) + expected(emulator.truth(OTHER, "us-east-1"))


@pytest.mark.slow
async def test_two_hundred_scopes_in_one_process(lake: Lake) -> None:
    """Twenty-nine accounts in seven regions are exported side by side, every row in its place."""
    accounts = [f"{number:012d}" for number in range(1, 30)]
    tiny = small_world(5, stages=1, sessions=Size.fixed(1), participants=Size.fixed(1), events=Size.fixed(2))
    async with emulator_of(*accounts, world=tiny, regions=REGIONS) as emulator:
        run = await lake.run(emulator, *(table_of(account, regions=REGIONS) for account in accounts))
        assert (run.code, run.failed) == (0, {})
        assert len(run.summary["scopes"]) == 203
        assert lake.rows() == expected(emulator.truth())
        assert len({row[:2] for row in lake.rows()}) == 203
        assert emulator.calls.granted["AssumeRole"] == 29
