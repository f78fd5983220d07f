"""Texts that nobody should trust: they are kept as they are, and none of them becomes part of a path."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from exporter.emulator import Emulator, FixedWorld
from exporter.lake.stores.directory import DirectoryStore
from tests.support.exports import ACCOUNT, REGION, options_of, stage_of
from tests.support.oracle import expected, expected_row, lake_rows
from tests.support.runs import export
from tests.support.service import Service

if TYPE_CHECKING:
    from tests.support.exports import Exports

HOSTILE = [
    "a\nb\r\nc",
    "\"quoted\" 'quoted' \\back\\",
    "../../../../etc/passwd",
    "/etc/passwd",
    "nul\x00in the middle",
    "event_date=2020-01-01/x.parquet",
    "\u202eright to left",
    "😀\U0010ffff",
    "x" * 1_000_000,
]
#: No id is longer than this.
IDS = [*HOSTILE[:-1], "x" * 1_024]
TOO_LONG = "x" * 1_025
STARTED, ENDED, AT = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z", "2026-11-22T10:30:00.25Z"


def hostile_events() -> list[dict[str, Any]]:
    """Every text in every place that an event has for one."""
    events: list[dict[str, Any]] = []
    for text in HOSTILE:
        token = {"userId": text, "attributes": {text: text}, "capabilities": [text], text: text}
        events += [
            {"name": text, "eventTime": AT, "remoteParticipantId": text, "errorCode": text},
            {"name": "JOINED", "eventTime": AT, "destinationStageArn": text, "destinationSessionId": text},
            {"name": "TOKEN_EXCHANGED", "eventTime": AT, "previousToken": token, "newToken": token},
            {"name": "LEFT", "eventTime": AT, text: {text: [text]}, "participantId": text},
        ]
    return events


async def test_hostile_texts_in_every_place(exports: Exports) -> None:
    """What events say is in the lake letter by letter, megabytes of it too, and every file is where it should be."""
    participant = {"participantId": "p1", "userId": HOSTILE[2], "events": hostile_events()}
    session = {"sessionId": "st-0000000000001", "startTime": STARTED, "endTime": ENDED, "participants": [participant]}
    worlds = {(ACCOUNT, REGION): FixedWorld([{"arn": stage_of("one"), "name": HOSTILE[2], "sessions": [session]}])}
    async with Emulator(options_of(), worlds) as emulator:
        exported = await exports.run(emulator)
        assert exported.exit_code == 0
        assert lake_rows(exports.lake) == expected(emulator.truth())
        shown = {text if len(text) <= 200 else text[:200] + "…" for text in HOSTILE}
        assert {text for text in shown if text in exported.summary["unknown_fields"]} == shown


async def test_ids_that_the_service_refuses(exports: Exports) -> None:
    """A listed id that breaks the service's own pattern fails by name, and does its neighbours no harm.

    One that is longer than any id is a flaw of its list.
    """
    event = {"name": "JOINED", "eventTime": AT}
    participants = [{"participantId": name, "events": [event]} for name in ("good", *IDS, TOO_LONG)]
    sessions = [
        {"sessionId": "st-0000000000001", "startTime": STARTED, "endTime": ENDED, "participants": participants},
        {"sessionId": "../../escape", "startTime": STARTED, "endTime": ENDED, "participants": participants},
    ]
    worlds = {(ACCOUNT, REGION): FixedWorld([{"arn": stage_of("one"), "sessions": sessions}])}
    async with Emulator(options_of(), worlds) as emulator:
        exported = await exports.run(emulator)
        session = f"{stage_of('one')}/st-0000000000001"
        units = {f"{session}/{name}" for name in IDS}
        refused = dict.fromkeys(units | {f"{stage_of('one')}/../../escape"}, "refused")
        assert exported.failed == refused | {session: "malformed"}
        assert exported.exit_code == 3
        assert {row[4] for row in lake_rows(exports.lake)} == {"good"}


async def test_a_stage_that_is_none(exports: Exports) -> None:
    """A listed stage whose ARN can't be one is reported, and the others are exported."""
    participants = [{"participantId": "p1", "events": [{"name": "JOINED", "eventTime": AT}]}]
    session = {"sessionId": "st-0000000000001", "startTime": STARTED, "endTime": ENDED, "participants": participants}
    arns = [stage_of("../../escape"), stage_of("one"), "../..", stage_of("two", region="eu-west-1")]
    worlds = {(ACCOUNT, REGION): FixedWorld([{"arn": arn, "sessions": [session]} for arn in arns])}
    async with Emulator(options_of(), worlds) as emulator:
        exported = await exports.run(emulator)
        [failure] = exported.summary["failures"]
        assert (failure["error"], failure["count"]) == ("malformed", 1)
        assert exported.exit_code == 3
        assert {row[2] for row in lake_rows(exports.lake)} == {stage_of("one")}


async def test_hostile_ids_in_the_lake(exports: Exports) -> None:
    """A service that takes any id gets it back in the rows, and no file stands outside the lake's own layout."""
    service, store = Service(), DirectoryStore(exports.lake)
    for text in [*HOSTILE[:-1], "x" * 1_000]:
        service.add(f"st-{text}", events={text: 2, f"../{text}": 1})
    await export(service, store, "run1")
    exports.assert_layout()
    rows = Counter(
        expected_row((stage_arn, session_id, participant_id), event)
        for stage_arn, sessions in service.stages.items()
        for session_id, session in sessions.items()
        for participant_id, participant in session.participants.items()
        for event in participant.events
    )
    assert lake_rows(exports.lake) == rows


async def test_raw_json_that_no_model_foresees(exports: Exports) -> None:
    """Half a surrogate pair, doubled members, huge numbers and deep nesting are kept; what is no event is named."""
    odd = [
        rb'{"name":"JOINED","eventTime":"2026-11-22T10:30:00Z","errorCode":"\ud800","big":12345678901234567890123}',
        b'{"name":"JOINED","name":"LEFT","eventTime":"2026-11-22T10:30:01Z","deep":' + b"[" * 50 + b"]" * 50 + b"}",
    ]
    wrong = [b"7", b'"text"', b"null", b"[]"]
    participants = [{"participantId": "odd", "events": odd}]
    participants += [{"participantId": f"wrong{place}", "events": [each]} for place, each in enumerate(wrong)]
    session = {"sessionId": "st-0000000000001", "startTime": STARTED, "endTime": ENDED, "participants": participants}
    worlds = {(ACCOUNT, REGION): FixedWorld([{"arn": stage_of("one"), "sessions": [session]}])}
    async with Emulator(options_of(), worlds) as emulator:
        exported = await exports.run(emulator)
        names = {f"{stage_of('one')}/st-0000000000001/wrong{place}" for place in range(len(wrong))}
        assert exported.failed == dict.fromkeys(names, "event_unreadable")
        extras = {row[6]: msgspec.json.decode(row[-1].replace("\\ud800", "half")) for row in lake_rows(exports.lake)}
        assert extras["JOINED"].keys() == {"errorCode", "big"}
        assert extras["LEFT"].keys() == {"name", "deep"}
