"""Whether the logs fit the files in the lake: only then can a page say that everything is there. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.errors import FileLost, LogDamaged
from exporter.health.status import LakeContents, ScopeStatus, SessionsStatus, UnitsStatus
from exporter.model import scope_of
from exporter.report.facts import IncompleteSession
from exporter.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.errors import LakeError
    from exporter.model import Scope, SessionKey
    from exporter.report.facts import LakeFacts


def fits(statuses: Iterable[ScopeStatus], files: Mapping[str, int]) -> bool:
    """Whether each log that can be read names as many files of tables as lie in the lake; ``files`` is by scope."""
    return all(_misfit(status, files) is None for status in statuses)


def checked(
    looks: tuple[Sequence[ScopeStatus], Sequence[ScopeStatus]], files: Mapping[str, int], sessions: Iterable[SessionKey]
) -> list[ScopeStatus]:
    """The later statuses, with an error where a log does not fit the files, and one more for a scope without any log.

    ``looks`` are the statuses of before and after the files were listed. While a run is at work, or where the log has
    grown in between, the files come and go, and say nothing.
    """
    named = {status.scope: status.lake.data_files for status in looks[0]}
    found = [
        status
        if status.is_running or named.get(status.scope) != status.lake.data_files
        else replace(status, error=_misfit(status, files))
        for status in looks[1]
    ]
    with_sessions = {scope for stage_arn, _ in sessions if (scope := scope_of(stage_arn)) is not None}
    return [*found, *map(_without_log, sorted(with_sessions - {status.scope for status in looks[1]}, key=str))]


def borne_out(facts: LakeFacts, statuses: Iterable[ScopeStatus]) -> LakeFacts:
    """The facts, in which no session is complete that a log would have to bear out which can't be relied on."""
    damaged = {status.scope for status in statuses if status.error is not None}
    doubtful = [line for line in facts.sessions if line.is_complete and scope_of(line.key[0]) in damaged]
    if not doubtful:
        return facts
    keys = {line.key for line in doubtful}
    sessions = [replace(line, is_complete=False) if line.key in keys else line for line in facts.sessions]
    in_doubt = [
        IncompleteSession(line.key, line.start_us, line.end_us, None, None, is_in_doubt=True) for line in doubtful
    ]
    return replace(facts, sessions=sessions, incomplete=[*facts.incomplete, *in_doubt])


def _misfit(status: ScopeStatus, files: Mapping[str, int]) -> LakeError | None:
    """What is wrong with a log: its own error, or the count of the files."""
    too_many = files.get(str(status.scope), 0) - status.lake.data_files
    if status.error is not None or not too_many:
        return status.error
    if too_many > 0:
        return LogDamaged(f"it does not name {counted(too_many, 'file')} of its tables")
    return FileLost(f"{counted(-too_many, 'file')} that it names {'is' if too_many == -1 else 'are'} not there")


def _without_log(scope: Scope) -> ScopeStatus:
    nothing = LakeContents(Counter(), 0, None, None), SessionsStatus(0, 0, 0, 0, None, None), UnitsStatus({}, [])
    return ScopeStatus(scope, [], *nothing, LogDamaged("there are sessions of it and no log"))
