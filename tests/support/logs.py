"""What the exporter logs while a block runs, in place of the lines on standard error."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from exporter.telemetry.logger import FIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Noting(logging.Handler):
    def __init__(self, note: Callable[[str, str, dict[str, Any]], object]) -> None:
        super().__init__()
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.levelname.lower(), str(record.msg), getattr(record, FIELDS, {}))


@contextmanager
def logs_to(note: Callable[[str, str, dict[str, Any]], object]) -> Iterator[None]:
    """Pass each event to ``note``, whatever its level: the level, the event's name and its fields."""
    logger, handler = logging.getLogger("exporter"), _Noting(note)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """Give a list that fills with the events: their fields, ``event`` and ``log_level``."""
    lines: list[dict[str, Any]] = []

    def note(level: str, event: str, fields: dict[str, Any]) -> None:
        lines.append({**fields, "event": event, "log_level": level})

    with logs_to(note):
        yield lines
