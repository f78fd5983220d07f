"""Work that a signal can end within a second, although it waits in a library's own code."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from exporter.query.database import StopSwitch

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.cli.invocation import Invocation

    Result = TypeVar("Result")

#: How long the work may take to end, its temporary files removed, before the process ends without it.
_END_S = 0.7


def stoppable(invocation: Invocation, work: Callable[[StopSwitch], Result]) -> Result:
    """Do the work in a thread of its own, while this one waits for it and for signals; raise what it raises.

    Python handles a signal between two steps of the main thread, and DuckDB may work for minutes within one. At a
    signal the work is asked to end by its switch, and the process ends with the signal's code.
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
        ended.wait(_END_S)
        invocation.signals.at_once(invocation.signals.received)
    invocation.signals.graceful = None
    if errors:
        raise errors[0]
    return results[0]
