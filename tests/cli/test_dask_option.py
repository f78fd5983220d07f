from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import exporter
from exporter.cli.app import main

ROOT = Path(exporter.__file__).parents[1]
RUN = ["run", "--region", "eu-west-1", "--json"]


def test_nothing_of_dask_is_imported_without_the_option(tmp_path: Path) -> None:
    """A run, a status and a shard do without it, and without our own part for it."""
    code = (
        "import sys; from exporter.cli.app import main\n"
        "async def export(*_): pass\n"
        "codes = [main([*sys.argv[1:], *more], export) for more in ([], ['--shard', '1/2', '--tag', 'x'])]\n"
        "found = {'dask', 'distributed', 'exporter.cluster', 'tornado'} & set(sys.modules)\n"
        "sys.stdout.write(f'{codes} {sorted(found)}')"
    )
    started = subprocess.run(
        [sys.executable, "-c", code, *RUN, "--lake", str(tmp_path)],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert started.stdout.splitlines()[-1] == "[0, 0] []"


def test_the_extra_is_not_installed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what to install, before anything is begun."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main([*RUN, "--dask", "local:2"]) == 2
    [failure] = json.loads(capsys.readouterr().out)["failures"]
    assert failure["message"] == "--dask needs the extra dask: pip install 'ivs-export[dask]'"


@pytest.mark.parametrize(
    "address",
    ["", "local:", "local:0", "local:-1", "local:x", "local:٢", f"local:{'9' * 5_000}", "nonsense", "tcp://a\n:1"],
)
def test_what_is_no_cluster(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is wrong usage, and the line shows what to write."""
    assert main([*RUN, "--dask", address]) == 2
    assert "is refused: write local:N" in json.loads(capsys.readouterr().out)["failures"][0]["message"]


@pytest.mark.parametrize("other", [["--dry-run"], ["--targets", "list.csv"]])
def test_what_a_cluster_does_not_do(
    other: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan and a list are one process's: it is said, and nothing is begun."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.csv").write_text("stage_arn\narn:aws:ivs:eu-west-1:111122223333:stage/AbCd\n")
    assert main([*RUN, "--dask", "local:1", *other]) == 2
    assert f"{other[0]}" in json.loads(capsys.readouterr().out)["failures"][0]["message"]
    assert not (tmp_path / "lake").exists()


def test_no_scheduler_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run fails within seconds, and names the address."""
    monkeypatch.setattr("exporter.cluster.dask_cluster._CONNECT_S", 0.2)
    assert main([*RUN, "--dask", "tcp://127.0.0.1:9", "--lake", str(tmp_path / "lake")]) == 1
    [failure, *_] = json.loads(capsys.readouterr().out)["failures"]
    assert failure["error"] == "cluster"
    assert failure["message"].startswith("no Dask scheduler answers at 'tcp://127.0.0.1:9': ")
