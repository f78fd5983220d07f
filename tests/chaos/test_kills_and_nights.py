"""A short round of what ``scripts/chaos`` does at any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.harness import kill_rounds
from tests.chaos.nights import run_nights

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("lake", ["directory", pytest.param("s3", marks=pytest.mark.xdist_group("seaweedfs"))])
def test_killed_at_random_the_lake_is_right_at_every_moment(lake: str, tmp_path: Path) -> None:
    """After each kill -9 readers see committed rows only, each once; a run that ends leaves the truth, and no waste."""
    tally = kill_rounds(lake, 2, 11, tmp_path, lambda _: None)
    assert tally.kills == sum(tally.places.values()) == 2
    assert tally.whole_runs >= 1
    assert tally.rows > 0


def test_eight_nights_ask_for_nothing_twice(tmp_path: Path) -> None:
    """Eight nights, some killed, end with the truth; nothing is asked for again but what may change or was lost."""
    month = run_nights(8, 1, tmp_path)
    assert month.nights == 10
    assert month.killed
    assert month.active > 0
    assert month.ended_first > 0
    assert month.rows > 0
