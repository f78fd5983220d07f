"""What a machine of a cluster does with a task: our own command, in a process of its own.

What it returns is for people, and says where a region has no stage. Outcomes are in the lake's log: a task that is
killed, or done twice, would report them wrong.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from exporter import __version__
from exporter.cluster.tasks import with_external_id
from exporter.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.cluster.tasks import ScopeTask

_OK, _USAGE, _PARTIAL = 0, 2, 3
#: Variables of ours that a task's run takes from this machine; all others are in its settings.
_KEPT = ("IVS_EXPORT_PRIVACY__KEY", "IVS_EXPORT_TEST_CLOCK")
_STDERR_LOCK = threading.Lock()
#: The runs at work in this process, by the tag that they have.
_running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}


class TaskFailed(ExportError):
    """A task's run did not come to its end; it is worth another try."""

    kind = "task_failed"


def export_scope(task: ScopeTask, tag: str) -> dict[str, Any]:
    """Carry a task out, and return the summary that its run printed.

    Raises :class:`TaskFailed` where the run failed as a whole, or was stopped.
    """
    if task.version != __version__:
        raise TaskFailed(f"this worker has ivs-export {__version__}, and the command {task.version}: install the same")
    with _settings_file(task) as file, tempfile.TemporaryFile() as printed:
        command = [sys.executable, "-m", "exporter.cluster.bound", str(os.getpid()), "run", "--json"]
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, "--config", f"/dev/fd/{file.fileno()}", *task.arguments],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.PIPE,
            env=_environment(),
            pass_fds=(file.fileno(),),
        )
        _running[process.pid] = (tag, process)
        try:
            _pass_on(process)
            code = process.wait()
        finally:
            del _running[process.pid]
        printed.seek(0)
        return _judged(code, printed.read())


def _judged(code: int, printed: bytes) -> dict[str, Any]:
    """What was printed. Raises :class:`TaskFailed` where it is no summary of a run that came to its end."""
    try:
        summary = json.loads(printed)
    except ValueError:
        summary = None
    if isinstance(summary, dict) and code in {_OK, _USAGE, _PARTIAL}:
        return summary
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    first = next(iter(summary["failures"]), None) if isinstance(summary, dict) else None
    raise TaskFailed(f"its run ended with {how}" + (f": {first['message']}" if first else ""))


def stop_exporters(tag: str) -> int:
    """Ask the runs with this tag that are at work here to stop, and return how many there are."""
    own = [process for of_tag, process in list(_running.values()) if of_tag == tag]
    for process in own:
        process.send_signal(signal.SIGTERM)
    return len(own)


def exporters_at_work(tag: str) -> int:
    """How many runs with this tag are at work here."""
    return sum(of_tag == tag for of_tag, _ in list(_running.values()))


@contextmanager
def _settings_file(task: ScopeTask) -> Iterator[IO[bytes]]:
    """The task's settings in a file that has no name, for an external id may be in it."""
    text = task.settings
    if task.role_arn is not None:
        with_id = with_external_id(text, task.role_arn, _own_file())
        if with_id is None:
            raise TaskFailed(
                f"{task.role_arn} needs its external id: name a settings' file that has it in IVS_EXPORT_CONFIG, in the"
                " environment of the workers"
            )
        text = with_id
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        file.seek(0)
        yield file


def _own_file() -> dict[str, Any]:
    """The values of the settings' file that this machine's environment names."""
    named = os.environ.get("IVS_EXPORT_CONFIG")
    if not named:
        return {}
    try:
        return tomllib.loads(Path(named).expanduser().read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise TaskFailed(f"the worker's settings' file {named} can't be read: {error}") from None


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith("IVS_EXPORT_")}


def _pass_on(process: subprocess.Popen[bytes]) -> None:
    """Pass the lines of a run's log on to this process's own, until there are no more."""
    assert process.stderr is not None, "it is a pipe"  # noqa: S101 - for the type checker
    with process.stderr as lines:
        for line in lines:
            with _STDERR_LOCK:
                sys.stderr.write(line.decode(errors="replace"))
                sys.stderr.flush()
