"""How a question is ended that is being answered in another thread, and what it leaves behind."""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from exporter.errors import QueryFailed, TemporaryFolderRefused
from exporter.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class QueryStopped(QueryFailed):
    """A question was asked to end before it was answered."""

    kind = "stopped"


class StopSwitch:
    """Ends what a database is doing, from any thread: that raises :class:`QueryStopped` where it waits.

    The mutable state: whether it is on, how a database is interrupted, and the temporary folder that is in use.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._interrupt: Callable[[], None] = lambda: None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def turn_on(self) -> None:
        """End it."""
        self.is_on = True
        with suppress(Exception):  # the connection may be closed in this moment
            self._interrupt()

    def connect(self, interrupt: Callable[[], None]) -> None:
        """Call ``interrupt`` when the switch is turned on."""
        self._interrupt = interrupt

    @contextmanager
    def folder(self) -> Iterator[str]:
        """Make a temporary folder for what does not fit into memory, which is gone after the block.

        Raises :class:`QueryStopped` where the switch is on already, and :class:`TemporaryFolderRefused`.
        """
        with self._lock:
            if self.is_on:
                raise QueryStopped("the query was stopped")
            folder = self._folder = _temporary_folder()
        with folder as name:
            yield name

    def remove_folder(self) -> None:
        """Remove the folder of a database that does not end in time. The switch is on, so no other one is made."""
        with self._lock:
            if self._folder is not None:
                self._folder.cleanup()


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="ivs-export-query-", ignore_cleanup_errors=True)
    except OSError as error:
        raise TemporaryFolderRefused(
            f"no temporary folder can be made ({one_line(error.strerror)}): set TMPDIR to one that can be written"
        ) from error
