from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import EmulatorOptions, QuotaOptions, ServiceOptions
from exporter.emulator.threaded import EmulatorThread
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLENTY = QuotaOptions(calls_per_second=1e6, burst=10**6)


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[EmulatorThread]:
    """One for all: each test leaves it as it was."""
    options = EmulatorOptions(small_world(stages=2, active_share=0.0), service=ServiceOptions(PLENTY))
    with EmulatorThread(options) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: EmulatorThread, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorThread]:
    """The emulator, and the way to it and its keys in the environment."""
    for name, value in shared_emulator.environment.items():
        monkeypatch.setenv(name, value)
    yield shared_emulator
    shared_emulator.set_faults()


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """A mapping, shaped like the settings' file, at a pace that is no hindrance."""
    return {
        "lake": str(tmp_path / "lake"),
        "quota": {"calls_per_second": 5_000.0},
    }
