"""Warnings on standard error, for commands without a live display."""

from __future__ import annotations

import sys
from contextlib import suppress

from exporter.cli.invocation import is_terminal
from exporter.telemetry import logs


def start_plain_logs() -> None:
    """Send warnings to standard error: lines for people on a terminal, JSON lines elsewhere."""
    logs.configure("warning", sys.stderr, _show if is_terminal(sys.stderr) else None)


def _show(line: str) -> None:
    with suppress(OSError, ValueError):  # the terminal may be gone
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - what it is for
