"""What stands between the command and AWS, and what it says of it: one line, the right exit code, and few calls."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from exporter.emulator import Account, Emulator, RoleOptions, Size
from tests.support.command import Ended, command_line, end_of
from tests.support.environment import bare_environment
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows
from tests.support.servers.raw import raw_server
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET = "hUsh0hush1Hush2hush3hUsh4hush5Hush6hush7"
OTHER = "444455556666"
KEYS = {"AWS_ACCESS_KEY_ID": "emulator", "AWS_SECRET_ACCESS_KEY": "emulator"}


def failure(ended: Ended) -> tuple[str, str]:
    """The first failure's kind and message."""
    first = ended.summary["failures"][0]
    return first["error"], first["message"]


@dataclass(slots=True)
class Runs:
    """Runs of the real command, each with an environment of its own."""

    folder: Path

    async def run(self, environment: dict[str, str], *options: str, within: tuple[str, ...] = ()) -> Ended:
        lake = ("--region", "us-east-1", "--lake", str(self.folder / "lake"))
        command = command_line("run", "--json", *lake, "--calls-per-second", "5000", *options)
        own = bare_environment({"AWS_CONFIG_FILE": str(self.folder / "config")}, environment)
        return await end_of([*within, *command], own, secrets=(SECRET,))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("AWS_ENDPOINT_URL_IVS_REALTIME", f"user:{SECRET}@host"),
        pytest.param("AWS_ENDPOINT_URL_IVS_REALTIME", "ftp://host", marks=pytest.mark.slow),
        pytest.param("AWS_ENDPOINT_URL", f"http://user:{SECRET}@host:xx", marks=pytest.mark.slow),
        pytest.param("AWS_ENDPOINT_URL_STS", f"user:{SECRET}@host", marks=pytest.mark.slow),
        pytest.param("AWS_ENDPOINT_URL_S3", f"http://user:{SECRET}@host:xx", marks=pytest.mark.slow),
    ],
)
async def test_a_wrong_endpoint_is_wrong_usage(runs: Runs, variable: str, url: str) -> None:
    """Exit 2 before anything was started, and the line names the variable, without the password in it."""
    account = f'[[accounts]]\nrole_arn = "arn:aws:iam::{OTHER}:role/ivs-export"\n'
    (runs.folder / "accounts.toml").write_text(account if "STS" in variable else "")
    lake = ("--lake", "s3://bucket/lake") if "S3" in variable else ()
    config = ("--config", str(runs.folder / "accounts.toml"))
    ended = await runs.run({**KEYS, variable: url}, *config, *lake)
    kind, message = failure(ended)
    assert (ended.code, kind) == (2, "usage")
    assert message.startswith(variable)
    assert not (runs.folder / "lake").exists()


@pytest.mark.slow
async def test_a_profile_that_asks_for_a_code_by_night(runs: Runs) -> None:
    """Nobody is there to type it: the credentials can't be used, and no bug is reported."""
    (runs.folder / "config").write_text(
        f"[default]\nrole_arn = arn:aws:iam::{OTHER}:role/x\nsource_profile = base\nmfa_serial = x\n"
        f"[profile base]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET}\n"
    )
    ended = await runs.run({})
    assert (ended.code, failure(ended)[0]) == (1, "credentials")
    assert "MFA" in failure(ended)[1]


@asynccontextmanager
async def refusing(line: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives one answer to everything: its address, and what it was asked."""
    asked: list[bytes] = []

    async def refuse(head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(head)
        writer.write(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    async with raw_server(refuse) as address:
        yield address, asked


async def test_a_proxy_that_asks_for_a_password(runs: Runs) -> None:
    """It is asked once, not eight times, and the scope fails with what to set."""
    async with refusing("407 Proxy Authentication Required") as (proxy, asked):
        ended = await runs.run({**KEYS, "HTTPS_PROXY": f"http://user:{SECRET}@{proxy}"})
    assert (ended.code, failure(ended)[0]) == (1, "unreachable")
    assert f"the proxy {proxy} asks for a user and a password" in failure(ended)[1]
    assert len(asked) == 1


@pytest.mark.slow
async def test_what_is_lost_in_mid_run_ends_the_scope_with_a_commit(runs: Runs) -> None:
    """A clock that is found wrong in mid-run fails the scope as a whole: what was fetched is in the lake."""
    world = small_world(3, stages=2, sessions=Size.fixed(2), participants=Size.fixed(20), events=Size.fixed(4))
    async with Emulator(options_of(world)) as emulator:
        running = asyncio.create_task(
            runs.run({**KEYS, "AWS_ENDPOINT_URL_IVS_REALTIME": emulator.url}, "--calls-per-second", "20")
        )
        while emulator.calls.granted["ListParticipantEvents"] < 10:  # noqa: ASYNC110 - it is another process's doing
            await asyncio.sleep(0.01)
        emulator._signatures._wall_s = lambda: 0.0  # noqa: SLF001 - the service's clock
        ended = await running
    assert ended.summary["units"]["exported"] >= 9, ended.log
    assert ended.code == 1
    assert [failure["error"] for failure in ended.summary["failures"]] == ["clock"]
    assert lake_rows(runs.folder / "lake") <= expected(emulator.truth())


@pytest.mark.slow
async def test_a_profiles_role_of_a_quarter_of_an_hour(runs: Runs) -> None:
    """It is assumed for IVS once in a run of some seconds, though botocore would renew its keys at each look."""
    world = small_world(3, stages=2, sessions=Size.fixed(2), participants=Size.fixed(20), events=Size.fixed(4))
    accounts = (Account(), Account("other", "other", OTHER))
    async with Emulator(options_of(world, accounts=accounts, roles=RoleOptions(life_s=900.0))) as emulator:
        (runs.folder / "config").write_text(
            f"[default]\nrole_arn = arn:aws:iam::{OTHER}:role/ivs-export\nsource_profile = base\n"
            "duration_seconds = 900\nregion = us-east-1\n"
            "[profile base]\naws_access_key_id = emulator\naws_secret_access_key = emulator\n"
        )
        environment = {"AWS_ENDPOINT_URL_IVS_REALTIME": emulator.url, "AWS_ENDPOINT_URL_STS": emulator.url}
        ended = await runs.run(environment, "--calls-per-second", "20")
        assert (ended.code, ended.summary["failures"]) == (0, [])
        assert ended.summary["seconds"] > 2.0
        assert lake_rows(runs.folder / "lake") == expected(emulator.truth(OTHER))
        assert emulator.calls.granted["AssumeRole"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["ulimit -Sn 256", "ulimit -n 256"])
async def test_many_scopes_under_a_limit_to_open_files(runs: Runs, limit: str) -> None:
    """A soft limit is raised, and a hard one lived with: 84 scopes are exported side by side."""
    accounts = [f"{number:012d}" for number in range(1, 13)]
    regions = ("us-east-1", "us-west-2", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "eu-central-1", "eu-west-1")
    tiny = small_world(5, stages=2, sessions=Size.fixed(1), participants=Size.fixed(4), events=Size.fixed(2))
    keys = tuple(
        Account(account_id=each) if place == 0 else Account(each, "other", each) for place, each in enumerate(accounts)
    )
    slow = "slow seconds=0.3 operation=ListParticipantEvents"
    options = options_of(tiny, accounts=keys, regions=regions, faults=(slow,))
    tables = "".join(f'[[accounts]]\nrole_arn = "arn:aws:iam::{each}:role/ivs-export"\n' for each in accounts)
    (runs.folder / "accounts.toml").write_text(f"regions = {json.dumps(regions)}\n{tables}")
    async with Emulator(options) as emulator:
        ended = await runs.run(
            {**KEYS, "AWS_ENDPOINT_URL_IVS_REALTIME": emulator.url, "AWS_ENDPOINT_URL_STS": emulator.url},
            *("--config", str(runs.folder / "accounts.toml"), *[x for each in regions for x in ("--region", each)]),
            within=("sh", "-c", f'{limit} && exec "$@"', "sh"),
        )
        assert (ended.code, ended.summary["failures"]) == (0, []), ended.log
        assert len(ended.summary["scopes"]) == 84
        assert lake_rows(runs.folder / "lake") == expected(emulator.truth())
