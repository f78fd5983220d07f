"""What a run that failed says of each of its scopes: one that was not exported is never called "nothing"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli import exit_codes
from exporter.emulator import Emulator
from exporter.errors import LakeRefused
from exporter.lake.stores.directory import DirectoryStore
from exporter.settings import RetrySettings
from tests.support.exports import options_of
from tests.support.worlds import small_world

if TYPE_CHECKING:
    import pytest

    from tests.support.exports import Exported, Exports

REGIONS = ("us-east-1", "eu-west-1")


def assert_all_failed(exported: Exported, error: str) -> None:
    assert exported.exit_code == exit_codes.FAILED
    summary = exported.summary
    assert [(scope["outcome"], scope["more_to_do"]) for scope in summary["scopes"]] == [("failed", True)] * 2
    assert [[failure["error"] for failure in scope["failures"]] for scope in summary["scopes"]] == [[error]] * 2
    assert summary["more_to_do"]


async def test_a_lake_that_cannot_be_opened_fails_every_scope(exports: Exports) -> None:
    """No scope was reached; each says why, and the run says it once."""
    async with Emulator(options_of(small_world(3, stages=2), regions=REGIONS)) as emulator:
        await exports.run(emulator)
        (exports.lake / "_log" / "lake.json").write_text("{")
        exported = await exports.run(emulator)
        assert_all_failed(exported, "lake")
        assert [failure["error"] for failure in exported.summary["failures"]] == ["lake"]


async def test_a_network_that_is_down_fails_every_scope(exports: Exports) -> None:
    """Nothing was listed."""
    async with Emulator(options_of(small_world(3, stages=2), regions=REGIONS)) as emulator:
        pass
    assert_all_failed(await exports.run(emulator, retry=RetrySettings(attempts=1)), "gave_up")


async def test_a_lake_that_refuses_ends_one_scope_and_stops_the_other(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one whose write was refused failed; the other was stopped before its end, and says that more is to do."""
    create = DirectoryStore.create

    async def refuse(self: DirectoryStore, key: str, body: bytes) -> bool:
        if "eu-west-1/records/" in key:
            raise LakeRefused(f"{key}: no space is left")
        return await create(self, key, body)

    monkeypatch.setattr(DirectoryStore, "create", refuse)
    async with Emulator(options_of(small_world(3, stages=2), regions=REGIONS)) as emulator:
        exported = await exports.run(emulator)
    assert exported.exit_code == exit_codes.FAILED
    scopes = {scope["region"]: scope for scope in exported.summary["scopes"]}
    assert (scopes["eu-west-1"]["outcome"], scopes["eu-west-1"]["more_to_do"]) == ("failed", True)
    assert scopes["us-east-1"]["outcome"] != "nothing"
    assert next(failure["error"] for failure in exported.summary["failures"]) == "lake_refused"
