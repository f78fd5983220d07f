from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import exporter
from exporter import __version__
from exporter.cli.app import main
from exporter.cli.invocation import new_run_id

ROOT = Path(exporter.__file__).parents[1]
SLOW = ("aioboto3", "aiobotocore", "botocore", "boto3", "pyarrow", "duckdb", "aiohttp")


def start(*arguments: str, code: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "exporter"]
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, *program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["run", "--bogus", "--json"], ["run", "--reserve", "5", "--json"]]
)
def test_help_and_wrong_options_bring_nothing_slow(arguments: list[str]) -> None:
    """What answers at once imports neither AWS's libraries nor Arrow."""
    code = (
        "import sys; from exporter.cli.app import main; main(sys.argv[1:]);"
        f"sys.stdout.write('\\n' + ' '.join(set(sys.modules) & {set(SLOW)!r}))"
    )
    started = start(*arguments, code=code)
    assert started.returncode == 0
    assert started.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("command", [[], ["run"], ["emulate"], ["demo"]], ids=" ".join)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help exists, and that of a command shows how to use it."""
    assert main([*command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: ivs-export" in text
    assert not command or f"ivs-export {command[0]} " in text.partition("Examples:")[2]


def test_module_runs_as_the_command_and_takes_a_closed_output() -> None:
    """``python -m exporter`` is the command, and closed streams are no error."""
    assert start("--version").stdout == f"ivs-export {__version__}\n"
    command = f"{sys.executable} -m exporter run --help | true; exit ${{PIPESTATUS[0]}}"
    piped = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607 - our own
    assert (piped.returncode, piped.stderr) == (0, "")


def test_completion_is_there() -> None:
    """The shell's script is shown, and it completes a command."""
    shown = start("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "complete -o default" in shown.stdout
    words = {"COMP_WORDS": "ivs-export ru", "COMP_CWORD": "1", "_IVS_EXPORT_COMPLETE": "complete_bash"}
    assert start(**words).stdout.split() == ["run"]


def test_run_ids_sort_and_never_come_again() -> None:
    """Runs of one second have names of their own, safe in a file's name."""
    names = {new_run_id() for _ in range(1000)}
    assert len(names) == 1000
    assert all(name.replace("-", "").isalnum() for name in names)
