from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
        done = subprocess.run(
            ["/bin/sh", "-euc", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def emulated() -> Iterator[dict[str, str]]:
    """The variables that lead to an emulator with a fast quota, which serves until the module's tests are done."""
    command = [sys.executable, "-m", "exporter", "emulate", "--port", "0", "--calls-per-second", "1000"]
    command += ["--region", "eu-west-1", "--region", "us-east-1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        variables = {}
        for line in server.stdout:
            for word in line.split():
                name, separator, value = word.partition("=")
                if separator and name.startswith("AWS_"):
                    variables[name] = value
            if "AWS_SECRET_ACCESS_KEY" in variables:
                break
        try:
            yield variables
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture
def shell(tmp_path: Path, emulated: dict[str, str]) -> Shell:
    """A shell in an empty folder."""
    programs = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "IVS_EXPORT_"))}
    own = {"PATH": f"{programs}{os.pathsep}{kept['PATH']}", "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    fast = {"IVS_EXPORT_QUOTA__CALLS_PER_SECOND": "900"}
    return Shell(tmp_path, kept | own | emulated | fast)
