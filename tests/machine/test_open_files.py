"""How many files a run asks the system for."""

from __future__ import annotations

import pytest

from exporter.machine.open_files import raised_limit


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1_024, 4_096, 4_096),
        (1_024, 1_024, 1_024),
        (1_024, 1_000_000_000, 40_000),
        (256, -1, 40_000),
        (500_000, 1_000_000_000, 500_000),
        (-1, -1, -1),
    ],
)
def test_the_limit_is_raised_as_far_as_a_run_may_need(soft: int, hard: int, raised: int) -> None:
    """No further: a program that a run starts may close as many files as it may open, one by one. -1 is no limit."""
    assert raised_limit(soft, hard) == raised
