"""Logs on standard error: JSON lines, or lines above the live display on a terminal.

The exporter's own modules log by ``structlog.get_logger()``. What other libraries log comes the same way, warnings
and worse. No secret is logged: the environment's AWS secrets are masked, and so is what has a secret's name,
and what looks like one in an exception's text.
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from exporter.text import mask, masked, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import TextIO

    from structlog.typing import Processor

_SECRET_NAME = re.compile("secret|token|password|authorization|credential", re.IGNORECASE)
_MASK = "***"


def configure(level: str, stream: TextIO, show: Callable[[str], None] | None = None) -> None:
    """Send all logs of ``level`` and above to ``stream`` as JSON lines, or to ``show``, line by line, for people.

    Tracebacks are logged at the level ``debug`` alone.
    """
    is_debug = level == "debug"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if is_debug else _name_exception,
        _mask_named,
    ]
    render: Processor = _for_people if show else structlog.processors.JSONRenderer()
    meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(stream) if show is None else _Showing(show)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[meta, render, _mask_line],  # type: ignore[list-item] # the last ones pass on the line, not the event
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("exporter").setLevel(level.upper())
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class _Showing(logging.Handler):
    """Hands each line to whoever draws on the terminal, so that it does not tear the live display."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # a terminal that is gone is no reason for a run to fail
            self._show(self.format(record))


def _mask_named(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Mask what has a secret's name, and what looks like a secret in an exception."""
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = _MASK
        elif name == "exception":
            event[name] = masked(str(value))
    return event


def _mask_line(_logger: object, _method: str, line: str) -> str:
    return mask(line)


def _name_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The exception by its name and text, without its traceback."""
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event["exception"] = _words_of(error)
    event.pop("stack_info", None)
    return event


def _words_of(error: BaseException) -> str:
    """An exception's name and text; of a program that prints secrets, what is wrong with it instead.

    botocore logs that keys could not be renewed by itself, with the exception, before anybody can translate it.
    """
    from exporter.aws.errors import is_of_process, message_of  # noqa: PLC0415 - brings botocore; logs do without

    return message_of(error) if is_of_process(error) else f"{type(error).__name__}: {one_line(error)}"


def _for_people(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    words = [
        f"{name}={value}" for name, value in event.items() if name not in ("event", "level", "timestamp", "logger")
    ]
    line = " ".join((str(event.get("level", "")), str(event.get("event", "")), *words))
    # At the level debug an exception comes with its traceback, which is lines.
    return "\n".join(map(plain, line.split("\n"))) if "exception" in event else plain(line)
