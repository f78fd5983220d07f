"""A lake that may not be made, read or written, or not any more."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.failures.command import OFTEN, Exports, assert_failed
from tests.support.lakes import DirectoryLake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from exporter.emulator import Emulator
    from tests.failures.disks import Disk
    from tests.failures.middle import Middle
    from tests.support.command import Ended, Running

pytestmark = pytest.mark.slow

ADVICE = "no permission: let the user who runs this read and write there$"
READ_ONLY = "the file system is read-only: mount it for writing, or set another `lake`$"
CLOSED, READABLE, OPEN = 0o000, 0o500, 0o700


@pytest.fixture
def ordinary_user(tmp_path: Path) -> tuple[str, ...]:
    """What starts a command for which permissions count: nothing, or what takes the root user's powers away.

    It stays the same user, so that it can read whatever we can: Python, say, in a folder of root's.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("the tests run as root, and there is no setpriv here, so permissions mean nothing")
    within = (setpriv, "--inh-caps=-all", "--bounding-set=-all")
    probe = tmp_path / "probe"
    probe.mkdir(mode=READABLE)
    tried = subprocess.run([*within, "touch", str(probe / "file")], check=False, capture_output=True)
    if tried.returncode == 0 or b"Permission denied" not in tried.stderr:
        pytest.skip(f"the tests run as root, and its powers can't be taken away here: {tried.stderr.decode()}")
    return within


def set_mode(mode: int, folders: Iterable[Path]) -> None:
    for folder in folders:
        folder.chmod(mode)


def folders_in(root: Path, pattern: str) -> list[Path]:
    """The folders of a lake that match, and those below them."""
    return [path for found in sorted(root.glob(pattern)) for path in (found, *found.rglob("*")) if path.is_dir()]


async def run_shut(
    exports: Exports, folders: Callable[[], list[Path]], within: tuple[str, ...]
) -> tuple[Ended, list[Path]]:
    """A run in whose middle, when events are visible, folders become unwritable; and these folders."""
    shut: list[Path] = []

    def shut_them(_: Running) -> None:
        shut.extend(folders())
        set_mode(READABLE, shut)

    def has_events() -> bool:
        return any(key.startswith("events/") for key in exports.lake.visible())

    try:
        return await exports.run_changed(has_events, shut_them, *OFTEN, within=within), shut
    finally:
        set_mode(OPEN, shut)


@pytest.mark.parametrize(("above", "mode"), [(True, READABLE), (False, READABLE), (False, CLOSED)])
async def test_a_folder_that_is_not_ours(
    exports: Exports, tmp_path: Path, ordinary_user: tuple[str, ...], above: bool, mode: int
) -> None:
    """A lake that may not be made, written or read: one line says what to do, and exit 1."""
    lake = tmp_path / "lake"
    if not above:
        lake.mkdir()
    folder = tmp_path if above else lake
    folder.chmod(mode)
    try:
        ended = await exports.run(within=ordinary_user)
    finally:
        folder.chmod(OPEN)
    assert_failed(ended, "lake_refused", f"^the lake {lake} refuses _log/.*: {ADVICE}")
    assert list(lake.glob("*")) == []
    await exports.assert_completes()


async def test_a_file_in_the_lakes_place(exports: Exports, tmp_path: Path) -> None:
    """A file where the lake should be is left alone, and said to be one."""
    place = tmp_path / "lake"
    place.write_text("not a lake")
    ended = await exports.run()
    assert_failed(ended, "lake_refused", "a file stands on its path where a directory should be: move it")
    assert place.read_text() == "not a lake"
    place.unlink()
    await exports.assert_completes()


@pytest.mark.parametrize("part", ["lake/_log/*/records", "lake/_aside", "lake/_staged", "lake/events", "lake"])
async def test_a_part_of_the_lake_becomes_unwritable_in_mid_run(
    exports: Exports, tmp_path: Path, ordinary_user: tuple[str, ...], part: str
) -> None:
    """Wherever it is that nothing can be written any more, what was committed before stays, and exit 1."""
    lake = tmp_path / "lake"
    ended, shut = await run_shut(exports, lambda: folders_in(tmp_path, part), ordinary_user)
    assert_failed(ended, "lake_refused", f"^the lake {lake} refuses .*: {ADVICE}")
    assert shut
    assert ended.summary["units"]["deferred"] > 0
    exports.assert_readable(ended)
    await exports.assert_completes()


async def test_a_lease_that_cannot_be_given_back(
    exports: Exports, tmp_path: Path, ordinary_user: tuple[str, ...]
) -> None:
    """It saves work and nothing else: the run does all of its own, and the next sees that the holder is gone."""
    ended, leases = await run_shut(exports, lambda: folders_in(tmp_path / "lake", "_log/*/lease"), ordinary_user)
    assert (ended.code, ended.summary["outcome"]) == (0, "complete")
    assert list(leases[0].iterdir())
    await exports.assert_completes()


@pytest.mark.parametrize("records", [0, 4])
async def test_a_disk_that_becomes_read_only(emulator: Emulator, middle: Middle, disk: Disk, records: int) -> None:
    """A disk that the system takes away from its writers, as it does after an error, ends the run with exit 1."""
    exports = Exports(emulator, middle, DirectoryLake(disk.root / "lake"))
    ended = await exports.run_changed(
        lambda: len(exports.lake.record_keys()) >= records, lambda _: disk.forbid_writing(), *OFTEN
    )
    assert_failed(ended, "lake_refused", READ_ONLY)
    exports.assert_readable(ended)
    disk.allow_writing()
    await exports.assert_completes()
