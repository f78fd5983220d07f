"""All topics one after the other, in one table below a description of the machine.

.venv/bin/python -m benchmarks                  everything
.venv/bin/python -m benchmarks --quick cpu      one topic, shrunken: does it work?
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

from benchmarks.figures import show_topic

#: The modules of this package that have ``figures``, in the order in which they are run.
TOPICS = ("start", "pace", "plan", "scopes", "cpu", "memory", "files", "views", "catalog")
_PACKAGES = ("ivs-export", "aiohttp", "aioboto3", "botocore", "msgspec", "pyarrow", "duckdb", "pyiceberg", "dlt")


def main() -> int:
    """Run the topics that are named, or all; 1 where one broke."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("topics", nargs="*", metavar="TOPIC", choices=[*TOPICS, []], help=f"any of {', '.join(TOPICS)}")
    parser.add_argument("--quick", action="store_true", help="shrunken: shows that it works, and measures nothing")
    given = parser.parse_args()
    _write(_machine())
    # All are run, even where one has broken.
    broken = [topic for topic in given.topics or TOPICS if not _run(topic, quick=given.quick)]
    return 1 if broken else 0


def _run(topic: str, *, quick: bool) -> bool:
    """Show the figures of a topic, and say whether it came to its end.

    It has a process for itself. The kernel counts to a command's peak what its parent had in memory when it started it,
    so one topic's memory would show in the figures of the next.
    """
    _write(f"\n{topic}\n")
    process = get_context("spawn").Process(target=show_topic, args=(topic, quick))
    process.start()
    process.join()
    return process.exitcode == 0


def _machine() -> str:
    """What the figures were measured on, and with."""
    load = " ".join(f"{of_minutes:.1f}" for of_minutes in os.getloadavg())
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.machine()}\n"
        f"{os.cpu_count()} cores, {_processor()}, load {load}\n"
        f"Python {platform.python_version()}, {packages}\n"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(none)"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
