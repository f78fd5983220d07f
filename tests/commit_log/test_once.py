"""The law of `Once`: whatever the order in which tasks ask, fail and are cancelled, nobody sees half of a value."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.commit_log.once import Once

if TYPE_CHECKING:
    from collections.abc import Awaitable


class Shuffled(asyncio.SelectorEventLoop):
    """An event loop that runs what is ready in a drawn order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.draw = random.Random(seed)

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined] # asyncio's own queue
        waiting = list(ready)
        self.draw.shuffle(waiting)
        ready.clear()
        ready.extend(waiting)
        super()._run_once()  # type: ignore[misc] # asyncio's own step


class Reading:
    """A value of ten parts that is made step by step; the tries named in ``failing`` fail half-way."""

    def __init__(self, failing: set[int]) -> None:
        self.failing = failing
        self.tries = 0

    async def __call__(self) -> list[int]:
        self.tries += 1
        this_try, parts = self.tries, list[int]()
        for part in range(10):
            await asyncio.sleep(0)
            if part == 5 and this_try in self.failing:
                raise LookupError(f"try {this_try}")
            parts.append(part)
        return parts


@given(
    seed=st.integers(0, 1 << 32),
    failing=st.sets(st.integers(1, 4)),
    cancelled=st.sets(st.integers(0, 9)),
)
def test_all_who_ask_see_the_whole_value_or_the_error_of_their_own_try(
    seed: int, failing: set[int], cancelled: set[int]
) -> None:
    """Ten tasks ask; some are cancelled at any time, some tries fail: each other task has the one whole value."""
    reading = Reading(failing)
    once = Once(reading)
    draw = random.Random(seed)

    async def ask() -> list[int]:
        for _ in range(draw.randrange(6)):
            await asyncio.sleep(0)
        value = await once.get()
        assert len(value) == 10, "half of it was seen"
        return value

    async def cancel(task: asyncio.Task[list[int]]) -> None:
        for _ in range(draw.randrange(12)):
            await asyncio.sleep(0)
        task.cancel()

    async def all_ask() -> list[Any]:
        tasks = [asyncio.create_task(ask()) for _ in range(10)]
        cancelling: list[Awaitable[None]] = [cancel(tasks[place]) for place in cancelled]
        results = await asyncio.gather(*tasks, *cancelling, return_exceptions=True)
        return results[:10]

    with asyncio.Runner(loop_factory=lambda: Shuffled(seed)) as runner:
        ended = runner.run(all_ask())
    values = [each for each in ended if isinstance(each, list)]
    errors = [each for each in ended if isinstance(each, LookupError)]
    assert not [each for each in ended if isinstance(each, AssertionError)]
    assert all(each is values[0] for each in values)
    assert len({str(each) for each in errors}) == len(errors), "an error reached another than its own try"
    assert len(values) + len(errors) + len([each for each in ended if isinstance(each, asyncio.CancelledError)]) == 10


async def test_a_value_is_made_once() -> None:
    """A hundred tasks ask at once, and more later: there was one try."""
    reading = Reading(set())
    once = Once(reading)
    values = await asyncio.gather(*(once.get() for _ in range(100)))
    assert await once.get() is values[0]
    assert reading.tries == 1


async def test_a_failed_try_is_made_again() -> None:
    """The first one who asks has the error, the next one the value."""
    once = Once(Reading({1}))
    with pytest.raises(LookupError):
        await once.get()
    assert await once.get() == list(range(10))
