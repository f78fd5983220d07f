"""SIGHUP, SIGINT and SIGTERM: the first asks for a graceful end, a second or ten seconds end the process at once."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

GRACE_S = 10.0
STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Signals:
    """What signals do in this process.

    ``at_once`` takes a signal's name, says the last words and ends the process. ``graceful``, set while there is
    something that can end gracefully, asks it to; it is called in the main thread, between any two of its steps.
    """

    at_once: Callable[[str], NoReturn]
    graceful: Callable[[str], None] | None = None
    received: str | None = None
    _taken: tuple[signal.Signals, ...] = ()

    def install(self) -> None:
        """Take the signals over, in the main thread; in any other the process keeps them, as Python has it.

        SIGINT and SIGTERM are taken also where the parent process had them ignored. SIGHUP is not: that is what
        ``nohup`` is for.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        self._taken = self._taken or to_take()
        for number in self._taken:
            signal.signal(number, self._receive)
        signal.signal(signal.SIGALRM, self._expire)

    def release(self, handler: signal.Handlers = signal.SIG_DFL) -> None:
        """Give the signals back to the system, or have them ignored, and forget the ten seconds."""
        if not self._taken:
            return
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number in self._taken:
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


def to_take() -> tuple[signal.Signals, ...]:
    """The signals that stop this process, without a SIGHUP that its parent had ignored."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in STOPPING if number != signal.SIGHUP or not is_ignored)
