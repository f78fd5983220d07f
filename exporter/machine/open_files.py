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
# No run has more open. A program that it starts for credentials inherits the limit, and may close every file that it
# allows, one by one. In some containers that would be a thousand million.
_LIMIT_MAX = _SHARE_OF_CONNECTIONS * _CONNECTIONS_MAX

#: What Python itself has open, a lake's and a few connections. Measured: a small run does with 16.
NEEDED = 32
#: What a run has open at most in one busy scope: connections to S3 (32) and to IVS (a quarter of all), and a temporary
#: file for each large participant that is being fetched (32).
WANTED = 128
#: What to do about a limit that is too small.
REMEDY = "raise the hard limit: ulimit -Hn, LimitNOFILE= of systemd, or --ulimit nofile of a container"


def raise_limit() -> None:
    """Let this process open as many files as the system lets it ask for, and as a run may ever need.

    Many systems start with 256 or 1,024, which a run over many accounts and regions would use up. Where the system
    refuses, the limit stays as it is.
    """
    if sys.platform != "win32":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if (raised := raised_limit(soft, hard)) != soft:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))


def raised_limit(soft: int, hard: int) -> int:
    """The soft limit to ask for, of these two as the system says them: -1 is no limit. It is never lowered. Pure."""
    wanted = _LIMIT_MAX if hard < 0 else min(hard, _LIMIT_MAX)
    return soft if soft < 0 else max(soft, wanted)


def connections_max() -> int:
    """How many connections to IVS may be open at a time, as the limit of this moment allows."""
    files_max = limit()
    if files_max is None:
        return _CONNECTIONS_MAX
    return min(max(files_max // _SHARE_OF_CONNECTIONS, _CONNECTIONS_MIN), _CONNECTIONS_MAX)


def limit() -> int | None:
    """How many files this process may have open now; None where there is no such limit."""
    if sys.platform == "win32":
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def problem_of(files_max: int) -> str:
    """Say what a limit is too small for; "" where it is not."""
    if files_max < NEEDED:
        return "too few even for one small scope"
    return "too few for many scopes, or many large participants at once" if files_max < WANTED else ""
