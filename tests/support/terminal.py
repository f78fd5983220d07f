"""A terminal: a process that stands on one, and what it would show."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_CHUNK_BYTES = 1 << 16


class Screen:
    """What a terminal of this size shows of what was written to it."""

    def __init__(self, width: int, height: int) -> None:
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()

    def write(self, written: bytes) -> None:
        with self._lock:
            self._stream.feed(written)

    def resize(self, width: int, height: int) -> None:
        """Make it another size. Lines that are too long then go on in the next line, and what is over scrolls away."""
        with self._lock:
            written = [line.rstrip() for line in self._screen.display[: self._screen.cursor.y + 1]]
            lines = [line[at : at + width] for line in written for at in range(0, max(len(line), 1), width)]
            is_hidden = self._screen.cursor.hidden
            self._screen.reset()
            self._screen.resize(height, width)
            self._stream.feed("\r\n".join(lines[-height:]).encode())
            self._screen.cursor.hidden = is_hidden

    @property
    def lines(self) -> list[str]:
        """The lines from the top to the last that is not empty, without blanks at their ends."""
        with self._lock:
            lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def has_cursor(self) -> bool:
        """Whether the cursor is shown."""
        return not self._screen.cursor.hidden


class Terminal(Screen):
    """A process on a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int, width: int, height: int) -> None:
        super().__init__(width, height)
        self.process = process
        self._descriptor = descriptor
        self._reading = threading.Thread(target=self._read_on, daemon=True)
        self._reading.start()

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        _set_size(self._descriptor, width, height)

    def wait(self, wait_s: float) -> int:
        """Wait for the end of the process and of what it writes, and return its exit code."""
        code = self.process.wait(wait_s)
        self._reading.join(wait_s)
        return code

    def _read_on(self) -> None:
        with suppress(OSError):  # which is how a terminal ends whose process is gone
            while written := os.read(self._descriptor, _CHUNK_BYTES):
                self.write(written)


@contextmanager
def on_a_terminal(
    command: Sequence[str], environment: Mapping[str, str], width: int, height: int
) -> Iterator[Terminal]:
    """Start a command on a terminal of this size; it does not outlive the block."""
    ours, its = pty.openpty()
    try:
        _set_size(ours, width, height)
        process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True)
        os.close(its)
        try:
            yield Terminal(process, ours, width, height)
        finally:
            process.kill()
            process.wait()
    finally:
        os.close(ours)


def _set_size(descriptor: int, width: int, height: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
