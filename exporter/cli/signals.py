"""SIGHUP, SIGINT and SIGTERM: the first asks for a graceful end, a second or ten seconds end the process at once."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

GRACE_S = 10.0
STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Signals:
    """What signals do in this process.

    ``at_once`` takes a signal's name, prints the summary and ends the process. ``graceful``, set while there is
    something that can end gracefully, asks it to; it is called in the main thread, between any two of its steps.
    ``received`` is the name of the first signal that came, None before.
    """

    at_once: Callable[[str], NoReturn]
    graceful: Callable[[str], None] | None = field(init=False, default=None)
    received: str | None = field(init=False, default=None)
    _handled: tuple[signal.Signals, ...] = field(init=False, default=())

    def install(self, early: Sequence[int] = ()) -> None:
        """Handle the signals from now on, where this is the main thread: Python allows it in no other.

        Those in ``early`` have come already, and are handled at once.

        SIGINT and SIGTERM are handled also where the parent process had them ignored. SIGHUP is not: that is what
        ``nohup`` is for.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        self._handled = self._handled or _to_handle()
        for number in self._handled:
            signal.signal(number, self._receive)
        signal.signal(signal.SIGALRM, self._expire)
        for come in early:
            self._receive(come, None)

    def release(self, handler: signal.Handlers = signal.SIG_DFL) -> None:
        """Return the signals to the system, or have them ignored, and cancel the ten seconds."""
        if not self._handled:
            return
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number in self._handled:
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self.received is not None or self.graceful is None:
            self.received = self.received or name
            self.at_once(self.received)
        self.received = name
        signal.setitimer(signal.ITIMER_REAL, GRACE_S)
        self.graceful(name)

    def _expire(self, _number: int, _: FrameType | None) -> None:
        if self.received is not None:
            self.at_once(self.received)


def _to_handle() -> tuple[signal.Signals, ...]:
    """The signals that stop this process, without a SIGHUP that its parent had ignored."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in STOPPING if number != signal.SIGHUP or not is_ignored)
