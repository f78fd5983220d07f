"""An event loop with a virtual clock and a seeded schedule.

What is ready runs in a drawn order, and where nothing is ready the clock jumps to the next timer: nothing ever waits
for real. What threads would do is done inline at a drawn later moment. One seed repeats one run to the letter.

Every callback belongs to the simulated process in whose context it was made. A dead process's callbacks are dropped,
which is all that ``kill -9`` does; those of one that sleeps wait until it wakes.
"""

from __future__ import annotations

import asyncio
import heapq
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from random import Random

Result = TypeVar("Result")

#: More steps than any run takes, each with what goes on beside it: a loop without a wait is found, too.
STEPS_MAX = 1_000_000


class Owner(Protocol):
    """What the loop asks of a simulated process."""

    @property
    def is_dead(self) -> bool: ...

    @property
    def is_asleep(self) -> bool: ...

    @property
    def dropped(self) -> list[asyncio.Handle]: ...

    @property
    def put_off(self) -> list[asyncio.Handle]: ...

    def own(self, task: asyncio.Task[Any]) -> None: ...


#: The simulated process in whose name something runs; None for the world around it.
OWNER: ContextVar[Owner | None] = ContextVar("OWNER", default=None)
#: A context in which nobody is the owner.
NOBODY = Context()


class EndlessError(Exception):
    """The simulation does not come to an end: nothing is left to wait for, or it goes on for ever."""


class SeededTask(asyncio.Task[Result]):
    """A task that hashes by its number, so that a set of tasks has the same order each time."""

    def __init__(self, number: int, work: Coroutine[Any, Any, Result], **given: Any) -> None:
        self.number = number
        super().__init__(work, **given)

    def __hash__(self) -> int:
        return self.number


class SeededLoop(asyncio.BaseEventLoop):
    """Runs what is ready in the order that ``random`` draws, or in that of its coming where ``is_in_order``.

    ``until_s`` is the virtual time at which the simulation is taken to be endless.
    """

    def __init__(self, random: Random, *, is_in_order: bool = False, until_s: float = 1e9) -> None:
        super().__init__()
        self._random = random
        self._is_in_order = is_in_order
        self._until_s = until_s
        self._now_s = 0.0
        self._tasks_made = 0
        self._steps = 0
        self._steps_max = STEPS_MAX
        self._free_s: dict[object, float] = {}
        self._ready: Any
        self._scheduled: list[asyncio.TimerHandle]
        self.problems: list[str] = []
        self.finding: BaseException | None = None
        self.set_task_factory(self._make_task)  # type: ignore[arg-type] # typed for one kind of result
        self.set_exception_handler(lambda _, context: self._note_problem(context))

    def time(self) -> float:
        """The virtual time, in seconds."""
        return self._now_s

    def begin(self) -> None:
        """Note that something begins that has steps of its own."""
        self._steps_max = self._steps + STEPS_MAX

    def fail(self, finding: BaseException) -> None:
        """Let ``run_until_complete`` raise this at once, whatever the code that runs now does with errors."""
        if self.finding is None:
            self.finding = finding

    def take_back(self, handles: Iterable[asyncio.Handle]) -> None:
        """Run, after all, what was put aside: a process has woken, or a dead one is to be cleared away."""
        self._ready.extend(handles)

    def run_in_executor(self, executor: object, func: Callable[..., Result], *args: Any) -> asyncio.Future[Result]:  # type: ignore[override]
        """Do the work inline at a drawn later moment; one executor of its own works in the order of asking."""
        begins_s = self._now_s
        if executor is not None:  # one thread: first come, first served
            begins_s = max(begins_s, self._free_s.get(executor, 0.0))
        ends_s = begins_s + self._random.random() * 0.02
        if executor is not None:
            self._free_s[executor] = ends_s
        future: asyncio.Future[Result] = self.create_future()
        self.call_at(ends_s, _work, future, func, args)
        return future

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Result], **given: Any
    ) -> asyncio.Task[Result]:
        self._tasks_made += 1
        task = SeededTask(self._tasks_made, work, loop=loop, **given)
        context: Context | None = given.get("context")
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is not None:
            owner.own(task)
        return task

    def _run_once(self) -> None:
        """Run one thing that is ready, at the moment of the next timer where nothing is."""
        if self.finding is not None:
            raise self.finding
        self._steps += 1
        if self._steps > self._steps_max:
            raise EndlessError(f"no end after {self._steps} steps")
        self._let_time_pass()
        ready = self._ready
        if not self._is_in_order and len(ready) > 1:
            ready.rotate(-self._random.randrange(len(ready)))
        handle: Any = ready.popleft()
        if not handle.cancelled() and self._may_run(handle):
            handle._run()  # noqa: SLF001 - what a loop is for

    def _let_time_pass(self) -> None:
        """Make ready what is due, and where nothing is ready, what is due next."""
        scheduled, ready = self._scheduled, self._ready
        while not ready and scheduled and scheduled[0].cancelled():
            _popped(scheduled)
        if not ready:
            if not scheduled:
                raise EndlessError("nothing is left to wait for, and somebody still waits")
            self._now_s = max(self._now_s, scheduled[0].when())
            if self._now_s > self._until_s:
                raise EndlessError(f"no end after {self._until_s:.0f} virtual seconds")
        while scheduled and scheduled[0].when() <= self._now_s:
            ready.append(_popped(scheduled))

    def _may_run(self, handle: Any) -> bool:
        """Whether its process lives and is awake; else it is put aside."""
        owner: Owner | None = handle._context.get(OWNER)  # noqa: SLF001 - there is no other way to a handle's context
        if owner is not None and owner.is_dead:
            owner.dropped.append(handle)
            return False
        if owner is not None and owner.is_asleep:
            owner.put_off.append(handle)
            return False
        return True

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody need be woken."""

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer goes when its time comes."""

    def _note_problem(self, context: dict[str, Any]) -> None:
        self.problems.append(f"{context.get('message')}: {context.get('exception')!r}")


def _work(future: asyncio.Future[Result], func: Callable[..., Result], args: tuple[Any, ...]) -> None:
    """What a thread does; it is done even where nobody waits for it any more."""
    try:
        result = func(*args)
    except BaseException as error:  # noqa: BLE001 - as a thread pool hands it on
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)


def _popped(scheduled: list[asyncio.TimerHandle]) -> asyncio.TimerHandle:
    handle = heapq.heappop(scheduled)
    handle._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001 - as asyncio's own loops do
    return handle
