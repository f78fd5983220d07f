"""When the table ``sessions`` gets a row of a session, and what that row says. Pure.

A session has a row when it is first listed, or first with the table switched on, another one when its start or end is
listed anew, and a final one when it is sealed. One that stays sealed has one more final row where events or
participants were added to it, where an event without a time came to light, or where it had none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.commit_log.records import LISTING, RowWritten
from exporter.commit_log.session_status import SessionStatus
from exporter.lake.tables.participants import PARTICIPANTS
from exporter.lake.tables.sessions import SESSIONS
from exporter.normalize.listed_model import ListedSession, ListedStage
from exporter.normalize.privacy import private_extra
from exporter.normalize.sessions import SessionCounts, SessionRow

if TYPE_CHECKING:
    from exporter.commit_log.records import StageEntry
    from exporter.commit_log.sealing import SessionProgress
    from exporter.normalize.privacy import Privacy
    from exporter.settings import TableSettings

_UNKNOWN = SessionCounts()


def is_row_due(progress: SessionProgress, *, is_sealed: bool) -> bool:
    """Whether the next commit adds a row of a session; ``is_sealed`` says that it seals it, or keeps it sealed."""
    has_row = SESSIONS.name in progress.known.tables
    if progress.was_sealed:
        has_grown = progress.new_rows > 0 or progress.has_new_units
        has_first_reject = progress.has_rejects and not progress.known.has_rejects
        return has_grown or has_first_reject or progress.units.are_recovered or not has_row
    if is_sealed:
        return True
    if not progress.session.is_listed:
        return False  # perhaps there is no such session
    known, session = progress.known, progress.session
    return not has_row or (session.started_us, session.ended_us) != (known.started_us, known.ended_us)


def lacks_row(progress: SessionProgress) -> bool:
    """Whether an open session has no row: the table was switched off when it was listed, or the row's file is lost."""
    is_open = progress.status in {SessionStatus.OPEN, SessionStatus.CONTESTED}
    return is_open and progress.session.is_listed and SESSIONS.name not in progress.known.tables


def tables_of(progress: SessionProgress, tables: TableSettings, *, is_sealed: bool, is_due: bool) -> tuple[str, ...]:
    """The tables beside ``events`` that have their rows of a session with the next commit.

    Of a sealed session these are final ones: a table that was switched off when they were due does not have them.
    """
    names = set(progress.known.tables)
    if is_due:
        names = names | {SESSIONS.name} if tables.sessions else names - {SESSIONS.name}
    is_backfilled = progress.was_sealed and progress.has_rows_of_list and not progress.is_refetched
    if is_sealed and not progress.was_sealed:
        names -= {PARTICIPANTS.name}
        if tables.participants or _have_final_rows(progress):
            names |= {PARTICIPANTS.name}
    elif tables.participants and is_backfilled:
        names |= {PARTICIPANTS.name}
    return tuple(sorted(names))


def _have_final_rows(progress: SessionProgress) -> bool:
    """Whether all units had their last rows before their table was switched off."""
    units = progress.units.all().values()
    return bool(units) and all(unit.row is RowWritten.FINAL for unit in units)


def session_row(
    progress: SessionProgress, stage: StageEntry, counts: SessionCounts, privacy: Privacy, *, is_sealed: bool
) -> SessionRow:
    """Make the row of a session. Its ``counts`` are known only where it ``is_sealed``."""
    session = progress.session
    listed = ListedSession(session.session_id, session.started_us, session.ended_us, extra=session.extra)
    is_counted = counts.participants is not None and counts.events is not None
    is_whole = progress.units.are_fetched and not progress.has_rejects
    is_complete = is_sealed and is_counted and is_whole and counts.abandoned == 0
    return SessionRow(
        ListedStage(stage.arn, stage.name, stage.tags),
        private_extra(privacy, listed),
        counts if is_sealed else _UNKNOWN,
        is_complete=is_complete,
        is_final=is_sealed,
    )


def counts_of(progress: SessionProgress, events: int | None, abandoned: int) -> SessionCounts:
    """The counts of a sealed session. ``events`` are its rows, None where nobody knows them."""
    if not progress.session.is_listed and progress.was_sealed:
        return _UNKNOWN  # AWS lists it no longer: nobody can say whom it had
    if progress.units[LISTING].is_abandoned:
        return SessionCounts(None, events, abandoned)
    return SessionCounts(len(progress.units.all()), events, abandoned)
