"""Free ports of 127.0.0.1."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

_LOWEST, _HIGHEST = 12_000, 22_000
_TRIES_MAX = 1_000


def free_ports(count: int, also: int = 0) -> list[int]:
    """So many ports that are free now, each with the one ``also`` above it where that is not 0.

    They lie below 22000, where the system gives none away by itself, so they stay free but for an unlikely neighbour.
    """
    found: list[int] = []
    with ExitStack() as held:
        for _ in range(_TRIES_MAX):
            port = random.randrange(_LOWEST, _HIGHEST)
            if port not in found and all(_hold(held, each) for each in {port, port + also}):
                found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"no {count} free ports were found")


def _hold(held: ExitStack, port: int) -> bool:
    """Keep a port until the search is over; False where another has it."""
    probe = held.enter_context(socket.socket())
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
