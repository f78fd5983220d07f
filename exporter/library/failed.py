"""What a caller gets where its run failed as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import ExportError

if TYPE_CHECKING:
    from exporter.summary import RunSummary


class RunFailed(ExportError):
    """A run failed as a whole, though something may be committed. ``summary`` is the object of `exporter.export`.

    ``kind`` is that of what failed it, and that error, where there is one, is its ``__cause__``.
    """

    def __init__(self, message: str, kind: str, summary: RunSummary) -> None:
        super().__init__(message)
        self.kind = kind
        self.summary = summary

    def __reduce__(self) -> tuple[type[RunFailed], tuple[str, str, RunSummary]]:
        """Let it pass from one process to another, as schedulers do with what a task raises."""
        return type(self), (str(self), self.kind, self.summary)
