"""Where a command's logs go, and in which form: lines above the live display, or lines of JSON or text without one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from exporter.cli.invocation import is_terminal
from exporter.telemetry import logs

if TYPE_CHECKING:
    from rich.console import Console

    from exporter.watch_settings import LogFormat


def start_logs(level: str, log_format: LogFormat = "auto") -> Console | None:
    """Configure the logs, and return the console for the live display; None where there is none.

    The display needs a terminal, and lines that are no JSON. With it, display and summary show what the logs' level
    ``info`` would, so only warnings are logged.
    """
    console = None if log_format == "json" else _terminal()
    if console is None:
        logs.configure(level, sys.stderr, text_of=_text_for_logs, is_text=log_format == "text")
        return None
    shown_level = "warning" if level == "info" else level

    def show(line: str) -> None:
        console.print(line, markup=False, highlight=False)

    logs.configure(shown_level, sys.stderr, show, _text_for_logs)
    return console


def _terminal() -> Console | None:
    """The console on standard error; None where that is no terminal, nor called one by the variables of rich's."""
    if not is_terminal(sys.stderr) and not any(name in os.environ for name in ("FORCE_COLOR", "TTY_COMPATIBLE")):
        return None
    from exporter.cli.display import terminal  # noqa: PLC0415 - brings rich; a run without a terminal does without

    return terminal()


def _text_for_logs(error: BaseException) -> str:
    from exporter.aws.errors import text_for_logs  # noqa: PLC0415 - brings botocore; most logs hold no exception

    return text_for_logs(error)
