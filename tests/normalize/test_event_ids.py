"""event_id: as documented, and the same whatever the order and the writing of the answer."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from exporter.errors import EventUnreadable
from exporter.lake.tables.events import VERSION
from exporter.model import Unit
from exporter.normalize.event_id import Destinations, IdentityFields, Tokens, event_id, hashes
from exporter.normalize.event_model import Token
from exporter.normalize.unit_slices import UnitSlices
from tests.support.page_hashes import page_hashes

UNIT = Unit("arn:aws:ivs:us-east-1:123456789012:stage/abc", "st-AbCdEfGhIjKlM", "p1")
_FILE: dict[str, Any] = json.loads((Path(__file__).parent / "event_id_vectors.json").read_text())
_VECTORS: list[dict[str, Any]] = _FILE["vectors"]

_hostile = st.text(st.one_of(st.sampled_from('",[]{}\\nul:0\x00\x1f\n|'), st.characters(codec="utf-8")), max_size=6)
_maybe = st.one_of(st.none(), _hostile.filter(bool))
_tokens = st.one_of(
    st.none(),
    st.builds(
        Token,
        capabilities=st.lists(_hostile, max_size=3),
        attributes=st.dictionaries(_hostile, _hostile, max_size=3),
        user_id=_maybe,
        expiration_time=st.sampled_from([None, "1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z"]),
    ),
)
_identities = st.tuples(
    _maybe,
    st.integers(-5, 5),
    _maybe,
    _maybe,
    _maybe,
    _maybe,
    st.sampled_from([None, False, True]),
    _tokens,
    _tokens,
)
_units = st.builds(Unit, _hostile, _hostile, _hostile)


def _hash(unit: Unit, identity: tuple[Any, ...]) -> int:
    name, time_us, remote, code, stage_arn, session_id, replica, previous, new = ([value] for value in identity)
    destinations, tokens = Destinations(stage_arn, session_id), Tokens(previous, new)
    fields = IdentityFields(name, time_us, remote, code, destinations, replica, tokens)
    (only,) = hashes(UnitSlices.of([(unit, 1)]), fields)
    return only


def _documented_token(token: Token | None) -> list[Any] | None:
    if token is None:
        return None
    expires = {None: None, "1970-01-01T00:00:00Z": 0, "1970-01-01T00:00:01Z": 1_000_000}[token.expiration_time or None]
    attributes = sorted([key, value] for key, value in (token.attributes or {}).items())
    form = [sorted(token.capabilities or []), attributes, token.user_id or None, expires]
    return None if form == [[], [], None, None] else form


def _documented_text(unit: Unit, identity: tuple[Any, ...]) -> bytes:
    """The canonical text as ``docs/event-id.md`` says it, by another JSON writer."""
    *plain, previous, new = identity
    values = [unit.stage_arn, unit.session_id, unit.participant_id, *plain]
    values += [_documented_token(previous), _documented_token(new)]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()


def _signed(digest: int) -> int:
    return digest - 2**64 if digest >= 2**63 else digest


@pytest.mark.parametrize("vector", _VECTORS, ids=lambda vector: str(vector["what"]))
def test_vectors(vector: dict[str, Any]) -> None:
    """Each published vector has its id, by the program and by its canonical text."""
    (found,) = page_hashes(Unit(**vector["unit"]), json.dumps([vector["event"]]).encode())
    assert event_id(found, vector["number"]) == int(vector["event_id"])
    assert found == _signed(xxh3_64_intdigest(vector["canonical"].encode()))


def test_the_file_of_vectors_is_of_this_version() -> None:
    """The vectors are those of the program's version of the algorithm, and there are enough of them."""
    assert _FILE["version"] == VERSION
    assert len(_VECTORS) >= 12


@given(_units, _identities)
def test_the_hash_is_that_of_the_documented_text(unit: Unit, identity: tuple[Any, ...]) -> None:
    """The program hashes what the documentation says, whatever the texts hold."""
    assert _hash(unit, identity) == _signed(xxh3_64_intdigest(_documented_text(unit, identity)))


@given(_units, _units, _identities, _identities)
def test_different_identities_have_different_hashes(
    unit: Unit, other_unit: Unit, identity: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    """Two identities are hashed alike only where they are the same, even if their texts hold quotation marks."""
    same = (unit, *map(_comparable, identity)) == (other_unit, *map(_comparable, other))
    assert (_hash(unit, identity) == _hash(other_unit, other)) == same


@given(_units, _identities, st.data())
def test_texts_that_move_across_a_border_are_told_apart(
    unit: Unit, identity: tuple[Any, ...], data: st.DataObject
) -> None:
    """Two neighbouring texts that are the same one after another, but cut elsewhere, have another hash."""
    joined = data.draw(st.text(st.sampled_from('",[]\\null'), min_size=2, max_size=12))
    cuts = data.draw(st.lists(st.integers(0, len(joined)), min_size=2, max_size=2, unique=True))
    one, two = ((*identity[:2], joined[:cut] or None, joined[cut:] or None, *identity[4:]) for cut in cuts)
    assert _hash(unit, one) != _hash(unit, two)


def _comparable(value: Any) -> Any:
    return _documented_token(value) if isinstance(value, Token) else value


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**40))
def test_later_numbers(event_hash: int, number: int) -> None:
    """A later equal event's id follows from the hash and the number alone, as documented."""
    packed = (event_hash % 2**64).to_bytes(8, "little") + number.to_bytes(8, "little")
    assert event_id(event_hash, number) == _signed(xxh3_64_intdigest(packed))
    assert event_id(event_hash, 0) == event_hash


_TIMES = ("2026-11-23T10:15:00.1Z", "2026-11-23T11:15:00.1000009+01:00", "2026-11-23 10:15:00.10")


@given(
    order=st.permutations(["name", "eventTime", "errorCode", "replica", "newToken", "participantId", "somethingNew"]),
    keys=st.permutations(["a", "b", "c"]),
    capabilities=st.permutations(["A", "B", "C"]),
    time=st.sampled_from(_TIMES),
    participant_id=st.sampled_from([None, "", "p1", "p2", 7]),
    new=st.one_of(st.none(), st.integers(), st.text(max_size=3)),
)
def test_the_writing_of_an_event_does_not_change_its_id(
    *, order: list[str], keys: list[str], capabilities: list[str], time: str, participant_id: object, new: object
) -> None:
    """Neither order, nor the time's form, nor a stray participantId, nor unknown fields change an event's id."""
    token = {"capabilities": capabilities, "attributes": {key: key for key in keys}, "somethingNew": new}
    fields = {
        "name": "JOINED",
        "eventTime": time,
        "errorCode": "",
        "replica": False,
        "newToken": token,
        "participantId": participant_id,
        "somethingNew": new,
    }
    plain = (
        b'[{"eventTime":"2026-11-23T10:15:00.1Z","name":"JOINED","replica":false,'
        b'"newToken":{"capabilities":["A","B","C"],"attributes":{"a":"a","b":"b","c":"c"}}}]'
    )
    page = json.dumps([{name: fields[name] for name in order}]).encode()
    assert page_hashes(UNIT, page) == page_hashes(UNIT, plain)


@pytest.mark.parametrize("field", ["name", "errorCode", "replica", "newToken", "previousToken"])
def test_a_value_of_a_wrong_type_counts_as_absent(field: str) -> None:
    """An identity field of a wrong type is as good as absent for the id."""
    event = {"name": "JOINED", "eventTime": _TIMES[0], field: 7}
    without = {name: value for name, value in event.items() if name != field}
    assert page_hashes(UNIT, json.dumps([event]).encode()) == page_hashes(UNIT, json.dumps([without]).encode())


def test_false_is_not_absent() -> None:
    """The three values of replica are three identities."""
    page = [{"eventTime": _TIMES[0]} | more for more in ({}, {"replica": False}, {"replica": True})]
    assert len(set(page_hashes(UNIT, json.dumps(page).encode()))) == 3


def test_the_hashes_of_a_page_stand_in_its_order() -> None:
    """A page's hashes are in the order of its events, each that of the event alone."""
    events = [{"name": name, "eventTime": _TIMES[0]} for name in "ABC"]
    alone = {event["name"]: page_hashes(UNIT, json.dumps([event]).encode())[0] for event in events}
    for order in permutations(events):
        page = json.dumps(order).encode()
        assert page_hashes(UNIT, page) == [alone[event["name"]] for event in order]
    assert page_hashes(UNIT, b"[]") == []


def test_an_unreadable_page_has_no_hashes() -> None:
    """A page that is no list of events is refused, one with an unreadable time is not."""
    with pytest.raises(EventUnreadable):
        page_hashes(UNIT, b"[7]")
    assert len(page_hashes(UNIT, b'[{"name":"A","eventTime":"soon"}]')) == 1
