"""A log of which something was taken away or altered is missed: the scope stops, and no event is there twice."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.commit_log import records
from exporter.commit_log.journal import SNAPSHOT_RECORDS
from exporter.commit_log.layout import number_of, record_key
from exporter.commit_log.reader import read_state, records_after
from exporter.commit_log.records import Record, check_head, decode_record, encode_record, with_checksum
from exporter.commit_log.snapshots import decode_state, encode_state
from exporter.commit_log.state import ScopeState
from exporter.discovery.request import Request
from exporter.errors import LakeTooNew, LogDamaged
from tests.support.logs import capture_logs
from tests.support.memory_store import MemoryStore
from tests.support.runs import export
from tests.support.service import HOUR_US, SCOPE, STAGE, Service, lake_rows

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDS, SNAPSHOTS = f"_log/{SCOPE}/records/", f"_log/{SCOPE}/snapshots/"
STAGES = [f"{STAGE}{number}" for number in range(3)]


async def lake_of(nights: int, *, past: int = 0) -> tuple[Service, MemoryStore]:
    """Some nights of three stages, each with a sealed session a night and a long one that stays active.

    ``past`` empty runs come before the last two nights.
    """
    service, store = Service(), MemoryStore()
    for stage in STAGES:
        service.add("st-active", ended=False, events={"p": 2}, stage=stage)
    for night in range(nights):
        if night == nights - 2:
            for run in range(past):
                await export(service, store, f"e{run}")
        for stage in STAGES:
            service.add(f"st-{night}", events={"p1": 2, "p2": 3}, stage=stage)
            service.join(service.stages[stage]["st-active"], "p")
        await export(service, store, f"r{night}")
        service.now_us += HOUR_US
    assert lake_rows(store) == service.truth()
    return service, store


def remove(store: MemoryStore, is_removed: Callable[[str], bool]) -> None:
    """Something tidies up."""
    for key in [key for key in store.records if is_removed(key)]:
        del store.records[key]


def numbers_in(store: MemoryStore, prefix: str) -> list[int]:
    return sorted(number_of(key) for key in store.records if key.startswith(prefix))


async def stops(service: Service, store: MemoryStore, words: str) -> None:
    """Each further run is refused with words of how to go on, and nothing that readers see is another than before."""
    rows = lake_rows(store)
    for request in (Request(), Request(refetch=True)):
        service.now_us += HOUR_US
        with pytest.raises(LogDamaged, match=words) as raised:
            await export(service, store, "later", request)
        assert "restore `_log` from a backup, or run `ivs-export repair`" in str(raised.value)
    assert lake_rows(store) == rows


async def test_records_before_a_snapshot_are_missed() -> None:
    """Some storage rule has removed the oldest records, which the snapshot seems to make superfluous."""
    service, store = await lake_of(3, past=SNAPSHOT_RECORDS // 2)
    (snapshot,) = numbers_in(store, SNAPSHOTS)
    remove(store, lambda key: key.startswith(RECORDS) and number_of(key) < snapshot - 5)
    await stops(service, store, f"record 1 of {SCOPE} is missing")


async def test_records_that_a_snapshot_was_made_after_are_missed() -> None:
    """The last records are gone, and a snapshot is newer than what is left."""
    service, store = await lake_of(3, past=SNAPSHOT_RECORDS // 2)
    (snapshot,) = numbers_in(store, SNAPSHOTS)
    remove(store, lambda key: key.startswith(RECORDS) and number_of(key) >= snapshot)
    await stops(service, store, f"record {snapshot} of {SCOPE} is missing")


@pytest.mark.parametrize("left", [0, 1, 3, 5])
async def test_last_records_are_missed_by_the_files_that_they_named(left: int) -> None:
    """Of nights 1 to 3 the last records are gone, or the whole log: the files that are there tell of it."""
    service, store = await lake_of(3)
    assert numbers_in(store, RECORDS)[-1] > 5
    remove(store, lambda key: key.startswith("_log/") and (number_of(key) > left or "/lease/" in key))
    words = "does not name a file that is there" if numbers_in(store, RECORDS) else "the lake has no commit log"
    await stops(service, store, words)


async def test_a_backup_whose_log_is_older_than_its_tables_is_missed() -> None:
    """The log was copied first, then a run came, then the tables were copied: restored, the two do not fit."""
    service, store = await lake_of(2)
    log = dict(store.records)
    for stage in STAGES:
        service.add("st-9", events={"p1": 4}, stage=stage)
    await export(service, store, "r9")
    store.records = log
    await stops(service, store, "does not name a file that is there")


async def test_a_backup_whose_tables_are_older_than_its_log_goes_on() -> None:
    """What its last record names and is not there is fetched again."""
    service, store = await lake_of(2)
    tables = dict(store.visible)
    service.add("st-9", events={"p1": 4}, stage=STAGES[1])
    await export(service, store, "r9")
    remove(store, lambda key: key == record_key(str(SCOPE), numbers_in(store, RECORDS)[-1]))  # the closing record
    store.visible = tables
    with capture_logs() as logs:
        await export(service, store, "r10")
    assert "files_gone" in {line["event"] for line in logs}
    assert lake_rows(store) == service.truth()


async def test_files_of_a_date_without_a_new_row_are_not_looked_at() -> None:
    """A run lists each partition once that it adds to, and no other."""
    service, store = await lake_of(2)
    listed: list[str] = []
    store.before = lambda operation, key: listed.append(key) if operation == "keys" and "date=" in key else None
    await export(service, store, "r8")
    assert listed == []
    service.add("st-9", events={"p1": 4, "p2": 4}, stage=STAGES[1])
    await export(service, store, "r9", rows_max=2)
    assert sorted(listed) == [
        "events/event_date=2026-11-23/",
        "participants/session_date=2026-11-23/",
        "sessions/session_date=2026-11-23/",
    ]


async def test_a_sealed_session_that_the_archive_does_not_know_is_missed() -> None:
    """The state says that it is sealed, and no record tells which files hold it."""
    service, store = await lake_of(2)
    state = await read_state(store, SCOPE)
    state.sealed[STAGES[0]]["st-forged"] = None
    service.add("st-forged", events={"p": 1}, stage=STAGES[0])
    state.snapshot_number = state.number
    store.records[f"{SNAPSHOTS}{state.number:012d}.json"] = encode_state(state)
    with pytest.raises(LogDamaged, match="st-forged is sealed, and no record"):
        await export(service, store, "later", Request(refetch=True))


def flipped(body: bytes, place: int) -> bytes:
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


async def test_an_altered_byte_of_a_record_is_missed_wherever_it_is() -> None:
    """In the middle of the log, or in its last record: no byte of it can be another."""
    service, store = await lake_of(2)
    numbers = numbers_in(store, RECORDS)
    for number in (numbers[0], numbers[2], numbers[-1]):
        key = record_key(str(SCOPE), number)
        body = store.records[key]
        for place in range(0, len(body), 7 if number == numbers[-1] else 97):
            store.records[key] = flipped(body, place)
            with pytest.raises((LogDamaged, LakeTooNew)) as raised:
                await read_state(store, SCOPE)
            assert key in str(raised.value)
        store.records[key] = body
    await export(service, store, "later")
    assert lake_rows(store) == service.truth()


async def test_a_record_that_another_took_the_place_of_is_missed() -> None:
    """Whole in itself, checksum and all, it does not fit the one after it."""
    service, store = await lake_of(2)
    key = record_key(str(SCOPE), 2)
    record = decode_record(key, store.records[key])
    store.records[key] = encode_record(msgspec.structs.replace(record, sessions=record.sessions[1:]))
    await stops(service, store, "does not follow record 2 as it is now")


async def test_a_record_in_anothers_place_is_missed() -> None:
    """Two records whose names were exchanged."""
    service, store = await lake_of(2)
    one, other = record_key(str(SCOPE), 2), record_key(str(SCOPE), 3)
    store.records[one], store.records[other] = store.records[other], store.records[one]
    await stops(service, store, "holds record 3")


@pytest.mark.parametrize("damaged", [1, 2])
async def test_damaged_snapshots_are_passed_over(damaged: int) -> None:
    """The newest one, or both: the older one and the records, or all records, add up to the same; warnings say so."""
    service, store = await lake_of(2, past=SNAPSHOT_RECORDS)
    for night in range(SNAPSHOT_RECORDS // 4):
        await export(service, store, f"x{night}")
    snapshots = sorted(key for key in store.records if key.startswith(SNAPSHOTS))
    assert len(snapshots) == 2
    whole = await read_state(store, SCOPE)
    for place, key in enumerate(snapshots[-damaged:]):
        body = store.records[key]
        store.records[key] = [flipped(body, len(body) // 2), b""][place]
    with capture_logs() as logs:
        state = await read_state(store, SCOPE)
    assert msgspec.structs.replace(state, snapshot_number=0) == msgspec.structs.replace(whole, snapshot_number=0)
    assert [line["reason"].split()[0] for line in logs if line["event"] == "snapshot_damaged"] == snapshots[-damaged:][
        ::-1
    ]
    await export(service, store, "later", Request(refetch=True))
    assert lake_rows(store) == service.truth()
    assert numbers_in(store, SNAPSHOTS)[-1] > number_of(snapshots[-1]) or damaged == 1


async def test_every_byte_of_a_snapshot_counts() -> None:
    """Whichever one is another: the state is what the records say, or the log is refused; never anything else."""
    _, store = await lake_of(2, past=SNAPSHOT_RECORDS // 2)
    (key,) = [key for key in store.records if key.startswith(SNAPSHOTS)]
    whole, body = await read_state(store, SCOPE), store.records[key]
    for place in range(0, len(body), 1 + len(body) // 60):
        store.records[key] = flipped(body, place)
        try:
            state = await read_state(store, SCOPE)
        except LakeTooNew:
            continue
        assert msgspec.structs.replace(state, snapshot_number=whole.snapshot_number) == whole


def as_before(store: MemoryStore, major: int) -> None:
    """Turn the lake into what an earlier version left: each record has its fields alone, and ``events`` is all.

    The snapshots are taken away.
    """
    remove(store, lambda key: key.startswith(SNAPSHOTS))
    store.visible = store.files()
    previous = ""
    for key in sorted(key for key in store.records if key.startswith(RECORDS)):
        fields = with_events_alone(msgspec.json.decode(store.records[key]))
        if major == 1:
            for name in ("previous", "void_after_us", "replaced", "retired", "rows_removed"):
                del fields[name]
            store.records[key] = msgspec.json.encode({**fields, "major": 1, "gone": fields.pop("lost")})
        else:
            store.records[key] = with_checksum(msgspec.json.encode({**fields, "major": major, "previous": previous}))
            previous = hashlib.sha256(store.records[key]).hexdigest()


def with_events_alone(fields: dict[str, Any]) -> dict[str, Any]:
    """A record's fields without those that other tables than ``events`` brought, and without its checksum."""
    for name in ("sha256", "stages"):
        del fields[name]
    indexes = [index for index, file in enumerate(fields["files"]) if file["table"] == "events"]
    fields["files"] = [fields["files"][index] for index in indexes]
    for entry in fields["sessions"]:
        entry.pop("tables", None)
        entry["files"] = [indexes.index(index) for index in entry.get("files", ()) if index in indexes]
        entry["earlier_files"] = [key for key in entry.get("earlier_files", ()) if key.startswith("events/")]
        for unit in entry.get("units", {}).values():
            unit.pop("row", None)
    return fields


@pytest.mark.parametrize("major", [1, 2])
async def test_a_log_of_an_earlier_version_is_read_and_continued(major: int) -> None:
    """The first record of now carries the checksum of the last one before it, whether that has one of its own or not.

    Its sealed sessions have no rows but of events until they are asked for again.
    """
    service, store = await lake_of(3)
    as_before(store, major)
    state = await read_state(store, SCOPE)
    assert state.stages == {}
    last = numbers_in(store, RECORDS)[-1]
    service.join(service.stages[STAGES[0]]["st-active"], "p", 2)
    await export(service, store, "r9", Request(refetch=True))
    assert lake_rows(store) == service.truth()
    majors = [record.major async for record in records_after(store, SCOPE)]
    assert majors == [major] * last + [3] * (len(majors) - last)
    assert {row["stage_arn"] for row in store.rows("stages")} == set(service.stages)
    assert {row["session_id"] for row in store.rows("sessions")} == {"st-active", "st-0", "st-1", "st-2"}
    key = record_key(str(SCOPE), last)
    store.records[key] = store.records[key].replace(b'"at":"2026', b'"at":"2025')
    by_next = f"does not follow record {last} as it is now"
    await stops(service, store, by_next if major == 1 else f"{last:012d}.json is damaged: it is not what its checksum")


@pytest.mark.parametrize("major", [1, 2])
async def test_a_snapshot_of_an_earlier_version_is_not_built_on(major: int) -> None:
    """It has no checksum, or does not say what tables lack: all records are read once, and a new one is written."""
    service, store = await lake_of(2, past=SNAPSHOT_RECORDS // 2)
    as_before(store, major)
    number = numbers_in(store, RECORDS)[-1]
    old = msgspec.json.encode({"format": "ivs-export commit log", "major": major, "number": number, "sealed": {}})
    store.records[f"{SNAPSHOTS}{number:012d}.json"] = old if major == 1 else with_checksum(old)
    service.calls.clear()
    await export(service, store, "later")
    assert lake_rows(store) == service.truth()
    assert {call[2] for call in service.calls if call[2:]} == {"st-active"}, "nothing that is sealed is asked for"
    assert numbers_in(store, SNAPSHOTS) == [number + 1]


@pytest.mark.parametrize("major", [1, 2])
async def test_a_record_of_an_earlier_version_after_a_newer_one_does_not_fit(major: int) -> None:
    """An older program would refuse the newer record: what wrote that did not read the log."""
    service, store = await lake_of(2)
    last = numbers_in(store, RECORDS)[-1]
    fields = msgspec.json.decode(store.records[record_key(str(SCOPE), last)])
    del fields["sha256"]
    old = msgspec.json.encode({**fields, "major": major, "number": last + 1})
    store.records[record_key(str(SCOPE), last + 1)] = old if major == 1 else with_checksum(old)
    await stops(service, store, f"of version {major} of the commit log, after a record of 3")


async def test_the_program_of_before_refuses_what_is_written_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses by the head of any record or snapshot: a greater major version than the one that it knows."""
    _, store = await lake_of(2, past=SNAPSHOT_RECORDS // 2)
    bodies = {key: body for key, body in store.records.items() if "/lease/" not in key}
    assert {check_head(key, body) for key, body in bodies.items()} == {3}
    monkeypatch.setattr(records, "FORMAT_MAJOR", 2)
    for key, body in bodies.items():
        with pytest.raises(LakeTooNew, match="is of version 3 of the commit log, and this ivs-export reads up to 2"):
            check_head(key, body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_KEY = record_key(str(SCOPE), 1)
_RECORD = msgspec.json.decode(
    encode_record(Record(kind="commit", scope=str(SCOPE), number=1, epoch=1, run_id="r", at="now", latest_us=1))
)
_STATE = msgspec.json.decode(encode_state(ScopeState()))


@settings(max_examples=150, deadline=None)
@given(
    body=st.binary(max_size=80)
    | st.integers(1, 3_000).map(lambda depth: b'{"format":' + b"[" * depth)
    | st.builds(
        lambda whole, name, value: msgspec.json.encode({**whole, name: value}),
        st.sampled_from([_RECORD, _STATE]),
        st.sampled_from(sorted(_RECORD | _STATE)),
        _JSON,
    ),
    is_summed=st.booleans(),
)
def test_whatever_lies_there_is_a_record_or_a_damaged_log(body: bytes, is_summed: bool) -> None:
    """Any bytes, any JSON in any member, with a checksum that is right or not: no other error comes of it."""
    summed = with_checksum(body) if is_summed else body
    for decode in (decode_record, decode_state):
        with suppress(LogDamaged, LakeTooNew):
            decode(_KEY, summed)
