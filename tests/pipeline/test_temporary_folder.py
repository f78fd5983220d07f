"""A temporary folder that can't be used fails the units that need it, by name, and nothing else."""

from __future__ import annotations

import io
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from exporter.errors import TemporaryFolderRefused
from exporter.model import Outcome
from exporter.pipeline.known_ids import KnownIds
from exporter.pipeline.page_spool import PageSpool, warn_of_temporary_folder
from tests.support.logs import capture_logs
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import STAGE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Too much for memory in one unit, and enough for pieces.
_LARGE, _PIECES = 300_000, 1_200_000


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A temporary folder that somebody has removed."""
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "re\x1bmoved"))
        yield


def a_service(size_bytes: int) -> Service:
    """Two sessions with a usual unit each, and one with a unit of many bytes between the two."""
    service = Service()
    for name in ("st-1", "st-2"):
        service.add(name, events={"usual": 2})
    large = service.add("st-large", events={"large": 4, "usual": 1}, stage=STAGE)
    for event in large.participants["large"].events:
        event["unheardOf"] = "x" * (size_bytes // 4)
    return service


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("size_bytes", [_LARGE, _PIECES])
async def test_only_units_with_many_pages_need_one(size_bytes: int) -> None:
    """The large unit fails, under its name and with what to do; all others are exported."""
    service, store = a_service(size_bytes), MemoryStore()
    ledger = await export(service, store, "r1")
    (failure,) = ledger.failures
    assert (failure.unit, failure.error) == (f"{STAGE}/st-large/large", "temporary_folder")
    assert "re�moved can't be used: No such file or directory; set TMPDIR" in failure.message
    assert ledger.outcomes == {Outcome.EXPORTED: 3, Outcome.FAILED: 1}
    assert ledger.outcome == "partial"
    assert lake_rows(store).total() == 5


@pytest.mark.parametrize("size_bytes", [_LARGE, _PIECES])
async def test_pages_that_cannot_be_read_back_fail_their_unit(size_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is taken together with others or in pieces; with a sound folder the next run exports it."""

    class Torn(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            return b""

    service, store = a_service(size_bytes), MemoryStore()
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "TemporaryFile", Torn)
        ledger = await export(service, store, "r1")
    (failure,) = ledger.failures
    assert (failure.unit, failure.error) == (f"{STAGE}/st-large/large", "temporary_folder")
    assert ledger.outcomes == {Outcome.EXPORTED: 3, Outcome.FAILED: 1}
    assert (await export(service, store, "r2")).outcome == "complete"
    assert lake_rows(store) == service.truth()


async def test_ids_that_find_no_room_fail_the_units_that_are_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Units whose rows would have to be compared fail, and nothing is written twice; new units are exported."""
    service, store = Service(), MemoryStore()
    session = service.add("st-active", ended=False, events={"p1": 3, "p2": 3})
    await export(service, store, "r1", rows_max=1)
    service.join(session, "p1", 3)
    await export(service, store, "r2", rows_max=1)
    service.join(session, "p1", 1)
    service.join(session, "p3", 2)
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        ledger = await export(service, store, "r3", known=KnownIds(0))
    failed = {(unit.rpartition("/")[2], failure.error) for failure in ledger.failures for unit in failure.units}
    assert failed == {("p1", "temporary_folder"), ("p2", "temporary_folder")}
    assert ledger.outcomes == {Outcome.EXPORTED: 1, Outcome.FAILED: 2}
    await export(service, store, "r4", known=KnownIds(0))
    assert lake_rows(store) == service.truth()


def _log_of_warning() -> list[dict[str, Any]]:
    with capture_logs() as logs:
        warn_of_temporary_folder()
    return [dict(line) for line in logs]


def test_a_sound_folder_is_not_spoken_of() -> None:
    """Where a few bytes come back as they were written, nothing is said."""
    assert _log_of_warning() == []


@pytest.mark.usefixtures("gone")
def test_a_folder_that_cannot_be_used_is_named_at_the_start() -> None:
    """One warning names the folder, what is wrong with it, TMPDIR, and who will miss it."""
    (line,) = _log_of_warning()
    assert (line["event"], line["log_level"]) == ("temporary folder", "warning")
    assert "re�moved" in line["problem"]
    assert "TMPDIR" in line["problem"]
    assert "256 KiB" in line["needed_by"]


def test_where_no_folder_can_be_written_all_that_were_tried_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a read-only root without /tmp."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", _none_usable)
    (line,) = _log_of_warning()
    assert line["problem"].startswith("no temporary folder can be written: No usable temporary directory found in")
    assert "['/tmp']; set TMPDIR" in line["problem"]


def _none_usable() -> str:
    raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")


def test_a_folder_that_gives_back_other_bytes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written must be what is read."""

    class Forgetful(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return bytes(size or 0)

    monkeypatch.setattr(tempfile, "TemporaryFile", Forgetful)
    (line,) = _log_of_warning()
    assert "other bytes than were written; set TMPDIR" in line["problem"]


def test_a_full_disk_at_the_end_says_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose last bytes find no room when it is closed: what mattered was said before."""

    class Full(io.BytesIO):
        def close(self) -> None:
            super().close()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    pages = PageSpool(0)
    pages.add(b"[]")
    assert list(pages) == [b"[]"]
    del pages


def test_pages_can_be_read_by_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readings of one unit's pages do not disturb each other; a page that was cut short is an error."""
    files: list[io.BytesIO] = []

    def noted() -> io.BytesIO:
        files.append(io.BytesIO())
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)
    pages = PageSpool(5)
    added = [b"one", b"two", b"three"]
    for page in added:
        pages.add(page)
    assert [*zip(pages, pages, strict=True)] == [(page, page) for page in added]
    files[0].truncate(7)
    with pytest.raises(TemporaryFolderRefused, match="4 bytes short"):
        list(pages)
