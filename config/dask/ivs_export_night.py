"""One night on a Dask cluster that is there already: its workers are looked at first, then each scope is a task.

From a scheduler's job, or from a notebook, which gets the night's summary as a dictionary::

    python ivs_export_night.py tcp://scheduler:8786 fleet.toml 2026-11-26

    from ivs_export_night import export_night
    summary = export_night("tcp://scheduler:8786", "fleet.toml", "2026-11-26")

Where there is no cluster yet, this makes one. Anybody who can reach its scheduler can run any program on its workers::

    dask scheduler --host 10.0.0.5 --port 8786 --no-dashboard
    dask worker tcp://10.0.0.5:8786 --nworkers 1 --nthreads 16 --no-dashboard

Each worker needs ivs-export, the same version as here, a way to the lake, and in its environment what no task carries::

    AWS_PROFILE, or any other way to credentials: they read IVS or assume the roles, and write the lake
    TMPDIR                    a folder on a disk, where /tmp is small or in memory
    IVS_EXPORT_PRIVACY__KEY   where user ids are hashed
    IVS_EXPORT_CONFIG         where roles need an external id: a settings' file that has it

A night that is run twice does no harm: every event is in the lake once.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from distributed import Client

import exporter


class WorkersNotReadyError(RuntimeError):
    """A worker lacks something that each task would fail for."""


def problems_of_workers(address: str) -> dict[str, list[str]]:
    """What is wrong with the cluster's workers, by the worker's address; nothing where all is well."""

    def look(version: str) -> list[str]:  # Dask sends a function in a function by its text: workers lack this file
        import tempfile  # noqa: PLC0415 - imported where it runs

        problems = []
        try:
            from botocore.session import get_session  # noqa: PLC0415 - comes with ivs-export

            from exporter import __version__  # noqa: PLC0415 - the worker's own

            if __version__ != version:
                problems.append(f"it has ivs-export {__version__}, and {version} is asked for")
            if get_session().get_credentials() is None:
                problems.append("it finds no AWS credentials")
        except ImportError:
            problems.append("it has no ivs-export")
        try:
            tempfile.TemporaryFile().close()
        except OSError as error:
            problems.append(f"its temporary folder can't be written: {error}")
        return problems

    with Client(address, timeout=10) as client:
        client.wait_for_workers(1, timeout=60)
        found: dict[str, list[str]] = client.run(look, exporter.__version__)
    return {worker: problems for worker, problems in found.items() if problems}


def export_night(address: str, config: str, tag: str) -> dict[str, Any]:
    """Export all that the settings' file ``config`` names, and return the object that ``--json`` prints.

    It is read from the lake's logs, so it is true whichever worker was killed; ``exit_code`` in it says whether all
    went well. Whatever ends the waiting lets tasks at work commit what they have first.

    Raises :class:`WorkersNotReadyError` before anything is asked of AWS.
    """
    if problems := problems_of_workers(address):
        raise WorkersNotReadyError("; ".join(f"{worker}: {', '.join(each)}" for worker, each in problems.items()))
    options = ["--config", config, "--dask", address, "--tag", tag, "--json"]
    command = [sys.executable, "-m", "exporter", "run", *options]
    # In a session of its own Ctrl-C does not reach it, too: a second signal would stop it at once.
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603 - our own
        try:
            printed, _ = process.communicate()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.communicate()
            raise
    summary: dict[str, Any] = json.loads(printed)
    return summary


def main() -> int:
    """Export, print the night's summary in short, and return the command's exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        summary = export_night(*sys.argv[1:4])
    except (WorkersNotReadyError, OSError, TimeoutError) as error:
        sys.stderr.write(f"not begun: {error}\n")
        return 1
    short = {name: summary[name] for name in ("tag", "outcome", "units", "events", "failures", "seconds")}
    sys.stdout.write(json.dumps(short) + "\n")
    return int(summary["exit_code"])


if __name__ == "__main__":
    sys.exit(main())
