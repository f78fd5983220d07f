"""``status --max-age-h``: a monitor's question, asked of lakes that real runs have made."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.actions import coverage
from exporter.cli.app import main
from exporter.discovery.request import Request
from exporter.emulator import Account, Emulator
from exporter.emulator.world.fixed_world import FixedWorld
from exporter.health.verify import Verified, verify
from exporter.lake.stores.directory import DirectoryStore
from exporter.pipeline.run import survey
from exporter.pipeline.run_ledger import RunLedger
from exporter.pipeline.stop import Stop
from exporter.settings import AccountSettings, Settings
from exporter.timestamps import text_of
from tests.support.exports import ACCOUNT, FAST, HOUR_S, NOW_US, REGION, beside, options_of
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.exports import Exports

EMPTY, OTHER = "eu-west-1", "444455556666"
HOUR_US = int(HOUR_S * 1e6)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exports: Exports) -> Any:
    """Ask the lake's status so many hours after the emulator's beginning; gives exit code and faults by scope."""

    async def ask(hours: float, max_age_h: float, *options: str) -> tuple[int, dict[tuple[str | None, str], Any]]:
        monkeypatch.setattr(coverage, "wall_us", lambda: NOW_US + int(hours * HOUR_US))
        typed = ["status", "--lake", str(exports.lake), "--max-age-h", str(max_age_h), "--json", *options]
        code = await asyncio.to_thread(main, typed)
        found = json.loads(capsys.readouterr().out)["coverage"]
        assert found["is_current"] is (code == 0)
        return code, {(scope["account_id"], scope["region"]): scope["fault"] for scope in found["scopes"]}

    return ask


def regions(*names: str) -> list[str]:
    return [part for name in names for part in ("--region", name)]


async def test_every_configured_region_counts(exports: Exports, ask: Any) -> None:
    """One with stages is complete until its last whole run, an empty one until it was listed, an unlisted one never."""
    worlds = {(ACCOUNT, EMPTY): FixedWorld()}
    async with Emulator(options_of(small_world(), regions=(REGION, EMPTY)), worlds) as emulator:
        assert (await exports.run(emulator)).exit_code == 0
        both = {(ACCOUNT, REGION): None, (None, EMPTY): None}
        assert await ask(25, 26, *regions(REGION, EMPTY)) == (0, both)
        late = f"complete only until {text_of(NOW_US)}"
        assert await ask(27, 26, *regions(REGION, EMPTY)) == (3, dict.fromkeys(both, late))
        assert await ask(1, 26, *regions(REGION, "ap-south-1")) == (
            3,
            {(ACCOUNT, REGION): None, (None, "ap-south-1"): "no run has listed it"},
        )
        emulator.clock.advance(24 * HOUR_S)
        await exports.run(emulator, regions=(EMPTY,))  # the other region is forgotten, as a wrong crontab would
        assert await ask(27, 26, *regions(REGION, EMPTY)) == (3, {(ACCOUNT, REGION): late, (None, EMPTY): None})
        folder = exports.lake / "_log" / "empty" / f"base-{EMPTY}"
        assert [path.name for path in folder.iterdir()] == [f"{NOW_US // 10**6 + 24 * 3600:012d}.json"]
    assert [problem async for problem in verify(DirectoryStore(exports.lake), Verified())] == []


async def test_a_run_that_leaves_something_out_does_not_count(exports: Exports, ask: Any) -> None:
    """A stage that is denied, and a survey, which writes nothing, leave the lake as complete as it was."""
    async with Emulator(
        options_of(small_world(), regions=(REGION, EMPTY)), {(ACCOUNT, EMPTY): FixedWorld()}
    ) as emulator:
        settings = Settings(lake=str(exports.lake), regions=(EMPTY,), quota=FAST)
        exports.monkeypatch.setenv("AWS_ENDPOINT_URL_IVS_REALTIME", emulator.url)
        await survey(settings, Request(), RunLedger("dry"), Stop(), beside(emulator))
        assert not exports.lake.exists()
        emulator.faults.add("denied operation=ListParticipants first=1")
        assert (await exports.run(emulator)).exit_code == 3
        assert await ask(1, 26, *regions(REGION)) == (3, {(ACCOUNT, REGION): "no run has exported all of it"})
        assert (await exports.run(emulator)).exit_code == 0
        assert await ask(1, 26, *regions(REGION)) == (0, {(ACCOUNT, REGION): None})


async def test_each_account_counts_by_itself(exports: Exports, ask: Any, tmp_path: Path) -> None:
    """A region is empty for one account, and not for another; a role that is new was never listed."""
    accounts = (Account(), Account("emulator-2", "emulator", OTHER))
    worlds = {(OTHER, REGION): FixedWorld()}
    file = tmp_path / "settings.toml"
    roles = [f"arn:aws:iam::{account}:role/ivs-export" for account in (ACCOUNT, OTHER, "999988887777")]
    file.write_text(f'regions = ["{REGION}"]\n' + "".join(f'[[accounts]]\nrole_arn = "{role}"\n' for role in roles))
    async with Emulator(options_of(small_world(), accounts=accounts), worlds) as emulator:
        exported = await exports.run(emulator, accounts=[AccountSettings(role_arn=role) for role in roles[:2]])
        assert exported.exit_code == 0, exported.summary["failures"]
    assert await ask(1, 26, "--config", str(file)) == (
        3,
        {(ACCOUNT, REGION): None, (OTHER, REGION): None, ("999988887777", REGION): "no run has listed it"},
    )


async def test_a_damaged_log_is_not_complete(exports: Exports, ask: Any) -> None:
    """Whatever it may have said: the others are shown, and the damaged one is named."""
    async with Emulator(options_of(small_world())) as emulator:
        await exports.run(emulator)
    for record in (exports.lake / "_log").glob("*/records/*.json"):
        record.write_bytes(record.read_bytes().replace(b'"run1"', b'"run2"'))
    code, faults = await ask(1, 26, *regions(REGION))
    assert code == 1
    assert "its log can't be read" in str(faults[ACCOUNT, REGION])


def test_without_a_region_nothing_can_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A monitor that is not configured must not be content: wrong usage, before the lake is looked at."""
    assert main(["status", "--lake", str(tmp_path), "--max-age-h", "26"]) == 2
    assert "no region is set" in capsys.readouterr().err
    assert main(["status", "--lake", str(tmp_path), "--max-age-h", "0"]) == 2
