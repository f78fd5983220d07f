"""A thread with an event loop of its own, for work that must not depend on what its caller's thread has."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context

Outcome = TypeVar("Outcome")


class OwnThread(Generic[Outcome]):
    """Runs one coroutine on a loop of its own; the caller's thread may have a loop that runs, or none.

    ``context`` holds the caller's context variables, by which logs and traces find what they belong to. The process
    does not wait for the thread when it ends: what is half done is safe.
    """

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._done: Future[Outcome] = Future()
        self._name = name
        self._thread: Thread | None = None

    def start(self, work: Coroutine[Any, Any, Outcome]) -> Future[Outcome]:
        """Begin the work, and return what its outcome can be looked up in."""
        target, args = self._context.run, (self._do, work)
        self._thread = Thread(target=target, args=args, name=self._name, daemon=True)
        self._thread.start()
        return self._done

    def wait(self, within_s: float | None = None) -> None:
        """Wait until the work is done and the thread is gone, ``within_s`` seconds at most; None is without a bound."""
        if wait([self._done], within_s).done and self._thread is not None:
            self._thread.join()  # it has nothing left to do

    def call(self, function: Callable[[str], None], argument: str) -> None:
        """Have a function called on the loop, between any two steps of the work; nothing happens once that is over."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, argument)

    def _do(self, work: Coroutine[Any, Any, Outcome]) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                result = runner.run(work)
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is looked at
            self._done.set_exception(error)
        else:
            self._done.set_result(result)
