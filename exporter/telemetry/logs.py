"""Logs on standard error: JSON lines, or lines above the live display on a terminal.

The exporter's own modules log by `exporter.telemetry.logger`. What other libraries log comes the same way, warnings
and worse. No secret is logged: the environment's AWS secrets are masked, and so is what has a secret's name,
and what looks like one in an exception's text.
"""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exporter.telemetry.logger import FIELDS
from exporter.text import mask, masked, one_line, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

_SECRET_NAME = re.compile("secret|token|password|authorization|credential", re.IGNORECASE)
_MASK = "***"
#: Libraries that log each failed attempt: who uses them says once what came of it.
_QUIET = frozenset({"opentelemetry"})
#: What each record of the standard library's has; anything else is a field that its library has added.
_COMMON = frozenset(vars(logging.makeLogRecord({})))


def named(error: BaseException) -> str:
    """An exception's name and text, in one line."""
    return f"{type(error).__name__}: {one_line(error)}"


def configure(
    level: str,
    stream: TextIO,
    show: Callable[[str], None] | None = None,
    text_of: Callable[[BaseException], str] = named,
    *,
    is_text: bool = False,
) -> None:
    """Send all logs of ``level`` and above to ``stream`` as JSON lines, or to ``show``, line by line, for people.

    Where ``is_text``, the lines of ``stream`` are for people, too, and begin with their time. An exception is logged as
    ``text_of`` has it; at the level ``debug`` with its traceback.
    """
    handler = logging.StreamHandler(stream) if show is None else _Showing(show)
    render = _for_people if show else _with_time if is_text else _as_json
    if level != "debug":
        handler.addFilter(lambda record: record.name.split(".")[0] not in _QUIET)
    handler.setFormatter(_Lines(render, None if level == "debug" else text_of))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("exporter").setLevel(level.upper())
    logging.captureWarnings(capture=True)


class _Lines(logging.Formatter):
    """Makes a line of each record. Without ``text_of``, exceptions come with their traceback."""

    def __init__(
        self, render: Callable[[Mapping[str, Any]], str], text_of: Callable[[BaseException], str] | None
    ) -> None:
        super().__init__()
        self._render = render
        self._text_of = text_of

    def format(self, record: logging.LogRecord) -> str:
        return mask(self._render(_masked(self._event(record))))

    def _event(self, record: logging.LogRecord) -> dict[str, Any]:
        """What is logged, by name: our own fields stand before the event's name, those of other libraries after it."""
        own: dict[str, Any] | None = getattr(record, FIELDS, None)
        event = {"event": record.getMessage()} if own is None else {**own, "event": record.msg}
        if own is None:
            event |= {name: value for name, value in vars(record).items() if name not in _COMMON}
        event["level"] = record.levelname.lower()
        event["logger"] = record.name
        event["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            event["exception"] = self._text_of(error) if self._text_of else self.formatException(record.exc_info)
        return event


class _Showing(logging.Handler):
    """Hands each line to what draws on the terminal, so that it does not tear the live display."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # a terminal that is gone is no reason for a run to fail
            self._show(self.format(record))


def _masked(event: dict[str, Any]) -> dict[str, Any]:
    """Mask what has a secret's name, and what looks like a secret in an exception."""
    for name, value in event.items():
        if _SECRET_NAME.search(name):
            event[name] = _MASK
        elif name == "exception":
            event[name] = masked(str(value))
    return event


def _as_json(event: Mapping[str, Any]) -> str:
    return json.dumps(event, default=repr)


def _with_time(event: Mapping[str, Any]) -> str:
    return f"{event['timestamp']} {_for_people(event)}"


def _for_people(event: Mapping[str, Any]) -> str:
    fields = [
        f"{name}={value}" for name, value in event.items() if name not in ("event", "level", "timestamp", "logger")
    ]
    line = " ".join((str(event.get("level", "")), str(event.get("event", "")), *fields))
    # At the level debug an exception comes with its traceback, which is lines.
    return "\n".join(map(plain, line.split("\n"))) if "exception" in event else plain(line)
