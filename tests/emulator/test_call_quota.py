from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from exporter.emulator import Emulator, QuotaOptions
from exporter.emulator.protocol.quota import Quota
from exporter.model import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Scope("111122223333", "us-east-1")


async def test_the_sixth_call_of_a_second_is_throttled(
    client_of: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """Five calls pass at once, the sixth is throttled, and 0.2 s later one more passes; other operations go on."""
    now_s = [100.0]
    options = options_of(quota=QuotaOptions())
    async with Emulator(options, monotonic_s=lambda: now_s[0]) as emulator, client_of(emulator) as client:
        arns = [(await client.list_stages())["stages"][0]["arn"] for _ in range(5)]
        with pytest.raises(ClientError) as refusal:
            await client.list_stages()
        await client.list_stage_sessions(stageArn=arns[0])
        now_s[0] += 0.2
        await client.list_stages()
        with pytest.raises(ClientError):
            await client.list_stages()
        counts = {bucket["operation"]: bucket for bucket in emulator.quota.counts()}
    assert refusal.value.response["Error"]["Code"] == "ThrottlingException"
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    stages = counts["ListStages"]
    assert (stages["calls"], stages["granted"], stages["throttled"]) == (8, 6, 2)
    assert stages["slots"] == pytest.approx(6.0)
    assert stages["granted_by_second"] == [(0, 6)]
    assert counts["ListStageSessions"]["granted"] == 1


async def test_a_throttle_may_be_bare(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Without a code the throttled answer is a bare 429; Retry-After is added where it is wanted."""
    quota = QuotaOptions(calls_per_second=1.0, burst=1, code=None, retry_after_s=3.0)
    async with Emulator(options_of(quota=quota), monotonic_s=lambda: 0.0) as emulator:
        await ask(emulator).page("ListStages")
        status, headers, _ = await ask(emulator).raw("ListStages")
    assert status == 429
    assert "x-amzn-ErrorType" not in headers
    assert headers["Retry-After"] == "3"


def test_scopes_have_quotas_of_their_own() -> None:
    """What one region uses up is not missing in another."""
    quota = Quota(QuotaOptions(burst=1), lambda: 0.0)
    assert quota.take("ListStages", HERE)
    assert not quota.take("ListStages", HERE)
    assert quota.take("ListStages", Scope(HERE.account_id, "eu-west-1"))


def test_what_is_not_used_is_not_saved_up() -> None:
    """After an hour without calls the burst is granted at once, and no more."""
    now_s = [0.0]
    quota = Quota(QuotaOptions(), lambda: now_s[0])
    assert sum(quota.take("ListStages", HERE) for _ in range(9)) == 5
    now_s[0] += 3_600.0
    assert sum(quota.take("ListStages", HERE) for _ in range(9)) == 5


@given(
    waits_s=st.lists(st.floats(0.0, 3.0), max_size=60),
    rate=st.floats(0.1, 50.0),
    burst=st.integers(1, 10),
)
def test_no_more_is_granted_than_the_quota_allows(waits_s: list[float], rate: float, burst: int) -> None:
    """Over any stretch from the start, grants are at most the burst and the rate for the time passed."""
    now_s = [0.0]
    quota = Quota(QuotaOptions(rate, burst), lambda: now_s[0])
    granted = 0
    for wait_s in waits_s:
        now_s[0] += wait_s
        granted += quota.take("ListStages", HERE)
        assert granted <= burst + rate * now_s[0] + 1e-6
    if waits_s:
        assert granted >= 1
