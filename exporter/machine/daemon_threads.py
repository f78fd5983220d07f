"""Threads that do not outlive their process, whatever they wait for."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from threading import Thread
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class DaemonThreads(Executor):
    """A thread for each piece of work, which the process does not wait for when it ends.

    A file server that is away lets a thread wait for hours. Python's own pools are joined when the interpreter ends, so
    that a run that has ended, and said so, would stay for just as long. The caller bounds how many there are.
    """

    def submit(
        self, work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        """Begin the work at once; its outcome is the future's."""
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()

        def do() -> None:
            try:
                result = work(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised where the future is awaited
                future.set_exception(error)
            else:
                future.set_result(result)

        Thread(target=do, name="lake", daemon=True).start()
        return future
