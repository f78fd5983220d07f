"""An extra that is missing is installed as the program was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.machine.installation import how_to_add

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("pyvenv.cfg", "pip install 'ivs-export[query]'"),
        ("uv-receipt.toml", "uv tool install 'ivs-export[query]'"),
        ("pipx_metadata.json", "pipx install --force 'ivs-export[query]'"),
    ],
)
def test_by_the_tool_that_made_its_environment(file: str, command: str, tmp_path: Path) -> None:
    """What pip installs elsewhere would not be found."""
    (tmp_path / file).touch()
    assert how_to_add("query", prefix=str(tmp_path)) == command
