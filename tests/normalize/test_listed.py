"""What IVS lists is decoded with nothing lost, and nothing it could list brings the program down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import Malformed
from exporter.normalize import listed as listed_module
from exporter.normalize import members as members_module
from exporter.normalize.listed import decode_described, decode_participants, decode_sessions, decode_stages
from exporter.normalize.listed_model import (
    DescribedParticipant,
    ListedParticipant,
    ListedSession,
    ListedStage,
    ParticipantDetails,
)
from exporter.normalize.members import merged_extra
from exporter.timestamps import read_us

if TYPE_CHECKING:
    from collections.abc import Callable

ARN = "arn:aws:ivs:us-east-1:123456789012:stage/abc"
#: Everything that the newest model has of a participant's summary.
SUMMARY = {
    "participantId": "p1",
    "userId": "alice",
    "state": "DISCONNECTED",
    "firstJoinTime": "2026-11-23T10:15:00.5Z",
    "published": False,
    "recordingState": "STOPPED",
    "replicationType": "SOURCE",
    "replicationState": "ACTIVE",
    "sourceStageArn": ARN,
    "sourceSessionId": "st-2",
    "redundantIngest": True,
    "ingestConfigurationArn": "arn:aws:ivs:us-east-1:123456789012:ingest-configuration/x",
}
DETAILS = {
    "attributes": {"team": "red", "empty": ""},
    "ispName": "ISP",
    "osName": "macOS",
    "osVersion": "15.1",
    "browserName": "Firefox",
    "browserVersion": "140",
    "sdkVersion": "1.2.3",
    "protocol": "WHIP",
    "recordingS3BucketName": "bucket",
    "recordingS3Prefix": "a/b",
}
LISTED = ListedParticipant(
    participant_id="p1",
    user_id="alice",
    first_join_us=1_795_428_900_500_000,
    published=False,
    recording_state="STOPPED",
    replication_type="SOURCE",
    replication_state="ACTIVE",
    source_stage_arn=ARN,
    source_session_id="st-2",
    ingest_configuration_arn="arn:aws:ivs:us-east-1:123456789012:ingest-configuration/x",
    redundant_ingest=True,
)
_COLUMNS = {
    "userId": "user_id",
    "firstJoinTime": "first_join_us",
    "published": "published",
    "recordingState": "recording_state",
    "replicationType": "replication_type",
    "replicationState": "replication_state",
    "sourceStageArn": "source_stage_arn",
    "sourceSessionId": "source_session_id",
    "redundantIngest": "redundant_ingest",
    "ingestConfigurationArn": "ingest_configuration_arn",
}


def _page(*items: Any) -> bytes:
    return json.dumps(items).encode()


def test_all_members_have_their_fields() -> None:
    """What the newest model of the service has is read, but for what is stale when it is read."""
    stage = {"arn": ARN, "name": "Show", "activeSessionId": "st-1", "tags": {"env": "prod"}}
    assert decode_stages(_page(stage)).items == [ListedStage(ARN, "Show", {"env": "prod"})]
    session = {"sessionId": "st-1", "startTime": "2026-11-23T10:15:00Z", "endTime": "2026-11-23T11:15:00Z"}
    expected = ListedSession("st-1", 1_795_428_900_000_000, 1_795_432_500_000_000)
    assert decode_sessions(_page(session)).items == [expected]
    assert decode_participants(_page(SUMMARY)).items == [LISTED]
    assert decode_described(json.dumps(SUMMARY | DETAILS).encode()).items == [
        DescribedParticipant(
            LISTED,
            ParticipantDetails(
                attributes={"team": "red", "empty": ""},
                isp_name="ISP",
                os_name="macOS",
                os_version="15.1",
                browser_name="Firefox",
                browser_version="140",
                sdk_version="1.2.3",
                protocol="WHIP",
                recording_s3_bucket="bucket",
                recording_s3_prefix="a/b",
            ),
        )
    ]


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_texts_are_absent(nothing: str | None) -> None:
    """A member that is null or "" is as good as absent, in every item; an empty map is a map."""
    stage, session = ({"arn": ARN, "name": nothing}, {"sessionId": "s", "startTime": nothing, "endTime": nothing})
    assert decode_stages(_page(stage)).items == decode_stages(_page({"arn": ARN})).items == [ListedStage(ARN)]
    assert decode_sessions(_page(session)).items == [ListedSession("s")]
    participant = {"participantId": "p", **dict.fromkeys(set(SUMMARY) - {"participantId"}, nothing)}
    assert decode_participants(_page(participant)).items == [ListedParticipant("p")]
    described = {"participantId": "p", **dict.fromkeys(DETAILS, nothing)}
    empty = DescribedParticipant(ListedParticipant("p"), ParticipantDetails())
    assert decode_described(json.dumps(described).encode()).items == [empty]
    assert decode_stages(_page({"arn": ARN, "tags": {}})).items == [ListedStage(ARN, tags={})]


def test_what_has_no_column_is_kept_and_named() -> None:
    """Unknown members are kept and reported; what is of a wrong type is kept, and its column is null."""
    odd = {"arn": ARN, "name": 7, "tags": ["x"], "new": {"b": 1e5, "a": None}}
    listed = decode_stages(b"[" + json.dumps(odd).replace("100000.0", "1E+5").encode() + b', {"arn": "b"}]')
    extra = '{"name":7,"new":{"a":null,"b":1E+5},"tags":["x"]}'
    assert listed.items == [ListedStage(ARN, extra=extra), ListedStage("b")]
    assert (listed.flaws, listed.unknown_fields) == ([], ["new"])


def test_the_readable_pairs_of_a_map_stay() -> None:
    """Pairs that are no texts are kept under the map's name, and do not take the others with them."""
    page = b'[{"participantId": "p", "attributes": {"a": "1", "b": 2, "c": null, "d": "x", "d": "y", "\\ud800": "z"}}]'
    (participant,) = decode_participants(page).items
    assert participant.attributes == {"a": "1", "d": "y"}
    assert json.loads(participant.extra or "") == {"attributes": {"b": 2, "c": None, "d": "x", "\ud800": "z"}}


def test_a_member_that_is_written_twice() -> None:
    """The last value stands, the others are kept; also where all of them are of the right type."""
    page = b'[{"participantId": "p", "userId": "a", "userId": "b"}, {"participantId": "q"}]'
    assert decode_participants(page).items == [
        ListedParticipant("p", "b", extra='{"userId":"a"}'),
        ListedParticipant("q"),
    ]


def test_what_is_stale_is_dropped_whatever_it_is() -> None:
    """A state and an active session stand nowhere, of whatever type and however often they come."""
    page = b'[{"participantId": "p", "state": 1, "state": {}}]'
    assert decode_participants(page).items == [ListedParticipant("p")]
    assert decode_stages(b'[{"arn": "a", "activeSessionId": ["s"]}]').items == [ListedStage("a")]


@pytest.mark.parametrize(
    ("end", "unreadable"), [('"soon"', "soon"), ("7.50", "7.50"), ("true", "True"), ("{}", "{…}"), ('["x"]', "[…]")]
)
def test_an_end_that_can_not_be_read_is_no_missing_end(end: str, unreadable: str) -> None:
    """A session whose end can't be read does not look like one that goes on; the end itself is kept."""
    (session,) = decode_sessions(f'[{{"sessionId": "s", "endTime": {end}}}]'.encode()).items
    assert session == ListedSession("s", unreadable_end=unreadable, extra=f'{{"endTime":{end}}}'.replace(" ", ""))


def test_a_start_that_can_not_be_read_is_kept() -> None:
    """A start that is no time is null, and its text is kept."""
    listed = decode_sessions(b'[{"sessionId": "s", "startTime": "2026-02-30T00:00:00Z"}]')
    assert listed.items == [ListedSession("s", extra='{"startTime":"2026-02-30T00:00:00Z"}')]


@pytest.mark.parametrize(
    ("item", "flaw"),
    [
        (b"1", "participants holds something that is none: 'an item is no object'"),
        (b"null", "participants holds something that is none: 'an item is no object'"),
        (b"{}", "ListParticipants gave a participant without an id"),
        (b'{"participantId": ""}', "ListParticipants gave a participant without an id"),
        (b'{"participantId": null}', "ListParticipants gave a participant without an id"),
        (b'{"participantId": 5}', "participants holds something that is none: its participantId is no text"),
        (b'{"participantId": "\\ud83d"}', "participants holds something that is none: its participantId is no text"),
    ],
)
def test_an_item_that_is_none_is_a_flaw_and_hides_no_other(item: bytes, flaw: str) -> None:
    """It is reported, and its neighbours on the page are read."""
    listed = decode_participants(b'[{"participantId": "a"}, %b, {"participantId": "b"}]' % item)
    assert [participant.participant_id for participant in listed.items] == ["a", "b"]
    assert listed.flaws == [flaw]


def test_half_a_surrogate_pair_is_kept() -> None:
    """A text that is not Unicode has no column, and is kept as the escape that it was."""
    page = b'[{"participantId": "a", "userId": "\\ud83d", "recordingState": "\\ud83d\\ude00"}]'
    extra = '{"userId":"\\ud83d"}'
    assert decode_participants(page).items == [ListedParticipant("a", recording_state="\N{GRINNING FACE}", extra=extra)]


def test_what_is_nested_too_deep_is_a_flaw() -> None:
    """An item with more nesting than can be kept is listed without it, and that is reported."""
    deep = b"[" * 150 + b"]" * 150
    listed = decode_participants(b'[{"participantId": "a", "x": %b}, {"participantId": "b"}]' % deep)
    assert listed.items == [ListedParticipant("a"), ListedParticipant("b")]
    assert listed.flaws == ["ListParticipants gave a participant with members nested too deep to be kept: 'a'"]
    text = b'"' + b"[" * 150 + b'"'
    assert decode_participants(b'[{"participantId": "a", "x": %b}]' % text).flaws == []


def test_an_item_of_more_values_than_memory_can_hold_is_a_flaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are counted before they are made."""
    monkeypatch.setattr(members_module, "_VALUES_MAX", 20)
    listed = decode_participants(_page({"participantId": "a", "x": [[]] * 20}, {"participantId": "b"}))
    assert listed.items == [ListedParticipant("b")]
    assert listed.flaws == ["participants holds something that is none: 'an item holds more than 20 values'"]


@pytest.mark.parametrize(
    "page", [b"", b"{}", b"[{]", b"[1", b'[{"sessionId": "\xff"}]', b"[" * 400_000 + b"]" * 400_000, b"[NaN]"]
)
@pytest.mark.parametrize("decode", [decode_stages, decode_sessions, decode_participants])
def test_what_is_no_list_is_malformed(page: bytes, decode: Callable[[bytes], object]) -> None:
    """A page that is no JSON array fails its listing, with the list's name."""
    with pytest.raises(Malformed, match="is no list that can be read"):
        decode(page)


def test_a_page_without_anything_odd_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ordinary page is not looked at item by item, however it is spaced and escaped."""
    monkeypatch.setattr(listed_module, "_pieces", None)
    for page in (_page(SUMMARY, SUMMARY), json.dumps([SUMMARY | {"userId": 'é"\\'}], indent=1).encode()):
        assert decode_participants(page).items


def test_a_waiting_participant_is_small() -> None:
    """Texts that all have are held once, whatever their number."""
    page = _page(*(SUMMARY | {"participantId": f"p{number}"} for number in range(100)))
    items = decode_participants(page).items
    for name in ("recording_state", "replication_type", "source_stage_arn", "ingest_configuration_arn"):
        assert len({id(getattr(item, name)) for item in items}) == 1


_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
_participants = st.fixed_dictionaries(
    {"participantId": st.text(min_size=1, max_size=4)},
    optional={
        **dict.fromkeys(_COLUMNS, _values),
        "userId": st.one_of(st.text(max_size=4), _values),
        "firstJoinTime": st.one_of(st.just("2026-11-23T10:15:00Z"), _values),
        "attributes": st.one_of(st.dictionaries(st.text(max_size=2), st.one_of(st.text(max_size=2), _values)), _values),
        "state": _values,
        "somethingNew": _values,
    },
)


def _found_again(item: dict[str, Any], listed: ListedParticipant) -> dict[str, Any]:
    """The item as its value has it."""
    found: dict[str, Any] = json.loads(listed.extra or "{}")
    for name, own in _COLUMNS.items():
        if (value := getattr(listed, own)) is not None:
            assert name not in found
            found[name] = item[name] if own == "first_join_us" and read_us(item[name]) == value else value
    if listed.attributes is not None:
        found["attributes"] = dict(listed.attributes) | found.get("attributes", {})
    return found


@given(st.lists(_participants, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_nothing_is_lost(items: list[dict[str, Any]], escape: bool, indent: int | None) -> None:
    """Each member of each item is found again, in its column or in extra, as it was; but for what is stale."""
    page = json.dumps(items, ensure_ascii=escape, indent=indent).encode("utf-8", "surrogatepass")
    listed = decode_participants(page)
    assert (len(listed.items), listed.flaws) == (len(items), [])
    for item, value in zip(items, listed.items, strict=True):
        assert value.participant_id == item["participantId"]
        expected = {
            name: own
            for name, own in item.items()
            if name not in {"participantId", "state"} and (name == "somethingNew" or own not in (None, ""))
        }
        assert json.dumps(_found_again(item, value), sort_keys=True) == json.dumps(expected, sort_keys=True)
    assert listed.unknown_fields == ["somethingNew"] * sum("somethingNew" in item for item in items)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    """Whatever a page holds, it is read or refused."""
    for page in (noise, b'[{"participantId":"' + noise + b'"}]', b'[{"participantId":"a","x":' + noise + b"}]"):
        try:
            listed = decode_participants(page)
        except Malformed:
            continue
        assert all(json.loads(item.extra) for item in listed.items if item.extra)


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        (None, None, None),
        ('{"a":1}', None, '{"a":1}'),
        (None, '{"a":1}', '{"a":1}'),
        ('{"a":1,"b":2}', '{"b":2,"c":3}', '{"a":1,"b":2,"c":3}'),
        ('{"a":1.0}', '{"a":1}', '{"a":[1.0,1]}'),
    ],
)
def test_what_two_answers_leave_is_merged(first: str | None, second: str | None, merged: str | None) -> None:
    """What both have stands once, what differs stands in a list: nothing is lost."""
    assert merged_extra(first, second) == merged


def test_values_do_not_change() -> None:
    """Values that wait are shared by tasks, and refuse to be changed."""
    with pytest.raises(AttributeError):
        LISTED.user_id = "bob"  # type: ignore[misc] # that is what is shown
    assert msgspec.structs.replace(LISTED, user_id="bob").user_id == "bob"
