"""Runs that share a lake's scopes among them: shards, and runs of one account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.discovery.request import Request, ScopeChoice
from exporter.discovery.shards import Shard, ShardedScopes, configured_scopes
from exporter.emulator import Account, Emulator
from exporter.settings import AccountSettings, Settings
from tests.support.exports import ACCOUNT, options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from tests.support.exports import Exports

OTHER = "444455556666"
PLACES = ("eu-west-1", "us-east-1", "us-west-2")


def emulator() -> Emulator:
    accounts = (Account(account_id=ACCOUNT), Account("other", "other", OTHER))
    return Emulator(options_of(small_world(4, stages=1), accounts=accounts, regions=PLACES))


async def test_shards_whose_number_changes_between_two_nights(exports: Exports) -> None:
    """Two shards one night, three the next: together they have found every scope, once, and the lake is exact."""
    accounts = tuple(AccountSettings(role_arn=f"arn:aws:iam::{each}:role/ivs-export") for each in (ACCOUNT, OTHER))
    configured = configured_scopes(Settings(regions=PLACES, accounts=accounts))
    async with emulator() as service:
        for count in (2, 3):
            found: list[str] = []
            for index in range(1, count + 1):
                sharded = ShardedScopes(Shard(index, count), configured)
                request = Request(scopes=ScopeChoice(sharded=sharded), tag=f"night {count}")
                shard = await exports.run(service, request, accounts=accounts, regions=PLACES)
                assert (shard.exit_code, shard.failed) == (0, {})
                found += [scope.name for scope in shard.ledger.scopes]
            assert sorted(found) == sorted(f"{each}-{place}" for each in (ACCOUNT, OTHER) for place in PLACES)
            assert lake_rows(exports.lake) == expected(service.truth())
            service.clock.advance(86_400.0)


async def test_the_runs_own_credentials_are_of_another_account(exports: Exports) -> None:
    """Nothing of theirs is written, and the line says whose they are and what to do."""
    async with emulator() as service:
        run = await exports.run(service, Request(scopes=ScopeChoice(OTHER)), regions=PLACES)
        assert run.exit_code == 1
        assert f"are of account {ACCOUNT}, and --account asks for {OTHER}: use a profile" in str(run.error)
        assert not list(exports.lake.rglob("*.parquet"))
        own = await exports.run(service, Request(scopes=ScopeChoice(ACCOUNT)), regions=PLACES)
        assert own.exit_code == 0
        assert lake_rows(exports.lake) == expected(service.truth(ACCOUNT))


@pytest.mark.slow
async def test_an_empty_shard_region_asks_in_no_other(exports: Exports) -> None:
    """Where its regions show no stage, a shard leaves the others to its neighbours."""
    options = options_of(small_world(4, stages=1), regions=("us-east-1",))
    sharded = ShardedScopes(Shard(1, 2), configured_scopes(Settings(regions=PLACES)))
    async with Emulator(options) as service:
        run = await exports.run(service, Request(scopes=ScopeChoice(sharded=sharded)), regions=PLACES)
        assert run.exit_code == 0
        assert run.summary["regions_with_stages"] == []
        assert [scope["region"] for scope in run.summary["empty_regions"]] == ["eu-west-1", "us-west-2"]
