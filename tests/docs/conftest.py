from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import command_line, started
from tests.support.environment import bare_environment, is_users

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Shell:
    """A user's shell in an empty folder, beside a running emulator, with the command on the path."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def run(self, command: str, code: int = 0) -> str:
        """Run a command line and return what it printed; it must end with ``code``."""
        with started(["/bin/sh", "-euc", command], self.environment, cwd=self.folder) as running:
            ended = running.wait()
        assert ended.code == code, f"{command}\n{ended.printed}\n{ended.logged}"
        return ended.printed


@pytest.fixture(scope="module")
def emulated() -> Iterator[dict[str, str]]:
    """The variables that lead to an emulator with a fast quota, which serves until the module's tests are done."""
    command = command_line("emulate", "--port", "0", "--calls-per-second", "1000")
    command += ["--region", "eu-west-1", "--region", "us-east-1"]
    with started(command, bare_environment(), cwd=ROOT) as server:
        while "ivs-export run" not in server.output.text:
            assert not server.is_over, server.log.text
            time.sleep(0.01)
        yield dict(re.findall(r"(AWS_\w+)=(\S+)", server.output.text))


@pytest.fixture
def shell(tmp_path: Path, emulated: dict[str, str]) -> Shell:
    """A shell in an empty folder."""
    programs = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if not is_users(name)}
    own = {"PATH": f"{programs}{os.pathsep}{kept['PATH']}", "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    fast = {"IVS_EXPORT_QUOTA__CALLS_PER_SECOND": "900"}
    return Shell(tmp_path, kept | own | emulated | fast)
