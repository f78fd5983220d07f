"""The status of a session at work: each pair of a status and an event is decided, and what the table is for holds."""

from __future__ import annotations

from itertools import product

import pytest

from exporter.commit_log.sealing import SessionProgress
from exporter.commit_log.session_status import TRANSITIONS, SessionEvent, SessionStatus
from exporter.commit_log.state import SessionState
from exporter.commit_log.unit_states import UNKNOWN
from exporter.model import Session
from tests.support.service import DAY_US, HOUR_US, STAGE

IMPOSSIBLE = {
    (SessionStatus.SEALED, SessionEvent.COMMITTED_OPEN),
    (SessionStatus.KEPT_SEALED, SessionEvent.COMMITTED_OPEN),
}
SESSION = Session(STAGE, "st-a", DAY_US, DAY_US + HOUR_US)


@pytest.mark.parametrize(("status", "event"), list(product(SessionStatus, SessionEvent)))
def test_each_pair_is_decided(status: SessionStatus, event: SessionEvent) -> None:
    """A status and an event lead to one status; a pair that can't come is a bug, and says so."""
    assert event in TRANSITIONS[status]
    if (status, event) in IMPOSSIBLE:
        with pytest.raises(AssertionError, match=f"COMMITTED_OPEN of a session that is {status.name}"):
            status.after(event)
    else:
        assert isinstance(status.after(event), SessionStatus)


@pytest.mark.parametrize("status", SessionStatus)
def test_what_lost_files_is_open_and_not_sealed(status: SessionStatus) -> None:
    """Lost files open any session, and nothing but a record of this run ends that."""
    lost = status.after(SessionEvent.FILES_LOST)
    assert lost is SessionStatus.CONTESTED
    assert lost.after(SessionEvent.OTHER_END_LISTED) is lost.after(SessionEvent.COMMITTED_OPEN) is lost


@pytest.mark.parametrize("status", SessionStatus)
def test_a_record_makes_no_session_new(status: SessionStatus) -> None:
    """What the log has is not new, whatever comes; and what is contested stays so while it is open."""
    for event in SessionEvent:
        if (status, event) not in IMPOSSIBLE:
            following = status.after(event)
            assert not following.is_new or (status.is_new and event is SessionEvent.OTHER_END_LISTED)
            assert following.is_contested or not status.is_contested or event is SessionEvent.COMMITTED_SEALED


def test_progress_says_where_it_stands() -> None:
    """What a debugger shows names the session, its status, its times, and how many units are where."""
    units = {"p1": UNKNOWN, "p2": UNKNOWN}
    progress = SessionProgress(SESSION, HOUR_US, SessionState(units=units), status=SessionStatus.OPEN)
    assert repr(progress) == "<SessionProgress st-a OPEN, ended 2026-11-23T01:00:00Z, not listed, 2 missing>"
    progress.find("p1")
    progress.fetched("p1", DAY_US + 3 * HOUR_US, 5)
    progress.find("p2")
    assert repr(progress).endswith(", not listed, 1 unfinished, 1 changed>")
    progress.fetched("p2", DAY_US + 3 * HOUR_US, 5)
    progress.listed(DAY_US + 3 * HOUR_US, is_flawless=True)
    assert progress.committed(progress.committing((0,), (), is_sealed=True), ["events/1.parquet"])
    assert repr(progress).startswith("<SessionProgress st-a SEALED, ")
    assert repr(progress).endswith(", listed 2026-11-23T03:00:00Z>")


def test_a_contested_session_is_not_sealed() -> None:
    """A session of which one list told two ends stays open, though all its units are final."""
    progress = SessionProgress(SESSION, HOUR_US)
    progress.listed(DAY_US + 3 * HOUR_US, is_flawless=True)
    before = progress.committing((), (), is_sealed=progress.is_sealed)
    progress.contest()
    assert (before.status, progress.committing((), (), is_sealed=progress.is_sealed).status) == ("sealed", "open")
