"""What a lake in a directory promises beyond the contract, when power fails, disks fill and folders are files."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.errors import LakeBusy, LakeRefused
from exporter.stores.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "events/event_date=2026-11-23/a.parquet"
RECORD = "_log/111122223333-us-east-1/records/000000000001.json"
DAY_S = 86_400.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "lake"


@pytest.fixture
def store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[int]]:
    """The inodes that were synced since this was last asked."""
    inodes: set[int] = set()
    sync = os.fsync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        inodes.add(os.fstat(descriptor).st_ino)

    def since() -> set[int]:
        found = inodes.copy()
        inodes.clear()
        return found

    monkeypatch.setattr(os, "fsync", noted)
    return since


def inodes(*paths: Path) -> set[int]:
    return {path.stat().st_ino for path in paths}


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_each_folder_that_gained_a_name_is_synced(
    store: DirectoryStore, root: Path, synced: Callable[[], set[int]]
) -> None:
    """Staging syncs the file and every folder up to where the lake was made; publishing, those of its new name."""
    staged = asyncio.run(store.stage(KEY, b"rows"))
    aside = root / "_staged" / staged.handle[0]
    assert inodes(aside, *list(aside.parents)[:5]) <= synced()
    assert asyncio.run(store.publish(staged))
    assert inodes(root, root / "events", (root / KEY).parent) <= synced()


def test_a_record_is_synced_before_it_is_told(
    store: DirectoryStore, root: Path, synced: Callable[[], set[int]]
) -> None:
    """A record's bytes and the folders that lead to it are durable when it counts as made."""
    assert asyncio.run(store.create(RECORD, b"one"))
    assert inodes(root / RECORD, *list((root / RECORD).parents)[:5]) <= synced()


@pytest.mark.parametrize("again", [True, False])
def test_what_another_left_unsynced_is_synced(root: Path, synced: Callable[[], set[int]], *, again: bool) -> None:
    """Where another process made the folders, or the very name, and may have died before it synced, this one does."""
    first = DirectoryStore(root)
    staged = asyncio.run(first.stage(KEY, b"rows"))
    (root / KEY).parent.mkdir(parents=True)
    (root / RECORD).parent.mkdir(parents=True)
    if again:
        (root / "_staged" / staged.handle[0]).rename(root / KEY)
        (root / RECORD).write_bytes(b"one")
    synced()
    second = DirectoryStore(root)
    assert asyncio.run(second.publish(staged))
    assert inodes(root.parent, root, root / "events", (root / KEY).parent) <= synced()
    assert asyncio.run(second.create(RECORD, b"one"))
    assert inodes(root / "_log", (root / RECORD).parent.parent, (root / RECORD).parent) <= synced()


async def test_a_file_that_lost_bytes_is_gone(store: DirectoryStore, root: Path) -> None:
    """A staged file of another size than its record says is not made visible."""
    staged = await store.stage(KEY, b"rows")
    (root / "_staged" / staged.handle[0]).write_bytes(b"ro")
    assert not await store.publish(staged)
    assert await store.keys("") == []


async def test_nothing_visible_is_replaced(store: DirectoryStore, root: Path) -> None:
    """A file that stands under a key already stays as it is."""
    staged = await store.stage(KEY, b"rows")
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).write_bytes(b"another's")
    assert not await store.publish(staged)
    assert await store.read(KEY) == b"another's"


async def test_what_dead_writers_left_aside_goes_after_a_day(store: DirectoryStore, root: Path) -> None:
    """A record that never took its name is not listed, and is removed when it is old; a young one may be alive."""
    await store.create(RECORD, b"one")
    (root / "_aside" / "0123").write_bytes(b"half a rec")
    assert await store.keys("") == [RECORD]
    age_s = (root / "_aside" / "0123").stat().st_mtime
    await DirectoryStore(root, wall_s=lambda: age_s + DAY_S - 1).leftovers("events")
    assert files(root) == {RECORD, "_aside/0123"}
    await DirectoryStore(root, wall_s=lambda: age_s + DAY_S + 1).leftovers("events")
    assert files(root) == {RECORD}


@pytest.mark.parametrize(
    "fault",
    [
        (errno.ENOSPC, LakeRefused, "make room"),
        (errno.EDQUOT, LakeRefused, "make room"),
        (errno.EFBIG, LakeRefused, "ulimit"),
        (errno.EACCES, LakeRefused, "let the user"),
        (errno.EROFS, LakeRefused, "read-only"),
        (errno.ENXIO, LakeRefused, "No such device"),
        (errno.EIO, LakeBusy, "error"),
        (errno.EAGAIN, LakeBusy, "unavailable"),
    ],
)
async def test_a_disk_that_fails_leaves_nothing_half(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch, fault: tuple[int, type[Exception], str]
) -> None:
    """A fault while bytes are synced is told in one line that says what to do, and leaves no file and no record."""
    code, kind, advice = fault
    monkeypatch.setattr(os, "fsync", failing(code))
    for call in (store.stage(KEY, b"rows"), store.create(RECORD, b"one")):
        with pytest.raises(kind, match=advice) as caught:
            await call
        assert str(root) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert files(root) == set()
    monkeypatch.undo()
    assert await store.publish(await store.stage(KEY, b"rows"))
    assert await store.create(RECORD, b"one")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("needs the right to mount")
    command = [mount, "-t", "tmpfs", "-o", "size=1m", "lake", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run([umount, str(folder)], check=True)


async def test_a_full_disk(small_disk: Path) -> None:
    """A disk that is really full refuses a file or a record, keeps no part of it, and takes what fits."""
    store = DirectoryStore(small_disk / "lake")
    too_much = b"x" * (2 << 20)
    for call in (store.stage(KEY, too_much), store.create(RECORD, too_much)):
        with pytest.raises(LakeRefused, match="the disk is full: make room"):
            await call
    assert files(small_disk) == set()
    assert await store.publish(await store.stage(KEY, b"rows"))
    assert await store.create(RECORD, b"one")


@pytest.mark.parametrize("place", ["", "_log", "_staged", "_aside", "events"])
async def test_a_file_where_a_folder_should_be(root: Path, place: str) -> None:
    """A file on the lake's path is told of, and left alone."""
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_bytes(b"mine")

    async def write() -> None:
        store = DirectoryStore(root)
        await store.create(RECORD, b"one")
        await store.publish(await store.stage(KEY, b"rows"))

    with pytest.raises(LakeRefused, match="a file stands on its path"):
        await write()
    assert (root / place).read_bytes() == b"mine"


async def test_a_file_system_without_links(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Where records can't be made safely, they are not made, and that is said."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    with pytest.raises(LakeRefused, match="no hard links"):
        await store.create(RECORD, b"one")
    assert files(root) == set()


async def test_a_folder_that_may_not_be_read(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing that was refused is an error, not an empty list."""
    await store.create(RECORD, b"one")
    monkeypatch.setattr(os, "scandir", failing(errno.EACCES))
    for call in (store.keys("_log/"), store.leftovers("events")):
        with pytest.raises(LakeRefused, match="no permission"):
            await call


async def test_a_disk_that_never_answers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that hangs is given up after the time-out."""
    released = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: released.wait(60) and None)
    try:
        with pytest.raises(LakeBusy, match="does not answer"):
            await DirectoryStore(root, timeout_s=0.01).stage(KEY, b"rows")
    finally:
        released.set()


async def test_a_relative_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lake in the working folder, or the working folder itself, is a lake."""
    monkeypatch.chdir(tmp_path)
    for root in (Path("lake"), Path()):
        store = DirectoryStore(root)
        assert await store.publish(await store.stage(KEY, b"rows"))
        assert await store.create(RECORD, b"one")
        assert await store.keys("events/") == [KEY]
        assert await store.leftovers("events") == []
