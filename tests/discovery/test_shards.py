from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.discovery.request import Request, ScopeChoice
from exporter.discovery.shards import ConfiguredScope, Shard, ShardedScopes, configured_scopes, parse_shard
from exporter.discovery.target_list import Targets
from exporter.errors import CredentialsLost, UsageError
from exporter.pipeline.scope_plan import ScopePlan, check_account, plan_scopes
from exporter.settings import AccountSettings, Settings

ACCOUNTS = ("111122223333", "444455556666", "777788889999")
REGIONS = ("eu-west-1", "us-east-1", "us-west-2", "ap-south-1")


def account(account_id: str, *regions: str) -> AccountSettings:
    return AccountSettings(role_arn=f"arn:aws:iam::{account_id}:role/reader", regions=regions)


def arn(account_id: str, region: str, name: str = "AbCd") -> str:
    return f"arn:aws:ivs:{region}:{account_id}:stage/{name}"


REGION_SETS = st.lists(st.sampled_from(REGIONS), max_size=3, unique=True).map(tuple)
STAGES = st.lists(st.builds(arn, st.sampled_from(ACCOUNTS), st.sampled_from(REGIONS)), max_size=6, unique=True)
CONFIGURATIONS = st.builds(
    lambda regions, ids, own: Settings(
        regions=regions, accounts=tuple(account(each, *own[place]) for place, each in enumerate(ids))
    ),
    REGION_SETS.filter(bool),
    st.lists(st.sampled_from(ACCOUNTS), max_size=3, unique=True),
    st.lists(REGION_SETS, min_size=3, max_size=3),
)


def shards_of(count: int, configured: Settings) -> list[ShardedScopes]:
    return [ShardedScopes(Shard(index, count), configured_scopes(configured)) for index in range(1, count + 1)]


def plans(settings: Settings, sharded: ShardedScopes | None = None, targets: Targets | None = None) -> list[ScopePlan]:
    return plan_scopes(settings, Request(targets, scopes=ScopeChoice(sharded=sharded)))


@given(CONFIGURATIONS, REGION_SETS, STAGES, STAGES, st.integers(1, 9))
@example(Settings(regions=("eu-west-1",)), (), [arn(ACCOUNTS[0], "us-east-1")], [], 7)
def test_every_scope_belongs_to_exactly_one_shard(
    configured: Settings, typed: tuple[str, ...], stages: list[str], listed: list[str], count: int
) -> None:
    """Whatever is configured, typed, or named by a list: the shards have all of a run's scopes, and none twice."""
    chosen = configured.model_copy(update={"regions": typed or configured.regions, "stages": tuple(stages)})
    targets = Targets({each: {} for each in listed}) if listed else None
    whole = Counter(plans(chosen, targets=targets))
    shared = sum((Counter(plans(chosen, each, targets)) for each in shards_of(count, configured)), Counter())
    assert shared == whole
    assert max(shared.values(), default=1) == 1


@given(CONFIGURATIONS, st.integers(1, 9))
def test_a_shard_has_every_nth_of_the_configured_scopes(configured: Settings, count: int) -> None:
    """They are counted in the order of their names, so that no shard has two more than another."""
    names = sorted(map(str, configured_scopes(configured)))
    for place, sharded in enumerate(shards_of(count, configured)):
        own = [str(scope) for scope in configured_scopes(configured) if sharded.has(scope.region, scope.account_id)]
        assert own == names[place::count]


def test_a_stage_belongs_to_its_region() -> None:
    """Where the run's own credentials are configured, whose account a stage is of changes nothing."""
    [_, second] = shards_of(2, Settings(regions=("eu-west-1", "us-east-1")))
    assert second.has("us-east-1")
    assert all(second.has("us-east-1", each) for each in ACCOUNTS)
    assert not any(second.has("eu-west-1", each) for each in ACCOUNTS)


def test_names_of_configured_scopes() -> None:
    """Accounts in their regions, or the regions of the run's own credentials."""
    own = Settings(regions=("us-east-1", "eu-west-1"))
    assert list(map(str, configured_scopes(own))) == ["base/eu-west-1", "base/us-east-1"]
    accounts = (account(ACCOUNTS[1], "us-west-2"), account(ACCOUNTS[0]))
    named = configured_scopes(own.model_copy(update={"accounts": accounts}))
    assert list(map(str, named)) == [f"{ACCOUNTS[0]}/{each}" for each in ("eu-west-1", "us-east-1")] + [
        f"{ACCOUNTS[1]}/us-west-2"
    ]
    assert named[0] == ConfiguredScope("eu-west-1", ACCOUNTS[0])


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "1/0", "-1/3", "1", "1/3/5", " 1/3", "1/٣", "1/x", "1/99999999999"])
def test_what_is_no_shard(text: str) -> None:
    """It is refused, and the line shows what to write."""
    with pytest.raises(UsageError, match=r"--shard .* is refused: write I/N"):
        parse_shard(text)
    assert parse_shard("3/3") == Shard(3, 3)


def test_an_account_limits_what_is_named() -> None:
    """Of [[accounts]] and of stages the account's are left; one that is named nowhere is refused."""
    both = Settings(regions=REGIONS[:2], accounts=(account(ACCOUNTS[0]), account(ACCOUNTS[1], "us-west-2")))

    def asked(settings: Settings, account_id: str) -> set[tuple[str | None, str]]:
        request = Request(scopes=ScopeChoice(account_id))
        return {(plan.account_id, plan.region) for plan in plan_scopes(settings, request)}

    assert asked(both, ACCOUNTS[1]) == {(ACCOUNTS[1], "us-west-2")}
    stages = Settings(regions=REGIONS, stages=(arn(ACCOUNTS[0], "eu-west-1"), arn(ACCOUNTS[1], "us-east-1")))
    assert asked(stages, ACCOUNTS[0]) == {(ACCOUNTS[0], "eu-west-1")}
    for settings in (both, stages):
        with pytest.raises(UsageError, match=f"--account {ACCOUNTS[2]}: nothing that .* is of that account"):
            asked(settings, ACCOUNTS[2])
    assert asked(Settings(regions=REGIONS[:1]), ACCOUNTS[2]) == {(None, "eu-west-1")}


def test_an_account_that_shows_when_its_stages_are_listed() -> None:
    """The run's own credentials are of one account; another one than was asked for is named, with what to do."""
    request = Request(scopes=ScopeChoice(ACCOUNTS[0]))
    check_account(request, ACCOUNTS[0])
    check_account(request, None)
    check_account(Request(), ACCOUNTS[1])
    with pytest.raises(CredentialsLost, match=f"of account {ACCOUNTS[1]}, and --account asks for {ACCOUNTS[0]}: use a"):
        check_account(request, ACCOUNTS[1])
