"""Details of participants through the real command: denied, throttled, silent, stopped, planned."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from exporter.emulator import Emulator
from tests.support.command import Ended, export_running, until
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from pathlib import Path

WORLD = small_world(3, stages=2, active_share=0.0)


async def exported(emulator: Emulator, lake: Path, *options: str) -> Ended:
    async with export_running(emulator, lake, "--details", *options) as running:
        return await running.end()


def details_in(lake: Path) -> Counter[Any]:
    return Counter(pl.read_parquet(f"{lake}/participants/**/*.parquet")["details"].to_list())


async def test_denied_details_are_one_failure_beside_whole_tables(tmp_path: Path) -> None:
    """Exit 3 and one cause; the events and all rows are there; and the calls end after some dozens."""
    async with Emulator(options_of(WORLD, faults=("denied operation=GetParticipant",))) as emulator:
        ended = await exported(emulator, tmp_path)
        truth = emulator.truth()
        assert lake_rows(tmp_path) == expected(truth)
        people = len(list(truth.participants()))
    assert ended.code == 3
    assert [(failure["error"], failure["count"]) for failure in ended.summary["failures"]] == [("refused", 1)]
    assert "GetParticipant" in ended.summary["failures"][0]["message"]
    assert details_in(tmp_path) == {"denied": people}
    assert 0 < ended.summary["calls"]["GetParticipant"] <= 60 + 32  # those that were on their way
    assert ended.summary["rows"]["participants"] == people


async def test_details_that_are_only_throttled_hold_no_event_up(tmp_path: Path) -> None:
    """All events are exported, and the run ends though GetParticipant never answers; a backfill makes up for it."""
    async with Emulator(options_of(WORLD, faults=("throttle operation=GetParticipant",))) as emulator:
        ended = await exported(emulator, tmp_path)
        assert lake_rows(tmp_path) == expected(emulator.truth())
        units = ended.summary["units"]
        assert units["found"] == units["exported"] + units["empty"]
        assert details_in(tmp_path) == {"failed": units["found"]}
        assert ended.code == 3
        emulator.faults.replace([])
        again = await exported(emulator, tmp_path, "--backfill-tables")
        assert again.code == 0
        assert again.summary["calls"].get("ListParticipantEvents", 0) == 0
    newest = pl.read_parquet(f"{tmp_path}/participants/**/*.parquet").filter(pl.col("is_final"))
    assert newest.filter(pl.col("details") == "fetched").height == again.summary["rows"]["participants"] > 0


async def test_a_deadline_ends_a_run_whose_details_are_silent(tmp_path: Path) -> None:
    """What was fetched whole is committed, with rows that say that their details failed."""
    async with Emulator(options_of(WORLD, faults=("silence operation=GetParticipant",))) as emulator:
        async with export_running(emulator, tmp_path, "--details", "--checkpoint-s", "600") as running:
            await until(lambda: len(list(emulator.truth().units())) <= calls_of(emulator, "ListParticipantEvents"))
            running.process.terminate()
            ended = await running.end()
        assert ended.code == 143
        assert set(details_in(tmp_path)) == {"failed"}
        assert lake_rows(tmp_path)
        emulator.faults.replace([])
        assert (await exported(emulator, tmp_path)).code == 0
        assert lake_rows(tmp_path) == expected(emulator.truth())


def calls_of(emulator: Emulator, operation: str) -> int:
    return emulator.calls.granted[operation]


async def test_the_plan_has_the_calls_that_the_run_makes(tmp_path: Path) -> None:
    """`--dry-run` counts GetParticipant, in --json and for people."""
    async with Emulator(options_of(WORLD)) as emulator:
        [plan] = (await exported(emulator, tmp_path / "lake", "--dry-run")).summary["plan"]
        ended = await exported(emulator, tmp_path / "lake")
    assert ended.code == 0
    assert plan["calls"]["GetParticipant"] == ended.summary["calls"]["GetParticipant"] > 0
    assert details_in(tmp_path / "lake") == {"fetched": plan["calls"]["GetParticipant"]}
    assert json.loads(ended.printed)["rows"]["participants"] == plan["calls"]["GetParticipant"]
