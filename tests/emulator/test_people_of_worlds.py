from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import Size
from exporter.emulator.world.seeded_world import SeededWorld
from exporter.model import Scope
from exporter.timestamps import read_us
from tests.support.worlds import world_options

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
START_US = 1_764_547_200_000_000
#: A week after the start, and time for what was active then to end.
LATER_US = START_US + 9 * DAY_US
BUSY = {"stages": 4, "sessions": Size.fixed(8), "participants": Size(5, 30, 200)}

#: (stage, session, participant as it is listed, the same with its details)
Shown = tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]


def world_of(**options: Any) -> SeededWorld:
    return SeededWorld(world_options(**{**BUSY, **options}), Scope("111122223333", "us-east-1"), START_US)


def everything(listing: Any) -> list[Any]:
    items: list[Any] = listing.items(0, listing.count)
    return items


def participants(world: SeededWorld, now_us: int = LATER_US) -> Iterator[Shown]:
    for stage in everything(world.stages(now_us)):
        for session in everything(world.sessions(stage["arn"], now_us)):
            ids = (stage["arn"], session["sessionId"])
            for listed in everything(world.participants(*ids, now_us)):
                details: Any = world.participant(*ids, listed["participantId"], now_us)
                yield stage, session, listed, details


def micros_of(text: str) -> int:
    moment_us = read_us(text)
    assert moment_us is not None
    return moment_us


def test_people_come_back() -> None:
    """A user id stands for one person, who is in several sessions, and in one session twice at most."""
    names: dict[str, set[str]] = defaultdict(set)
    sessions: dict[str, Counter[str]] = defaultdict(Counter)
    for _, session, _, shown in participants(world_of()):
        if shown.get("userId"):
            assert re.fullmatch(r"[a-z]+\.[a-z]+\d*", shown["userId"])
            sessions[shown["userId"]][session["sessionId"]] += 1
            names[shown["userId"]] |= {shown["attributes"][name] for name in shown["attributes"] if name[:2] == "di"}
    assert all(len(found) <= 1 for found in names.values())
    assert sum(len(found) >= 3 for found in sessions.values()) > len(sessions) / 3
    times = Counter(times for found in sessions.values() for times in found.values())
    assert set(times) == {1, 2}
    assert times[2] < times[1] / 10


def test_some_participants_have_no_user() -> None:
    """A user id may be absent or empty."""
    ways = Counter(listed.get("userId", "absent") for _, _, listed, _ in participants(world_of()))
    assert ways[""] > 10
    assert ways["absent"] > 10


def test_details_add_to_what_is_listed() -> None:
    """GetParticipant shows all that the list shows, and devices as they are in real use."""
    systems: Counter[str] = Counter()
    browsers: Counter[str] = Counter()
    plans: Counter[str] = Counter()
    for _, _, listed, shown in participants(world_of()):
        assert shown.items() >= listed.items()
        assert {"attributes", "ispName", "osName", "sdkVersion", "protocol"} <= set(shown)
        systems[shown["osName"]] += 1
        browsers[shown.get("browserName", "absent")] += 1
        plans[shown["attributes"].get("plan", "none")] += 1
        if shown.get("browserName") == "Safari":
            assert shown["osName"] in {"Mac OS", "iOS", "iPadOS"}
    assert set(systems) > {"Windows", "Mac OS", "iOS", "iPadOS", "Android", "Linux"}
    assert set(browsers) == {"Chrome", "Safari", "Firefox", "Edge", "", "absent"}
    assert browsers.most_common(1)[0][0] == "Chrome"
    assert plans["free"] > plans["plus"] > plans["team"] > 0


def test_what_a_participant_lacks_is_shown_in_three_ways() -> None:
    """A member without a value is absent, empty or null; one who never got in has no time of joining."""
    ways: dict[str, set[str]] = defaultdict(set)
    for _, _, _, shown in participants(world_of(events=Size(1, 4, 9))):
        for name in ("ingestConfigurationArn", "sourceStageArn", "recordingS3BucketName", "firstJoinTime"):
            if not shown.get(name):
                ways[name].add(repr(shown.get(name, "absent")))
    assert ways["ingestConfigurationArn"] == ways["sourceStageArn"] == {"''", "None", "'absent'"}
    assert ways["recordingS3BucketName"] == {"''", "'absent'"}
    assert ways["firstJoinTime"] == {"None", "'absent'"}


def test_some_publishers_come_by_ingest() -> None:
    """Publishers over WHIP, RTMP and RTMPS have an ingest configuration; nobody else has one, nor a protocol."""
    protocols: Counter[str] = Counter()
    redundant: set[bool] = set()
    for _, _, listed, shown in participants(world_of(sessions=Size.fixed(30))):
        protocols[shown["protocol"]] += 1
        assert (shown["protocol"] == "UNKNOWN") is not bool(listed.get("ingestConfigurationArn"))
        if shown["protocol"] != "UNKNOWN":
            assert re.fullmatch(
                r"arn:aws:ivs:us-east-1:111122223333:ingest-configuration/\d{12}", listed["ingestConfigurationArn"]
            )
            redundant.add(listed["redundantIngest"])
    assert set(protocols) == {"UNKNOWN", "WHIP", "RTMP", "RTMPS"}
    assert protocols["UNKNOWN"] > 0.8 * protocols.total()
    assert redundant == {False, True}


def test_recorded_stages_record_their_publishers() -> None:
    """On some stages those who publish are recorded into a folder of their own, and nobody else is."""
    states: dict[str, set[str]] = defaultdict(set)
    for stage, session, listed, shown in participants(world_of(stages=8, sessions=Size.fixed(30))):
        arn = stage["arn"]
        states[arn].add(listed["recordingState"])
        if listed["recordingState"] == "DISABLED":
            continue
        assert listed["published"]
        assert shown["recordingS3BucketName"] == "recordings-of-111122223333"
        folder = f"{arn.rpartition('/')[2]}/{session['sessionId']}/{listed['participantId']}/20"
        assert shown["recordingS3Prefix"].startswith(folder)
    assert set(map(frozenset, states.values())) >= {frozenset({"DISABLED"}), frozenset({"DISABLED", "STOPPED"})}
    assert any("FAILED" in found for found in states.values())


def test_a_recording_goes_on_while_its_publisher_is_there() -> None:
    """A recording starts, is active and stops."""
    world = world_of(active_share=0.0)
    ids, first_us = next(
        ((stage["arn"], session["sessionId"], shown["participantId"]), micros_of(shown["firstJoinTime"]))
        for stage, session, shown, _ in participants(world)
        if shown["recordingState"] == "STOPPED"
    )
    moments_us = (first_us + 2_000_000, first_us + 60_000_000, LATER_US)
    shown: list[Any] = [world.participant(*ids, now_us) for now_us in moments_us]
    assert [details["recordingState"] for details in shown] == ["STARTING", "ACTIVE", "STOPPED"]


def test_stages_change_their_name_or_tags_once() -> None:
    """Of some stages the name, the tags or both are others from one moment on; of the others nothing changes."""
    world = world_of(stages=40, sessions=Size.fixed(1), participants=Size.fixed(0))
    lives: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for hours in range(0, 9 * 24, 3):
        for stage in everything(world.stages(START_US + hours * HOUR_US)):
            lives[stage["arn"]].append((stage["name"], stage.get("tags")))
    changes: Counter[tuple[bool, bool]] = Counter()
    for life in lives.values():
        found = [(a[0] != b[0], a[1] != b[1]) for a, b in pairwise(life) if a != b]
        assert len(found) <= 1
        changes[found[0] if found else (False, False)] += 1
    assert set(changes) == {(False, False), (True, False), (False, True), (True, True)}
    tags = [life[0][1] for life in lives.values()]
    assert {} in tags
    assert None in tags
    assert sum(bool(found) and set(found) == {"team", "environment", "cost-center"} for found in tags) > 20


def test_sessions_go_on_over_midnight() -> None:
    """Some sessions of a week begin on one UTC date and end on another."""
    sessions = {(shown["startTime"], shown["endTime"]) for _, shown, _, _ in participants(world_of())}
    dates = [(micros_of(start) // DAY_US, micros_of(end) // DAY_US) for start, end in sessions]
    assert sum(start != end for start, end in dates) >= 3


HOSTILE = {
    *("userId", "ispName", "osName", "osVersion", "browserName", "browserVersion", "sdkVersion", "protocol"),
    *("recordingState", "recordingS3BucketName", "recordingS3Prefix", "ingestConfigurationArn", "sourceStageArn"),
    *("sourceSessionId", "replicationType", "replicationState"),
}


def test_a_hostile_world_spoils_every_text() -> None:
    """Every free text of participants and stages is hostile somewhere; states and replications keep their sense."""
    spoiled: set[str] = set()
    attributes: set[str] = set()
    stages: set[str] = set()
    for stage, _, listed, shown in participants(world_of(hostile=True, stages=8)):
        assert shown.items() >= listed.items()
        assert listed["state"] in {"CONNECTED", "DISCONNECTED"}
        spoiled |= {name for name, value in shown.items() if isinstance(value, str) and "\x00" in value}
        attributes |= {part for pair in shown["attributes"].items() for part in pair if "\x00" in part}
        stages |= {stage["name"], *stage.get("tags", {}), *stage.get("tags", {}).values()}
    assert spoiled == HOSTILE
    assert attributes
    assert any("\x1b" in text or "DROP" in text for text in stages)
    replicas = [listed for *_, listed, _ in participants(world_of(hostile=True, stages=8, replicated_share=1.0))]
    for listed in replicas:
        if listed["replicationType"] in {"SOURCE", "REPLICA"}:
            assert listed["replicationState"] in {"ACTIVE", "STOPPED"}


@pytest.mark.parametrize("nights", [1, 30])
def test_a_sleepless_stage_has_one_session_for_ever(nights: int) -> None:
    """A sleepless stage has one session from the first moment on, and people come and go on all days."""
    world = world_of(stages=2, participants=Size.fixed(600), days=float(nights), sleepless_share=0.5)
    now_us = START_US + nights * DAY_US
    sleepless, other = sorted(everything(world.stages(START_US)), key=lambda stage: "activeSessionId" not in stage)
    assert "activeSessionId" not in other
    (session,) = everything(world.sessions(sleepless["arn"], now_us))
    assert session["sessionId"] == sleepless["activeSessionId"]
    assert (micros_of(session["startTime"]), "endTime" in session) == (START_US, False)
    assert len(everything(world.sessions(other["arn"], now_us))) == 8
    found = everything(world.participants(sleepless["arn"], session["sessionId"], now_us))
    assert len(found) == 600
    joins = Counter(
        (micros_of(shown["firstJoinTime"]) - START_US) * 10 // (now_us - START_US)
        for shown in found
        if "firstJoinTime" in shown
    )
    assert min(joins[tenth] for tenth in range(10)) > 40
    there = sum(shown["state"] == "CONNECTED" for shown in found)
    assert there < 150
    assert not everything(world.sessions(sleepless["arn"], START_US - 1))
    assert len(everything(world.sessions(sleepless["arn"], now_us + 3_650 * DAY_US))) == 1
