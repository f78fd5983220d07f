from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests counts."""
    for name in list(os.environ):
        if name.upper().startswith(("IVS_EXPORT_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


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
    structlog.reset_defaults()
