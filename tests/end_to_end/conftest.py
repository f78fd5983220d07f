from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.support.exports import Exports

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def emulators_keys(own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - comes first
    """The keys are the emulator's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Exports:
    """Runs into one fresh lake, whose back-off draws short waits."""
    monkeypatch.setattr(random, "random", lambda: 0.02)
    return Exports(monkeypatch, tmp_path / "lake")
