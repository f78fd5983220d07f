"""What the log says beyond a table's marks: whatever records there are, and however often one publishes in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.catalog.changes import LAG_RECORDS_MAX, LoggedFile, LoggedRecord, ScopeLog, changes_of, waiting_files
from exporter.catalog.errors import CatalogMismatch
from exporter.catalog.mark import Mark, marks_in, misfit_of, property_of

LAKE = "lake"
TABLE = "events"


def a_file(scope: str, table: str, number: int) -> LoggedFile:
    return LoggedFile(scope, table, f"{table}/event_date=2026-11-23/{scope}-{number}.parquet", "2026-11-23", 1, 100)


@st.composite
def logs(draw: st.DrawFn, scope: str = "a") -> ScopeLog:
    """Records that name files of two tables, and take some of the files that are there away."""
    records, there, named = [], set[str](), 0
    for number in range(1, draw(st.integers(1, 12)) + 1):
        removed = frozenset(draw(st.lists(st.sampled_from(sorted(there)), max_size=2))) if there else frozenset[str]()
        tables = draw(st.lists(st.sampled_from([TABLE, "stages"]), max_size=3))
        files = tuple(a_file(scope, table, named + index) for index, table in enumerate(tables))
        named += len(files)
        there = (there - removed) | {file.key for file in files}
        records.append(LoggedRecord(number, f"{number:064x}", files, removed))
    return ScopeLog(scope, tuple(records))


def present(scope_logs: dict[str, ScopeLog]) -> set[str]:
    """The files of the table that the logs name and have not taken away."""
    there: set[str] = set()
    for log in scope_logs.values():
        for record in log.records:
            there = (there - record.removed) | {file.key for file in record.files if file.table == TABLE}
    return there


@given(first=logs("a"), second=logs("b"), files_max=st.integers(1, 4), data=st.data())
def test_however_often_one_publishes_the_table_has_what_the_log_has(
    first: ScopeLog, second: ScopeLog, files_max: int, data: st.DataObject
) -> None:
    """What is added is never there already, what leaves always is, and the end is what the log says."""
    whole = {log.scope: log for log in (first, second)}
    listed: set[str] = set()
    marks: dict[str, Mark] = {}
    lengths = [{name: data.draw(st.integers(1, len(log.records))) for name, log in whole.items()} for _ in range(3)]
    while True:
        is_whole = not lengths
        length = {} if is_whole else lengths.pop(0)
        known = {name: ScopeLog(name, log.records[: length.get(name)]) for name, log in whole.items()}
        # No log is ever shorter than what was published of it.
        reached = {name: log for name, log in known.items() if name not in marks or has(log, marks[name])}
        own = {scope: marks[scope] for scope in marks.keys() & reached.keys()}
        changes = changes_of(TABLE, own, reached, LAKE, files_max)
        assert not changes.misfits
        assert changes.gone - changes.maybe_skipped <= listed
        assert not changes.added.keys() & (listed - changes.gone)
        listed = (listed - changes.gone) | changes.added.keys()
        marks |= changes.marks
        if is_whole and not changes.are_more:
            break
    assert listed == present(whole)
    assert waiting_files(TABLE, marks, whole) == 0


def has(log: ScopeLog, mark: Mark) -> bool:
    return log.checksum_of(mark.number) is not None


def test_a_file_that_leaves_and_is_named_again_is_listed_anew() -> None:
    """A lost file may come back: the table lets go of its old entry, and gains another, in one transaction."""
    file = a_file("a", TABLE, 1)
    named = LoggedRecord(1, "1" * 64, (file,))
    lost = LoggedRecord(2, "2" * 64, (), frozenset({file.key}))
    again = LoggedRecord(3, "3" * 64, (file,))
    log = {"a": ScopeLog("a", (named, lost, again))}
    changes = changes_of(TABLE, {"a": Mark(1, "1" * 64, LAKE)}, log, LAKE, 10)
    assert set(changes.gone) == set(changes.added) == {file.key}
    assert changes_of(TABLE, {}, log, LAKE, 10).gone == frozenset()


def test_a_file_that_a_record_beyond_the_cut_takes_away_is_never_listed() -> None:
    """It may be gone from the lake, so that a first publication in several transactions could never be made."""
    first, second = a_file("a", TABLE, 1), a_file("a", TABLE, 2)
    records = (
        LoggedRecord(1, "1" * 64, (first,)),
        LoggedRecord(2, "2" * 64, (second,)),
        LoggedRecord(3, "3" * 64, (), frozenset({first.key})),
    )
    log = {"a": ScopeLog("a", records)}
    begun = changes_of(TABLE, {}, log, LAKE, 1)
    assert (begun.added, begun.are_more, str(begun.marks["a"])) == ({}, True, f"1 {'1' * 64} {LAKE} 3")
    ended = changes_of(TABLE, marks_in({property_of("a"): str(begun.marks["a"])}), log, LAKE, 1)
    assert ([*ended.added], [*ended.gone], [*ended.maybe_skipped]) == ([second.key], [first.key], [first.key])
    assert str(ended.marks["a"]) == f"3 {'3' * 64} {LAKE}"
    # What was listed before the log was known so far is still to leave, and must be there.
    assert not changes_of(TABLE, {"a": Mark(2, "2" * 64, LAKE)}, log, LAKE, 1).maybe_skipped


def test_a_mark_moves_alone_only_when_it_is_far_behind() -> None:
    """A commit for nothing would be made each night in each table; a mark that never moves, and the whole log read."""
    file = a_file("a", TABLE, 1)
    for more, moves in ((LAG_RECORDS_MAX, False), (LAG_RECORDS_MAX + 1, True)):
        records = [LoggedRecord(1, "1" * 64, (file,)), *(LoggedRecord(n + 2, f"{n:064x}") for n in range(more))]
        changes = changes_of(TABLE, {"a": Mark(1, "1" * 64, LAKE)}, {"a": ScopeLog("a", tuple(records))}, LAKE, 10)
        assert bool(changes.marks) is moves
        assert not changes.added


@pytest.mark.parametrize(
    ("lake_id", "checksum", "reason"),
    [
        (LAKE, "a" * 64, None),
        ("other", "a" * 64, "it was published from another lake"),
        (LAKE, "b" * 64, "record 7 was published, and the log has another one of that number"),
        (LAKE, None, "record 7 was published, and the log ends before it"),
    ],
)
def test_a_mark_fits_its_own_log_alone(lake_id: str, checksum: str | None, reason: str | None) -> None:
    """Number, checksum and lake must all be the log's."""
    said = misfit_of(Mark(7, "a" * 64, LAKE), lake_id, checksum)
    assert said is None if reason is None else (said or "").startswith(reason)


def test_a_mark_is_read_as_it_was_written() -> None:
    """Between other properties, and by its scope."""
    mark = Mark(1_234, "c" * 64, "9f" * 16)
    assert marks_in({property_of("a-b"): str(mark), "gc.enabled": "false"}) == {"a-b": mark}


@pytest.mark.parametrize(
    "text", ["", "1", "0 " + "a" * 64 + " x", "1 abc x", f"1 {'a' * 64} x y", f"{'9' * 5_000} {'a' * 64} x"]
)
def test_what_is_no_mark_is_refused(text: str) -> None:
    """Somebody has changed it: nothing is built on it."""
    with pytest.raises(CatalogMismatch, match="is no mark"):
        marks_in({property_of("a-b"): text})


def test_a_scope_without_a_log_is_not_forgotten() -> None:
    """Its rows stand in the table, and nobody can say whether they still should."""
    assert changes_of(TABLE, {"gone": Mark(1, "1" * 64, LAKE)}, {}, LAKE, 10).misfits.keys() == {"gone"}
