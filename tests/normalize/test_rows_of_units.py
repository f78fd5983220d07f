"""Normalize: many units at once to rows, each unit's as if it were alone."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.lake.partitions import dates_in, of_date
from exporter.lake.tables.events import EVENTS
from exporter.model import FetchedUnit, Session, Unit
from exporter.normalize.columns import Stamp
from exporter.normalize.events import event_rows
from tests.support.page_hashes import page_hashes

STAGE = "arn:aws:ivs:eu-west-1:123456789012:stage/abc"
SESSION = "st-AbCdEfGhIjKlM"
STAMP = Stamp("run-1", 1795428900000000)

_event = st.fixed_dictionaries(
    {"eventTime": st.sampled_from(["2026-11-23T10:15:00Z", "2026-11-24T10:15:00.5", "1969-12-31T23:00:00+00:00"])},
    optional={
        "name": st.sampled_from(["JOINED", "LEFT", "", 7]),
        "errorCode": st.sampled_from(["", "E", None]),
        "replica": st.sampled_from([True, False, None, "x"]),
        "participantId": st.sampled_from(["p0", "p1", ""]),
        "newToken": st.sampled_from([{"userId": "u"}, {}, {"capabilities": [], "attributes": {}}, {"new": 1}, None]),
        "somethingNew": st.integers(0, 1),
    },
)
_unreadable = st.sampled_from([{"name": "JOINED"}, {"eventTime": "soon"}, {"eventTime": 7}])
_pages = st.lists(st.lists(st.one_of(_event, _event, _event, _unreadable), max_size=4), max_size=3)


def _unit(place: int) -> Unit:
    return Unit(STAGE, SESSION, f"p{place}")


def _fetched(unit: Unit, pages: list[list[dict[str, Any]]]) -> FetchedUnit:
    raw = tuple(json.dumps(page).encode() for page in pages)
    return FetchedUnit(unit, Session(unit.stage_arn, unit.session_id), raw, 0)


def _rows(*fetched: FetchedUnit) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = event_rows(fetched, STAMP).rows.to_pylist()
    return rows


def test_a_row_has_every_column() -> None:
    """An event's members, its unit, its scope and the run arrive in their columns."""
    unit = _unit(1)
    event = {
        "name": "REPLICATION_STARTED",
        "participantId": "p1",
        "eventTime": "2026-11-23T10:15:00.5Z",
        "remoteParticipantId": "r",
        "errorCode": "E",
        "destinationStageArn": "d",
        "destinationSessionId": "s",
        "replica": False,
    }
    (row,) = _rows(_fetched(unit, [[event]]))
    assert row == {
        "event_id": page_hashes(unit, json.dumps([event]).encode())[0],
        "event_time": datetime(2026, 11, 23, 10, 15, 0, 500000, tzinfo=UTC),
        "event_name": "REPLICATION_STARTED",
        "account_id": "123456789012",
        "region": "eu-west-1",
        "stage_arn": STAGE,
        "session_id": SESSION,
        "participant_id": "p1",
        "remote_participant_id": "r",
        "error_code": "E",
        "destination_stage_arn": "d",
        "destination_session_id": "s",
        "replica": False,
        "previous_token": None,
        "new_token": None,
        "extra": None,
        "run_id": "run-1",
        "exported_at": datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
    }
    assert list(row) == EVENTS.schema.names


def test_what_botocore_would_drop_arrives() -> None:
    """TOKEN_EXCHANGED with both tokens, an unknown event name and unknown fields all arrive."""
    token = {
        "capabilities": ["SUBSCRIBE", "PUBLISH"],
        "attributes": {"b": "", "a": "1"},
        "userId": "u",
        "expirationTime": "2026-11-23T12:00:00.1234567Z",
    }
    events: list[dict[str, Any]] = [
        {"name": "TOKEN_EXCHANGED", "eventTime": "2026-11-23T10:15:00Z", "previousToken": token, "newToken": {}},
        {"name": "TELEPORTED", "eventTime": "2026-11-23T10:15:01Z", "colour": {"b": 1, "a": 2}},
    ]
    exchanged, teleported = _rows(_fetched(_unit(1), [events]))
    assert exchanged["previous_token"] == {
        "capabilities": ["SUBSCRIBE", "PUBLISH"],
        "attributes": [("b", ""), ("a", "1")],
        "user_id": "u",
        "expiration_time": datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC),
    }
    assert exchanged["new_token"] == dict.fromkeys(token_columns())
    assert teleported["event_name"] == "TELEPORTED"
    assert teleported["extra"] == '{"colour":{"a":2,"b":1}}'
    assert event_rows([_fetched(_unit(1), [events])], STAMP).unknown_fields == {"colour": 1}


def token_columns() -> list[str]:
    """The members of a token's column."""
    return [field.name for field in EVENTS.schema.field("new_token").type]


@given(st.lists(_pages, max_size=5))
def test_a_batch_is_its_units_one_by_one(units: list[list[list[dict[str, Any]]]]) -> None:
    """Rows, counts, failures and unknown names of a batch are those of its units alone, in their order."""
    fetched = [_fetched(_unit(place), pages) for place, pages in enumerate(units)]
    whole = event_rows(fetched, STAMP)
    single = [event_rows([each], STAMP) for each in fetched]
    assert whole.rows.to_pylist() == [row for each in single for row in each.rows.to_pylist()]
    assert whole.slices.units == tuple(each.unit for each in fetched)
    assert whole.slices.counts == [each.rows.num_rows for each in single]
    assert whole.rows.num_rows == whole.slices.row_count
    assert {unit: str(error) for unit, error in whole.unreadable.items()} == {
        unit: str(error) for each in single for unit, error in each.unreadable.items()
    }
    readable = [each.unknown_fields for each in single]
    assert whole.unknown_fields == sum(readable, Counter())


def test_an_unreadable_unit_touches_no_other() -> None:
    """A unit with an event that can't be dated or read fails by name, and the units beside it arrive."""
    good = {"name": "JOINED", "eventTime": "2026-11-23T10:15:00Z"}
    fetched = [
        _fetched(_unit(0), [[good]]),
        _fetched(_unit(1), [[good], [{"name": "JOINED"}]]),
        FetchedUnit(_unit(2), Session(STAGE, SESSION), (b"[7]",), 0),
        _fetched(_unit(3), []),
        _fetched(_unit(4), [[], [good]]),
    ]
    normalized = event_rows(fetched, STAMP)
    assert normalized.slices.counts == [1, 0, 0, 0, 1]
    assert set(normalized.unreadable) == {_unit(1), _unit(2)}
    assert normalized.rows.column("participant_id").to_pylist() == ["p0", "p4"]


def test_a_unit_that_comes_twice_is_refused() -> None:
    """One unit can't stand twice in a batch, since its events would be numbered wrongly."""
    with pytest.raises(ValueError, match="twice"):
        event_rows([_fetched(_unit(0), []), _fetched(_unit(0), [])], STAMP)


def test_nothing_gives_no_rows() -> None:
    """No units give no rows."""
    assert event_rows([], STAMP).rows.num_rows == 0
    assert dates_in(EVENTS, event_rows([], STAMP).rows) == []


def test_held_rows_are_small() -> None:
    """A held row of a usual event takes less than 60 bytes."""
    fetched = [
        _fetched(
            _unit(place),
            [
                [
                    {
                        "name": "JOINED",
                        "eventTime": f"2026-11-23T10:15:{number:02d}Z",
                        "remoteParticipantId": f"r{number}",
                    }
                    for number in range(25)
                ]
            ],
        )
        for place in range(200)
    ]
    rows = event_rows(fetched, STAMP).rows
    assert rows.get_total_buffer_size() < 60 * rows.num_rows


@settings(max_examples=50)
@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), max_size=6))  # noqa: DTZ001 - written without a zone
def test_each_row_goes_to_its_date(moments: list[datetime]) -> None:
    """Rows are split by the UTC date of their event, none is lost, and each date's keep their order."""
    events = [{"name": str(place), "eventTime": moment.isoformat()} for place, moment in enumerate(moments)]
    rows = event_rows([_fetched(_unit(0), [events])], STAMP).rows
    split = {day: of_date(EVENTS, rows, day) for day in dates_in(EVENTS, rows)}
    assert list(split) == sorted(split)
    found = {day: [int(name) for name in part.column("event_name").to_pylist()] for day, part in split.items()}
    expected: dict[date, list[int]] = {}
    for place, moment in enumerate(moments):
        expected.setdefault(moment.date(), []).append(place)
    assert found == expected
    assert all(isinstance(part, pa.RecordBatch) for part in split.values())
