"""Which process this is, and whether another one is gone: as far as one machine can see."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import msgspec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Of what follows the name in /proc/<pid>/stat: fields 3 and 22 of proc(5).
_STATE_FIELD, _START_FIELD = 0, 19
# It has ended, and nobody has asked how yet.
_ZOMBIE = "Z"
# No start of any process.
_ENDED = "ended"
# Linux's own limit. Source: proc(5), /proc/sys/kernel/pid_max.
_PID_MAX = 1 << 22


class Process(msgspec.Struct, frozen=True):
    """A process, never taken for a later one with the same number.

    ``boot`` and ``pid_space`` (a container has its own) show whether ``pid`` means anything here; ``started`` is the
    start in the kernel's own ticks. They are empty where the system does not say.
    """

    host: str
    boot: str
    pid_space: str
    pid: Annotated[int, msgspec.Meta(ge=1, le=_PID_MAX)]
    started: str


def this_process() -> Process:
    """Identify the process that calls."""
    return Process(socket.gethostname(), _boot(), _pid_space(), os.getpid(), _started(os.getpid()))


def is_gone(process: Process) -> bool | None:
    """Whether a process has ended; None where that can't be seen from here."""
    here = this_process()
    if (process.host, process.boot, process.pid_space) != (here.host, here.boot, here.pid_space):
        return None
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # there is one, of another user
    started = _started(process.pid)
    # Without both starts it may be a later one of the same number.
    return started != process.started if started and process.started else None


def _boot() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When the process started, in ticks; :data:`_ENDED` where it has ended, ``""`` where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name in parentheses may hold spaces and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return _ENDED if fields[_STATE_FIELD] == _ZOMBIE else fields[_START_FIELD]
