from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import exporter
from exporter import __version__
from exporter.cli.app import main
from exporter.pipeline.run_ledger import new_run_id

ROOT = Path(exporter.__file__).parents[1]
SLOW = ("aioboto3", "aiobotocore", "botocore", "boto3", "pyarrow", "duckdb", "aiohttp", "rich")
#: What checks settings and does the work, which help and an unknown option do without.
CHECKING = ("pydantic", "asyncio")


def start(*arguments: str, code: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    program = ["-c", code] if code else ["-m", "exporter"]
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, *program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "slow"),
    [
        (["--help"], SLOW + CHECKING),
        (["--version"], SLOW + CHECKING),
        (["run", "--help"], SLOW + CHECKING),
        (["emulate", "--help"], SLOW + CHECKING),
        (["run", "--bogus", "--json"], SLOW + CHECKING),
        (["run", "--reserve", "5", "--json"], SLOW),
    ],
)
def test_help_and_wrong_options_bring_nothing_slow(arguments: list[str], slow: tuple[str, ...]) -> None:
    """What answers at once imports neither AWS's libraries nor Arrow, nor what draws a display."""
    code = (
        "import sys; from exporter.cli.app import main; main(sys.argv[1:]);"
        f"sys.stdout.write('\\n' + ' '.join(set(sys.modules) & {set(slow)!r}))"
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
    """The shell's script is printed, and it completes a command and an option."""
    shown = start(_IVS_EXPORT_COMPLETE="bash_source")
    assert "complete -o nosort" in shown.stdout
    command = {"COMP_WORDS": "ivs-export ru", "COMP_CWORD": "1", "_IVS_EXPORT_COMPLETE": "bash_complete"}
    assert start(**command).stdout.split() == ["plain,run"]
    option = command | {"COMP_WORDS": "ivs-export run --check", "COMP_CWORD": "2"}
    assert start(**option).stdout.split() == ["plain,--checkpoint-s"]


def test_a_run_without_a_terminal_does_without_a_display(tmp_path: Path) -> None:
    """What draws the live display is imported where standard error is a terminal; elsewhere are JSON lines."""
    code = (
        "import os, sys; from exporter.cli.app import main\n"
        "os.environ.pop('FORCE_COLOR', None), os.environ.pop('TTY_COMPATIBLE', None)\n"
        "async def export(*_): pass\n"
        "code = main(sys.argv[1:], export); sys.stdout.write(str(code) + ' '.join({'rich.live'} & set(sys.modules)))"
    )
    started = start("run", "--region", "eu-west-1", "--lake", str(tmp_path), "--json", code=code)
    assert started.stdout.splitlines()[-1] == "0"
    assert all(line.startswith("{") for line in started.stderr.splitlines())


def test_run_ids_sort_and_never_come_again() -> None:
    """Runs of one second have names of their own, safe in a file's name."""
    names = {new_run_id() for _ in range(1000)}
    assert len(names) == 1000
    assert all(name.replace("-", "").isalnum() for name in names)
