"""Rows whose ids stand twice: what is taken out, and what is numbered anew, is as the identity of events says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.health.file_checks import repeated
from exporter.health.rewriting import rows_in, sort_out
from exporter.lake.tables.events import EVENTS
from exporter.normalize.event_id import event_id

if TYPE_CHECKING:
    from typing import Any

HASH = 123


def row(number: int, *, extra: str | None = None, at_us: int = 0, participant_id: str = "p") -> dict[str, Any]:
    """A row whose identity does not follow from its columns, as where a user id was hashed before it was written."""
    told = {"event_id": event_id(HASH, number), "event_time": 1, "event_name": "JOINED", "exported_at": at_us}
    unit = {"stage_arn": "s", "session_id": "st", "participant_id": participant_id}
    empty = dict.fromkeys(EVENTS.schema.names)
    return {**empty, **unit, **told, "extra": extra, "run_id": f"r{at_us}"}


def rewritten(files: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The files after a rewrite."""
    tables = {key: pa.Table.from_pylist(rows, schema=EVENTS.schema) for key, rows in files.items()}
    ids = [table.column("event_id").combine_chunks() for table in tables.values()]
    twice = repeated(ids)
    rewrite, others = sort_out(each for key, table in tables.items() for each in rows_in(key, table, twice))
    taken = {each for array in ids for each in array.to_pylist()}
    for each in others:
        rewrite.number_anew(each, tables[each.key], taken)
    return {key: rewrite.rows_of(key, table).to_pylist() for key, table in tables.items()}


def test_the_row_that_was_written_first_stays() -> None:
    """In whichever file it is; the file of the other loses it, and its other rows stay in their places."""
    files = {"b": [row(0, at_us=1), row(1, at_us=1)], "a": [row(0, at_us=2), row(2, at_us=2)]}
    found = rewritten(files)
    assert [each["event_id"] for each in found["b"]] == [event_id(HASH, 0), event_id(HASH, 1)]
    assert [each["event_id"] for each in found["a"]] == [event_id(HASH, 2)]


def test_another_row_gets_the_lowest_number_that_nobody_has() -> None:
    """Number 1 is taken, so that it is the third of its equals."""
    found = rewritten({"a": [row(0), row(1)], "b": [row(0, extra="{}", at_us=1)]})
    assert [each["event_id"] for each in found["b"]] == [event_id(HASH, 2)]


def test_equal_ids_of_two_units_are_left_alone() -> None:
    """Identity is judged within a unit."""
    files = {"a": [row(0), row(0, participant_id="q")]}
    assert [each["participant_id"] for each in rewritten(files)["a"]] == ["p", "q"]


@pytest.mark.parametrize("count", [1, 3])
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.sampled_from([None, "{}", "[]"]), st.integers(0, 3)),
        max_size=14,
    )
)
def test_each_event_is_there_once_and_none_is_lost(count: int, rows: list[tuple[str, int, str | None, int]]) -> None:
    """Afterwards no id stands twice, and what rows say of events, but for who wrote them, is what it was, once each.

    A rewrite of what was rewritten changes nothing.
    """
    files: dict[str, list[dict[str, Any]]] = {key: [] for key in "abc"}
    for key, number, extra, at_us in rows * count:
        files[key].append(row(number, extra=extra, at_us=at_us))
    found = rewritten(files)
    after = [each for of_file in found.values() for each in of_file]
    assert len({each["event_id"] for each in after}) == len(after)
    assert sorted(str(each["extra"]) for each in after) == sorted(
        str(extra) for _, extra in {(number, extra) for _, number, extra, _ in rows}
    )
    assert rewritten(found) == found
