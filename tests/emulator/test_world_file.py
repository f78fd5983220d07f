from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import Emulator, read_world_file, worlds_of

if TYPE_CHECKING:
    from collections.abc import Callable

ARN = "arn:aws:ivs:us-east-1:111122223333:stage/AbCdEfGh"
SESSION = "st-0123456789abc"
#: The page on the emulator shows this world.
DOCS = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
EXAMPLE = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)[0]


def world(**of_stage: Any) -> dict[str, Any]:
    return {"stages": [{"arn": ARN, **of_stage}]}


def session(**more: Any) -> dict[str, Any]:
    return {"sessionId": SESSION, "startTime": "2026-11-23T10:00:00Z", **more}


def participant(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    return world(sessions=[session(participants=[{"participantId": "p", "events": list(events), **more}])])


async def test_what_is_written_is_shown(
    ask: Callable[..., Any], options_of: Callable[..., Any], tmp_path: Path
) -> None:
    """The documented world is answered as it is written, with what follows from it, and details where AWS has them."""
    path = tmp_path / "world.toml"
    path.write_text(EXAMPLE)
    worlds = read_world_file(path)
    assert list(worlds) == [("111122223333", "us-east-1")]
    async with Emulator(options_of(regions=()), worlds) as emulator:
        asker = ask(emulator)
        assert (await asker.page("ListStages"))["stages"] == [
            {"arn": ARN, "name": "town-hall", "tags": {"team": "media"}}
        ]
        ids = {"stageArn": ARN, "sessionId": SESSION}
        host, guest = (await asker.page("ListParticipants", **ids))["participants"]
        assert host == {
            "participantId": "host",
            "userId": "ada",
            "state": "DISCONNECTED",
            "firstJoinTime": "2026-11-23T10:00:05Z",
            "published": True,
            "replicationType": "NONE",
        }
        assert (guest["published"], guest["state"]) == (
            False,
            "DISCONNECTED",
        )  # it never left, but its session has ended
        shown = (await asker.page("GetParticipant", **ids, participantId="host"))["participant"]
        assert shown == {**host, "attributes": {"plan": "free"}, "browserName": "Firefox"}
        events = (await asker.page("ListParticipantEvents", **ids, participantId="guest"))["events"]
        assert events[2] == {
            "participantId": "guest",
            "name": "SUBSCRIBE_ERROR",
            "eventTime": "2026-11-23T10:01:03Z",
            "remoteParticipantId": "host",
            "errorCode": "QUOTA_EXCEEDED",
        }
        assert len(await asker.everything()) == 6


def test_json_says_the_same(tmp_path: Path) -> None:
    """The same world in JSON is the same world, and so is the plain data."""
    plain = json.loads(json.dumps(tomllib.loads(EXAMPLE), default=lambda time: time.isoformat()))
    paths = tmp_path / "world.toml", tmp_path / "world.json"
    paths[0].write_text(EXAMPLE)
    paths[1].write_text(json.dumps(plain))
    shown = [found[("111122223333", "us-east-1")].data for found in (*map(read_world_file, paths), worlds_of(plain))]
    assert shown[0] == shown[1] == shown[2]


def test_what_goes_on_and_what_is_new() -> None:
    """An active session makes its stage active and its people connected, and members of tomorrow are shown."""
    token = {"userId": "u", "expirationTime": "2026-11-23T11:00:00+01:00", "extra": {"claims": [1]}}
    joined = {"name": "JOINED", "eventTime": "2026-11-23T10:00:01.5Z", "extra": {"newField": None}}
    exchanged = {"name": "TOKEN_EXCHANGED", "eventTime": "2026-11-23T10:00:02Z", "newToken": token}
    ((stage,),) = (found.data for found in worlds_of(participant(joined, exchanged, extra={"mood": "good"})).values())
    assert stage["activeSessionId"] == SESSION
    (person,) = stage["sessions"][0]["participants"]
    assert (person["state"], person["mood"], person["firstJoinTime"]) == (
        "CONNECTED",
        "good",
        "2026-11-23T10:00:01.500000Z",
    )
    assert person["events"][0] == {
        "participantId": "p",
        "name": "JOINED",
        "eventTime": "2026-11-23T10:00:01.500000Z",
        "newField": None,
    }
    assert person["events"][1]["newToken"]["claims"] == [1]


def test_worlds_of_several_scopes() -> None:
    """Each account and region that an ARN names has its own stages."""
    other = ARN.replace("111122223333", "444455556666").replace("us-east-1", "eu-west-1")
    found = worlds_of({"stages": [{"arn": ARN}, {"arn": other}, {"arn": ARN + "x"}]})
    assert {scope: [stage["arn"] for stage in each.data] for scope, each in found.items()} == {
        ("111122223333", "us-east-1"): [ARN, ARN + "x"],
        ("444455556666", "eu-west-1"): [other],
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "Expected `object`, got `array`"),
        ({}, "Object missing required field `stages`"),
        (world(sesions=[]), r"stages\[0\]: 'sesions' is no member here; did you mean sessions\?"),
        (world(arn="arn:aws:ivs:us-east-1:1:stage/x"), r"stages\[0\]: arn 'arn:aws.*' is no stage's, such as"),
        ({"stages": [{"arn": ARN}, {"arn": ARN}]}, "stages: arn 'arn:.*' stands there twice"),
        (world(sessions=[session(), session()]), r"stages\[0\]: sessionId 'st-.*' stands there twice"),
        (world(sessions=[session(), session(sessionId="st-abcdefghijklm")]), "more than one session has no endTime"),
        (world(sessions=[session(sessionId="st-1")]), r"stages\[0\].sessions\[0\]: sessionId 'st-1' is refused: .*16"),
        (world(sessions=[session(endTime="2026-11-23T09:00:00Z")]), r"sessions\[0\]: endTime is before startTime"),
        (world(sessions=[session(startTime="2026-11-23T10:00:00")]), r"sessions\[0\].startTime: .*timezone"),
        (world(sessions=[session(startTime="noon")]), r"sessions\[0\].startTime: Invalid RFC3339"),
        (participant(participantId=""), r"participants\[0\]: participantId '' is refused: it is empty"),
        (participant(participantId="a b"), r"participants\[0\]: participantId 'a b' is refused: .*pattern"),
        (participant(state="HERE"), r"participants\[0\].state: Invalid enum value 'HERE'"),
        (participant({"name": "JOINED"}), r"events\[0\]: Object missing required field `eventTime`"),
        (
            participant({"name": "LEFT", "eventTime": "2026-11-23T10:00:00Z", "participantId": "q"}),
            r"participants\[0\].events\[0\]: participantId is not that of its participant",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(values: object, message: str) -> None:
    """The first thing that is wrong is refused, by its section."""
    with pytest.raises(ValueError, match=message):
        worlds_of(values)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("world.toml", b"stages = [", r"world\.toml: .*"),
        ("world.toml", b"\xff", r"world\.toml: .*utf-8"),
        ("world.json", b"{", r"world\.json: Input data was truncated"),
        ("world.json", b"[" * 100_000, r"world\.json: "),
        ("world.json", None, r"world\.json can't be read: No such file"),
    ],
)
def test_a_file_that_can_not_be_read(tmp_path: Path, name: str, text: bytes | None, message: str) -> None:
    """What is no TOML or no JSON is refused by the file's name."""
    if text is not None:
        (tmp_path / name).write_bytes(text)
    with pytest.raises(ValueError, match=message):
        read_world_file(tmp_path / name)
