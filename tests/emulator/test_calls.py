from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from exporter.emulator import Emulator, FixedWorld, QuotaOptions, Size
from exporter.emulator.protocol.request_rules import ANSWER_MEMBERS, LISTS, OF_NOTHING, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable


#: What writing operations need beside ARNs.
EXAMPLES: dict[str, Any] = {"tags": {}, "tagKeys": ["team"], "s3": {"bucketName": "abc"}, "destinations": [{}]}
EXAMPLES |= {"participantId": "p", "publicKeyMaterial": "x", "ingestProtocol": "RTMP"}


def counted(events: Any) -> Counter[bytes]:
    return Counter(msgspec.json.encode(event) for event in events)


async def test_a_real_client_gets_what_each_call_answers(
    client_of: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """aioboto3 reads stages, sessions, participants, a participant and its events, with their times as times."""
    async with Emulator(options_of()) as emulator, client_of(emulator) as client:
        stage = (await client.list_stages())["stages"][0]
        arn = {"stageArn": stage["arn"]}
        session = (await client.list_stage_sessions(**arn))["stageSessions"][0]
        ids = {**arn, "sessionId": session["sessionId"]}
        listed = (await client.list_participants(**ids))["participants"][0]
        unit = {**ids, "participantId": listed["participantId"]}
        shown = (await client.get_participant(**unit))["participant"]
        events = (await client.list_participant_events(**unit))["events"]
    assert isinstance(session["startTime"], datetime)
    assert shown.items() >= listed.items()
    assert isinstance(shown["attributes"], dict)
    assert {event["participantId"] for event in events} == {listed["participantId"]}
    assert all(isinstance(event["eventTime"], datetime) for event in events)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("page_size", [7, 100])
async def test_paging_shows_the_truth(
    ask: Callable[..., Any], options_of: Callable[..., Any], seed: int, page_size: int
) -> None:
    """Every event of the truth, and no other, comes from paging through all lists."""
    async with Emulator(options_of({"seed": seed, "stages": 4})) as emulator:
        shown = await ask(emulator).everything(page_size)
        truth = list(emulator.truth().events())
    assert len(truth) > 100
    assert counted(shown) == counted(truth)


async def test_a_page_holds_fifty_unless_told(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Without maxResults a page holds 50 items."""
    async with Emulator(options_of({"stages": 120, "sessions": Size.fixed(0)})) as emulator:
        pages = [await ask(emulator).page("ListStages", **size) for size in ({}, {"maxResults": 100})]
    assert [len(page["stages"]) for page in pages] == [50, 100]


@pytest.mark.parametrize(
    ("name", "value", "member"),
    [
        ("filterByState", "DISCONNECTED", "state"),
        ("filterByState", "CONNECTED", "state"),
        ("filterByPublished", True, "published"),
        ("filterByPublished", False, "published"),
    ],
)
async def test_a_filter_keeps_what_fits(
    ask: Callable[..., Any], options_of: Callable[..., Any], name: str, value: object, member: str
) -> None:
    """ListParticipants shows exactly the participants that fit its one filter, over several pages."""
    world = {"stages": 1, "sessions": Size.fixed(1), "participants": Size.fixed(60), "active_share": 1.0}
    async with Emulator(options_of(world)) as emulator:
        stage = (await ask(emulator).page("ListStages"))["stages"][0]
        ids = {"stageArn": stage["arn"], "sessionId": stage["activeSessionId"]}
        everyone = await ask(emulator).whole("ListParticipants", "participants", **ids)
        kept = await ask(emulator).whole("ListParticipants", "participants", **ids, **{name: value}, maxResults=4)
    assert kept == [each for each in everyone if each[member] == value]
    assert 0 < len(kept) < len(everyone)


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [("not_found", (404, "ResourceNotFoundException")), ("denied", (403, "AccessDeniedException"))],
)
async def test_unknown_ids_are_refused(
    ask: Callable[..., Any], options_of: Callable[..., Any], unknown: str, expected: tuple[int, str]
) -> None:
    """A stage, session or participant that the world lacks is answered as the options say."""
    async with Emulator(options_of(unknown=unknown)) as emulator:
        stages = (await ask(emulator).page("ListStages"))["stages"]
        arn, other = stages[0]["arn"], stages[1]["arn"]
        sessions = (await ask(emulator).page("ListStageSessions", stageArn=arn))["stageSessions"]
        session_id = sessions[0]["sessionId"]
        refusals = [
            await ask(emulator).refusal("ListStageSessions", stageArn=arn + "x"),
            await ask(emulator).refusal("ListParticipants", stageArn=other, sessionId=session_id),
            await ask(emulator).refusal(
                "ListParticipantEvents", stageArn=arn, sessionId=session_id, participantId="nobody"
            ),
            await ask(emulator).refusal("GetParticipant", stageArn=arn, sessionId=session_id, participantId=""),
        ]
    assert refusals == [expected] * 4


async def test_unknown_ids_may_have_empty_lists(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """With the option "empty" an unknown session has no participants, and is no error."""
    async with Emulator(options_of(unknown="empty")) as emulator:
        arn = (await ask(emulator).page("ListStages"))["stages"][0]["arn"]
        page = await ask(emulator).page("ListParticipants", stageArn=arn, sessionId="st-0123456789abc")
    assert page == {"participants": []}


async def test_another_scope_is_denied(client_of: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """An ARN of another account or region is denied, in AWS's form."""
    async with Emulator(options_of(regions=("us-east-1", "eu-west-1"))) as emulator, client_of(emulator) as client:
        arn = (await client.list_stages())["stages"][0]["arn"]
        for foreign in (arn.replace("111122223333", "999922223333"), arn.replace("us-east-1", "eu-west-1")):
            with pytest.raises(ClientError, match="AccessDeniedException"):
                await client.list_stage_sessions(stageArn=foreign)


async def test_every_answer_has_an_id_and_the_emulators_date(
    ask: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """Good answers and refusals carry a request id of their own, and the simulated time as Date."""
    async with Emulator(options_of(error_type_url=True)) as emulator:
        answers = [await ask(emulator).raw("ListStages"), await ask(emulator).raw("ListStageSessions")]
    assert [status for status, _, _ in answers] == [200, 400]
    assert len({headers["x-amzn-RequestId"] for _, headers, _ in answers}) == 2
    assert {headers["Date"] for _, headers, _ in answers} == {"Mon, 01 Dec 2025 00:00:00 GMT"}
    assert answers[1][1]["x-amzn-ErrorType"].startswith("ValidationException:http")


async def test_an_unknown_operation_is_refused(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """What AWS does not have is answered 404, in the words of whoever stands before the service."""
    async with Emulator(options_of()) as emulator:
        for operation in ("ListSecrets", "ListTagsForResource", "liststages", "tags"):
            assert await ask(emulator).refusal(operation) == (404, "UnknownOperationException")


async def test_what_would_change_something_is_denied(
    client_of: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """Each operation of AWS's that only reads is answered; each other one is denied, as by a policy that only reads."""
    async with Emulator(options_of()) as emulator, client_of(emulator) as client:
        model = client.meta.service_model
        assert {name for name in model.operation_names if name.startswith(("List", "Get"))} == set(OPERATIONS)
        for name in set(model.operation_names) - set(OPERATIONS):
            members = model.operation_model(name).input_shape.required_members
            call = getattr(client, xform_name(name))
            with pytest.raises(ClientError, match="AccessDeniedException"):
                await call(
                    **{member: EXAMPLES.get(member, "arn:aws:ivs:us-east-1:111122223333:x/y") for member in members}
                )


async def test_what_no_world_has(client_of: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Compositions, keys and configurations are lists of nothing, and none that is looked up is found."""
    async with Emulator(options_of()) as emulator, client_of(emulator) as client:
        for name in OF_NOTHING:
            call = getattr(client, xform_name(name))
            if name in LISTS:
                assert (await call(maxResults=3))[ANSWER_MEMBERS[name]] == []
            else:
                kind = xform_name(name.removeprefix("Get")).replace("_", "-")
                with pytest.raises(ClientError, match="ResourceNotFoundException") as refused:
                    await call(arn=f"arn:aws:ivs:us-east-1:111122223333:{kind}/AbCdEfGh")
                assert refused.value.response["exceptionMessage"] == f"{name.removeprefix('Get')} not found"


async def test_a_real_client_looks_things_up(client_of: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """aioboto3 reads a stage, a session and a stage's tags by their ids, as the lists show them."""
    async with Emulator(options_of({"stages": 12})) as emulator, client_of(emulator) as client:
        for stage in (await client.list_stages())["stages"]:
            arn = stage["arn"]
            shown = (await client.get_stage(arn=arn))["stage"]
            assert shown.items() >= stage.items()
            assert "storageConfigurationArn" in shown["autoParticipantRecordingConfiguration"]
            assert shown["endpoints"]["whip"].startswith("https://")
            assert (await client.list_tags_for_resource(resourceArn=arn))["tags"] == stage.get("tags", {})
            for session in (await client.list_stage_sessions(stageArn=arn))["stageSessions"]:
                ids = {"stageArn": arn, "sessionId": session["sessionId"]}
                assert (await client.get_stage_session(**ids))["stageSession"] == session
        assert set(emulator.calls.granted) >= {"GetStage", "GetStageSession", "ListTagsForResource"}


async def test_replicas_are_listed_from_their_source(
    client_of: Callable[..., Any], options_of: Callable[..., Any]
) -> None:
    """ListParticipantReplicas shows where each replica of the lists is, and nothing for one who has none."""
    world = {"stages": 8, "sessions": Size(3, 8, 20), "replicated_share": 1.0}
    found, listed = 0, 0
    async with Emulator(options_of(world)) as emulator, client_of(emulator) as client:
        for unit, _ in emulator.truth().units():
            ids = {"stageArn": unit.stage_arn, "sessionId": unit.session_id, "participantId": unit.participant_id}
            shown = (await client.get_participant(**ids))["participant"]
            if shown["replicationType"] == "REPLICA":
                listed += 1
            else:
                source = {"sourceStageArn": unit.stage_arn, "participantId": unit.participant_id}
                pages = client.get_paginator("list_participant_replicas").paginate(**source)
                replicas = [replica async for page in pages for replica in page["replicas"]]
                assert bool(replicas) is (shown["replicationType"] == "SOURCE" and "replicationState" in shown)
                for replica in replicas:
                    found += 1
                    there = {
                        "stageArn": replica["destinationStageArn"],
                        "sessionId": replica["destinationSessionId"],
                        "participantId": unit.participant_id,
                    }
                    other = (await client.get_participant(**there))["participant"]
                    assert replica == {
                        **source,
                        "sourceSessionId": unit.session_id,
                        "destinationStageArn": there["stageArn"],
                        "destinationSessionId": there["sessionId"],
                        "replicationState": other["replicationState"],
                    }
    assert found == listed > 3


async def test_replicas_come_fifty_a_page(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """A page of replicas holds 50 at most, and the replicas of a scripted world are those that name their source."""
    source, session_id = "arn:aws:ivs:us-east-1:111122223333:stage/source", "st-0123456789abc"
    replica = {"participantId": "p", "replicationType": "REPLICA", "replicationState": "ACTIVE"}
    replica |= {"sourceStageArn": source, "sourceSessionId": session_id}
    stages = [{"arn": source, "sessions": [{"sessionId": session_id, "participants": [{"participantId": "p"}]}]}]
    for number in range(70):
        session = {"sessionId": session_id, "participants": [replica, {**replica, "participantId": "q"}]}
        stages.append({"arn": f"{source}-{number}", "sessions": [session]})
    async with Emulator(options_of(), {("111122223333", "us-east-1"): FixedWorld(stages)}) as emulator:
        asker, ids = ask(emulator), {"sourceStageArn": source, "participantId": "p"}
        assert await asker.refusal("ListParticipantReplicas", **ids, maxResults=51) == (400, "ValidationException")
        assert len((await asker.page("ListParticipantReplicas", **ids))["replicas"]) == 50
        shown = await asker.whole("ListParticipantReplicas", "replicas", **ids)
    assert [item["destinationStageArn"] for item in shown] == [f"{source}-{number}" for number in range(70)]


LOOKUPS: dict[str, dict[str, Any]] = {
    "get_stage": {"arn": "{arn}"},
    "get_stage_session": {"stageArn": "{arn}", "sessionId": "st-0123456789abc"},
    "get_participant": {"stageArn": "{arn}", "sessionId": "st-0123456789abc", "participantId": "p"},
    "list_participant_replicas": {"sourceStageArn": "{arn}", "participantId": "p"},
    "list_tags_for_resource": {"resourceArn": "{arn}"},
}


@pytest.mark.parametrize("call", LOOKUPS)
async def test_a_lookup_is_refused_as_aws_does(
    client_of: Callable[..., Any], options_of: Callable[..., Any], call: str
) -> None:
    """What is not there is not found, what is another account's is denied, and so is all that a policy forbids."""
    own, foreign = (f"arn:aws:ivs:us-east-1:{account}:stage/nothing" for account in ("111122223333", "999922223333"))
    operation = "".join(part.title() for part in call.split("_"))
    emulated = Emulator(options_of(quota=QuotaOptions()), monotonic_s=lambda: 0.0)
    async with emulated as emulator, client_of(emulator) as client:

        async def refusal(arn: str) -> tuple[int, str]:
            members = {name: value.format(arn=arn) for name, value in LOOKUPS[call].items()}
            with pytest.raises(ClientError) as refused:
                await getattr(client, call)(**members)
            response = refused.value.response
            return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]

        assert await refusal(own) == (404, "ResourceNotFoundException")
        assert await refusal(foreign) == (403, "AccessDeniedException")
        emulator.faults.add(f"denied operation={operation}")
        assert await refusal(own) == (403, "AccessDeniedException")
        answers = [await refusal(own) for _ in range(3)]
        assert answers == [(403, "AccessDeniedException")] * 2 + [(429, "ThrottlingException")]
        await client.list_stages()
