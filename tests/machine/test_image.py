"""A container's own layer is no place for a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.cli.app import main
from exporter.machine.image import MARKER, is_in_own_layer
from exporter.pipeline import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_outside_the_image_every_folder_will_do(tmp_path: Path) -> None:
    """Whatever it is."""
    assert not is_in_own_layer(str(tmp_path), prefix=str(tmp_path), root=str(tmp_path))


def test_in_the_image_only_what_is_mounted_will_do(tmp_path: Path) -> None:
    """A folder that is not there yet lies where its parent does."""
    (tmp_path / MARKER).touch()
    for folder in (tmp_path, tmp_path / "not" / "there"):
        assert is_in_own_layer(str(folder), prefix=str(tmp_path), root=str(tmp_path))
        assert not is_in_own_layer(str(folder), prefix=str(tmp_path), root="/proc")


def test_a_run_says_how_to_mount_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any call, and nothing is written."""
    monkeypatch.setattr(run, "is_in_own_layer", lambda _: True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "emulator")
    lake = tmp_path / "lake"
    assert main(["run", "--region", "us-east-1", "--lake", str(lake)]) == 2
    assert "--volume" in capsys.readouterr().err
    assert not lake.exists()
