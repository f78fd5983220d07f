"""Rows are made by turns in the event loop, and the rest in one thread: who waits for whom, and what is let go of."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest

from exporter.commit_log.sealing import SessionProgress
from exporter.compute import compute
from exporter.errors import EventUnreadable
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.columns import Stamp
from exporter.normalize.events import EventRows, event_rows
from exporter.normalize.privacy import KEEP_ALL, Privacy
from exporter.pipeline import new_rows as new_rows_module
from exporter.pipeline.budget import LoopTurns
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.new_rows import EventRowMaker
from tests.support.memory_store import MemoryStore

STAMP = Stamp("r", 1_768_000_000_000_000)
STAGE_ARN = "arn:aws:ivs:us-east-1:111122223333:stage/AbCdEfGhIjKl"
SESSION = Session(STAGE_ARN, "st-AbCdEfGhIjKl3")
_HANGS_S = 10.0
PAGE = b'[{"name":"JOINED","participantId":"participant1","eventTime":"2026-01-14T13:00:00Z"}]'


def a_unit(page: bytes = PAGE, size_bytes: int = len(PAGE)) -> FetchedUnit:
    return FetchedUnit(Unit(STAGE_ARN, SESSION.session_id, "participant1"), SESSION, (page,), 0, size_bytes=size_bytes)


async def test_the_loop_goes_round_between_two_turns() -> None:
    """However many scopes wait for a turn at once, each is given one, in order, and others go on in between."""
    turns, told = LoopTurns(), list[str]()

    async def scope(name: str) -> None:
        for _ in range(3):
            async with turns.take():
                told.append(name)

    async def another() -> None:
        for _ in range(9):
            told.append("loop")
            await asyncio.sleep(0)

    await asyncio.gather(scope("a"), scope("b"), scope("c"), another())
    taken = [name for name in told if name != "loop"]
    assert taken == ["a", "b", "c"] * 3
    assert all(name == "loop" or after == "loop" for name, after in pairwise(told[:10]))


@pytest.mark.parametrize("steps", range(4))
async def test_a_turn_that_is_cancelled_is_the_next_ones(steps: int) -> None:
    """Whether it is waited for, handed over or held."""
    turns = LoopTurns()

    async def scope() -> None:
        async with turns.take():
            await asyncio.sleep(0)

    first, second = asyncio.create_task(scope()), asyncio.create_task(scope())
    for _ in range(steps):
        await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    async with asyncio.timeout(_HANGS_S):
        await scope()


async def test_a_turn_in_which_something_fails_is_given_on() -> None:
    """What was raised reaches whoever had the turn."""
    turns = LoopTurns()
    with pytest.raises(MemoryError):
        async with turns.take():
            raise MemoryError
    async with asyncio.timeout(_HANGS_S), turns.take():
        pass


async def test_one_thread_computes_in_the_order_of_asking() -> None:
    """It is none of the loop's own, and gives back what the work returned or raised."""
    order: list[int] = []

    def work(number: int) -> int:
        order.append(number)
        return threading.get_ident()

    threads = await asyncio.gather(*(compute(work, number) for number in range(20)))
    assert order == list(range(20))
    assert len({*threads, threading.get_ident()}) == 2
    with pytest.raises(ZeroDivisionError):
        await compute(lambda: 1 // 0)


@pytest.mark.parametrize(("size_bytes", "is_in_loop"), [(300_000, True), (1_000_000, False)])
async def test_only_what_takes_long_is_normalized_in_the_thread(
    size_bytes: int, is_in_loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch has its turn in the event loop; a unit much larger would hold all scopes up."""
    threads: list[int] = []

    def noting(fetched: list[FetchedUnit], stamp: Stamp, privacy: Privacy) -> EventRows:
        threads.append(threading.get_ident())
        return event_rows(fetched, stamp, privacy)

    monkeypatch.setattr(new_rows_module, "event_rows", noting)
    intake = EventRowMaker(KnownEvents(MemoryStore()), LoopTurns(), piece_size_bytes=2_000_000, privacy=KEEP_ALL)
    await intake.take([(SessionProgress(SESSION, 0), a_unit(size_bytes=size_bytes))], STAMP)
    assert [thread == threading.get_ident() for thread in threads] == [is_in_loop]


@pytest.mark.parametrize("page", [b"{}", b"[{]", b'[{"name":"JOINED"}]'])
def test_an_unreadable_unit_holds_on_to_nothing(page: bytes) -> None:
    """The error that is kept of it has no frame with the batch in it: cycles are not looked for that often."""
    normal = event_rows([a_unit(page)], STAMP)
    (error,) = normal.unreadable.values()
    assert isinstance(error, EventUnreadable)
    assert (error.__traceback__, error.__cause__, error.__context__) == (None, None, None)
