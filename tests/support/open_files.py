"""The files that this process has open, where the system lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

_OPEN_FILES = Path("/proc/self/fd")
needs_list = pytest.mark.skipif(not _OPEN_FILES.exists(), reason="this system does not list a process's open files")


def is_open(path: Path) -> bool:
    """Whether a file of this process is that one."""
    return str(path) in {str(each.readlink()) for each in _OPEN_FILES.iterdir() if each.is_symlink()}
