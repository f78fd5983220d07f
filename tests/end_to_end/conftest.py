from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.exports import Exports

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests counts; the keys are the emulator's."""
    for name in list(os.environ):
        if name.upper().startswith(("IVS_EXPORT_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "emulator")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "emulator")


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Exports:
    """Runs into one fresh lake, whose back-off draws short waits."""
    monkeypatch.setattr(random, "random", lambda: 0.02)
    return Exports(monkeypatch, tmp_path / "lake")
