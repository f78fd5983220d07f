"""What no module foresaw, as an error of the exporter's own: for the last boundary, the command's or a caller's."""

from __future__ import annotations

from exporter.errors import ExportError
from exporter.telemetry.logger import Logger
from exporter.text import one_line

_log = Logger(__name__)


class Bug(ExportError):
    """Something that should never happen did."""

    kind = "bug"


def as_own(error: BaseException) -> ExportError:
    """The error as one of this program's own, for the user."""
    if isinstance(error, ExportError):
        return error
    if isinstance(error, OSError):
        return ExportError(f"the system refused: {error}")
    if isinstance(error, MemoryError):
        return ExportError("the system has no more memory to give")
    return Bug(f"a bug in ivs-export: {type(error).__name__}: {one_line(error)}")


def judged(error: BaseException) -> ExportError:
    """`as_own`, at the boundary that the error goes no further than; a bug's traceback goes to the log of details."""
    own = as_own(error)
    if isinstance(own, Bug):
        _log.debug("a bug", exc_info=error)
    return own
