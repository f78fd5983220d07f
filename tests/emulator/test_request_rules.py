from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import Emulator
from exporter.emulator.protocol.errors import Refusal
from exporter.emulator.protocol.request_rules import read_request

if TYPE_CHECKING:
    from collections.abc import Callable

ARN = "arn:aws:ivs:us-east-1:111122223333:stage/abc"
SESSION = "st-0123456789abc"


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        ("ListStages", b"[]", "not a JSON object"),
        ("ListStages", b"{", "not a JSON object"),
        ("ListStages", b"\xff", "not a JSON object"),
        ("ListStages", b'{"maxResults":0}', "greater than or equal to 1"),
        ("ListStages", b'{"maxResults":101}', "less than or equal to 100"),
        ("ListStages", b'{"maxResults":"100"}', "'maxResults'"),
        ("ListStages", b'{"maxResults":true}', "'maxResults'"),
        ("ListStages", b'{"nextToken":"a b"}', "pattern"),
        ("ListStages", b'{"nextToken":"%s"}' % (b"a" * 1025), "length less than or equal to 1024"),
        ("ListStageSessions", b"{}", "'stageArn'"),
        ("ListStageSessions", b'{"stageArn":null}', "must not be null"),
        ("ListStageSessions", b'{"stageArn":""}', "length greater than or equal to 1"),
        ("ListStageSessions", b'{"stageArn":"arn:aws:ivs:us-east-1:1:channel/a"}', "pattern"),
        ("ListParticipants", b'{"stageArn":"%s","sessionId":"st-1"}' % ARN.encode(), "length"),
        ("ListParticipantEvents", b'{"stageArn":"%s","sessionId":"st-0123456789abc"}' % ARN.encode(), "participantId"),
        ("GetStage", b'{"stageArn":"%s"}' % ARN.encode(), "'arn'"),
        ("GetStageSession", b'{"stageArn":"%s"}' % ARN.encode(), "'sessionId'"),
        ("ListParticipantReplicas", b'{"sourceStageArn":"%s"}' % ARN.encode(), "'participantId'"),
        ("ListTagsForResource", b'{"resourceArn":"abc"}', "pattern"),
        (
            "ListParticipants",
            b'{"stageArn":"%s","sessionId":"st-0123456789abc","filterByState":"GONE"}' % ARN.encode(),
            "enum",
        ),
        (
            "ListParticipants",
            b'{"stageArn":"%s","sessionId":"st-0123456789abc","filterByPublished":true,"filterByUserId":"a"}'
            % ARN.encode(),
            "Only one filterBy",
        ),
    ],
)
def test_what_the_model_forbids_is_refused(operation: str, body: bytes, said: str) -> None:
    """Each violation of botocore's model is a ValidationException that names what is wrong."""
    with pytest.raises(Refusal) as refusal:
        read_request(operation, body)
    assert (refusal.value.status, refusal.value.code) == (400, "ValidationException")
    assert said in refusal.value.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"{}", {}),
        (b'{"maxResults":null,"nextToken":""}', {"nextToken": ""}),
        (b'{"maxResults":100,"future":{"a":1}}', {"maxResults": 100}),
    ],
)
def test_what_the_model_allows_is_read(body: bytes, expected: dict[str, Any]) -> None:
    """Unknown members and nulls are passed over, as AWS does."""
    assert read_request("ListStages", body) == expected


async def test_a_violation_is_answered_400(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Over HTTP a violation is status 400 with AWS's error header."""
    async with Emulator(options_of()) as emulator:
        refusal = await ask(emulator).refusal("ListParticipants", stageArn=ARN, sessionId=SESSION, maxResults=1000)
    assert refusal == (400, "ValidationException")
