"""Decoding: nothing of what IVS answers is lost, and nothing it could answer brings the program down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from exporter.errors import EventUnreadable
from exporter.model import Unit
from exporter.normalize import members as members_module
from exporter.normalize.decode import cut, decode

if TYPE_CHECKING:
    from exporter.normalize.event_model import Decoded, Event

UNIT = Unit("arn:aws:ivs:us-east-1:123456789012:stage/abc", "st-AbCdEfGhIjKlM", "p1")
_COLUMNS = {
    "name": "name",
    "participantId": "participant_id",
    "eventTime": "event_time",
    "remoteParticipantId": "remote_participant_id",
    "errorCode": "error_code",
    "destinationStageArn": "destination_stage_arn",
    "destinationSessionId": "destination_session_id",
    "replica": "replica",
}
_TOKEN_COLUMNS = {
    "capabilities": "capabilities",
    "attributes": "attributes",
    "userId": "user_id",
    "expirationTime": "expiration_time",
}
_TOKENS = {"previousToken": "previous_token", "newToken": "new_token"}

_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
_texts = st.one_of(st.text(max_size=5), st.none(), _values)
_tokens = st.one_of(
    _values,
    st.fixed_dictionaries(
        {},
        optional={
            "capabilities": st.one_of(st.lists(st.text(max_size=3), max_size=3), _values),
            "attributes": st.one_of(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3), _values),
            "userId": _texts,
            "expirationTime": st.one_of(st.just("2026-11-23T10:15:00Z"), _texts),
            "somethingNew": _values,
        },
    ),
)
_events = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(_COLUMNS, _texts),
        "participantId": st.one_of(st.just("p1"), _texts),
        "replica": st.one_of(st.booleans(), _values),
        **dict.fromkeys(_TOKENS, _tokens),
        "somethingNew": _values,
        "another": _values,
    },
)


def _decode_text(page: str) -> Decoded:
    return decode(UNIT, (page.encode("utf-8", "surrogatepass"),))


def _missing(value: Any) -> bool:
    return value is None or value == "" or value is UNSET


def _same(left: Any, right: Any) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _is_kept(name: str, value: Any, column: Any, extra: dict[str, Any]) -> bool:
    """Whether the value is in its column or in extra, and not in both."""
    if name in extra:
        return _missing(column) and _same(extra[name], value)
    return _missing(value) if _missing(column) else _same(column, value)


def _is_event_kept(event: dict[str, Any], column: Event, extra: dict[str, Any]) -> bool:
    kept = []
    for name, value in event.items():
        if name in _COLUMNS:
            kept.append(_is_kept(name, value, getattr(column, _COLUMNS[name]), extra))
        elif name in _TOKENS and isinstance(value, dict):
            token = getattr(column, _TOKENS[name])
            for member, inner in value.items():
                path = f"{name}.{member}"
                known = _TOKEN_COLUMNS.get(member)
                kept.append(_is_kept(path, inner, getattr(token, known), extra) if known else _same(extra[path], inner))
        elif name in _TOKENS:
            kept.append(_is_kept(name, value, getattr(column, _TOKENS[name]), extra))
        else:
            kept.append(_same(extra[name], value))
    return all(kept)


@given(st.lists(_events, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_nothing_is_lost(events: list[dict[str, Any]], escape: bool, indent: int | None) -> None:
    """Each member of each event is found again, in its column or in extra, as it was."""
    decoded = _decode_text(json.dumps(events, ensure_ascii=escape, indent=indent))
    assert len(decoded.events) == len(events)
    for place, event in enumerate(events):
        extra = json.loads(decoded.extras.get(place, "{}"))
        assert _is_event_kept(event, decoded.events[place], extra)
        assert set(extra) <= {*event, *(f"{name}.{member}" for name in _TOKENS for member in _members(event.get(name)))}


def _members(token: Any) -> list[str]:
    return list(token) if isinstance(token, dict) else []


@given(st.lists(_events, max_size=4))
def test_a_page_is_read_as_its_events_are(events: list[dict[str, Any]]) -> None:
    """How odd one event is changes nothing in what is read of the others."""
    whole = _decode_text(json.dumps(events))
    single = [_decode_text(json.dumps([event])) for event in events]
    assert whole.events == [event for each in single for event in each.events]
    assert whole.extras == {place: each.extras[0] for place, each in enumerate(single) if each.extras}
    assert whole.unknown_fields == [name for each in single for name in each.unknown_fields]


def test_unknown_members_are_kept_and_named() -> None:
    """Unknown members of events and of tokens are kept under their names, and their names are reported."""
    decoded = _decode_text('[{"name":"A","b":1,"newToken":{"userId":"u","c":[]}},{"name":"B","b":null}]')
    assert decoded.extras == {0: '{"b":1,"newToken.c":[]}', 1: '{"b":null}'}
    assert decoded.unknown_fields == ["b", "newToken.c", "b"]
    assert decoded.events[0].new_token
    assert decoded.events[0].new_token.user_id == "u"


@pytest.mark.parametrize(
    ("event", "extra"),
    [
        ('{"name":7}', '{"name":7}'),
        ('{"replica":"true"}', '{"replica":"true"}'),
        ('{"errorCode":["E"]}', '{"errorCode":["E"]}'),
        ('{"newToken":"opaque"}', '{"newToken":"opaque"}'),
        ('{"newToken":[1]}', '{"newToken":[1]}'),
        ('{"newToken":{"capabilities":["A",null]}}', '{"newToken.capabilities":["A",null]}'),
        ('{"newToken":{"attributes":{"b":"1","a":2}}}', '{"newToken.attributes":{"a":2,"b":"1"}}'),
        ('{"newToken":{"attributes":{"a":"1","a":"2"}}}', '{"newToken.attributes":{"a":"1","a":"2"}}'),
        ('{"previousToken":{"expirationTime":"soon"}}', '{"previousToken.expirationTime":"soon"}'),
        ('{"participantId":"other"}', '{"participantId":"other"}'),
        ('{"name":"\\ud800"}', '{"name":"\\ud800"}'),
        ('{"\\ud800":"\\udc00"}', '{"\\ud800":"\\udc00"}'),
        ('{"x":1e400,"w":-0,"v":123456789012345678901234567890.10}', None),
        ('{"x":' + "9" * 5000 + "}", '{"x":' + "9" * 5000 + "}"),
        ('{"x": {"b" : [ 1.50 , "\\u00e9" ], "a": true}}', '{"x":{"a":true,"b":[1.50,"é"]}}'),
        ('{"x":1,"x":2}', '{"x":[1,2]}'),
        ('{"newToken.x":1,"newToken":{"x":2}}', '{"newToken.x":[1,2]}'),
    ],
)
def test_what_has_no_column_is_kept_as_it_was(event: str, extra: str | None) -> None:
    """What does not fit its column is kept in extra with its digits, and the column stays empty."""
    decoded = _decode_text(f"[{event}]")
    assert decoded.extras[0] == (extra or '{"v":123456789012345678901234567890.10,"w":-0,"x":1e400}')
    assert _missing(decoded.events[0].name)
    assert _missing(decoded.events[0].replica)
    assert _missing(decoded.events[0].participant_id)


@pytest.mark.parametrize(
    "page", ['[{"name":"A","name":"B"}]', '[ {"name": "A", "name": "B"} ]', '[{"name":"A","name":"\\u0042"}]']
)
def test_a_member_written_twice(page: str) -> None:
    """Of a member that is written twice the last stands, and the first is kept."""
    decoded = _decode_text(page)
    assert decoded.events[0].name == "B"
    assert decoded.extras == {0: '{"name":"A"}'}


@pytest.mark.parametrize(
    "text", ["\\u0022", "\\u0022" * 4, '\\"', "\\\\", "\\\\\\u0022", "\\\\\\\\\\u0022x", "\\u005c\\u0022"]
)
@pytest.mark.parametrize("count", [1, 2])
def test_escapes_hide_no_second_writing(text: str, count: int) -> None:
    """A member that is written twice is found however the quotation marks in the texts are escaped."""
    page = '[{"name":"' + text + '"' + ',"errorCode":"x"' * count + "}]"
    assert _decode_text(page).extras == ({} if count == 1 else {0: '{"errorCode":"x"}'})


def test_bytes_that_are_not_unicode_are_kept() -> None:
    """A text with bytes that are not UTF-8 is kept in extra, each such byte as a lone surrogate."""
    decoded = decode(UNIT, (b'[{"name":"A\xff","errorCode":"E"},{"name":"B"}]',))
    assert decoded.extras == {0: '{"name":"A\\udcff"}'}
    assert [event.name or None for event in decoded.events] == [None, "B"]
    assert decoded.events[0].error_code == "E"


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"[null]",
        b'["a"]',
        b"[[]]",
        b'[{"name":"A"},7]',
        b'[{"x":NaN}]',
        b'[{"x":-Infinity}]',
        b'[{"name":"A"}',
        b'[{"name":"A"}]]',
        b'[{"x":"\x01"}]',
        b'[{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        b"[" * 100_000,
    ],
)
def test_what_is_no_list_of_events_fails_its_unit(page: bytes) -> None:
    """A page that is no JSON array of objects is an error of its unit, not a crash."""
    with pytest.raises(EventUnreadable):
        decode(UNIT, (b'[{"name":"A"}]', page))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    """Whatever a page holds, it is read or refused."""
    for page in (noise, b'[{"name":"' + noise + b'"}]', b'[{"x":' + noise + b"}]"):
        try:
            decoded = decode(UNIT, (page,))
        except EventUnreadable:
            continue
        assert all(json.loads(extra) for extra in decoded.extras.values())


@given(st.lists(_events, max_size=6), st.integers(1, 200), st.sampled_from([None, 1]))
def test_a_page_in_pieces_is_the_same_events(events: list[dict[str, Any]], size_bytes: int, indent: int | None) -> None:
    """However small the pieces, they hold the page's events in their order, each piece no more than it must."""
    page = json.dumps(events, indent=indent).encode()
    parts = list(cut(page, size_bytes))
    whole, again = decode(UNIT, (page,)), decode(UNIT, tuple(parts))
    assert (again.events, again.extras) == (whole.events, whole.extras)
    longest = max((len(json.dumps(event, indent=indent).encode()) for event in events), default=0)
    assert indent or all(len(part) <= size_bytes + longest + len(events) + 2 for part in parts)


@pytest.mark.parametrize("page", [b"[{]", b'{"a": 1}', b'["\xff"', b""])
def test_what_cannot_be_cut_stays_whole(page: bytes) -> None:
    """A page that is no list of events is refused when it is read, and not before."""
    assert list(cut(page, 1)) == [page] if page else [b""]


def test_an_event_of_more_values_than_memory_can_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are counted before they are made; what stands in a text is none, however it looks."""
    monkeypatch.setattr(members_module, "_VALUES_MAX", 20)
    page = json.dumps([{"name": "JOINED", "unheardOf": r'[{",,\\"}]' * 20}]).encode()
    (extra,) = decode(UNIT, (page,)).extras.values()
    assert json.loads(extra) == {"unheardOf": r'[{",,\\"}]' * 20}
    with pytest.raises(EventUnreadable, match="more than 20 values"):
        decode(UNIT, (json.dumps([{"unheardOf": [[]] * 10}]).encode(),))
