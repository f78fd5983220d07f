"""The fixtures for other people's tests, in a run of pytest that knows nothing of this project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.environment import bare_environment

DOCS = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
WORLD, EXAMPLE = (re.findall(rf"```{kind}\n(.*?)```", DOCS, re.DOTALL)[0] for kind in ("toml", "python"))

#: Beside the documented tests: what a run costs that asks for nothing, and what an emulator leaves as it is.
MORE = """
import os
import sys


def test_nothing_is_imported_before_it_is_asked_for():
    assert not {"aiohttp", "botocore", "msgspec", "exporter.emulator"} & LOADED_BEFORE


def test_the_environment_is_left_alone(ivs_emulator):
    assert ivs_emulator.environment["AWS_ENDPOINT_URL_IVS_REALTIME"] == ivs_emulator.url
    assert "AWS_ENDPOINT_URL_IVS_REALTIME" not in os.environ
    assert os.environ["AWS_PROFILE"] == "somebody"


def test_a_seeded_world(ivs_emulator_environment):
    import boto3

    ivs_emulator_environment.advance(3600)
    assert len(boto3.client("ivs-realtime").list_stages()["stages"]) == 3
"""


def test_other_peoples_tests(tmp_path: Path) -> None:
    """The documented tests pass as they stand, each with its own emulator; nothing is imported for those without."""
    (tmp_path / "world.toml").write_text(WORLD)
    (tmp_path / "test_documented.py").write_text(EXAMPLE)
    (tmp_path / "test_more.py").write_text("import sys\n\nLOADED_BEFORE = set(sys.modules)\n" + MORE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "test_more.py",
        "test_documented.py",
    ]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=bare_environment({"AWS_PROFILE": "somebody"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, "5 passed" in ended.stdout) == (0, True), ended.stdout + ended.stderr
