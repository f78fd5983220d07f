"""A command that is run in the tests' own process, and what it takes over of it."""

from __future__ import annotations

import gc
import logging
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@contextmanager
def left_as_it_was() -> Iterator[None]:
    """Restore signals, logs, and the interpreter's own settings."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    switch_s, threshold = sys.getswitchinterval(), gc.get_threshold()
    root = logging.getLogger()
    logs, level = root.handlers[:], root.level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = logs, level
    sys.setswitchinterval(switch_s)
    gc.set_threshold(*threshold)
    gc.unfreeze()
