from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

from tests.support.cluster import ACCOUNTS, EXTERNAL_ID, PLACES


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings' file of twelve scopes, of which each role needs an external id. Every second there is a commit."""
    file = tmp_path / "settings.toml"
    roles = [
        f'[[accounts]]\nrole_arn = "arn:aws:iam::{each}:role/ivs-export"\nexternal_id = "{EXTERNAL_ID}"\n'
        for each in ACCOUNTS
    ]
    head = f"lake = {json.dumps(str(tmp_path / 'lake'))}\nregions = {json.dumps(PLACES)}\n"
    file.write_text("\n".join([head, "[run]\ncheckpoint_s = 0.5\n", "[quota]\ncalls_per_second = 12.0\n", *roles]))
    return file
