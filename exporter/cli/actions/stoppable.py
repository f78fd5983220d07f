"""What a signal does to work: it ends it within a second, in a library's own code, too; or it waits for it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from exporter.query.stop_switch import StopSwitch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from exporter.cli.invocation import Invocation

    Result = TypeVar("Result")

#: How long the work may take to end before the process ends without it, and how often it is asked to meanwhile.
_END_S, _ASKED_TIMES = 0.7, 7


def stoppable(invocation: Invocation, work: Callable[[StopSwitch], Result]) -> Result:
    """Do the work in a thread of its own, while this one waits for it and for signals; raise what it raises.

    Python handles a signal between two steps of the main thread, and DuckDB may work for minutes within one. At a
    signal the work is asked to end by its switch, and the process ends with the signal's code. The temporary folder is
    gone then, also where the work goes on.
    """
    stop, wake, ended = StopSwitch(), threading.Event(), threading.Event()
    results: list[Result] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            results.append(work(stop))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            errors.append(error)
        finally:
            ended.set()
            wake.set()

    def end(_name: str) -> None:
        stop.turn_on()
        wake.set()

    invocation.signals.graceful = end
    threading.Thread(target=do, name="question", daemon=True).start()
    wake.wait()
    if invocation.signals.received is not None:
        _end(stop, ended)
        invocation.signals.at_once(invocation.signals.received)
    invocation.signals.graceful = None
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def uninterrupted(invocation: Invocation) -> Iterator[None]:
    """Let a signal wait for the end of the block, which takes moments: ended at once, it would leave a file behind."""
    invocation.signals.graceful = lambda _name: None
    try:
        yield
    finally:
        invocation.signals.graceful = None
        if invocation.signals.received is not None:
            invocation.signals.at_once(invocation.signals.received)


def _end(stop: StopSwitch, ended: threading.Event) -> None:
    """Let the work end, or clear up behind it."""
    for _ in range(_ASKED_TIMES):
        if ended.wait(_END_S / _ASKED_TIMES):
            return
        stop.turn_on()  # again: DuckDB forgets it where the statement had not begun
    stop.remove_folder()
