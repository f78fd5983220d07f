"""Night after night: a world that grows is in the lake each morning, and what is sealed is never asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.discovery.request import Request
from exporter.emulator import Emulator, Size
from tests.support.exports import NOW_US, options_of
from tests.support.oracle import expected, lake_rows, session_times
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from tests.support.exports import Exports

DAY_S = 86_400.0
DAY_US = 86_400_000_000
GRACE_US = 900_000_000
BELOW_SESSIONS = {"ListParticipants", "ListParticipantEvents"}


def sealed_by_now(emulator: Emulator) -> set[str]:
    """The sessions that ended so long ago that nothing more can come."""
    now_us = emulator.clock.now_us
    times = session_times(emulator).items()
    return {session_id for session_id, (_, ended_us) in times if ended_us and ended_us + GRACE_US <= now_us}


@pytest.mark.parametrize(
    ("seed", "hostile"), [pytest.param(1, False, marks=pytest.mark.slow), pytest.param(2, True, marks=pytest.mark.slow)]
)
async def test_a_world_that_grows(seed: int, hostile: bool, exports: Exports) -> None:
    """Each night's lake equals the truth so far; no page is asked for twice in a run, and nothing sealed at all."""
    world = small_world(seed, days=4.0, start_us=NOW_US, sessions=Size(3, 6, 9), lag_s=600.0, hostile=hostile)
    sealed: set[str] = set()
    active: set[str] = set()
    async with Emulator(options_of(world, start_us=NOW_US + DAY_US // 2)) as emulator:
        for _ in range(6):
            emulator.calls.reset()
            active = {session for session, (_, ended_us) in session_times(emulator).items() if ended_us is None}
            exported = await exports.run(emulator)
            assert exported.exit_code == 0
            assert lake_rows(exports.lake) == expected(emulator.truth())
            asked = {key: count for key, count in emulator.calls.asked.items() if key[2] not in active}
            assert set(asked.values()) <= {1}
            assert not sealed & {session_id for operation, _, session_id, *_ in asked if operation in BELOW_SESSIONS}
            sealed = sealed_by_now(emulator)
            assert exported.summary["sessions"]["sealed"] == len(sealed)
            emulator.clock.advance(DAY_S)
        assert not active
        assert len(sealed) > 6


async def test_a_second_run_asks_for_nothing_sealed(exports: Exports) -> None:
    """Where every session has ended, another run lists stages and sessions, and asks for nothing below."""
    async with Emulator(options_of(small_world(24, active_share=0.0))) as emulator:
        await exports.run(emulator)
        files = sorted(exports.lake.glob("events/**/*.parquet"))
        emulator.calls.reset()
        exported = await exports.run(emulator)
        assert set(emulator.calls.granted) == {"ListStages", "ListStageSessions"}
        assert exported.ledger.outcome == "nothing"
        assert exported.exit_code == 0
        assert sorted(exports.lake.glob("events/**/*.parquet")) == files


async def test_refetching_writes_nothing_twice(exports: Exports) -> None:
    """A refetch asks for all events again and writes none twice, though what has no column has changed."""
    async with Emulator(
        options_of(small_world(24), faults=("empty_object operation=ListParticipantEvents",))
    ) as emulator:
        emulator.faults.clear()
        emulator.faults.add("foreign_participant p=0.3")
        await exports.run(emulator)
        whole = lake_rows(exports.lake)
        assert whole == expected(emulator.truth())
        emulator.faults.clear()
        exported = await exports.run(emulator, Request(refetch=True))
        assert exported.summary["events"] == {"fetched": whole.total(), "written": 0}
        assert lake_rows(exports.lake) == whole


async def test_a_session_that_vanishes_is_told_once(exports: Exports) -> None:
    """A session that was active and is forgotten is named, once, and what was fetched of it stays."""
    async with Emulator(options_of(small_world(24, active_share=1.0, retention_days=0.0))) as emulator:
        await exports.run(emulator)
        before = lake_rows(exports.lake)
        gone = {f"{row[2]}/{row[3]}" for row in before}
        emulator.clock.advance(3 * DAY_S)
        exported = await exports.run(emulator)
        assert exported.failed == dict.fromkeys(gone, "vanished") != {}
        assert exported.exit_code == 3
        assert (await exports.run(emulator)).exit_code == 0
        assert lake_rows(exports.lake) == before
