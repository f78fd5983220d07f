from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from botocore.loaders import Loader
from hypothesis import settings

from exporter.aws import models
from tests.support.endpoints import EndpointsReadOnce
from tests.support.environment import NO_CREDENTIALS, is_users

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = ["tests.support.places"]

# No test asserts a time: a busy machine is no defect.
settings.register_profile("calm", deadline=None)
settings.load_profile("calm")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests counts, nor any file of AWS's."""
    for name in list(os.environ):
        if is_users(name):
            monkeypatch.delenv(name)
    for name, value in NO_CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session", autouse=True)
def endpoints_read_once() -> Iterator[None]:
    """In whichever session, botocore's or ours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "FILE_LOADER_CLASS", EndpointsReadOnce)
        patch.setattr(models, "PlainFiles", EndpointsReadOnce)
        yield


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """A command in this process ends with signals ignored, and so would each process that a later test starts."""
    handlers = {each: signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in handlers.items():
        signal.signal(each, handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process waits for another at the end. Modules stay together."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: (item.get_closest_marker("spark") is None, item.path not in slow))
