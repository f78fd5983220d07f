"""What no module foresaw, as an error of the exporter's own: for the last boundary, the command's or a caller's."""

from __future__ import annotations

from exporter.errors import ExportError
from exporter.text import one_line


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
