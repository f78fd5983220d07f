"""Fixtures for tests of other people's jobs: a local IVS Real-Time, which pytest finds once ivs-export is installed.

Every run of pytest there imports this module, so it imports nothing more until a test asks for a fixture. A conftest.py
changes a fixture by defining one of the same name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from exporter.emulator import EmulatorOptions, EmulatorThread

_LOOPBACK = "127.0.0.1,localhost"
# What would lead a client of AWS's elsewhere, or make it read the user's own files.
_MISLEADING = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_ENDPOINT_URL", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
)
_NO_FILES = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture
def ivs_emulator_options() -> EmulatorOptions:
    """What the emulator is started with: a seeded world, and a quota that is no hindrance."""
    from exporter.emulator import EmulatorOptions, QuotaOptions, ServiceOptions  # noqa: PLC0415 - see above

    return EmulatorOptions(service=ServiceOptions(QuotaOptions(calls_per_second=1e6, burst=1_000_000)))


@pytest.fixture
def ivs_emulator_world() -> Path | Mapping[str, Any] | None:
    """A world that somebody has written: a file, or the same as plain data; None: the options' seeded one."""
    return None


@pytest.fixture
def ivs_emulator(
    ivs_emulator_options: EmulatorOptions, ivs_emulator_world: Path | Mapping[str, Any] | None
) -> Iterator[EmulatorThread]:
    """A local IVS Real-Time, new for each test; ``environment`` leads clients there, and no other variable changes."""
    from exporter.emulator import EmulatorThread, read_world_file, worlds_of  # noqa: PLC0415 - see above

    if ivs_emulator_world is None:
        worlds = {}
    elif isinstance(ivs_emulator_world, os.PathLike):
        worlds = read_world_file(ivs_emulator_world)
    else:
        worlds = worlds_of(ivs_emulator_world)
    with EmulatorThread(ivs_emulator_options, worlds) as emulator:
        yield emulator


@pytest.fixture
def ivs_emulator_environment(ivs_emulator: EmulatorThread, monkeypatch: pytest.MonkeyPatch) -> EmulatorThread:
    """The same, and for this test every client of AWS's in this process and its children goes there by itself."""
    for name in _MISLEADING:
        monkeypatch.delenv(name, raising=False)
    without_proxy = dict.fromkeys(("NO_PROXY", "no_proxy"), _LOOPBACK)
    for name, value in (_NO_FILES | without_proxy | ivs_emulator.environment).items():
        monkeypatch.setenv(name, value)
    return ivs_emulator
