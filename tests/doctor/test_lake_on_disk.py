"""What doctor says of a lake in a directory, and that it leaves the place as it found it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest

from exporter.doctor import lake_on_disk
from exporter.doctor.check import examined
from exporter.doctor.lake_on_disk import LakeOnDisk
from exporter.lake.identity import LakeKind, open_lake
from exporter.lake.stores.directory import DirectoryStore
from exporter.settings import PrivacySettings, Settings
from tests.doctor.conftest import assert_sound

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.doctor.check import Check

WORK_S = 0.3


def found_in(folder: Path) -> dict[str, bytes | None]:
    """All that lies there: files with their bytes, and folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


async def checks_of(lake: Path, work_s: float = 10.0, **settings: Any) -> dict[str, Check]:
    """The checks of the lake alone. What lies beside the lake, and in it, is as it was."""
    before = found_in(lake.parent)
    async with LakeOnDisk(Settings(lake=str(lake), **settings), "tried", work_s) as on_disk:
        checks = {check.name: check async for check in examined(on_disk.examinations())}
    assert found_in(lake.parent) == before
    assert_sound(checks)
    return checks


def outcomes(checks: dict[str, Check]) -> list[str]:
    return [check.outcome for check in checks.values()]


async def make_lake(lake: Path, kind: LakeKind | None = None) -> None:
    await open_lake(DirectoryStore(lake), str(lake), kind or LakeKind(), "made", lambda: 0.5)


@pytest.mark.parametrize("made", ["nothing", "a folder", "a lake"])
async def test_where_all_is_well_each_check_says_so(tmp_path: Path, made: str) -> None:
    """Whether there is a lake, an empty folder in its place, or nothing: no check makes one."""
    lake = tmp_path / "below" / "lake"
    if made == "a folder":
        lake.mkdir(parents=True)
    if made == "a lake":
        await make_lake(lake)
        shutil.rmtree(lake / "_staged")
    checks = await checks_of(lake)
    assert outcomes(checks) == ["ok"] * 5
    assert checks["lake-kind"].detail.startswith("made by" if made == "a lake" else "no lake yet")


async def test_a_disk_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a record takes its name by is missing: another disk is needed."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    checks = await checks_of(tmp_path / "lake")
    assert outcomes(checks) == ["ok", "ok", "failed", "skipped", "skipped"]
    assert "its file system allows no hard links there" in checks["lake-links"].detail


async def test_a_disk_that_cannot_sync_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs go on there, as other programs do; what it may cost is said."""

    def refuse(_folder: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(lake_on_disk, "_sync", refuse)
    checks = await checks_of(tmp_path / "lake")
    assert outcomes(checks) == ["ok", "ok", "ok", "warning", "ok"]
    assert "loss of power" in checks["lake-sync"].detail


async def test_a_file_in_the_lakes_place(tmp_path: Path) -> None:
    """It is named, and left alone."""
    (tmp_path / "file").write_text("no lake")
    checks = await checks_of(tmp_path / "file" / "lake")
    assert outcomes(checks) == ["failed", *["skipped"] * 4]
    assert f"{tmp_path}/file is a file: move it" in checks["lake-folder"].detail


async def test_a_place_in_the_containers_own_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written there goes with the container; a run refuses it, too."""
    monkeypatch.setattr(lake_on_disk, "is_in_own_layer", lambda _: True)
    checks = await checks_of(tmp_path / "lake")
    assert outcomes(checks) == ["failed", *["skipped"] * 4]
    assert "lies in the container's own layer" in checks["lake-folder"].detail


async def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own refusal, with what to do about it; permissions mean nothing to root, so it is a double's."""

    def refuse(path: object, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    checks = await checks_of(tmp_path / "lake")
    assert checks["lake-links"].outcome == "failed"
    assert "no permission: let the user who runs this read and write there" in checks["lake-links"].detail


async def test_a_trial_that_is_under_way_is_removed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that is cancelled, by a signal or its time, leaves nothing: its thread goes on, and is waited for."""
    begun, may_go_on, ended = threading.Event(), threading.Event(), threading.Event()
    create = DirectoryStore._create  # noqa: SLF001 - what its thread does

    def create_late(store: DirectoryStore, key: str, body: bytes) -> bool:
        begun.set()
        may_go_on.wait(10)
        try:
            return create(store, key, body)
        finally:
            ended.set()

    monkeypatch.setattr(DirectoryStore, "_create", create_late)
    async with LakeOnDisk(Settings(lake=str(tmp_path / "lake")), "tried") as on_disk:
        checking = asyncio.create_task(all_of(on_disk))
        await asyncio.to_thread(begun.wait, 10)
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
        asyncio.get_running_loop().call_later(0.1, may_go_on.set)
    await asyncio.to_thread(ended.wait, 10)
    assert found_in(tmp_path) == {}


async def all_of(on_disk: LakeOnDisk) -> None:
    async for _ in examined(on_disk.examinations()):
        pass


async def test_a_lake_of_another_kind(tmp_path: Path) -> None:
    """What a run would refuse: a demo's lake, another privacy."""
    await make_lake(tmp_path / "demo", LakeKind("demo"))
    await make_lake(tmp_path / "real")
    demo = await checks_of(tmp_path / "demo")
    private = await checks_of(tmp_path / "real", privacy=PrivacySettings(user_id="drop"))
    assert "made-up data" in demo["lake-kind"].detail
    assert "was made with [privacy]" in private["lake-kind"].detail
    assert outcomes(demo) == outcomes(private) == ["ok", "failed", "ok", "ok", "ok"]


@pytest.mark.parametrize("is_lake", [True, False])
async def test_files_whose_log_is_gone(tmp_path: Path, *, is_lake: bool) -> None:
    """A run would stop at them: the log is to be restored, or begun anew."""
    lake = tmp_path / "lake"
    if is_lake:
        await make_lake(lake)
        shutil.rmtree(lake / "_staged")
    day = lake / "events" / "event_date=2026-11-23"
    day.mkdir(parents=True)
    (day / "111122223333-us-east-1-000000001-20261123T120000Z-0123abcd-000001.parquet").touch()
    kind = (await checks_of(lake))["lake-kind"]
    assert kind.outcome == "failed"
    assert "no commit log of 111122223333-us-east-1" in kind.detail
    assert "ivs-export repair" in kind.detail + kind.remedy


async def test_a_file_server_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that hangs is waited for so long, and no longer."""
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(*_: object) -> None:
        asyncio.run_coroutine_threadsafe(released.wait(), loop).result()

    monkeypatch.setattr(shutil, "disk_usage", hang)
    checks = await checks_of(tmp_path / "lake", WORK_S)
    released.set()
    assert outcomes(checks) == ["failed", *["skipped"] * 4]
    assert f"the lake {tmp_path}/lake does not answer" in checks["lake-folder"].detail
