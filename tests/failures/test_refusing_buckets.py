"""A bucket that begins to refuse in mid-run: for good, for ever, or as if it were gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.failures.command import OFTEN, assert_failed
from tests.support.command import until
from tests.support.servers.faulty_proxy import Answer, faulty_proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from tests.failures.command import Exports
    from tests.support.command import Ended
    from tests.support.servers.faulty_proxy import Loss

pytestmark = pytest.mark.slow

#: Upon which request it begins: the lease, the begin record, the first and later files and their records, and so on.
NTHS = (1, 2, 5, 20)
DENIED = Answer(
    403,
    b"<Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::111122223333:user/exporter is not authorized to"
    b" perform: s3:PutObject</Message></Error>",
)
SLOW_DOWN = Answer(503, b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")


def from_the_nth(nth: int, loss: Loss, methods: tuple[str, ...]) -> Callable[[web.Request], Loss | None]:
    """Loses the nth request by one of these methods, and all such requests after it."""
    passed = 0

    def rule(request: web.Request) -> Loss | None:
        nonlocal passed
        passed += request.method in methods
        return loss if passed >= nth and request.method in methods else None

    return rule


@pytest.mark.parametrize("nth", NTHS)
async def test_a_policy_that_no_longer_allows_to_write(exports_to_s3: Exports, moto_endpoint: str, nth: int) -> None:
    """The first refusal ends the run: nothing is tried twice, and the line names the permission that is missing."""
    async with faulty_proxy(moto_endpoint) as proxy:
        proxy.rule = from_the_nth(nth, DENIED, ("PUT", "POST"))
        ended = await exports_to_s3.run(*OFTEN, environment={"AWS_ENDPOINT_URL_S3": proxy.url})
    assert_failed(ended, "lake_refused", "^s3://lakes: no permission: allow s3:PutObject, as `ivs-export config")
    exports_to_s3.assert_readable(ended)
    await exports_to_s3.assert_completes()


async def test_a_bucket_that_asks_for_ever_to_slow_down(
    make_exports_to_s3: Callable[[], Exports], moto_endpoint: str
) -> None:
    """Tries have an end; then the run ends, with what the bucket said."""

    async def fail(exports: Exports, nth: int) -> Ended:
        async with faulty_proxy(moto_endpoint) as proxy:
            proxy.rule = from_the_nth(nth, SLOW_DOWN, ("GET", "PUT", "POST", "HEAD", "DELETE"))
            ended = await exports.run(*OFTEN, environment={"AWS_ENDPOINT_URL_S3": proxy.url})
            assert 4 < len(proxy.asked) - nth < 40
            return ended

    every = [(make_exports_to_s3(), nth) for nth in (1, 6, 25)]
    for (exports, _), ended in zip(every, await asyncio.gather(*(fail(*each) for each in every)), strict=True):
        assert_failed(ended, "lake_busy", r"^s3://lakes: \w+( \S+)?: SlowDown: Please reduce your request rate")
        exports.assert_readable(ended)
    for exports, _ in every:
        await exports.assert_completes()


async def test_a_bucket_that_is_no_longer_reached(
    make_exports_to_s3: Callable[[], Exports], moto_endpoint: str
) -> None:
    """Where nothing listens any more, tries have an end, too."""

    async def fail(exports: Exports, requests: int) -> Ended:
        async with faulty_proxy(moto_endpoint) as proxy:
            environment = {"AWS_ENDPOINT_URL_S3": proxy.url}
            async with exports.running(*OFTEN, environment=environment) as running:
                await until(lambda: running.is_over or len(proxy.asked) >= requests)
                await proxy.go_away()
                return await running.end()

    every = [(make_exports_to_s3(), requests) for requests in (0, 8, 30)]
    for (exports, _), ended in zip(every, await asyncio.gather(*(fail(*each) for each in every)), strict=True):
        assert_failed(ended, "lake_busy", r"^s3://lakes does not answer \(127.0.0.1:\d+: [^;]+; \w+")
        exports.assert_readable(ended)
    for exports, _ in every:
        await exports.assert_completes()
