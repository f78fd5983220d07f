"""Of k equal events where the lake holds j, k - j are written: under the lowest free numbers, with what it lacks."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.normalize import equals
from exporter.normalize.event_id import event_id
from exporter.normalize.numbering import Extra, LakeRow, Numbered, choose, joined, nothing, number, plain

_HASHES = st.integers(1, 3)
_EXTRAS = st.sampled_from([None, None, 7, 8])
_events = st.lists(st.tuples(_HASHES, _EXTRAS), max_size=9)
_lake = st.dictionaries(st.tuples(_HASHES, st.integers(0, 6)), _EXTRAS, max_size=8)


def _rows(lake: dict[tuple[int, int], Extra]) -> list[LakeRow]:
    return [LakeRow(event_id(event, n), event, extra) for (event, n), extra in lake.items()]


def _written(numbered: Numbered) -> list[tuple[int, int]]:
    """The indexes of the events that are written, and their ids."""
    flags = numbered.is_written.to_pylist()
    return [(place, each) for place, each in enumerate(numbered.ids.to_pylist()) if flags[place]]


@given(_events, _lake)
def test_what_is_written(events: list[tuple[int, Extra]], lake: dict[tuple[int, int], Extra]) -> None:
    """The law, for any events in any order, and any rows in the lake under any numbers."""
    hashes, extras = [each for each, _ in events], [each for _, each in events]
    numbered = number(hashes, extras, _rows(lake))
    for event in range(1, 4):
        ours = Counter(extra for each, extra in events if each == event)
        theirs = Counter(extra for (each, _), extra in lake.items() if each == event)
        written = [(place, each) for place, each in _written(numbered) if hashes[place] == event]
        count = max(0, ours.total() - theirs.total())
        free = [event_id(event, n) for n in range(20) if (event, n) not in lake]
        assert sorted(each for _, each in written) == sorted(free[:count])
        added = Counter(extras[place] for place, _ in written)
        lacked = ours - theirs
        assert added <= lacked
        if count:
            # Each kind that the lake lacks is there, or all that were written are of different ones.
            assert set(lacked) <= set(added) or max(added.values()) == 1


@given(_events, st.lists(st.booleans(), max_size=9))
def test_another_reading_adds_what_was_lost(events: list[tuple[int, Extra]], lost: list[bool]) -> None:
    """Of what was written any part may be lost: the same events bring exactly that back, and then nothing more."""
    hashes, extras = [each for each, _ in events], [each for _, each in events]
    first = _written(number(hashes, extras, []))
    rows = [LakeRow(each, hashes[place], extras[place]) for place, each in first]
    kept = [row for row, is_lost in zip(rows, lost, strict=False) if not is_lost]
    again = [LakeRow(each, hashes[place], extras[place]) for place, each in _written(number(hashes, extras, kept))]
    assert Counter(map(repr, kept + again)).keys() == {repr(row) for row in kept + again}
    assert {row.event_id for row in kept + again} == {row.event_id for row in rows}
    assert Counter((row.event_hash, row.extra) for row in kept + again) == Counter(events)
    assert not _written(number(hashes, extras, kept + again))


@given(_events, _lake, st.randoms(use_true_random=False))
def test_the_answers_order_does_not_matter(
    events: list[tuple[int, Extra]], lake: dict[tuple[int, int], Extra], random: object
) -> None:
    """Shuffled, the same ids are written, with the same other fields together."""
    shuffled = events.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined] # a random.Random
    of_order = []
    for each in (events, shuffled):
        written = _written(number([event for event, _ in each], [extra for _, extra in each], _rows(lake)))
        of_order.append((sorted(found for _, found in written), Counter(each[place] for place, _ in written)))
    assert of_order[0] == of_order[1]


@pytest.mark.parametrize(
    ("ours", "theirs", "count", "expected"),
    [
        ([7, 8], [7], 1, [1]),
        ([8, 7], [7], 1, [0]),
        ([None, 7, 7], [], 2, [0, 1]),
        ([None, 7], [8], 1, [1]),
        ([7, 7], [7], 1, [1]),
        ([None, None, None], [], 2, [0, 1]),
    ],
)
def test_those_are_chosen_whose_other_fields_the_lake_lacks(
    ours: list[Extra], theirs: list[Extra], count: int, expected: list[int]
) -> None:
    """One of each kind before a second, and what has other fields before what has none."""
    assert choose(ours, theirs, count) == expected


def test_units_one_after_another() -> None:
    """What is written of many units is what is written of each; a unit that failed writes nothing."""
    both = joined([plain(pa.array([1, 2], pa.int64())), nothing(pa.array([3], pa.int64()))])
    assert (both.ids.to_pylist(), both.is_written.to_pylist()) == ([1, 2, 3], [True, True, False])
    assert _written(both.slice(1, 2)) == [(0, 2)]


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
@given(hashes=st.lists(st.integers(-4, 9), max_size=40))
def test_equal_events_are_found_a_part_at_a_time(at_once: int, hashes: list[int]) -> None:
    """However many are looked at at once, each hash that is there more than once is found, and numbered through."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(equals, "_AT_ONCE", at_once)
        found = equals.repeated(pa.array(hashes, pa.int64())).to_pylist()
        ids = number(hashes, [None] * len(hashes), []).ids.to_pylist()
    assert sorted(found) == sorted(each for each, count in Counter(hashes).items() if count > 1)
    assert ids == [event_id(each, hashes[:place].count(each)) for place, each in enumerate(hashes)]
