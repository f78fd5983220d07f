"""A small disk of its own, which can be filled, and made read-only, while it is in use."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: More than any test needs.
_ROOM_BYTES, _ROOM_NAMES = 64 << 20, 20_000
_TRIES_MAX = 100
_STOP_S_MAX = 10.0


class NoDiskError(Exception):
    """This system lets nobody like us mount one; the message is its own."""


@dataclass(slots=True)
class Disk:
    """A tmpfs at the path ``mounted``, in namespaces of its own, which ``shell`` holds."""

    mounted: Path
    shell: subprocess.Popen[str]

    @property
    def root(self) -> Path:
        """The way there for the processes of all namespaces."""
        return Path(f"/proc/{self.shell.pid}/root{self.mounted}")

    def make(self) -> None:
        """Mount it, with plenty of room. Raises :class:`NoDiskError`."""
        self._do(f"mount -t tmpfs -o size={_ROOM_BYTES} none {shlex.quote(str(self.mounted))}")

    def leave(self, *, room_bytes: int = _ROOM_BYTES, names: int = _ROOM_NAMES) -> None:
        """Leave room for this many more bytes, in whole pages, and more files and folders."""

        def limits() -> str:
            now = os.statvfs(self.root)
            size_bytes = (now.f_blocks - now.f_bfree) * now.f_frsize + room_bytes
            return f"size={size_bytes},nr_inodes={now.f_files - now.f_ffree + names}"

        self._remount(limits)

    def forbid_writing(self) -> None:
        """Make it read-only."""
        self._remount(lambda: "ro")

    def allow_writing(self) -> None:
        """Make it an ordinary disk again."""
        self._remount(lambda: "rw")

    def _remount(self, options: Callable[[], str]) -> None:
        """Change the disk. It says no where more is in use than a moment ago, or a file is just being written."""
        for tries_left in reversed(range(_TRIES_MAX)):
            try:
                self._do(f"mount -o remount,{options()} {shlex.quote(str(self.mounted))}")
            except NoDiskError:
                if not tries_left:
                    raise
            else:
                return

    def close(self) -> None:
        """Let go of the shell's input."""
        assert self.shell.stdin is not None
        self.shell.stdin.close()

    def _do(self, command: str) -> None:
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"echo $({command} 2>&1)\n")
        self.shell.stdin.flush()
        if said := self.shell.stdout.readline().strip():
            raise NoDiskError(said)


@contextmanager
def own_disk(folder: Path) -> Iterator[Disk]:
    """A disk with plenty of room, mounted over ``folder``. Skips the test where none can be mounted."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare here, so no disk can be mounted")
    command = [unshare, "--user", "--map-root-user", "--mount", "sh"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as shell:
        disk = Disk(folder, shell)
        try:
            try:
                disk.make()
            except (NoDiskError, BrokenPipeError) as error:
                pytest.skip(f"no disk can be mounted here: {error}")
            yield disk
        finally:
            shell.kill()
            shell.wait(_STOP_S_MAX)
            with suppress(BrokenPipeError):  # what a shell that could not start has not read
                disk.close()
