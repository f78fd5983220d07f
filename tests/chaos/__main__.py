"""``python -m tests.chaos``: kills at random instants, or a month of nights. See ``scripts/chaos``."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.harness import RoundFailedError, kill_rounds
from tests.chaos.nights import run_nights


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Kill the exporter, and look at the lake.")
    parser.add_argument("--kills", type=int, default=0, help="the number of kills")
    parser.add_argument("--nights", type=int, default=0, help="the number of nights with an export")
    parser.add_argument("--seed", type=int, default=1, help="another number, other instants and other worlds")
    parser.add_argument("--lake", choices=("directory", "s3"), default="directory", help="s3 is SeaweedFS")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # what was started is ended, too
    folder = Path(tempfile.mkdtemp(prefix="ivs-chaos-"))
    try:
        if options.kills or not options.nights:
            for line in kill_rounds(options.lake, options.kills or 20, options.seed, folder, _progress).lines():
                _say(line)
        if options.nights:
            for line in run_nights(options.nights, options.seed, folder).lines():
                _say(line)
    except RoundFailedError as error:
        _say(f"{error}\nwhat is left lies in {folder}")
        return 1
    shutil.rmtree(folder)
    _say("ok")
    return 0


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
