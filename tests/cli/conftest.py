from __future__ import annotations

import logging
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """A command takes over signals and logs of its process; here it shares one with the tests."""
    handlers = {
        number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    }
    root = logging.getLogger()
    logs, level = root.handlers[:], root.level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = logs, level
