"""Which rows the tables beside events get of a session, as a run works on it."""

from __future__ import annotations

from collections import Counter

import pytest

from exporter.commit_log.lost_files import opened_entry
from exporter.commit_log.records import RowWritten, SessionEntry, UnitState
from exporter.commit_log.sealing import SessionProgress
from exporter.commit_log.session_rows import counts_of, is_row_due, tables_of
from exporter.commit_log.session_status import SessionStatus
from exporter.commit_log.session_units import NamedUnits
from exporter.commit_log.state import ScopeState, SessionState
from exporter.model import Session
from exporter.settings import TableSettings

ENDED_US, GRACE_US = 1_795_392_000_000_000, 900_000_000
FINAL_US = ENDED_US + GRACE_US
ALL = TableSettings()
SESSION = Session("arn:aws:ivs:us-east-1:111122223333:stage/one", "st-1", ENDED_US - 1, ENDED_US)


def progress_of(known: SessionState | None = None, status: SessionStatus = SessionStatus.OPEN) -> SessionProgress:
    return SessionProgress(SESSION, GRACE_US, known or SessionState(SESSION.started_us, ENDED_US), status)


def listed(progress: SessionProgress, *names: str) -> SessionProgress:
    for name in names:
        progress.find(name)
    progress.listed(FINAL_US, is_flawless=True)
    return progress


def line_of(progress: SessionProgress, *, is_sealed: bool, tables: TableSettings = ALL) -> SessionEntry:
    names = tables_of(progress, tables, is_sealed=is_sealed, is_due=is_row_due(progress, is_sealed=is_sealed))
    return progress.committing((), names, is_sealed=is_sealed)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        (TableSettings(), ("participants", "sessions")),
        (TableSettings(sessions=False), ("participants",)),
        (TableSettings(participants=False), ("sessions",)),
        (TableSettings(sessions=False, participants=False), ()),
    ],
)
def test_a_sealed_session_has_final_rows_where_the_table_is_on(
    tables: TableSettings, expected: tuple[str, ...]
) -> None:
    """Rows from before its end are not the ones that it needs."""
    known = SessionState(SESSION.started_us, ENDED_US, tables=["participants", "sessions"])
    progress = listed(progress_of(known), "a")
    progress.fetched("a", FINAL_US, 1)
    assert line_of(progress, is_sealed=True, tables=tables).tables == expected


def test_final_rows_from_before_a_table_was_switched_off_are_enough() -> None:
    units = {"a": UnitState(began_us=FINAL_US, row=RowWritten.FINAL)}
    progress = listed(progress_of(SessionState(SESSION.started_us, ENDED_US, units=units)), "a")
    off = TableSettings(participants=False)
    assert line_of(progress, is_sealed=True, tables=off).tables == ("participants", "sessions")


def test_a_session_that_this_run_has_sealed_gets_no_more_rows() -> None:
    """The record keeps the names of its units alone, and the details of a participant may come after it."""
    progress = listed(progress_of(), "a")
    progress.row_written("a", RowWritten.FINAL)
    progress.fetched("a", FINAL_US, 1)
    assert progress.committed(line_of(progress, is_sealed=True), [])
    assert progress.row_due("a", FINAL_US) is None


def test_a_unit_that_fails_while_its_row_is_committed_keeps_the_row() -> None:
    progress = progress_of()
    progress.find("a")
    progress.row_written("a", RowWritten.FINAL)
    line = line_of(progress, is_sealed=False)
    progress.failed("a", FINAL_US, 30.0, is_refused=False)
    progress.committed(line, [])
    progress.committed(line_of(progress, is_sealed=False), [])
    assert progress.row_due("a", FINAL_US) is None
    assert progress.known.units["a"].failing_since_us == FINAL_US


def test_a_session_is_not_sealed_while_rows_of_it_are_on_their_way() -> None:
    """Its list may end, and its last unit be given up, while the last page still waits for the writer."""
    progress = listed(progress_of())
    progress.rows_on_their_way += 1
    assert not progress.is_sealed
    progress.rows_on_their_way -= 1
    assert progress.is_sealed


def test_what_is_recovered_of_a_sealed_session_gives_it_another_final_row() -> None:
    """So does a unit that no record named; and a unit that stays abandoned stays so, whatever rows are written."""
    known = SessionState(SESSION.started_us, ENDED_US, tables=["participants", "sessions"])
    known.units = {"gone": UnitState(is_abandoned=True), "back": UnitState(is_abandoned=True)}
    progress = SessionProgress(
        SESSION,
        GRACE_US,
        known,
        SessionStatus.KEPT_SEALED,
        is_refetched=True,
        named=NamedUnits(frozenset({"gone", "back"})),
    )
    assert not is_row_due(progress, is_sealed=True)
    progress.row_written("gone", RowWritten.FINAL)
    assert not is_row_due(progress, is_sealed=True)
    progress.fetched("back", FINAL_US, 0)
    assert is_row_due(progress, is_sealed=True)
    line = line_of(progress, is_sealed=True)
    assert Counter(unit.is_abandoned for unit in line.units.values()) == {True: 1, False: 1}
    progress.committed(line, [])
    assert not is_row_due(progress, is_sealed=True)
    progress.find("new")
    assert not progress.units.are_fetched
    progress.fetched("new", FINAL_US, 0)
    assert is_row_due(progress, is_sealed=True)


def test_a_unit_that_a_sealed_session_shows_anew_counts_once_a_record_names_it() -> None:
    """A final row that is committed before that unit is fetched counts what the log has, and is not complete."""
    known = SessionState(SESSION.started_us, ENDED_US)
    progress = SessionProgress(
        SESSION, GRACE_US, known, SessionStatus.KEPT_SEALED, named=NamedUnits(frozenset({"old"}))
    )
    listed(progress, "old", "new")
    assert counts_of(progress, 5, 0).participants == len(line_of(progress, is_sealed=True).units | {"old": None}) == 1
    assert not progress.units.are_fetched
    progress.fetched("new", FINAL_US, 0)
    assert counts_of(progress, 5, 0).participants == len(line_of(progress, is_sealed=True).units | {"old": None}) == 2


def test_a_session_without_participants_is_made_up_for_once() -> None:
    known = SessionState(SESSION.started_us, ENDED_US, tables=["sessions"])
    progress = SessionProgress(SESSION, GRACE_US, known, SessionStatus.KEPT_SEALED)
    assert [progress.has_news] == [False]
    progress.listed(FINAL_US, is_flawless=True)
    assert progress.has_news
    line = line_of(progress, is_sealed=True)
    assert line.tables == ("participants", "sessions")
    progress.committed(line, [])
    assert not progress.has_news


def test_rows_that_were_final_by_an_earlier_end_are_written_again() -> None:
    units = {"a": UnitState(row=RowWritten.FINAL), "b": UnitState(row=RowWritten.FIRST)}
    before = SessionState(SESSION.started_us, ENDED_US - GRACE_US, units=units)
    progress = progress_of(before)
    assert [progress.row_due(name, FINAL_US) for name in ("a", "b")] == [RowWritten.FINAL] * 2
    assert [progress.row_due(name, FINAL_US - 1) for name in ("a", "b")] == [None] * 2


def test_a_participant_with_a_row_is_news_of_a_session_that_no_list_shows() -> None:
    """A list of targets named it, its details came, and its events did not."""
    session = Session(SESSION.stage_arn, "st-2", is_listed=False)
    progress = SessionProgress(session, GRACE_US)
    progress.find("a")
    progress.failed("a", FINAL_US, 30.0, is_refused=False)
    assert not progress.has_news
    progress.row_written("a", RowWritten.FIRST)
    assert progress.has_news


def test_a_session_loses_what_its_own_files_held_and_no_more() -> None:
    """Files of other sessions are lost in the same moment: its rows that are there are not due again."""
    own, others = "sessions/session_date=2026-11-20/a.parquet", "sessions/session_date=2026-11-18/b.parquet"
    events = "events/event_date=2026-11-20/a.parquet"
    units = {"a": UnitState(began_us=FINAL_US, row=RowWritten.FINAL)}
    known = SessionState(files=[own, events], tables=["sessions"], units=units)
    line = SessionEntry(
        SESSION.stage_arn, SESSION.session_id, "open", earlier_files=(own, events), tables=("sessions",)
    )
    lost = (others, events, "participants/session_date=2026-11-18/b.parquet")
    state = ScopeState(open={SESSION.stage_arn: {SESSION.session_id: known}})
    opened = opened_entry(line, state, without=lost)
    assert (opened.tables, opened.units["a"].row, opened.earlier_files) == (("sessions",), RowWritten.FINAL, (own,))
    known.lose(lost)
    assert (known.tables, known.units["a"].row, known.files) == (["sessions"], RowWritten.FINAL, [own])
    assert opened_entry(line, state, without=(own,)).tables == ()
