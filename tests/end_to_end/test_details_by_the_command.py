"""Details of participants through the real command: denied, throttled, silent, stopped, planned."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from exporter.emulator import Emulator
from tests.support.command import Ended, command_line, end_of, export_running, until
from tests.support.environment import bare_environment
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows, without_units
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
    shown = await end_of(command_line("status", "--lake", str(tmp_path)), bare_environment())
    assert "\n      refused: GetParticipant: AccessDeniedException" in shown.printed


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


@pytest.mark.parametrize(("stopped_by", "code"), [("SIGTERM", 143), ("deadline", 3)])
async def test_a_stop_with_details_on_their_way_leaves_the_rows_that_no_event_needs_to_the_next_run(
    stopped_by: str, code: int, tmp_path: Path
) -> None:
    """What was fetched whole is committed, and its rows say that their details failed; nobody else has a row.

    GetParticipant is silent, and so is the list of events of every third participant.
    """
    silent = ("silence operation=GetParticipant", "silence operation=ListParticipantEvents units=0/3")
    options = ("--details", "--checkpoint-s", "600", *(("--deadline-s", "3") if stopped_by == "deadline" else ()))
    async with Emulator(options_of(WORLD, faults=silent)) as emulator:
        truth = emulator.truth()
        people = {(unit.stage_arn, unit.session_id, unit.participant_id) for unit, _ in truth.units()}
        async with export_running(emulator, tmp_path, *options) as running:
            if stopped_by == "SIGTERM":
                await until(lambda: calls_of(emulator, "ListParticipantEvents") > len(people) / 3)
                running.process.terminate()
            ended = await running.end()
        summary = ended.summary
        assert (ended.code, summary["exit_code"], summary["stopped_by"]) == (code, code, stopped_by)
        assert (summary["outcome"], summary["more_to_do"]) == ("partial", True)
        first = rows_of(tmp_path, "participants")
        fetched = {unit_of(row) for row in first}
        units = summary["units"]
        assert len(first) == len(fetched) == units["exported"] + units["empty"] == summary["rows"]["participants"]
        assert units["found"] == units["deferred"] + len(fetched)
        assert fetched < people
        assert {row["details"] for row in first} <= {"failed"}
        left = {"/".join(unit) for unit in people - fetched}
        open_still = {unit[:2] for unit in people - fetched}
        final = {(row["stage_arn"], row["session_id"]) for row in rows_of(tmp_path, "sessions") if row["is_final"]}
        assert final.isdisjoint(open_still)
        assert lake_rows(tmp_path) == without_units(expected(truth), left)
        late = [failure["count"] for failure in summary["failures"] if "details" in failure["message"]]
        assert late == ([len(fetched)] if fetched else [])

        emulator.faults.replace([])
        assert (await exported(emulator, tmp_path)).code == 0
        assert lake_rows(tmp_path) == expected(truth)
        after = {unit_of(row): row["details"] for row in rows_of(tmp_path, "participants")}
        assert after == dict.fromkeys(people, "fetched") | dict.fromkeys(fetched, "failed")
        assert len(rows_of(tmp_path, "participants")) == len(people)

        assert (await exported(emulator, tmp_path, "--backfill-tables")).code == 0
    every = rows_of(tmp_path, "participants")
    assert {unit_of(row) for row in every if row["details"] == "fetched"} == people
    assert len(every) == len(people) + len(fetched)


def rows_of(lake: Path, table: str) -> list[dict[str, Any]]:
    files = sorted(lake.glob(f"{table}/**/*.parquet"))
    return [row for file in files for row in pl.read_parquet(file, hive_partitioning=False).to_dicts()]


def unit_of(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["stage_arn"], row["session_id"], row["participant_id"]


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
