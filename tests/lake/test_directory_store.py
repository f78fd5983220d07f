"""What a lake in a directory promises beyond the contract, when power fails, disks fill and folders are files."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.errors import LakeBusy, LakeRefused
from exporter.lake.stores import directory
from exporter.lake.stores.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "events/event_date=2026-11-23/a.parquet"
RECORD = "_log/111122223333-us-east-1/records/000000000001.json"
ASIDE = "0123456789abcdef" * 2
DAY_S = 86_400.0


#: The command on a disk whose syncs never come back, and that is soon waited for no more.
HANGING = """
import os, sys, threading
from exporter.lake.stores import directory
os.fsync = lambda _: threading.Event().wait()
directory.DirectoryStore.__init__.__defaults__ = (directory.time.time, 0.2)
from exporter.__main__ import main
sys.exit(main())
"""


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
    (root / "_aside" / ASIDE).write_bytes(b"half a rec")
    (root / "_aside" / "notes").write_bytes(b"mine")
    assert await store.keys("") == [RECORD]
    age_s = (root / "_aside" / ASIDE).stat().st_mtime
    await DirectoryStore(root, wall_s=lambda: age_s + DAY_S - 1).leftovers("events")
    assert files(root) == {RECORD, f"_aside/{ASIDE}", "_aside/notes"}
    await DirectoryStore(root, wall_s=lambda: age_s + DAY_S + 1).leftovers("events")
    assert files(root) == {RECORD, "_aside/notes"}


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
    """A fault while bytes are synced ends in one line that says what to do, and leaves no file and no record."""
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
    """A file on the lake's path is named, and left alone."""
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
    """A file system that hangs is waited for no longer than the time-out."""
    released = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: released.wait(60) and None)
    try:
        with pytest.raises(LakeBusy, match="does not answer"):
            await DirectoryStore(root, timeout_s=0.01).stage(KEY, b"rows")
    finally:
        released.set()


async def test_a_disk_that_hangs_is_not_waited_for_again_and_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While something hangs that ran out of time, all else ends soon; when it comes back, the lake is well."""
    monkeypatch.setattr(directory, "_AWAY_TIMEOUT_S", 0.01)
    released = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: released.wait(60) and None)
    store = DirectoryStore(root, timeout_s=0.01)
    with pytest.raises(LakeBusy, match="does not answer"):
        await store.stage(KEY, b"rows")
    store._timeout_s = 3_600.0  # noqa: SLF001 - a bound that is too long for the test, where it counted
    async with asyncio.timeout(60):
        with pytest.raises(LakeBusy, match="does not answer"):
            await store.create(RECORD, b"one")
        released.set()
        while store._is_away():  # noqa: ASYNC110, SLF001 - threads set no event
            await asyncio.sleep(0.001)
        assert await store.create(RECORD, b"one")


def test_a_file_system_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    """The command gives up, says so as ever, and ends, though a thread of its still waits for the disk."""
    lake = tmp_path / "lake"
    command = [sys.executable, "-c", HANGING, "run", "--lake", str(lake), "--region", "us-east-1", "--json"]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    ended = subprocess.run(command, capture_output=True, timeout=60, env=environment, check=False)
    [line] = ended.stdout.splitlines()
    assert (ended.returncode, json.loads(line)["outcome"]) == (1, "failed")
    [failure] = json.loads(line)["failures"]
    assert (failure["error"], failure["message"].endswith("is its file server away?")) == ("lake_busy", True)


@pytest.mark.parametrize("key", [KEY, RECORD, "_log/lake.json"])
async def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(store: DirectoryStore, root: Path, key: str) -> None:
    """Reading and making it are refused at once, and it stays as it is."""
    (root / key).parent.mkdir(parents=True)
    os.mkfifo(root / key)
    with pytest.raises(LakeRefused, match="is no file, but a pipe"):
        await store.read(key)
    with pytest.raises(LakeRefused, match="is no file, but a pipe"):
        await store.create(key, b"one")
    (root / key).unlink()
    (root / key).mkdir()
    with pytest.raises(LakeRefused, match="a directory stands where a file should be"):
        await store.read(key)


async def test_a_file_larger_than_any_of_ours_is_not_read(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as a record nor as a data file."""
    monkeypatch.setattr(directory, "_RECORD_BYTES_MAX", 1 << 20)
    monkeypatch.setattr(directory, "_FILE_BYTES_MAX", 2 << 20)
    for key, size_bytes in ((RECORD, 1 << 20), (KEY, 2 << 20)):
        (root / key).parent.mkdir(parents=True)
        (root / key).write_bytes(bytes(size_bytes))
        assert await store.read(key) == bytes(size_bytes)
        (root / key).write_bytes(bytes(size_bytes + 1))
        with pytest.raises(LakeRefused, match="is larger than"):
            await store.read(key)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
async def test_a_file_system_that_syncs_no_folders(
    store: DirectoryStore, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A folder that can't be synced is passed over, as others do; a file that can't be is not."""
    sync = os.fsync

    def refuse(kind: Callable[[int], bool]) -> None:
        def fsync(descriptor: int) -> None:
            if kind(os.fstat(descriptor).st_mode):
                raise OSError(code, os.strerror(code))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    refuse(stat.S_ISDIR)
    assert await store.create(RECORD, b"one")
    assert await store.publish(await store.stage(KEY, b"rows"))
    await store.delete(RECORD)
    refuse(stat.S_ISREG)
    for call in (store.stage(f"{KEY}.2", b"rows"), store.create(RECORD, b"one")):
        with pytest.raises(LakeRefused):
            await call
    assert files(root) == {KEY}


async def test_what_is_not_ours_among_staged_files_is_no_leftover(store: DirectoryStore, root: Path) -> None:
    """A desktop's file, or a copy of a staged one, is not listed, and not touched when what is listed is discarded."""
    staged = await store.stage(KEY, b"rows")
    folder = (root / "_staged" / staged.handle[0]).parent
    for name in (".DS_Store", "x.part", f"{Path(staged.handle[0]).name} (copy)", "a.parquet.0123.part"):
        (folder / name).write_bytes(b"?")
    assert [left.handle for left in await store.leftovers("events")] == [staged.handle]


async def test_a_path_that_is_none(tmp_path: Path) -> None:
    """What Python itself refuses becomes an error like all else."""
    with pytest.raises(LakeRefused, match="embedded null"):
        await DirectoryStore(tmp_path / "a\0b").keys("_log/")


async def test_a_relative_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lake in the working folder, or the working folder itself, is a lake."""
    monkeypatch.chdir(tmp_path)
    for root in (Path("lake"), Path()):
        store = DirectoryStore(root)
        assert await store.publish(await store.stage(KEY, b"rows"))
        assert await store.create(RECORD, b"one")
        assert await store.keys("events/") == [KEY]
        assert await store.leftovers("events") == []
