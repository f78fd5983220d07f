"""Units that are fetched again, against real files: whole or in pieces, whatever the lake holds of them already."""

from __future__ import annotations

import asyncio
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.commit_log.records import UnitState
from exporter.commit_log.sealing import SessionProgress
from exporter.commit_log.state import SessionState
from exporter.errors import EventUnreadable, FileDamaged
from exporter.lake.parquet import encode
from exporter.lake.tables.events import EVENTS
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.columns import Stamp
from exporter.normalize.event_id import event_id
from exporter.normalize.events import event_rows
from exporter.normalize.privacy import KEEP_ALL, Privacy
from exporter.pipeline import new_rows as new_rows_module
from exporter.pipeline.budget import LoopTurns
from exporter.pipeline.known_events import KnownEvents
from exporter.pipeline.known_ids import KnownIds
from exporter.pipeline.new_rows import EventRowMaker, NewEventRows
from exporter.pipeline.page_spool import PageSpool
from exporter.timestamps import text_of
from tests.support.memory_store import MemoryStore
from tests.support.service import DAY_US, SECOND_US, STAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

STAMP = Stamp("r2", DAY_US)
TOKEN = {
    "capabilities": ["B", "A"],
    "attributes": {"a": "1"},
    "userId": "u",
    "expirationTime": "2026-11-23T10:15:00.5Z",
}
#: Kinds of events that differ in their identity; of one kind all are equal, but for what is unknown of them.
KINDS: list[dict[str, Any]] = [
    {"name": "JOINED", "eventTime": text_of(DAY_US)},
    {"name": "JOINED", "eventTime": text_of(DAY_US), "newToken": TOKEN, "previousToken": {}},
    {"name": "LEFT", "eventTime": text_of(DAY_US + SECOND_US), "replica": False, "remoteParticipantId": "r"},
    {"eventTime": text_of(DAY_US - SECOND_US), "errorCode": "E"},
    # As the second, where user ids are dropped.
    {"name": "JOINED", "eventTime": text_of(DAY_US), "newToken": TOKEN | {"userId": "v"}, "previousToken": {}},
]
HASHING = Privacy("hash", "drop", key=b"k")
PRIVACIES = [KEEP_ALL, HASHING, Privacy(user_id="drop", attributes="drop"), Privacy(attributes=frozenset({"b"}))]
HeldRow = tuple[int, int, "str | None"]


def event(kind: int, unknown: str | None) -> dict[str, Any]:
    return KINDS[kind] | ({} if unknown is None else {"unheardOf": unknown})


@cache
def hash_of(unit: Unit, kind: int) -> int:
    rows = event_rows([fetched(unit, [[event(kind, None)]])], STAMP).rows
    found: int = rows.column("event_id")[0].as_py()
    return found


def fetched(unit: Unit, events: list[list[dict[str, Any]]]) -> FetchedUnit:
    pages = PageSpool(memory_size_bytes_max=300)
    for page in events:
        pages.add(msgspec.json.encode(page))
    session = Session(unit.stage_arn, unit.session_id, DAY_US, DAY_US)
    return FetchedUnit(unit, session, pages, DAY_US, pages.size_bytes)


@dataclass
class Lake:
    """A lake with rows of some units, and what its log says of them."""

    privacy: Privacy = KEEP_ALL
    store: MemoryStore = field(default_factory=MemoryStore)
    progress: dict[str, SessionProgress] = field(default_factory=dict)

    def hold(self, key: str, rows: dict[Unit, list[HeldRow]]) -> None:
        """A file with rows of units: the kind of each, its number, and what was unknown of it."""
        batches = [self._batch(unit, held) for unit, held in rows.items() if held]
        self.store.visible[key] = encode(EVENTS, batches, group_rows_max=3).to_pybytes()
        for unit, held in rows.items():
            known = self.session(unit).known
            known.files.append(key)
            before = known.units.get(unit.participant_id, UnitState())
            known.units[unit.participant_id] = UnitState(rows=before.rows + len(held))

    def session(self, unit: Unit) -> SessionProgress:
        return self.progress.setdefault(
            unit.session_id,
            SessionProgress(Session(unit.stage_arn, unit.session_id, DAY_US, DAY_US), 0, SessionState()),
        )

    def _batch(self, unit: Unit, held: list[HeldRow]) -> pa.RecordBatch:
        batch = event_rows(
            [fetched(unit, [[event(kind, unknown) for kind, _, unknown in held]])], STAMP, self.privacy
        ).rows
        ids = [event_id(each, n) for each, (_, n, _) in zip(batch.column("event_id").to_pylist(), held, strict=True)]
        return batch.set_column(0, "event_id", pa.array(ids, pa.int64()))


async def take(
    lake: Lake, batch: Sequence[FetchedUnit], piece_size_bytes: int, known: KnownIds | None = None
) -> list[NewEventRows]:
    """All of the units, those that are large in pieces, as the writer does it."""
    intake = EventRowMaker(KnownEvents(lake.store, known), LoopTurns(), piece_size_bytes, lake.privacy)
    taken = [
        each
        for unit in batch
        if intake.is_large(unit)
        async for each in intake.pieces(lake.session(unit.unit), unit, STAMP)
    ]
    small = [(lake.session(unit.unit), unit) for unit in batch if not intake.is_large(unit)]
    return [*taken, await intake.take(small, STAMP)]


UNITS = [Unit(STAGE, "st-a", "p1"), Unit(STAGE, "st-a", "p2"), Unit(STAGE, "st-b", "p1")]
_unknown = st.sampled_from([None, None, "x", "y"])
_events = st.lists(st.lists(st.tuples(st.integers(0, 4), _unknown), max_size=5), max_size=4)
_held = st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), _unknown, max_size=8)


@settings(max_examples=40, deadline=None)
@given(
    pages=st.lists(_events, min_size=3, max_size=3),
    held=st.lists(st.lists(_held, min_size=2, max_size=2), min_size=3, max_size=3),
    piece_size_bytes=st.sampled_from([1, 250, 100_000]),
    room=st.sampled_from([0, 1 << 20]),
    privacy=st.sampled_from(PRIVACIES),
)
@example(
    # The lake has a row that looks as the event does, and that is of another user, whose id is hidden.
    pages=[[[(1, None)]], [], []],
    held=[[{(4, 0): None}, {}], [{}, {}], [{}, {}]],
    piece_size_bytes=100_000,
    room=0,
    privacy=Privacy(user_id="drop", attributes="drop"),
)
def test_the_lake_has_what_it_lacked(
    pages: list[list[list[tuple[int, str | None]]]],
    held: list[list[dict[tuple[int, int], str | None]]],
    piece_size_bytes: int,
    room: int,
    *,
    privacy: Privacy,
) -> None:
    """Of each unit the lake has as many of equal events as it held or was shown, whichever are more, and each id once.

    However the events are spread over pages and pieces, in whichever order, whatever numbers the lake holds in which of
    its files, however little of it can be kept in memory, and whatever is hidden of users.
    """
    lake = Lake(privacy)
    rows: dict[Unit, dict[tuple[int, int], str | None]] = {}
    for unit, files in zip(UNITS, held, strict=True):
        rows[unit] = files[1] | files[0]
    for place in range(2):
        lake.hold(
            f"events/{place}.parquet",
            {
                unit: [
                    (kind, n, unknown)
                    for (kind, n), unknown in rows[unit].items()
                    if ((kind, n) in files[0]) == (place == 0)
                ]
                for unit, files in zip(UNITS, held, strict=True)
            },
        )
    batch = [
        fetched(unit, [[event(*each) for each in page] for page in of_unit])
        for unit, of_unit in zip(UNITS, pages, strict=True)
    ]
    taken = asyncio.run(take(lake, batch, piece_size_bytes, KnownIds(room)))
    counted = {each.fetched.unit: each for piece in taken for each in piece.units}
    table = pa.Table.from_batches([piece.rows.select([0, 5, 6, 7, 15]).cast(_SCHEMA) for piece in taken])
    for unit, of_unit in zip(UNITS, pages, strict=True):
        of_it = table.filter(
            pc.and_(
                pc.equal(table.column("session_id"), unit.session_id),
                pc.equal(table.column("participant_id"), unit.participant_id),
            )
        ).to_pylist()
        shown = [each for page in of_unit for each in page]
        assert counted[unit].lacked == len(of_it)
        ids = {event_id(hash_of(unit, kind), n): (kind, n) for kind in range(5) for n in range(len(shown) + 10)}
        added: dict[tuple[int, int], str | None] = {ids[row["event_id"]]: _unknown_in(row["extra"]) for row in of_it}
        assert len(added) == len(of_it)
        assert not added.keys() & rows[unit].keys()
        for kind in range(5):
            ours = Counter(unknown for each, unknown in shown if each == kind)
            theirs = Counter(unknown for (each, _), unknown in rows[unit].items() if each == kind)
            news = {n: unknown for (each, n), unknown in added.items() if each == kind}
            assert len(news) == max(0, ours.total() - theirs.total())
            assert sorted(news) == [n for n in range(40) if (kind, n) not in rows[unit]][: len(news)]
            assert Counter(news.values()) <= ours - theirs


_SCHEMA = pa.schema(
    [
        ("event_id", pa.int64()),
        ("stage_arn", pa.string()),
        ("session_id", pa.string()),
        ("participant_id", pa.string()),
        ("extra", pa.string()),
    ]
)


def _unknown_in(extra: str | None) -> str | None:
    return None if extra is None else msgspec.json.decode(extra)["unheardOf"]


async def both_ways(lake: Lake, events: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The rows of a unit that the lake lacks, at once and in pieces."""
    found = []
    for piece_size_bytes in (1 << 20, 100):
        taken = await take(lake, [fetched(UNITS[0], events)], piece_size_bytes)
        rows = [row for piece in taken for row in piece.rows.select([0, 15]).to_pylist()]
        found.append(sorted(rows, key=lambda row: row["event_id"]))
    return found


async def test_of_two_equal_events_in_different_pieces_the_one_that_is_lacked_is_added() -> None:
    """Two equal events with different unknown fields, far from each other; the lake holds the second one."""
    lake = Lake()
    lake.hold("events/0.parquet", {UNITS[0]: [(0, 0, "y")]})
    others = [[event(2, None)], [event(3, None)]]
    at_once, in_pieces = await both_ways(lake, [[event(0, "x")], *others, [event(0, "y")]])
    assert at_once == in_pieces
    expected = {event_id(hash_of(UNITS[0], 0), 1): '{"unheardOf":"x"}'}
    added = {row["event_id"]: row["extra"] for row in at_once}
    assert {each: extra for each, extra in added.items() if extra} == expected
    assert len(added) == 3


async def test_a_number_that_was_lost_is_given_again() -> None:
    """The lake has lost the file with number 0 and holds number 1; of two equal events one is added, as number 0."""
    lake = Lake()
    lake.hold("events/0.parquet", {UNITS[0]: [(1, 1, None)]})
    at_once, in_pieces = await both_ways(lake, [[event(1, None)], [event(1, None)]])
    assert at_once == in_pieces == [{"event_id": hash_of(UNITS[0], 1), "extra": None}]


async def test_a_row_under_another_number_is_known_by_what_it_says() -> None:
    """The lake holds one event as number 4, and the service shows one: nothing is added, tokens or not."""
    for kind, privacy in product(range(5), PRIVACIES):
        lake = Lake(privacy)
        lake.hold("events/0.parquet", {UNITS[0]: [(kind, 4, "x")], UNITS[1]: [(kind, 0, None)]})
        assert await both_ways(lake, [[event(kind, "y")]]) == [[], []]


async def test_a_row_is_known_though_another_event_looks_the_same_now() -> None:
    """Two tokens that differ in their user ids alone, which are dropped: the row's id says which of them it is."""
    for held, lacked in ((1, 4), (4, 1)):
        lake = Lake(Privacy(user_id="drop"))
        lake.hold("events/0.parquet", {UNITS[0]: [(held, 4, None)]})
        at_once, in_pieces = await both_ways(lake, [[event(1, None)], [event(4, None)]])
        assert at_once == in_pieces == [{"event_id": hash_of(UNITS[0], lacked), "extra": None}]


async def test_a_file_that_is_gone_is_lacked() -> None:
    """Somebody has removed a file: its rows are added again, and what the other files hold is not."""
    lake = Lake()
    lake.hold("events/0.parquet", {UNITS[0]: [(0, 0, None), (2, 0, None)]})
    lake.hold("events/1.parquet", {UNITS[0]: [(0, 1, None)]})
    del lake.store.visible["events/0.parquet"]
    at_once, in_pieces = await both_ways(lake, [[event(0, None)], [event(2, None)], [event(0, None)]])
    assert at_once == in_pieces
    assert {row["event_id"] for row in at_once} == {hash_of(UNITS[0], 0), hash_of(UNITS[0], 2)}


@pytest.mark.parametrize("damage", ["cut", "not Parquet", "another table"])
async def test_a_damaged_file_fails_the_units_that_need_it(damage: str) -> None:
    """The failure names the file and the remedy, and nothing is written of its units."""
    lake = Lake()
    lake.hold("events/0.parquet", {UNITS[0]: [(0, 0, None)]})
    data = lake.store.visible["events/0.parquet"]
    other = io.BytesIO()
    pq.write_table(pa.table({"event_id": ["x"]}), other)
    lake.store.visible["events/0.parquet"] = {
        "cut": data[: len(data) // 2],
        "not Parquet": b"<html>",
        "another table": other.getvalue(),
    }[damage]
    [taken] = await take(lake, [fetched(unit, [[event(0, None)]]) for unit in (UNITS[0], UNITS[2])], 1 << 20)
    broken, whole = taken.units
    assert isinstance(broken.error, FileDamaged)
    assert re.match(r"events/0\.parquet is damaged.*ivs-export repair", str(broken.error))
    assert (whole.error, taken.rows.num_rows) == (None, 1)
    with pytest.raises(FileDamaged):
        await take(lake, [fetched(UNITS[0], [[event(0, None)]])], 1)


async def test_a_unit_with_events_without_an_end_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """More events than any participant can have are refused before a row is made of them."""
    monkeypatch.setattr(new_rows_module, "EVENTS_MAX", 7)
    with pytest.raises(EventUnreadable, match="more than 7 events"):
        await take(Lake(), [fetched(UNITS[0], [[event(0, None)] * 4] * 2)], 1)
    assert await take(Lake(), [fetched(UNITS[0], [[event(0, None)] * 7])], 1)
