"""Whole worlds: what the API shows is what the lake holds."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import ClockOptions, Emulator, Size
from tests.support.exports import HOUR_S, NOW_US, PLENTY, mostly_slow, options_of
from tests.support.oracle import expected, lake_rows, session_times
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from exporter.emulator.truth import Truth
    from tests.support.exports import Exports

WORLDS: list[dict[str, Any]] = [
    {},
    {"stages": 1, "sessions": Size.fixed(1), "participants": Size.fixed(1), "events": Size.fixed(1)},
    {"active_share": 1.0},
    {"active_share": 0.0},
    {"stages": 6, "replicated_share": 1.0},
    {"hostile": True},
    {"hostile": True, "active_share": 1.0, "replicated_share": 1.0},
    {"events": Size.fixed(0)},
    {"participants": Size.fixed(0)},
    {"stages": 2, "participants": Size.fixed(130), "events": Size(0, 4, 20)},
    {"stages": 1, "sessions": Size.fixed(120), "participants": Size(0, 1, 2), "events": Size(0, 4, 20)},
    {"stages": 105, "sessions": Size(0, 1, 1), "participants": Size(0, 1, 2), "events": Size(0, 4, 20)},
    {"events": Size(99, 100, 101)},
    {"events": Size.fixed(1_000), "participants": Size.fixed(2)},
    {"days": 0.5, "lag_s": 3_600.0},
    {"days": 300.0, "sessions": Size.fixed(3)},
    {"retention_days": 2.0},
    {"stages": 4, "active_share": 0.5, "hostile": True, "lag_s": 60.0},
    {"sessions": Size(0, 3, 8)},
    {"stages": 2, "events": Size(1, 150, 900)},
]


def unknown_names(truth: Truth) -> Counter[str]:
    """The members of events that the exporter does not know, as often as they come."""
    known = {"name", "participantId", "eventTime", "remoteParticipantId", "errorCode", "destinationStageArn"}
    known |= {"destinationSessionId", "replica", "previousToken", "newToken"}
    return Counter(name for *_, event in truth.events() for name in event if name not in known)


@pytest.mark.parametrize("seed", mostly_slow(range(len(WORLDS)), 5))
async def test_lake_equals_the_truth(seed: int, exports: Exports) -> None:
    """Every event of a seeded world is in the lake once, with all it says, and the summary counts what was done."""
    async with Emulator(options_of(small_world(seed, **WORLDS[seed]))) as emulator:
        exported = await exports.run(emulator)
        truth = emulator.truth()
        units, rows = dict(truth.units()), expected(truth)
        assert lake_rows(exports.lake) == rows
        summary = exported.summary
        assert summary["units"]["found"] == len(units)
        assert summary["units"]["exported"] == sum(count > 0 for count in units.values())
        assert summary["units"]["empty"] == sum(count == 0 for count in units.values())
        assert summary["events"] == {"fetched": rows.total(), "written": rows.total()}
        assert summary["unknown_fields"] == unknown_names(truth)
        assert summary["failures"] == []
        assert summary["calls"] == dict(emulator.calls.granted)
        assert exported.ledger.outcome == ("complete" if any(summary["rows"].values()) else "nothing")
        assert exported.exit_code == 0
        twice = {key for key, count in emulator.calls.asked.items() if count > 1}
        assert {(operation, session_id) for operation, _, session_id, *_ in twice} <= {
            ("ListParticipantEvents", session_id)
            for session_id, (_, ended_us) in session_times(emulator).items()
            if ended_us is None
        }


@pytest.mark.parametrize("seed", mostly_slow(range(4), 4))
async def test_lists_that_shift_under_their_reader(seed: int, exports: Exports) -> None:
    """While time flies within a run, it takes all that was there at its start and nothing twice; in the end, all."""
    world = small_world(seed, active_share=1.0, days=1.0, events=Size(150, 300, 900), participants=Size(2, 5, 9))
    options = options_of(world, clock=ClockOptions(start_us=NOW_US), quota=PLENTY)
    async with Emulator(options, monotonic_s=lambda: time.monotonic() * 600.0) as emulator:
        at_start = expected(emulator.truth())
        exported = await exports.run(emulator)
        found = lake_rows(exports.lake)
        assert exported.exit_code == 0
        assert at_start <= found <= expected(emulator.truth())
        emulator.clock.set(NOW_US + int(48 * HOUR_S * 1e6))
        await exports.run(emulator)
        assert lake_rows(exports.lake) == expected(emulator.truth())
