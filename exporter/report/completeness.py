"""The first question: is this complete, and how fresh is it? From the logs' status and the sessions' own rows. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.report import wording
from exporter.report.elements import Child, Html, joined, name_text, tag
from exporter.report.parts import Column, folded, numbers, paragraph, rest_note, section, stage_cell, table, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.health.status import ScopeStatus
    from exporter.report.facts import IncompleteSession

_REASON_LENGTH_MAX = 200
_SESSIONS_MAX, _SCOPES_OPEN_MAX = 30, 12


def completeness(
    statuses: Sequence[ScopeStatus],
    incomplete: Sequence[IncompleteSession],
    sessions: int,
    names: Mapping[str, str | None],
    now_us: int,
) -> Html:
    """Make the section. ``sessions`` is how many the report is of, ``names`` are the stages' by their ARNs."""
    return section(
        headline(statuses),
        *(paragraph(line) for line in _explained(statuses, now_us)),
        _scopes(statuses, now_us) if statuses else None,
        *_incomplete(incomplete, sessions, names),
        anchor="complete",
    )


def headline(statuses: Sequence[ScopeStatus]) -> str:
    """Say in one line up to when the lake is complete."""
    if not statuses:
        return "Nothing says how complete this lake is"
    damaged = sum(status.error is not None for status in statuses)
    if damaged:
        return f"Not known to be complete: {wording.things(damaged, 'log')} can't be relied on"
    until_us = earliest_us(statuses)
    if until_us is None:
        return "Not complete yet: no run has gone through all of it"
    return f"Complete until {wording.moment(until_us)} UTC"


def earliest_us(statuses: Sequence[ScopeStatus]) -> int | None:
    """The moment until which all scopes are complete; None where one's is not known, or there is none."""
    untils = [status.sessions.complete_until_us for status in statuses if status.error is None]
    known = [until for until in untils if until is not None]
    return min(known) if known and len(known) == len(statuses) else None


def _explained(statuses: Sequence[ScopeStatus], now_us: int) -> list[str]:
    if not statuses:
        return [
            "It has no commit log (_log), which knows what was exported and what waits. Its rows are shown as they are."
        ]
    said = []
    until_us = earliest_us(statuses)
    if until_us is not None:
        said.append(
            f"That is {wording.ago(until_us, now_us)}. Every session that had ended by then is here, with all of its"
            f" events{_except(statuses)}."
        )
    elif not all(status.error for status in statuses):
        said.append("Sessions that are complete by themselves can still be relied on: the tables below say which.")
    if any(status.is_running for status in statuses):
        said.append("A run is at work now: this page shows what it had committed.")
    return said


def _except(statuses: Sequence[ScopeStatus]) -> str:
    abandoned = sum(len(status.units.abandoned) for status in statuses)
    vanished = sum(status.sessions.vanished for status in statuses)
    lacks = [wording.things(abandoned, "participant") + " that AWS refuses for good"] if abandoned else []
    lacks += [wording.things(vanished, "session") + " that vanished from its list"] if vanished else []
    return f", but for {' and '.join(lacks)}" if lacks else ""


def _scopes(statuses: Sequence[ScopeStatus], now_us: int) -> Html:
    """The scopes, the least complete first; what is beyond a screenful is folded."""
    columns = [
        *texts("Account and region", "Complete until, UTC", "Last run"),
        *numbers("Sessions sealed", "Ended, waiting", "Active", "Vanished", "Participants abandoned"),
    ]
    rows = [_scope(status, now_us) for status in sorted(statuses, key=_completeness)]
    shown = table("How far each account and region is complete", columns, rows[:_SCOPES_OPEN_MAX])
    rest = rows[_SCOPES_OPEN_MAX:]
    if not rest:
        return shown
    more = table("The accounts and regions that are more complete", columns, rest)
    return joined((shown, folded(f"{wording.count(len(rest))} more that are more complete", more)))


def _completeness(status: ScopeStatus) -> tuple[bool, int, str]:
    """What scopes are ordered by: those whose log can't be read first, then those that no whole run went through."""
    return (status.error is None, status.sessions.complete_until_us or 0, str(status.scope))


def _scope(status: ScopeStatus, now_us: int) -> list[Child]:
    name = f"{status.scope.account_id} {status.scope.region}"
    if status.error is not None:
        return [
            name,
            name_text(f"its log can't be relied on: {status.error}", length_max=_REASON_LENGTH_MAX),
            *[wording.UNKNOWN] * 6,
        ]
    sessions, until_us = status.sessions, status.sessions.complete_until_us
    until = "not known" if until_us is None else joined((
        wording.moment(until_us), tag("small", f" {wording.ago(until_us, now_us).partition(' before')[0]} ago"),
    ))  # fmt: skip
    return [
        name,
        until,
        status.runs[0].outcome if status.runs else wording.UNKNOWN,
        *map(wording.count, (sessions.sealed, sessions.waiting, sessions.active, sessions.vanished)),
        wording.count(len(status.units.abandoned)),
    ]


def _incomplete(
    incomplete: Sequence[IncompleteSession], sessions: int, names: Mapping[str, str | None]
) -> list[Html | None]:
    if not sessions:
        return []
    if not incomplete:
        each = "The one session" if sessions == 1 else f"All {wording.count(sessions)} sessions"
        are, them = ("is", "it") if sessions == 1 else ("are", "them")
        return [paragraph(f"{each} of this report {are} complete: nothing of {them} is missing.", class_="good")]
    are = "is" if len(incomplete) == 1 else "are"
    title = f"{wording.count(len(incomplete))} of {wording.things(sessions, 'session')} {are} not complete"
    columns = [Column("Session"), *texts("Stage", "From, to, UTC", "Why")]
    rows = (
        (
            name_text(session.key[1]),
            stage_cell(session.key[0], names.get(session.key[0])),
            wording.period(session.start_us, session.end_us),
            _why(session),
        )
        for session in incomplete[:_SESSIONS_MAX]
    )
    return [
        tag("h3", title),
        table("Sessions that are not complete", columns, rows),
        rest_note(
            _SESSIONS_MAX,
            len(incomplete),
            "sessions",
            'All: ivs-export query "FROM session_summary WHERE NOT is_complete"',
        ),
    ]


def _why(session: IncompleteSession) -> str:
    if session.is_in_doubt:
        return "its log can't be relied on: ivs-export verify says what can be done"
    if session.is_final is None:
        return "no list has it: it is known by its events alone"
    if session.is_final and session.abandoned:
        return (
            f"{wording.things(session.abandoned, 'participant')} abandoned: AWS refuses them, or an event has no time"
        )
    if session.is_final:
        return "sealed, but AWS no longer listed it: nobody knows what is missing"
    if session.end_us is None:
        return "still active, as far as is known"
    return "ended; not everything of it has been fetched"
