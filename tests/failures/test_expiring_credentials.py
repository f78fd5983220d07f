"""Credentials that expire in mid-run, for IVS or for the lake, with and without new ones to be had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.failures.command import SOMETIMES, assert_failed, written
from tests.failures.keys import NEW, Hourglass, Provider
from tests.support.laws import check_equal
from tests.support.servers.faulty_proxy import faulty_proxy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.failures.command import Exports
    from tests.support.command import Ended

pytestmark = pytest.mark.slow

IVS_EXPIRED = r"ExpiredTokenException \(status 403\)"
LAKE_EXPIRED = "^s3://lakes: the AWS credentials have expired: get new ones, and run again$"


async def run_until(exports: Exports, change: Callable[[], object], environment: dict[str, str] | None = None) -> Ended:
    """A run in whose middle something changes: there are files already, and there is more to come."""
    return await exports.run_changed(
        lambda: len(exports.lake.visible()) >= 3, lambda _: change(), *SOMETIMES, environment=environment
    )


@pytest.fixture
def rotation(hourglass: Hourglass, tmp_path: Path) -> Callable[[str], Rotation]:
    return lambda kind: Rotation(hourglass, Provider(kind, tmp_path))


@dataclass(slots=True)
class Rotation:
    """The first keys' end, and what their provider gives then."""

    hourglass: Hourglass
    provider: Provider

    def before(self) -> dict[str, str]:
        """Give the first keys; returns what a command's environment needs."""
        return self.provider.give(self.hourglass.old)

    def end(self, services: str, then: str) -> Callable[[], None]:
        """Ends them, where it is called, for these services; ``then`` is what is to be had from now on."""

        def end() -> None:
            if then == "new keys":
                self.provider.give(NEW)
            elif then == "an error":
                self.provider.fail()
            elif then == "keys that have expired":
                self.provider.give_too_late(NEW)
            self.hourglass.is_over_for_ivs = "ivs" in services
            self.hourglass.is_over_for_s3 = "s3" in services

        return end


@pytest.mark.parametrize("kind", ["file", "process"])
async def test_new_keys_are_found(exports: Exports, rotation: Callable[[str], Rotation], kind: str) -> None:
    """Where the provider has new keys, the run goes on with them, and all is exported."""
    keys = rotation(kind)
    exports.keys = keys.before()
    ended = await run_until(exports, keys.end("ivs", "new keys"))
    assert (ended.code, ended.summary["outcome"], ended.summary["failures"]) == (0, "complete", [])
    assert ended.summary["retries"] > 0
    check_equal(exports.lake, exports.truth)
    await exports.assert_completes()


@pytest.mark.parametrize(
    ("kind", "then", "said"),
    [
        ("environment", "the same", IVS_EXPIRED),
        ("file", "the same", IVS_EXPIRED),
        ("file", "an error", "^no AWS credentials can be used: Unable to parse config file"),
        ("process", "an error", "^no AWS credentials can be used: .*: the login is over$"),
        ("process", "keys that have expired", "^no AWS credentials can be used: .*expired already"),
    ],
)
async def test_no_new_keys_are_to_be_had(
    exports: Exports, rotation: Callable[[str], Rotation], kind: str, then: str, said: str
) -> None:
    """Without new keys the run commits all that it has, says what became of the keys, and exits 1."""
    keys = rotation(kind)
    exports.keys = keys.before()
    ended = await run_until(exports, keys.end("ivs", then))
    assert_failed(ended, "credentials", said)
    units = ended.summary["units"]
    assert units["exported"] > 0
    assert units["deferred"] + units["exported"] == units["found"]
    exports.assert_readable(ended)
    assert exports.lake.records()[-1]["summary"]["events"]["written"] == written(ended)
    exports.keys = keys.provider.give(NEW)
    await exports.assert_completes()


async def test_a_damaged_file_of_keys_at_the_start(exports: Exports, rotation: Callable[[str], Rotation]) -> None:
    """One line names the file, and nothing is written."""
    keys = rotation("file")
    exports.keys = keys.before()
    keys.provider.fail()
    ended = await exports.run()
    assert_failed(ended, "credentials", "^no AWS credentials can be used: Unable to parse config file: .*credentials$")
    assert exports.lake.record_keys() == set()
    exports.keys = keys.provider.give(NEW)
    await exports.assert_completes()


@pytest.mark.parametrize(("kind", "services"), [("file", "ivs s3"), ("process", "s3")])
async def test_new_keys_are_found_for_the_lake(
    exports_to_s3: Exports, moto_endpoint: str, rotation: Callable[[str], Rotation], kind: str, services: str
) -> None:
    """A lake on S3 is written with new keys as soon as the old ones are refused, and all is exported."""
    keys = rotation(kind)
    exports_to_s3.keys = keys.before()
    async with faulty_proxy(moto_endpoint) as proxy:
        proxy.rule = keys.hourglass.rule
        ended = await run_until(exports_to_s3, keys.end(services, "new keys"), {"AWS_ENDPOINT_URL_S3": proxy.url})
    assert (ended.code, ended.summary["outcome"], ended.summary["failures"]) == (0, "complete", [])
    check_equal(exports_to_s3.lake, exports_to_s3.truth)
    await exports_to_s3.assert_completes()


@pytest.mark.parametrize(
    ("kind_and_then", "said"),
    [
        (("environment", "the same"), LAKE_EXPIRED),
        (("process", "keys that have expired"), "^s3://lakes: no AWS credentials can be used: .*expired already"),
        (("file", "an error"), "^s3://lakes: no AWS credentials can be used: .*Unable to parse config file"),
    ],
)
async def test_no_new_keys_are_to_be_had_for_the_lake(
    exports_to_s3: Exports,
    moto_endpoint: str,
    rotation: Callable[[str], Rotation],
    kind_and_then: tuple[str, str],
    said: str,
) -> None:
    """Without new keys nothing more can be committed: the run ends at once, says why, and exits 1."""
    kind, then = kind_and_then
    keys = rotation(kind)
    exports_to_s3.keys = keys.before()
    async with faulty_proxy(moto_endpoint) as proxy:
        proxy.rule = keys.hourglass.rule
        ended = await run_until(exports_to_s3, keys.end("s3", then), {"AWS_ENDPOINT_URL_S3": proxy.url})
    assert_failed(ended, "lake_refused", said)
    assert ended.summary["units"]["deferred"] > 0
    exports_to_s3.assert_readable(ended)
    exports_to_s3.keys = keys.provider.give(NEW)
    await exports_to_s3.assert_completes()
