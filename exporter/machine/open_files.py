"""How many files, and so connections, this process may have open."""

from __future__ import annotations

import sys
from contextlib import suppress

if sys.platform != "win32":
    import resource

# Most of what is open at a time: a temporary file for each large unit, staged files, the lake's own connections, and
# what Python itself has open. Connections to IVS leave three of four to them.
_SHARE_OF_CONNECTIONS = 4
_CONNECTIONS_MIN = 8
_CONNECTIONS_MAX = 10_000


def raise_limit() -> None:
    """Let this process open as many files as the system lets it ask for: the soft limit becomes the hard one.

    Many systems start with 256 or 1,024, which a run over many accounts and regions would use up. Where the system
    refuses, as macOS does for a hard limit that is none, the limit stays as it is.
    """
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections_max() -> int:
    """How many connections to IVS may be open at a time, as the limit of this moment allows."""
    if sys.platform == "win32":
        return _CONNECTIONS_MAX
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _CONNECTIONS_MAX
    return min(max(soft // _SHARE_OF_CONNECTIONS, _CONNECTIONS_MIN), _CONNECTIONS_MAX)
