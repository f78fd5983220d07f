"""The file of metrics that node_exporter's textfile collector reads: replaced whole, so that none is read in half."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.machine.daemon_threads import DaemonThreads
from exporter.telemetry.logger import Logger
from exporter.text import reason_of
from exporter.watching.prometheus import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from exporter.watching.metrics import Sample

#: A disk that takes longer is passed over for this time; the run goes on.
WRITE_TIMEOUT_S = 2.0
_log = Logger(__name__)


class MetricsFile:
    """Writes metrics to a file. What goes wrong is a warning, once, and never raised.

    The mutable state: the write that is on its way, if one is, and whether a warning was logged.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's own raises where nobody has a home
        self._writing: Future[str | None] | None = None
        self._is_warned = False

    async def write(self, samples: Sequence[Sample]) -> None:
        """Replace the file, in a thread of its own, after an earlier write that was not waited for to its end."""
        if await self._has_ended():
            self._writing = DaemonThreads().submit(_fault_of_writing, self._path, samples)
            await self._has_ended()

    async def _has_ended(self) -> bool:
        """Wait for the write that is on its way, for its time at most, and say whether it has come to an end."""
        if self._writing is None:
            return True
        # Not by wait_for: until Python 3.12 that lets a cancellation go that comes at the same moment as the end.
        writing = asyncio.wrap_future(self._writing)
        if not (await asyncio.wait([writing], timeout=WRITE_TIMEOUT_S))[0]:
            self._warn(f"nothing was written in {WRITE_TIMEOUT_S:g} s")
            return False
        if (fault := writing.result()) is not None:
            self._warn(fault)
        self._writing = None
        return True

    def _warn(self, reason: str) -> None:
        if not self._is_warned:
            self._is_warned = True
            _log.warning("the metrics' file can't be written", file=str(self._path), reason=reason)


async def fault_of_folder(path: str) -> str | None:
    """Why the file could not be written, tried by another name in its folder; None where it can. Nothing is left."""
    trying = asyncio.wrap_future(DaemonThreads().submit(_fault_of_trial, path))
    if not (await asyncio.wait([trying], timeout=WRITE_TIMEOUT_S))[0]:
        return f"nothing was written in {WRITE_TIMEOUT_S:g} s"
    return trying.result()


def _fault_of_trial(path: str) -> str | None:
    whole = Path(os.path.expanduser(path))  # noqa: PTH111 - as above
    try:
        _check_ordinary(whole)
        with tempfile.TemporaryFile(dir=whole.parent):
            return None
    except (OSError, ValueError) as error:
        return reason_of(error)


def _check_ordinary(path: Path) -> None:
    """Raise OSError for a device, such as /dev/stdout: it would be replaced by a file."""
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is no ordinary file")


def _fault_of_writing(path: Path, samples: Sequence[Sample]) -> str | None:
    """Why the file can't be written; None where it is."""
    try:
        _replace(path, text_of(samples))
    except (OSError, ValueError) as error:
        return reason_of(error)
    return None


def _replace(path: Path, text: str) -> None:
    """Write a new file beside the old one, readable by whom the umask lets, and put it in its place."""
    _check_ordinary(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")  # the collector reads what ends in .prom alone
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
