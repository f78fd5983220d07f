"""Partitions of the tables beside events that were removed on purpose: accepted by the command, they stay away."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from exporter.emulator import Emulator
from tests.support.command import Ended, command_line, end_of, environment_of, export_running
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from pathlib import Path

#: Two stages with sessions of some days, all of them over.
WORLD = small_world(5, stages=2, active_share=0.0)
#: Of every other participant details were denied at first, so that a backfill has something to ask for.
DENIED = "denied operation=GetParticipant units=0/2"


async def exported(emulator: Emulator, lake: Path, *options: str) -> Ended:
    async with export_running(emulator, lake, "--details", *options) as running:
        return await running.end()


async def verified(emulator: Emulator, lake: Path, *options: str) -> Ended:
    return await end_of(command_line("verify", "--lake", str(lake), "--json", *options), environment_of(emulator.url))


def files_in(lake: Path, *prefixes: str) -> set[str]:
    files = (path.relative_to(lake).as_posix() for path in lake.rglob("*.parquet"))
    return {file for file in files if file.startswith(prefixes)}


def rows_of(lake: Path, table: str) -> list[dict[str, Any]]:
    files = sorted(lake.glob(f"{table}/**/*.parquet"))
    return [row for file in files for row in pl.read_parquet(file, hive_partitioning=False).to_dicts()]


@pytest.mark.parametrize(
    ("tables", "key"), [(("sessions", "participants"), "session_date"), (("stages",), "exported_date")]
)
async def test_what_was_removed_on_purpose_is_accepted_and_comes_back_by_no_run(
    tables: tuple[str, ...], key: str, tmp_path: Path
) -> None:
    """By no night, no refetch and no backfill; what lies in other partitions stays as it is, once."""
    async with Emulator(options_of(WORLD, faults=(DENIED,))) as emulator:
        assert (await exported(emulator, tmp_path)).code == 3  # details were denied
        emulator.faults.replace([])
        dates = sorted({file.split("/")[1] for file in files_in(tmp_path, f"{tables[0]}/{key}=")})
        date = dates[len(dates) // 2]
        gone = {file for table in tables for file in files_in(tmp_path, f"{table}/{date}/")}
        assert {file.split("/")[0] for file in gone} == set(tables)
        for table in tables:
            shutil.rmtree(tmp_path / table / date)
        kept = files_in(tmp_path, "")

        missing = await verified(emulator, tmp_path)
        assert missing.code == 1
        assert {problem["file"] for problem in missing.summary["problems"]} == gone
        assert all(f"--accept-missing {date}" in problem["remedy"] for problem in missing.summary["problems"])
        accepted = await verified(emulator, tmp_path, "--accept-missing", date)
        assert (accepted.code, set(accepted.summary["accepted"])) == (0, gone)

        for options in ((), ("--refetch",), ("--backfill-tables",)):
            assert (await exported(emulator, tmp_path, *options)).code == 0
            assert not files_in(tmp_path, *(f"{table}/{date}/" for table in tables))
        assert (await verified(emulator, tmp_path)).code == 0
        assert lake_rows(tmp_path) == expected(emulator.truth())
        # All that the runs have added are the details that were denied, of the dates that are there.
        added = [row for file in files_in(tmp_path, "") - kept for row in pl.read_parquet(tmp_path / file).to_dicts()]
        denied = [row["participant_id"] for row in rows_of(tmp_path, "participants") if row["details"] == "denied"]
        assert denied
        assert sorted(row["participant_id"] for row in added) == sorted(denied)
        assert {row["details"] for row in added} == {"fetched"}
        assert len(dates) > 1 or key == "exported_date"
