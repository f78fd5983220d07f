"""The archive of a scope: which files hold a session that is no longer in the live state. It is the log's old records.

It is read only when somebody asks: for a refetch of what is sealed, or for a session that was gone from its listing and
has come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.commit import read_records
from exporter.state import SessionState

if TYPE_CHECKING:
    from exporter.domain import Scope
    from exporter.records import Record
    from exporter.store import Records

SessionKey = tuple[str, str]


@dataclass(slots=True)
class Archive:
    """Answers for the sessions of one scope, after one reading of its records."""

    records: Records
    scope: Scope
    _files: dict[SessionKey, list[str]] | None = None

    async def session(self, stage_arn: str, session_id: str) -> SessionState | None:
        """The session with its files, and unsure of its units; None where no record tells of it."""
        if self._files is None:
            self._files = _files_by_session(await read_records(self.records, self.scope))
        files = self._files.get((stage_arn, session_id))
        return None if files is None else SessionState(files=list(files), is_unsure=True)


def _files_by_session(records: list[Record]) -> dict[SessionKey, list[str]]:
    files: dict[SessionKey, list[str]] = {}
    for record in records:
        for line in record.sessions:
            known = files.setdefault((line.stage_arn, line.session_id), [])
            added = [*line.earlier_files, *(record.files[place].key for place in line.files)]
            known += [key for key in added if key not in known]
        if record.gone:
            gone = set(record.gone)
            files = {session: [key for key in keys if key not in gone] for session, keys in files.items()}
    return files
