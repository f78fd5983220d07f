"""The file of metrics: replaced whole, readable by others, and never a reason for a run to fail."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from exporter.cli.app import main
from exporter.errors import LakeRefused
from exporter.watching import metrics_file, watch
from exporter.watching.metrics import samples_of
from exporter.watching.metrics_file import MetricsFile
from tests.support.summaries import a_partial_run, summary_of

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.discovery.request import Request
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop
    from exporter.settings import Settings

SAMPLES = samples_of(summary_of(a_partial_run()))
RUN = ("run", "--region", "eu-west-1", "--json")


def warnings_in(log: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, log.splitlines()) if line["level"] == "warning"]


def test_the_file_is_replaced_whole_and_can_be_read_by_others(tmp_path: Path) -> None:
    """A reader that has it open reads the old one to its end; node_exporter is another user."""
    path = tmp_path / "ivs.prom"
    path.write_text("old\n")
    before = os.umask(0o022)
    try:
        with path.open() as reader:
            asyncio.run(MetricsFile(str(path)).write(SAMPLES))
            assert reader.read() == "old\n"
    finally:
        os.umask(before)
    assert "ivs_export_found_units_total" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == ["ivs.prom"]


@pytest.mark.parametrize("name", ["missing/ivs.prom", "folder", "pipe", "link-to-a-device", "a\0b"])
async def test_a_file_that_cannot_be_written_is_one_warning(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No folder, something else in its place: said once, and a device is not replaced by a file."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link-to-a-device").symlink_to(os.devnull)
    file = MetricsFile(str(tmp_path / name))
    for _ in range(2):
        await file.write(SAMPLES)
    [record] = caplog.records
    assert (record.levelname, record.msg) == ("WARNING", "the metrics' file can't be written")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert (tmp_path / "link-to-a-device").is_symlink()


async def test_a_disk_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The write is given up after its time, no second one is begun beside it, and one warning says so."""
    goes_on, begun = threading.Event(), []

    def replace(*_: object) -> None:
        begun.append(1)
        goes_on.wait(60)

    monkeypatch.setattr(metrics_file, "_replace", replace)
    monkeypatch.setattr(metrics_file, "WRITE_TIMEOUT_S", 0.01)
    file = MetricsFile(str(tmp_path / "ivs.prom"))
    for _ in range(3):
        await file.write(SAMPLES)
    goes_on.set()
    assert len(begun) == len(caplog.records) == 1


def test_a_run_keeps_its_file_while_it_goes_on_and_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While it goes on, it is running and has what was found so far; at its end it has its exit code."""
    path, seen = tmp_path / "ivs.prom", ""
    monkeypatch.setattr(watch, "UPDATE_S", 0.001)

    async def export(_settings: Settings, _request: Request, ledger: RunLedger, stop: Stop) -> None:
        nonlocal seen
        ledger.scopes = a_partial_run().scopes
        while "found_units_total" not in seen:
            await stop.cut(asyncio.sleep(0.001))
            seen = path.read_text() if path.exists() else ""

    assert main([*RUN, "--metrics-file", str(path)], export) == 3
    assert 'ivs_export_run_status{outcome="running"} 1' in seen
    text = path.read_text()
    assert "ivs_export_run_exit_code 3" in text
    assert 'ivs_export_run_status{outcome="partial"} 1' in text
    assert json.loads(capsys.readouterr().out)["exit_code"] == 3


@pytest.mark.parametrize("error", [LakeRefused("denied"), ZeroDivisionError("a bug")])
def test_a_run_that_fails_says_so(error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where a bug ends it: the last state is failed, and not running for ever."""
    path = tmp_path / "ivs.prom"

    async def export(*_: object) -> None:
        raise error

    assert main([*RUN, "--metrics-file", str(path)], export) == 1
    assert 'ivs_export_run_status{outcome="failed"} 1' in path.read_text()
    assert json.loads(capsys.readouterr().out)["outcome"] == "failed"


def test_a_run_whose_file_cannot_be_written_ends_as_it_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code and summary are the run's own, and the log has one warning."""
    monkeypatch.setenv("IVS_EXPORT_TELEMETRY__METRICS_FILE", str(tmp_path / "missing" / "ivs.prom"))

    async def export(_settings: Settings, _request: Request, ledger: RunLedger, _stop: Stop) -> None:
        ledger.scopes = []

    assert main([*RUN], export) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["outcome"] == "nothing"
    [warning] = warnings_in(captured.err)
    assert warning["reason"] == "No such file or directory"
