"""What can be wrong in a lake, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exporter.errors import HOW_TO_GO_ON
from exporter.lake.identity import REMEDY


class ProblemKind(StrEnum):
    """What is wrong, by what can be done about it."""

    IDENTITY = "identity"
    LOG = "log"
    SNAPSHOT = "snapshot"
    UNNAMED = "unnamed"
    FOREIGN = "foreign"
    UNFINISHED = "unfinished"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    DAMAGED = "damaged"
    REPEATED = "repeated"


_REMEDIES = {
    ProblemKind.IDENTITY: REMEDY,
    ProblemKind.LOG: HOW_TO_GO_ON,
    ProblemKind.SNAPSHOT: "`ivs-export repair` sets it aside; runs pass over it",
    ProblemKind.UNNAMED: "`ivs-export repair` names it in the log again",
    ProblemKind.FOREIGN: "move it out of the table: a reader of all *.parquet reads it, too",
    ProblemKind.UNFINISHED: "`ivs-export run` or `ivs-export repair` finishes it",
    ProblemKind.MISSING: "restore it from a backup, or let `ivs-export repair` open its sessions again; if it was"
    " removed on purpose: `ivs-export verify --accept-missing {partition}`",
    ProblemKind.UNREADABLE: "let it be read, and verify again",
    ProblemKind.DAMAGED: "restore it from a backup, or let `ivs-export repair` set it aside and open its sessions"
    " again",
    ProblemKind.REPEATED: "`ivs-export repair` takes them out",
}


# How whatever S3's store raises begins; a directory's own advice stands in its message.
_ON_S3 = "s3://"
_REMEDY_ON_S3 = "let it be read (s3:GetObject, its key, or a restore from the archive), and verify again"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the lake that is not as the log says.

    ``key`` names the file, or the folder that it is in; ``scope`` is the one that it concerns, None for a stranger's.
    """

    kind: ProblemKind
    key: str
    message: str
    scope: str | None = None

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.kind is ProblemKind.UNREADABLE and _ON_S3 in self.message:
            return _REMEDY_ON_S3
        return _REMEDIES[self.kind].format(partition=self.key.split("/")[1] if "/" in self.key else "")
