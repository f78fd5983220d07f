"""``python -m exporter``, the same as ``ivs-export``."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


# More objects than all imports make: to look for cycles among them takes a tenth of a start, and finds none.
_OBJECTS_OF_IMPORTS = 200_000


def main() -> int:
    """Run the program with the command line's arguments, and return its exit code."""
    early: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        """Keep the first signal until the program can answer it, with the object of ``--json``; a second ends it."""
        if early:
            os._exit(128 + number)
        early.append(number)

    if threading.current_thread() is threading.main_thread():  # only there may handlers be set
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` leaves it
                signal.signal(number, note)
    gc.set_threshold(_OBJECTS_OF_IMPORTS)
    # Arrow's own allocator keeps what threads have freed, some 30 MiB here. It is chosen when pyarrow is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    from exporter.cli.app import main as run  # noqa: PLC0415 - takes a while, and comes after the handlers

    return run(early=early)


if __name__ == "__main__":
    sys.exit(main())
