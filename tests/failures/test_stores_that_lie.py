"""A bucket reached through something that does not keep what a lake rests on, and what the real command makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.failures.command import SOMETIMES, assert_failed
from tests.support.servers.faulty_proxy import Answer, faulty_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.failures.command import Exports
    from tests.support.command import Ended
    from tests.support.servers.faulty_proxy import Proxy

pytestmark = pytest.mark.slow

DENIED = Answer(403, b"<Error><Code>AccessDenied</Code><Message>denied</Message></Error>")
PORTAL = Answer(200, b"<!DOCTYPE html><html><body>Please log in</body></html>", "text/html")


@pytest.fixture
async def proxy(moto_endpoint: str) -> AsyncIterator[Proxy]:
    async with faulty_proxy(moto_endpoint) as proxy:
        yield proxy


async def run_by(exports: Exports, proxy: Proxy, *options: str) -> Ended:
    return await exports.run(*SOMETIMES, *options, environment={"AWS_ENDPOINT_URL_S3": proxy.url})


async def test_a_store_that_ignores_conditions_is_not_used(exports_to_s3: Exports, proxy: Proxy) -> None:
    """A new lake gets nothing but its file; a lake that was filled elsewhere stays as it is; no call of IVS is made."""
    proxy.forgotten = frozenset({"if-none-match"})
    for _ in range(2):
        ended = await run_by(exports_to_s3, proxy)
        assert_failed(ended, "lake_refused", "this store ignores If-None-Match: it lets a record be made twice")
        assert (ended.summary["calls"], exports_to_s3.lake.visible(), exports_to_s3.lake.record_keys()) == (
            {},
            set(),
            set(),
        )
    await exports_to_s3.assert_completes()
    before = exports_to_s3.lake.visible() | exports_to_s3.lake.record_keys()
    ended = await run_by(exports_to_s3, proxy, "--refetch")
    assert_failed(ended, "lake_refused", "this store ignores If-None-Match")
    assert ended.summary["calls"] == {}
    assert exports_to_s3.lake.visible() | exports_to_s3.lake.record_keys() == before
    await exports_to_s3.assert_completes()


async def test_a_permission_that_is_needed_later_is_missed_by_the_first_run(
    exports_to_s3: Exports, proxy: Proxy
) -> None:
    """It is named before a call of IVS is made."""
    proxy.rule = lambda request: DENIED if request.method == "DELETE" else None
    ended = await run_by(exports_to_s3, proxy)
    assert_failed(ended, "lake_refused", "^s3://lakes: no permission: allow s3:DeleteObject, as `ivs-export config")
    assert (ended.summary["calls"], exports_to_s3.lake.visible()) == ({}, set())
    await exports_to_s3.assert_completes()


async def test_a_portal_in_the_buckets_place_ends_the_run(exports_to_s3: Exports, proxy: Proxy) -> None:
    """Pages with status 200 in the place of lists are asked past a few times, and never taken for an empty lake."""
    await exports_to_s3.assert_completes()
    proxy.rule = lambda request: PORTAL if "list-type" in request.query else None
    ended = await run_by(exports_to_s3, proxy)
    assert_failed(ended, "lake_busy", "^s3://lakes: list_objects_v2 is answered by 127.0.0.1:.* status 200")
    assert len(proxy.asked) < 30
    exports_to_s3.assert_readable(ended)
    await exports_to_s3.assert_completes()
