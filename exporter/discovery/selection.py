"""Which of the sessions that were found are wanted, and in which order. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.commit_log.state import ScopeState
    from exporter.discovery.request import Request
    from exporter.model import Session


def is_wanted(session: Session, request: Request, *, active_sessions: bool) -> bool:
    """Whether a session is to be exported: it overlaps the request's range, and it may be active.

    A session of which no time is known is wanted: leaving it out could lose it.
    """
    if not active_sessions and session.is_listed and session.ended_us is None:
        return False
    since_us, until_us = request.period.since_us, request.period.until_us
    starts_in_time = until_us is None or session.started_us is None or session.started_us < until_us
    ends_in_time = since_us is None or session.ended_us is None or session.ended_us >= since_us
    return starts_in_time and ends_in_time


def is_suspect(session: Session, state: ScopeState) -> bool:
    """Whether a session that the state does not name may be one that it has let go of.

    The state lets go of a session when a complete listing no longer shows it; one that began before that may be it,
    come back.
    """
    return state.has_let_go and (session.started_us is None or session.started_us <= state.let_go_us)


def rank(session: Session) -> tuple[bool, int, str, str]:
    """The order of sessions, least first: ended ones, the oldest end first, since nobody knows when AWS forgets them.

    Active ones follow, and those of which no end is known.
    """
    is_open = session.ended_us is None
    moment_us = session.started_us if is_open else session.ended_us
    return (is_open, moment_us or 0, session.stage_arn, session.session_id)
