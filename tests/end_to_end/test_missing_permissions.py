"""A policy that leaves out one operation: few calls, one failure, never success, and nothing lost when it is mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.emulator import Emulator, Size
from exporter.settings import RunSettings
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from tests.support.exports import Exports

REGIONS = ("us-east-1", "eu-west-1")
MANY = small_world(5, stages=4, sessions=Size(2, 2, 3), participants=Size(20, 30, 40), events=Size(1, 1, 2))
#: What the rule allows in a scope, and what may be in flight beside it.
CALLS_MAX = 60 + 32


@pytest.mark.parametrize("operation", ["ListStageSessions", "ListParticipants", "ListParticipantEvents"])
async def test_a_denied_operation_is_one_failure_for_ever_and_never_success(operation: str, exports: Exports) -> None:
    """Beyond every time after which a unit is given up, in two regions; with the permission back, all is exported."""
    settings = RunSettings(give_up_days=1.0)
    async with Emulator(options_of(MANY, regions=REGIONS)) as emulator:
        emulator.faults.add(f"denied operation={operation}")
        for _ in range(3):
            emulator.calls.reset()
            exported = await exports.run(emulator, run=settings)
            words = exported.summary
            assert (exported.exit_code, words["outcome"], words["more_to_do"]) == (3, "partial", True)
            assert words["calls"][operation] <= CALLS_MAX * len(REGIONS)
            assert words["units"]["abandoned"] == 0
            [failure] = words["failures"]
            assert operation in failure["message"]
            assert all(scope["failures"] for scope in words["scopes"])
            emulator.clock.advance(2 * 86_400.0)
        emulator.faults.clear()
        exported = await exports.run(emulator, run=settings)
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())


async def test_denied_stages_fail_the_scope(exports: Exports) -> None:
    """Where not even the stages may be listed, no region can be exported: the run has failed."""
    async with Emulator(options_of(MANY, regions=REGIONS)) as emulator:
        emulator.faults.add("denied operation=ListStages")
        exported = await exports.run(emulator)
        assert (exported.exit_code, exported.summary["outcome"]) == (1, "failed")
        assert exported.summary["calls"] == {"ListStages": 2}
        assert set(exported.failed) == set(REGIONS)
