from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.support.environment import NO_CREDENTIALS, is_users

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process waits for another at the end. Modules stay together."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: (item.get_closest_marker("spark") is None, item.path not in slow))
