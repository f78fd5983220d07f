"""Privacy: nothing that is to be hidden of users gets through, wherever AWS or anybody puts it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import EventUnreadable
from exporter.model import Unit
from exporter.normalize.decode import decode
from exporter.normalize.event_model import Token
from exporter.normalize.listed import decode_described, decode_participants, decode_sessions, decode_stages
from exporter.normalize.listed_model import ListedParticipant, ListedSession, ListedStage, ParticipantDetails
from exporter.normalize.privacy import (
    Privacy,
    private_details,
    private_extra,
    private_participant,
    private_token,
)

if TYPE_CHECKING:
    from exporter.normalize.event_model import Decoded

KEY = b"a key that nobody knows"
MARK = "raw-value"
UNIT = Unit("arn:aws:ivs:us-east-1:123456789012:stage/abc", "st-AbCdEfGhIjKlM", "p1")
HASH = Privacy(user_id="hash", attributes="drop", key=KEY)
DROP = Privacy(user_id="drop", attributes="drop")
STRICT = [
    Privacy(user_id="hash", attributes="drop", extra="drop", key=KEY),
    Privacy(user_id="drop", attributes="drop", extra="drop"),
    Privacy(user_id="drop", attributes=frozenset({"kept"}), extra="drop"),
]
PARTICIPANT = ListedParticipant("p", "alice", attributes={"team": "red", "email": "a@b.c"}, extra='{"new":1}')


def hashed(text: str, key: bytes = KEY) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def test_a_user_id_is_kept_hashed_or_dropped() -> None:
    """A hash is the first 32 digits of HMAC-SHA256 under the key; what is absent stays so."""
    assert Privacy().user_id_of("alice") == "alice"
    assert HASH.user_id_of("alice") == hashed("alice") == "438d0ce41c8c547d627297059590b7bb"
    assert DROP.user_id_of("alice") is None
    assert {privacy.user_id_of(None) for privacy in (Privacy(), HASH, DROP)} == {None}


def test_attributes_are_kept_dropped_or_chosen() -> None:
    """Attributes that nobody has listed stay null; of those that are chosen none may be there."""
    pairs = {"team": "red", "email": "a@b.c"}
    assert Privacy().attributes_of(pairs) == pairs
    assert DROP.attributes_of(pairs) is None
    assert Privacy(attributes=frozenset({"team", "other"})).attributes_of(pairs) == {"team": "red"}
    assert Privacy(attributes=frozenset({"other"})).attributes_of(pairs) == {}
    assert Privacy(attributes=frozenset({"other"})).attributes_of(None) is None


def test_each_kind_of_value() -> None:
    """Every value is written with what is hidden of it, and with nothing else changed."""
    stage, session = (ListedStage("a", "n", {"tag": "t"}, '{"userId":1}'), ListedSession("s", extra='{"userId":1}'))
    assert private_extra(DROP, stage) == ListedStage("a", "n", {"tag": "t"})
    assert private_extra(DROP, session) == ListedSession("s")
    assert private_participant(HASH, PARTICIPANT) == ListedParticipant("p", hashed("alice"), extra='{"new":1}')
    details = ParticipantDetails({"team": "red"}, "ISP", extra='{"attributes":{"x":1}}')
    assert private_details(DROP, details) == ParticipantDetails(isp_name="ISP", extra='{"attributes":{}}')
    token = Token(["PUBLISH"], {"team": "red"}, "alice", "2026-11-23T10:15:00Z")
    assert private_token(HASH, token) == Token(["PUBLISH"], None, hashed("alice"), "2026-11-23T10:15:00Z")
    assert private_token(DROP, Token(attributes={})) == Token(attributes=None, user_id=None)


def test_what_keeps_all_changes_nothing() -> None:
    """The default writes what AWS sent, to the byte."""
    keep = Privacy()
    assert keep.keeps_all
    assert private_participant(keep, PARTICIPANT) is PARTICIPANT
    assert keep.extra_of('{"userId": "alice"}') == '{"userId": "alice"}'
    assert keep.reject_of(b'{"b": 1, "a": {"userId": "alice"}}') == b'{"b": 1, "a": {"userId": "alice"}}'


@pytest.mark.parametrize(
    ("extra", "hidden"),
    [
        ('{"userId":7}', {"userId": hashed("7")}),
        ('{"userId":1.50}', {"userId": hashed("1.50")}),
        ('{"userId":"alice"}', {"userId": hashed("alice")}),
        ('{"userId":{"b":1,"a":2}}', {"userId": hashed('{"a":2,"b":1}')}),
        ('{"userId":"\\ud800"}', {"userId": hashed("\ud800")}),
        ('{"userId":null}', {"userId": None}),
        ('{"previousToken.userId":7,"a":1}', {"previousToken.userId": hashed("7"), "a": 1}),
        ('{"previousToken.user_ID":7}', {"previousToken.user_ID": hashed("7")}),
        ('{"a":[[{"userId":"alice"}],1]}', {"a": [[{"userId": hashed("alice")}], 1]}),
        ('{"attributes":{"email":1}}', {"attributes": {}}),
        ('{"attributes":["email"]}', {"attributes": []}),
        ('{"newToken.attributes":"email","a":1}', {"a": 1}),
        ('{"newToken":"eyJhbGciOiJIUzI1NiJ9.e30.x","a":1}', {"a": 1}),
        ('{"newToken":[{"userId":"alice"},"alice",["alice"]]}', {"newToken": [{"userId": hashed("alice")}]}),
        ('{"newToken":{"attributes":{"a":1},"z":2}}', {"newToken": {"attributes": {}, "z": 2}}),
        ('{"userId":"a","userId":"b"}', None),
    ],
)
def test_what_lands_in_extra(extra: str, hidden: dict[str, Any] | None) -> None:
    """Ids and attributes are found under their names, of whatever type, at whatever depth."""
    found = HASH.extra_of(extra)
    assert found is not None
    if hidden is None:
        assert found == f'{{"userId":"{hashed("a")}","userId":"{hashed("b")}"}}'
    else:
        assert json.loads(found) == hidden
    assert Privacy(extra="drop").extra_of(extra) is None


def test_chosen_attributes_are_chosen_in_extra_too() -> None:
    """An attribute that is kept is kept where it is of a wrong type, and holds no user id even so."""
    privacy = Privacy(user_id="drop", attributes=frozenset({"team"}))
    extra = '{"attributes":{"email":1,"team":{"n":2,"userId":"alice"}}}'
    assert privacy.extra_of(extra) == '{"attributes":{"team":{"n":2}}}'
    kept = Privacy(user_id="drop")
    assert kept.extra_of('{"attributes":{"userId":[7]}}') == '{"attributes":{"userId":[7]}}'  # a name that was chosen


def test_what_can_not_be_looked_through_is_not_written() -> None:
    """What is nested too deep, or is no JSON, is dropped: nobody knows what it holds."""
    deep = '{"x":' * 50_000 + '"alice"' + "}" * 50_000
    assert DROP.extra_of(deep) is None
    assert DROP.extra_of("alice") is None
    assert DROP.reject_of(deep.encode()) == b"null"
    assert DROP.reject_of(b"[]") == b"null"


def test_a_reject() -> None:
    """A raw event keeps all but what is hidden; without extra it keeps what has a column."""
    event = (
        b'{"eventTime": "soon", "name": "JOINED", "new": [1], "participantId": 7,'
        b' "newToken": {"userId": "alice", "attributes": {"a": "b"}, "capabilities": ["PUBLISH"], "z": 1.0}}'
    )
    hidden = b'"newToken":{"attributes":{},"capabilities":["PUBLISH"],"userId":"%b"' % hashed("alice").encode()
    assert HASH.reject_of(event) == (
        b'{"eventTime":"soon","name":"JOINED","new":[1],' + hidden + b',"z":1.0},"participantId":7}'
    )
    strict = STRICT[0]
    assert strict.reject_of(event) == b'{"eventTime":"soon","name":"JOINED",' + hidden + b"}}"


def test_a_reject_that_is_no_unicode() -> None:
    """Bytes that are not UTF-8 are written as escapes, as in a row."""
    assert DROP.reject_of(b'{"name": "\xff"}') == b'{"name":"\\udcff"}'


def test_the_key_is_shown_nowhere() -> None:
    """Neither a privacy's text nor its fingerprint holds the key."""
    for text in (repr(HASH), str(HASH), HASH.fingerprint()):
        assert KEY.decode() not in text
        assert KEY.hex() not in text


def test_hashing_needs_a_key() -> None:
    """No key, and no empty one, is no way to hash."""
    for key in (None, b""):
        with pytest.raises(ValueError, match="without a key"):
            Privacy(user_id="hash", key=key)


def test_any_other_mode_or_key_has_another_fingerprint() -> None:
    """What makes other texts of the same users differs; the order of names and an unused key make no difference."""
    others = [
        Privacy(),
        Privacy(user_id="drop"),
        Privacy(user_id="hash", key=KEY),
        Privacy(user_id="hash", key=KEY + b"!"),
        Privacy(attributes="drop"),
        Privacy(attributes=frozenset({"drop"})),
        Privacy(attributes=frozenset()),
        Privacy(attributes=frozenset({"a", "b"})),
        Privacy(attributes=frozenset({'a", "b'})),
        Privacy(extra="drop"),
    ]
    assert len({privacy.fingerprint() for privacy in others}) == len(others)
    assert Privacy(key=KEY).fingerprint() == Privacy().fingerprint() == "user_id=keep attributes=keep extra=keep"
    assert Privacy(attributes=frozenset({"b", "a"})).fingerprint() == others[7].fingerprint()
    assert HASH.fingerprint() == Privacy(user_id="hash", attributes="drop", key=KEY).fingerprint()


# JSON in which each raw value stands under a name that says so, or in a token that is no object.
_clean: st.SearchStrategy[Any] = st.one_of(st.none(), st.booleans(), st.integers(), st.text("xyz", max_size=3))
_marked: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([MARK, f"{MARK}-2"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=2),
        st.dictionaries(st.sampled_from(["a", "userId", MARK]), inner, max_size=2),
    ),
    max_leaves=3,
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    attributes = st.dictionaries(st.sampled_from(["team", MARK]), _marked, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "userId": _marked,
            "newToken.userId": _marked,
            "attributes": st.one_of(attributes, _marked),
            "previousToken": st.one_of(inner, _marked_token(inner)),
            "newToken": st.one_of(inner, _marked_token(inner)),
            "somethingNew": inner,
        },
    )


def _marked_token(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A token, a list of such, or a text that may be anything."""
    return st.one_of(st.just(f"eyJ.{MARK}"), st.lists(st.one_of(inner, st.just(MARK)), max_size=2))


_nested: st.SearchStrategy[Any] = st.recursive(
    _clean, lambda inner: st.one_of(_objects(inner), st.lists(inner, max_size=2)), max_leaves=6
)
_events = st.builds(
    lambda known, odd: known | odd,
    st.fixed_dictionaries(
        {}, optional={"name": st.just("JOINED"), "eventTime": st.sampled_from(["soon", "2026-11-23T10:15:00Z"])}
    ),
    _objects(_nested),
)
_participants = st.builds(lambda odd: {"participantId": "p"} | odd, _objects(_nested))


@st.composite
def _texts(draw: st.DrawFn, objects: st.SearchStrategy[dict[str, Any]]) -> bytes:
    """The JSON text of an object, some of whose members may be written twice."""
    first, second = draw(objects), draw(st.one_of(st.just({}), objects))
    text = json.dumps(first)[:-1] + (", " if first and second else "") + json.dumps(second)[1:]
    return text.encode()


@given(_texts(_events), st.sampled_from([HASH, DROP, *STRICT]))
def test_no_raw_value_of_an_event_gets_through(event: bytes, privacy: Privacy) -> None:
    """Whatever an event is like, what is written of it, as a row or as a reject, holds no raw value."""
    assert MARK.encode() not in privacy.reject_of(event)
    try:
        decoded = decode(UNIT, (b"[%b]" % event,))
    except EventUnreadable:
        return
    assert MARK not in _written(privacy, decoded)


def _written(privacy: Privacy, decoded: Decoded) -> str:
    tokens = [token for own in decoded.events for token in (own.previous_token, own.new_token) if token]
    private = [private_token(privacy, token) for token in tokens]
    return repr(([privacy.extra_of(extra) for extra in decoded.extras.values()], private))


@given(_texts(_participants), st.sampled_from([HASH, DROP, *STRICT]))
def test_no_raw_value_of_a_listing_gets_through(item: bytes, privacy: Privacy) -> None:
    """The same of what is listed and described."""
    for participant in decode_participants(b"[%b]" % item).items:
        assert MARK not in repr(private_participant(privacy, participant))
    for described in decode_described(item).items:
        assert MARK not in repr(private_participant(privacy, described.listed))
        assert MARK not in repr(private_details(privacy, described.details))
    others = item.replace(b'"participantId"', b'"arn": "a", "sessionId"')
    for stage in decode_stages(b"[%b]" % others).items:
        assert MARK not in repr(private_extra(privacy, stage))
    for session in decode_sessions(b"[%b]" % others).items:
        assert MARK not in repr(private_extra(privacy, session))


_anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(_clean, st.just(MARK)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["userId", "attributes", "newToken", "anything", MARK]), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "eventTime": st.just("soon"),
            **dict.fromkeys(["userId", "attributes", "somethingNew", MARK], _anything),
            **dict.fromkeys(["name", "errorCode", "replica"], st.lists(_anything, max_size=2)),
            **dict.fromkeys(["previousToken", "newToken"], _anything),
        },
    ),
    st.sampled_from(STRICT),
)
def test_without_extra_nothing_unknown_gets_through(event: dict[str, Any], privacy: Privacy) -> None:
    """With extra dropped a raw value may stand anywhere where no column is."""
    for name in ("previousToken", "newToken"):
        if isinstance(event.get(name), dict):
            event[name] = {"capabilities": [], "expirationTime": "2026-11-23T10:15:00Z"} | event[name]
    text = json.dumps(event).encode()
    assert MARK.encode() not in privacy.reject_of(text)
    assert MARK not in _written(privacy, decode(UNIT, (b"[%b]" % text,)))


def test_a_value_is_not_changed_in_place() -> None:
    """What is hidden is hidden in a copy: the value itself is compared with others."""
    before = msgspec.json.encode(PARTICIPANT)
    private_participant(HASH, PARTICIPANT)
    assert msgspec.json.encode(PARTICIPANT) == before
