"""How the exporter's own modules log: an event by its name, with fields, through the standard library's loggers."""

from __future__ import annotations

import logging
from typing import Any

#: The attribute of a log record that holds its event's fields.
FIELDS = "event_fields"


class Logger:
    """Logs events under a module's name; `exporter.telemetry.logs` decides what is shown of them, and how."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - the same
        """Log what only somebody looks for who is after a fault."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - whatever JSON or its own repr can show
        """Log what a run does."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - the same
        """Log what somebody should look at. ``exc_info`` may be an exception."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - the same
        """Log what failed. ``exc_info`` may be an exception."""
        self._write(logging.ERROR, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        raised = fields.pop("exc_info", None)
        self._logger.log(level, event, exc_info=raised, extra={FIELDS: fields})
