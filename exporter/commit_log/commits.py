"""What a commit does to files, and what became of the commit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from exporter.commit_log.records import SessionEntry, StageEntry
    from exporter.errors import LakeError
    from exporter.lake.data_files import DataFile
    from exporter.model import SessionKey


@dataclass(frozen=True, slots=True)
class FileChanges:
    """The files that a record adds, and those of earlier records that are no longer there.

    ``lost`` are gone for no known reason; ``replaced`` have their rows in added files; ``retired`` were removed on
    purpose.
    """

    added: Sequence[DataFile] = ()
    lost: Sequence[DataFile] = ()
    replaced: Sequence[DataFile] = ()
    retired: Sequence[DataFile] = ()

    @property
    def rows_removed(self) -> int:
        """The rows of the files that are no longer there."""
        return sum(file.rows for file in (*self.lost, *self.replaced, *self.retired))


NO_CHANGES = FileChanges()


@dataclass(frozen=True, slots=True)
class LogEntries:
    """What a record says of sessions and stages. ``unlisted`` are sealed sessions that their stage no longer lists."""

    sessions: Sequence[SessionEntry] = ()
    stages: Sequence[StageEntry] = ()
    unlisted: Sequence[SessionKey] = ()


NO_ENTRIES = LogEntries()


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What the last record of a run says of it.

    ``complete_until_us`` is when the run began that has listed everything, None where it has not.
    """

    summary: dict[str, Any]
    complete_until_us: int | None = None


class CommitOutcome(Enum):
    """Whether the log has a record, and so what becomes of the files that are staged for it."""

    #: It has it. The files are published.
    COMMITTED = auto()
    #: Another run's record has its number: it does not have it, nor will it. The files are discarded.
    OVERTAKEN = auto()
    #: The lake did not answer, and may have made it. The files stay staged, and the next run reads the log.
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What became of a commit; ``error`` is why it is not known to be committed, None where it is."""

    outcome: CommitOutcome
    error: LakeError | None = None

    def check(self) -> None:
        """Raise ``error``, where there is one."""
        if self.error is not None:
            raise self.error
