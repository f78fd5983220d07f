"""A disk that fills up, before a run and in the middle of it."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from tests.failures.command import FAILED, OFTEN, Exports, assert_failed, written
from tests.support.lakes import DirectoryLake

if TYPE_CHECKING:
    from exporter.emulator import Emulator
    from tests.failures.disks import Disk
    from tests.failures.middle import Middle

pytestmark = pytest.mark.slow

#: One call at a time, so that there is something left to do when the disk is full.
SLOWLY = (*OFTEN, "--concurrency", "1")
ADVICE = "the disk is full: make room, and run again$"
TOO_LARGE = r"larger than the system allows: raise the limit \(ulimit -f\)$"
#: All in one checkpoint.
AT_ONCE = ("--checkpoint-s", "300", "--concurrency", "16")
#: A lake's root, its log, the lake's file, a scope's log, the lease's, the lease, the records', the begin record, where
#: all are made, and where the trial of a new lake was staged.
_NAMES_OF_A_BEGINNING = 10
_PAGE_BYTES = 4_096

EVENTS_ALONE = ("--no-stages-table", "--no-sessions-table", "--no-participants-table")


@pytest.fixture
def exports_to_disk(emulator: Emulator, middle: Middle, disk: Disk) -> Exports:
    """Runs into a fresh lake on a disk of its own."""
    return Exports(emulator, middle, DirectoryLake(disk.root / "lake"))


async def test_a_disk_that_is_full_at_the_start(exports_to_disk: Exports, disk: Disk) -> None:
    """Whatever is the first to find no room, the lease, a record or a staged file: one line says so, and exit 1."""
    cases = [
        ({"names": 0}, "_log/trial-"),
        ({"names": 3}, "_log/trial-"),
        ({"names": 5}, "_log/.*/lease/"),
        ({"room_bytes": _PAGE_BYTES}, "_log/.*/records/000000000001"),
        ({"room_bytes": 3 * _PAGE_BYTES}, "events/"),
    ]
    for room, what in cases:
        disk.leave(**room)
        ended = await exports_to_disk.run(*AT_ONCE)
        assert_failed(ended, "lake_refused", f"refuses {what}.*: {ADVICE}")
        assert written(ended) == 0
        exports_to_disk.assert_readable(ended)
    disk.leave()
    await exports_to_disk.assert_completes()


@pytest.mark.parametrize(
    ("records", "room"), [(2, {"names": 0}), (8, {"room_bytes": 0}), (8, {"room_bytes": 5 * _PAGE_BYTES})], ids=str
)
async def test_a_disk_that_fills_up_in_mid_run(
    exports_to_disk: Exports, disk: Disk, records: int, room: dict[str, int]
) -> None:
    """What was committed before stays and is counted; the checkpoint that finds no room is left out whole."""
    ended = await exports_to_disk.run_changed(
        lambda: len(exports_to_disk.lake.record_keys()) >= records, lambda _: disk.leave(**room), *SLOWLY
    )
    assert_failed(ended, "lake_refused", ADVICE)
    assert ended.summary["units"]["deferred"] > 0
    exports_to_disk.assert_readable(ended)
    disk.leave()
    await exports_to_disk.assert_completes()


async def test_a_disk_that_is_full_when_half_of_a_checkpoint_is_visible(exports_to_disk: Exports, disk: Disk) -> None:
    """What the record names stays committed, and the next run shows the rest of it."""
    lake, days = exports_to_disk.lake, len({row[5] // 86_400_000_000 for row in exports_to_disk.truth})
    staged, record, shown = 2 + 2 * days, 1, 1 + days // 2
    disk.leave(names=_NAMES_OF_A_BEGINNING + staged + record + shown)
    ended = await exports_to_disk.run(*AT_ONCE, *EVENTS_ALONE)
    assert_failed(ended, "lake_refused", f"refuses events/.*: {ADVICE}")
    assert 0 < len(lake.visible()) < len(lake.records()[-1]["files"]) == days
    exports_to_disk.assert_readable(ended)
    disk.leave()
    await exports_to_disk.assert_completes()


async def test_a_disk_without_room_for_a_snapshot(exports_to_disk: Exports, disk: Disk) -> None:
    """A long log is to be summed up at the next start: where there is no room for that, the run says so and ends."""
    await exports_to_disk.run("--checkpoint-s", "0.0001", "--concurrency", "1")
    disk.leave(room_bytes=2 * _PAGE_BYTES)  # a lease and a begin record
    ended = await exports_to_disk.run()
    assert_failed(ended, "lake_refused", f"refuses _log/.*/snapshots/.*: {ADVICE}")
    exports_to_disk.assert_readable(ended)
    disk.leave()
    await exports_to_disk.assert_completes()


async def test_a_disk_that_fills_up_again_and_again(exports_to_disk: Exports, disk: Disk) -> None:
    """Run after run fails for want of room, each a little later; no reader sees anything of it but more rows."""
    codes = []
    for names in range(12, 36, 6):
        disk.leave(names=names)
        ended = await exports_to_disk.run(*OFTEN)
        codes.append(ended.code)
        if ended.code:
            assert_failed(ended, "lake_refused", ADVICE)
        exports_to_disk.assert_readable(ended)
    assert codes[0] == FAILED
    disk.leave()
    await exports_to_disk.assert_completes()


@pytest.mark.parametrize(("blocks", "what"), [("0", "_log/trial-"), ("2", "events/")])
async def test_a_limit_to_the_size_of_files(exports: Exports, blocks: str, what: str) -> None:
    """Where no disk can be mounted, a limit of the process's own (in blocks of 512 bytes) refuses writes as well."""
    within = ("sh", "-c", 'ulimit -f "$0" && exec "$@"', blocks)
    ended = await exports.run(*AT_ONCE, *EVENTS_ALONE, within=within)
    assert_failed(ended, "lake_refused", f"refuses {what}.*{TOO_LARGE}")
    exports.assert_readable(ended)
    await exports.assert_completes()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system limits no other process")
async def test_a_limit_to_the_size_of_files_in_mid_run(exports: Exports) -> None:
    """The same when it comes in mid-run: what was committed before stays."""
    ended = await exports.run_changed(
        lambda: len(exports.lake.record_keys()) >= 5,
        lambda running: resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (512, 512)),
        *SLOWLY,
    )
    assert_failed(ended, "lake_refused", TOO_LARGE)
    exports.assert_readable(ended)
    await exports.assert_completes()
