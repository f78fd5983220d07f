"""How much memory this process may take, whatever part of it asks."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS = Path("/proc/self/status")
_KIB = 1 << 10


@contextmanager
def bounded_growth(growth_bytes: int) -> Iterator[None]:
    """Let this process take so much memory more than it has, in this block.

    Beyond that the system refuses, so that a library raises its own error of memory and the system need not end the
    process. It is Linux's to keep: elsewhere, and where the system refuses the bound itself, there is none.
    """
    taken_bytes = _taken_bytes()
    if sys.platform == "win32" or taken_bytes is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [taken_bytes + growth_bytes, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
    try:
        yield
    finally:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _taken_bytes() -> int | None:
    """What counts against the bound now; None where the system does not say."""
    with suppress(OSError, ValueError, StopIteration):
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        line = next(line for line in lines if line.startswith("VmData:"))
        return int(line.split()[1]) * _KIB
    return None
