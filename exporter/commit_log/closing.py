"""The record that closes a run: sessions that are no longer listed, how far the lake is complete, and the summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.commit_log.commits import LogEntries, RunEnd
from exporter.commit_log.records import SessionEntry
from exporter.commit_log.state import SessionState
from exporter.errors import Vanished
from exporter.model import Session
from exporter.text import counted

if TYPE_CHECKING:
    from exporter.commit_log.journal import Journal
    from exporter.commit_log.state import ScopeState
    from exporter.ledger import ScopeLedger
    from exporter.model import SessionKey


@dataclass(frozen=True, slots=True)
class ListingReport:
    """What a run's lists showed of what the log names.

    ``began_us`` is the service's time of the first list's answer, None where there was none. ``vanished`` are open
    sessions, and ``unlisted`` sealed ones, that a complete list did not show. ``returned`` are the entries of sealed
    sessions that are listed again.
    """

    began_us: int | None = None
    vanished: tuple[SessionKey, ...] = ()
    unlisted: tuple[SessionKey, ...] = ()
    returned: tuple[SessionEntry, ...] = ()


async def close(
    journal: Journal,
    ledger: ScopeLedger,
    report: ListingReport,
    *,
    at: str,
    now_us: int,
    is_whole: bool,
) -> None:
    """Close the run's ``ledger`` and commit its last record.

    ``is_whole`` says that the run was to take in everything that its scope lists. ``at`` is the local time, as
    text, and ``now_us`` the service's. Raises :class:`LakeError` where the record is not known to be committed.
    """
    entries = [vanished_entry(session, journal.state) for session in report.vanished]
    for entry in entries:
        ledger.session_vanished(Session(*entry.key).name, _missed(entry, journal.state))
    ledger.close()
    is_complete = is_whole and not ledger.listings_open and not ledger.listings_failed
    listed_us = _listed_us(report.began_us, journal.state, now_us) if is_complete else None
    ledger.complete_until_us = journal.state.sealed_until_us(listed_us)
    # What this run has committed of a session says more than the log's old records.
    returned = [entry for entry in report.returned if not journal.state.names(*entry.key)]
    result = await journal.commit(
        at,
        entries=LogEntries(sessions=[*entries, *returned], unlisted=tuple(dict.fromkeys(report.unlisted))),
        latest_us=now_us,
        end=RunEnd(ledger.summary(), listed_us),
    )
    result.check()


def vanished_entry(session: SessionKey, state: ScopeState) -> SessionEntry:
    """What a record says of a session that the log names and that is no longer listed. Pure."""
    known = state.session(*session) or SessionState()
    return SessionEntry(
        *session,
        "vanished",
        known.started_us,
        known.ended_us,
        known.latest_end_us,
        earlier_files=tuple(known.files),
        has_rejects=known.has_rejects,
        tables=tuple(known.tables),
    )


def _missed(entry: SessionEntry, state: ScopeState) -> Vanished:
    known = state.session(*entry.key) or SessionState()
    rows = sum(unit.rows for unit in known.units.values())
    return Vanished(f"no longer listed; in the lake: {counted(rows, 'row')} of {counted(len(known.units), 'unit')}")


def _listed_us(began_us: int | None, state: ScopeState, now_us: int) -> int | None:
    """When the run began that has listed everything.

    Where a clock has gone back it is the time of the run before it, unless that lies after now: such a time was wrong.
    """
    before_us = state.complete_until_us
    if before_us is None or began_us is None or before_us > now_us:
        return began_us
    return max(began_us, before_us)
