"""Worlds that are wide in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.emulator import Emulator, Size
from tests.support.exports import options_of
from tests.support.oracle import expected, lake_rows
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from tests.support.exports import Exports

pytestmark = pytest.mark.slow

ONE = Size.fixed(1)
WIDE = {
    "many participants in a session": {"sessions": ONE, "participants": Size.fixed(2_000)},
    "many sessions of a stage": {"sessions": Size.fixed(2_000), "participants": ONE},
    "one participant's many events": {"sessions": ONE, "participants": ONE, "events": Size.fixed(50_000)},
}


@pytest.mark.parametrize("shape", WIDE)
async def test_a_wide_world(shape: str, exports: Exports) -> None:
    """However much there is in one place, all of it is exported once."""
    world = small_world(1, **{"stages": 1, "events": Size.fixed(2), "active_share": 0.0, **WIDE[shape]})
    async with Emulator(options_of(world)) as emulator:
        exported = await exports.run(emulator)
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())
        assert max(emulator.calls.asked.values()) == 1
