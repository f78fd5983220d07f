"""A scope whose log can't be built on stops, and its run fails; the other scopes of the same run go on."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from exporter.cli import exit_codes
from exporter.discovery.request import Request
from exporter.emulator import Emulator
from tests.support.exports import ACCOUNT, options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.exports import Exports
    from tests.support.oracle import Row

EAST, WEST = "us-east-1", "eu-west-1"


def of_region(rows: Counter[Row], region: str) -> Counter[Row]:
    return Counter({row: count for row, count in rows.items() if row[1] == region})


def without_its_log(log: Path) -> None:
    """The whole log of the scope is gone."""
    shutil.rmtree(log)


def without_a_record(log: Path) -> None:
    """One record in its midst is gone."""
    (log / "records" / "000000000002.json").unlink()


def with_an_altered_record(log: Path) -> None:
    """Somebody made a record say something else."""
    record = log / "records" / "000000000002.json"
    record.write_bytes(record.read_bytes().replace(b'"status":"sealed"', b'"status":"opened"', 1))


@pytest.mark.parametrize("damage", [without_its_log, without_a_record, with_an_altered_record])
async def test_a_damaged_log_stops_its_own_scope(damage: Callable[[Path], None], exports: Exports) -> None:
    """Two regions with several stages: one exports what is new, the other writes nothing, and the run exits 1."""
    async with Emulator(options_of(small_world(3, stages=2), regions=(EAST, WEST))) as emulator:
        await exports.run(emulator)
        damage(exports.lake / "_log" / f"{ACCOUNT}-{EAST}")
        before = lake_rows(exports.lake)
        emulator.clock.advance(24 * 3_600.0)
        exported = await exports.run(emulator, Request(refetch=True))
        assert exported.exit_code == exit_codes.FAILED
        assert exported.ledger.outcome == "failed"
        assert exported.failed == {f"{ACCOUNT}-{EAST}": "log_damaged"}
        rows = lake_rows(exports.lake)
        assert of_region(rows, EAST) == of_region(before, EAST)
        assert of_region(rows, WEST) == of_region(expected(emulator.truth()), WEST)
        outcomes = {scope.region: scope.outcome for scope in exported.ledger.scopes}
        assert outcomes == {EAST: "failed", WEST: "complete"}


async def test_a_lake_whose_logs_are_gone_costs_no_call(exports: Exports) -> None:
    """The tables are there and `_log` is not: the run and the dry run fail before they ask IVS for anything."""
    async with Emulator(options_of(small_world(3, stages=2), regions=(EAST, WEST))) as emulator:
        await exports.run(emulator)
        before = lake_rows(exports.lake)
        shutil.rmtree(exports.lake / "_log")
        exported = await exports.run(emulator, Request(refetch=True))
        assert exported.exit_code == exit_codes.FAILED
        assert exported.summary["calls"] == {}
        assert exported.error is not None
        assert "ivs-export repair" in str(exported.error)
        assert lake_rows(exports.lake) == before
        assert not (exports.lake / "_log").exists()


async def test_a_scope_whose_log_is_gone_costs_the_list_that_tells_the_account(exports: Exports) -> None:
    """Nothing is listed or fetched in a scope whose files are there and whose log is not."""
    async with Emulator(options_of(small_world(3, stages=2), regions=(EAST,))) as emulator:
        await exports.run(emulator)
        shutil.rmtree(exports.lake / "_log" / f"{ACCOUNT}-{EAST}" / "records")
        exported = await exports.run(emulator, Request(refetch=True))
        assert exported.exit_code == exit_codes.FAILED
        assert exported.summary["calls"] == {"ListStages": 1}
