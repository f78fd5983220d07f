"""The simulation itself: new worlds break no law, one seed is one world, and defects that are put back are found."""

from __future__ import annotations

import inspect
import os
import re
import secrets
import subprocess
import sys

import pytest

from tests.simulation.defects import DEFECTS, Defect

WORLDS = 30
#: Each stands for a kind of defect that is found within few worlds; `scripts/simulate --defects` puts all of them back.
QUICKLY_FOUND = (
    "publish before record",
    "a lease believed",
    "what left stays listed",
)


def simulated(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *options],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_law_is_broken_in_new_worlds() -> None:
    """Other worlds each time; a failure shows their seed, which `scripts/simulate --world` takes."""
    seed = secrets.token_hex(4)
    told = simulated("--worlds", str(WORLDS), "--seed", seed)
    print(told.stdout)  # noqa: T201 - the seeds, for whoever asks which worlds these were
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("seed", ["1-1", "1-2", "1-7"])
def test_one_seed_is_one_world_to_the_letter(seed: str) -> None:
    first, second = simulated("--world", seed), simulated("--world", seed)
    assert re.search(r"[0-9a-f]{16}\)$", first.stdout.strip())
    assert first.stdout == second.stdout


def test_another_seed_is_another_world() -> None:
    assert simulated("--world", "1-1").stdout != simulated("--world", "1-2").stdout


@pytest.mark.parametrize("defect", QUICKLY_FOUND)
def test_a_defect_that_is_put_back_is_found(defect: str) -> None:
    told = simulated("--defects", defect, "--processes", "1")
    assert told.returncode == 0, told.stdout + told.stderr
    assert defect in told.stdout


@pytest.mark.parametrize("known", DEFECTS, ids=lambda known: known.name)
def test_a_patch_fits_what_it_replaces(known: Defect) -> None:
    """Each name is there, and takes what the defect's own takes: else each world would break for that alone."""
    for owner, name, wrong in known.changes():
        right = getattr(owner, name)
        if callable(right) and callable(wrong):
            given = inspect.signature(right).parameters.values()
            places = [each.name for each in given if each.kind is each.POSITIONAL_OR_KEYWORD]
            names = [each.name for each in given if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
            inspect.signature(wrong).bind(*places, **dict.fromkeys(names))


@pytest.mark.slow
def test_many_nights_break_no_law() -> None:
    told = simulated("--nights", "150", "--seed", secrets.token_hex(4))
    assert told.returncode == 0, told.stdout + told.stderr
