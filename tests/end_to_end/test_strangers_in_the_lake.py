"""Files of a desktop and copies of a sync tool among the lake's own: nothing counts them, and nothing touches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiobotocore.session import AioSession

from exporter.emulator import Emulator
from exporter.health.status import statuses
from exporter.health.verify import Verified, verify
from exporter.lake.stores.open import open_store
from exporter.settings import S3Settings
from tests.support.exports import REGION, Exports, options_of
from tests.support.logs import capture_logs
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DAY_S = 86_400.0
NAMES = (".DS_Store", "000000000002 (copy).json", "000000000099.json~", "000000000099/000000000001.json", "desktop.ini")


class Shared(Exports):
    """Runs into a lake that holds more than the exporter's own files."""

    def assert_layout(self) -> None:
        """Whatever stands there."""


def strew(lake: Path) -> set[Path]:
    """Put strange files wherever the log keeps its own."""
    folders = [lake / "_log", *(path for path in (lake / "_log").glob("*/*") if path.is_dir())]
    strange = {folder / name for folder in folders for name in NAMES}
    strange |= {
        lake / "_log" / "lake (copy).json",
        lake / "_log" / f"111122223333-{REGION} (copy)" / "records" / NAMES[1],
    }
    strange |= {lake / "_staged" / "events" / NAMES[0], lake / "_aside" / NAMES[0]}
    for path in strange:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("?")
    return strange


async def test_runs_status_and_verify_pass_over_what_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, exports: Exports
) -> None:
    """Two scopes, two nights: the lake is the truth, no more scopes are seen, and strange files stay and are named."""
    shared = Shared(monkeypatch, exports.lake)
    regions = (REGION, "eu-west-1")
    async with Emulator(options_of(small_world(7, stages=3, active_share=0.5), regions=regions)) as emulator:
        assert (await shared.run(emulator)).exit_code == 0
        strange = strew(shared.lake)
        emulator.clock.advance(DAY_S)
        with capture_logs() as logs:
            assert (await shared.run(emulator)).exit_code == 0
        assert lake_rows(shared.lake) == expected(emulator.truth())
    assert all(path.read_text() == "?" for path in strange)
    named = [line for line in logs if line["event"] == "files_passed_over"]
    assert {line["folder"].split("/")[2] for line in named} >= {"records", "lease"}
    assert len(named) <= 3 * len(regions)
    async with open_store(str(shared.lake), AioSession, S3Settings()) as store:
        assert {str(status.scope) for status in await statuses(store, 1)} == {
            f"111122223333-{region}" for region in regions
        }
        assert [problem async for problem in verify(store, Verified())] == []
