"""The real command against the real emulator, each a process of its own, as the benchmarks run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COMMAND = (sys.executable, "-m", "exporter")
_ROOT = Path(__file__).resolve().parent.parent
# Kilobytes on Linux, bytes on macOS: getrusage(2).
_MAXRSS_A_MIB = 1 << (20 if sys.platform == "darwin" else 10)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of the command: its summary, its peak in MiB, and the processor's and the clock's seconds."""

    summary: dict[str, Any]
    peak_mib: float
    cpu_s: float
    wall_s: float


@contextmanager
def emulator(options: Mapping[str, object]) -> Iterator[str]:
    """An emulator with ``options`` (without their dashes; of a list, each in turn), by its URL."""
    words = [
        word
        for name, value in options.items()
        for each in (value if isinstance(value, list) else [value])
        for word in (f"--{name}", str(each))
    ]
    process = subprocess.Popen(  # noqa: S603 - our own
        (*_COMMAND, "emulate", *words), cwd=_ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None, "it is a pipe"  # noqa: S101 - for the type checker
        yield next(word for word in process.stdout.readline().split() if word.startswith("http"))
    finally:
        process.terminate()
        process.communicate()


def run(url: str, lake: Path, *options: str, environment: Mapping[str, str] | None = None) -> Measured:
    """Export from the emulator at ``url`` into ``lake``, with more of the command's ``options``.

    Raises RuntimeError where the command failed or left anything out.
    """
    return command("run", lake, *options, environment={"AWS_ENDPOINT_URL_IVS_REALTIME": url, **(environment or {})})


def command(name: str, lake: Path, *options: str, environment: Mapping[str, str]) -> Measured:
    """Carry out one of the commands that know ``--lake`` and ``--json``. Raises RuntimeError where it failed."""
    with tempfile.TemporaryDirectory(prefix="ivs-export-benchmark-") as home:
        inherited = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": home,
            "AWS_ACCESS_KEY_ID": "emulator",
            "AWS_SECRET_ACCESS_KEY": "emulator",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        words = (*_COMMAND, name, "--lake", str(lake), "--json", *options)
        with Path(home, "out").open("w+") as out, Path(home, "log").open("w+") as log:
            began_s = time.monotonic()
            process = subprocess.Popen(  # noqa: S603 - our own
                words, env=inherited | dict(environment), cwd=_ROOT, stdout=out, stderr=log
            )
            # The children's sum that `getrusage` gives would hold the emulator, too.
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.monotonic() - began_s
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            log.seek(0)
            if process.returncode:
                raise RuntimeError(f"the command ended with {process.returncode}: {log.read()[-2_000:]}")
            summary = json.loads(out.read())
    return Measured(summary, usage.ru_maxrss / _MAXRSS_A_MIB, usage.ru_utime + usage.ru_stime, wall_s)
