"""``ivs-export`` as the child of a process that may be killed: it is asked to stop when its parent is gone.

    python -m exporter.cluster.bound PID run …

Where the system has no signal for a parent's end, the child goes on until its work is done, and holds its scope until
then.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

# Source: prctl(2), PR_SET_PDEATHSIG.
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the program with the arguments after the parent's process id, and exit with its code."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before
        sys.exit(128 + signal.SIGTERM)
    del sys.argv[1]
    runpy.run_module("exporter", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
