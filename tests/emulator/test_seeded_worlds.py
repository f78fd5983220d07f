from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64

from exporter.emulator import Emulator, Size
from exporter.emulator.world.ids import IdMaker
from exporter.emulator.world.iso_forms import FORM_COUNT, time_text
from exporter.emulator.world.orders import Order, shown_indexes
from exporter.emulator.world.seeded_world import SeededWorld
from exporter.model import Scope, scope_of
from exporter.timestamps import read_us
from tests.support.worlds import world_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What botocore's model `ivs-realtime` 2020-07-14 takes: clients check what they send by it.
SESSION_ID = r"st-[a-zA-Z0-9]{13}"
PARTICIPANT_ID = r"[a-zA-Z0-9-]{1,64}"
SCOPE = Scope("111122223333", "us-east-1")
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
START_US = 1_764_547_200_000_000
#: A week after the start, and time for what was active then to end.
LATER_US = START_US + 9 * DAY_US


def world_of(start_us: int = START_US, **options: Any) -> SeededWorld:
    return SeededWorld(world_options(**options), SCOPE, start_us)


def everything(listing: Any) -> list[Any]:
    items: list[Any] = listing.items(0, listing.count)
    assert len(items) == listing.count
    return items


def item(listing: Any, place: int) -> Any:
    (found,) = listing.items(place, place + 1)
    return found


def units(
    world: SeededWorld, now_us: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[Any]]]:
    """Every (stage, session, participant, events) that there is."""
    for stage in everything(world.stages(now_us)):
        for session in everything(world.sessions(stage["arn"], now_us)):
            for participant in everything(world.participants(stage["arn"], session["sessionId"], now_us)):
                ids = (stage["arn"], session["sessionId"], participant["participantId"])
                yield stage, session, participant, everything(world.events(*ids, now_us))


def reading(text: str) -> int:
    moment_us = read_us(text)
    assert moment_us is not None, text
    return moment_us


@given(
    count=st.integers(0, 60),
    size=st.integers(1, 20),
    order=st.sampled_from(("ascending", "descending", "mixed")),
)
def test_pages_of_any_order_show_each_item_once(count: int, size: int, order: Order) -> None:
    """Cut into pages, each order is a permutation of the whole, and cut or not it is the same."""
    pages = [list(shown_indexes(order, count, first, first + size)) for first in range(0, count, size)]
    shown = [index for page in pages for index in page]
    assert sorted(shown) == list(range(count))
    assert shown == list(shown_indexes(order, count, 0, count))


@given(
    count=st.integers(1, 40),
    more=st.integers(0, 9),
    place=st.integers(0, 40),
    order=st.sampled_from(("ascending", "descending", "mixed")),
)
def test_a_growing_list_hides_nothing(count: int, more: int, place: int, order: Order) -> None:
    """What was read before a list grew, and what is read after it then, holds all that was there before."""
    before = shown_indexes(order, count, 0, place)
    after = shown_indexes(order, count + more, min(place, count), count + more)
    assert set(range(count)) <= {*before, *after}


@given(moment_us=st.integers(0, 4 * 10**15), form=st.integers(0, FORM_COUNT - 1), finer=st.integers(0, 10**6))
def test_each_form_of_a_time_is_that_time(moment_us: int, form: int, finer: int) -> None:
    """Read back, a written time is the moment, cut to the digits of its form."""
    text = time_text(moment_us, form, finer)
    fraction = re.search(r"\.(\d+)", text)
    unit_us = 10 ** max(0, 6 - len(fraction[1] if fraction else ""))
    assert reading(text) == moment_us // unit_us * unit_us


@given(
    stage=st.integers(0, 2**22 - 1),
    session=st.integers(0, 2**24 - 1),
    participant=st.integers(0, 2**24 - 1),
    seed=st.integers(0, 2**64 - 1),
    hostile=st.booleans(),
)
def test_ids_carry_their_indexes(stage: int, session: int, participant: int, seed: int, hostile: bool) -> None:
    """Each id fits the model's pattern and is read back to its indexes; with another last letter it is unknown."""
    ids = IdMaker(SCOPE.account_id, SCOPE.region, seed, hostile)
    arn, session_id = ids.stage_arn(stage), ids.session_id(stage, session)
    participant_id = ids.participant_id(stage, session, participant)
    assert scope_of(arn) == SCOPE
    assert re.fullmatch(SESSION_ID, session_id)
    assert re.fullmatch(PARTICIPANT_ID, participant_id)
    assert ids.stage_of(arn) == stage
    assert ids.session_of(session_id) == (stage, session)
    assert ids.participant_of(participant_id) == (stage, session, participant)
    assert ids.stage_of(arn[:-1] + "-") is None
    assert ids.stage_of(arn.replace(SCOPE.account_id, "999922223333")) is None
    assert ids.session_of(session_id[:-1] + "-") is None
    assert ids.participant_of(participant_id[:-1] + "-") is None


def test_a_world_is_a_function_of_its_seed() -> None:
    """The same options give the same world, down to each byte; another seed or region gives another."""
    listed = [
        [msgspec.json.encode(each) for each in units(world, LATER_US)]
        for world in (
            world_of(seed=5),
            world_of(seed=5),
            world_of(seed=6),
            SeededWorld(world_options(seed=5), Scope("111122223333", "eu-west-1"), START_US),
        )
    ]
    assert listed[0] == listed[1]
    assert listed[0] != listed[2]
    assert listed[0] != listed[3]


@pytest.mark.parametrize(
    ("options", "of_events", "of_all"),
    [
        ({"seed": 5}, "6ef1a3f2d92aee58", "3e29de237aa3a462"),
        (
            {"seed": 811, "hostile": True, "lag_s": 600.0, "retention_days": 3.0, "replicated_share": 1.0},
            "e85fafeb35a34451",
            "4ddbf2f708afd1dd",
        ),
    ],
)
def test_a_seed_stands_for_the_same_world_in_every_release(
    options: dict[str, Any], of_events: str, of_all: str
) -> None:
    """A seed that somebody noted down still shows the same sessions and events, and all else, byte for byte.

    They were noted down when times without a zone were no wish of their own, which `world_of` asks for.
    """
    events_shown, all_shown = xxh3_64(), xxh3_64()
    world = world_of(**options)
    for stage, session, participant, events in units(world, LATER_US):
        ids = (stage["arn"], session["sessionId"], participant["participantId"])
        events_shown.update(msgspec.json.encode((ids, session, events)))
        details = (world.stage(ids[0], LATER_US), world.participant(*ids, LATER_US))
        all_shown.update(msgspec.json.encode((stage, session, participant, details)))
    assert (events_shown.hexdigest(), all_shown.hexdigest()) == (of_events, of_all)


@pytest.mark.parametrize("seed", range(4))
def test_events_read_like_real_use(seed: int) -> None:
    """Whoever leaves has joined before, subscriptions are to another who publishes, and failures have a code."""
    names: Counter[str] = Counter()
    equal = 0
    for _, session, participant, events in units(world_of(seed=seed, stages=6, events=Size(2, 40, 400)), LATER_US):
        times_us = [reading(event["eventTime"]) for event in events]
        assert min(times_us) >= reading(session["startTime"]) - 1_000_000
        assert max(times_us) <= reading(session["endTime"]) + 1_000_000
        own = Counter(event["name"] for event in events)
        assert own["JOINED"] == own["LEFT"] >= 1
        assert bool(own["PUBLISH_STARTED"]) == participant["published"]
        assert own["PUBLISH_STARTED"] == own["PUBLISH_STOPPED"]
        for event in events:
            assert event["participantId"] == participant["participantId"]
            if event["name"].startswith("SUBSCRIBE_ST"):
                assert event["remoteParticipantId"] not in ("", None, participant["participantId"])
            if event["name"].endswith("_ERROR"):
                assert event["errorCode"]
            if event["name"] == "TOKEN_EXCHANGED":
                assert event["previousToken"]["capabilities"]
                assert reading(event["newToken"]["expirationTime"])
        names += own
        equal += len(events) - len({msgspec.json.encode(event) for event in events})
    assert set(names) >= {"SUBSCRIBE_STARTED", "SUBSCRIBE_ERROR", "PUBLISH_ERROR", "JOIN_ERROR", "TOKEN_EXCHANGED"}
    assert equal > 0


def test_absent_values_are_written_in_three_ways() -> None:
    """What an event has no value for is left out, empty or null, and times come in every form."""
    events = [event for *_, events in units(world_of(stages=6), LATER_US) for event in events]
    ways = {repr(event["remoteParticipantId"]) if "remoteParticipantId" in event else "out" for event in events}
    assert {"out", "''", "None"} <= ways
    shapes = {re.sub(r"\d", "0", event["eventTime"]) for event in events}
    assert len(shapes) == FORM_COUNT - 1  # +00:00 and +09:00 are of one shape


def test_a_time_has_a_zone_unless_told() -> None:
    """A world that is not asked for times without a zone shows the same moments, each with its zone."""
    shown = [list(units(world_of(stages=4, zoneless=zoneless), LATER_US)) for zoneless in (False, True)]
    for one, other in zip(*shown, strict=True):
        times = [
            [session["startTime"], session["endTime"], *(event["eventTime"] for event in events)]
            for _, session, _, events in (one, other)
        ]
        assert list(map(reading, times[0])) == list(map(reading, times[1]))
        assert all(re.search(r"(Z|[+-]\d\d:\d\d)$", text) for text in times[0])
    assert msgspec.json.encode(shown[0]) != msgspec.json.encode(shown[1])


def test_a_replica_stands_on_both_stages() -> None:
    """A replicated publisher has a unit of the same id on two stages, each of which names the other."""
    world = world_of(stages=8, sessions=Size(3, 8, 20), replicated_share=1.0)
    found = {
        (stage["arn"], session["sessionId"], participant["participantId"]): (participant, events)
        for stage, session, participant, events in units(world, LATER_US)
    }
    replicas = {ids: each for ids, each in found.items() if each[0]["replicationType"] == "REPLICA"}
    sources = [participant for participant, _ in found.values() if participant["replicationType"] == "SOURCE"]
    assert len(sources) == len(replicas) > 5
    for (arn, session_id, participant_id), (participant, events) in replicas.items():
        assert all(event["replica"] is True for event in events)
        source, there = found[participant["sourceStageArn"], participant["sourceSessionId"], participant_id]
        assert source["replicationType"] == "SOURCE"
        destinations = [
            (event["name"], event["destinationStageArn"], event["destinationSessionId"])
            for event in there
            if event["name"].startswith("REPLICATION_")
        ]
        assert sorted(destinations) == [
            ("REPLICATION_STARTED", arn, session_id),
            ("REPLICATION_STOPPED", arn, session_id),
        ]


def test_a_replication_is_shown_as_it_goes_on() -> None:
    """Between its beginning and its end a replication has begun in the source's events, and has not ended."""
    world = world_of(stages=8, replicated_share=1.0)
    sources = [
        ((stage["arn"], session["sessionId"], participant["participantId"]), events)
        for stage, session, participant, events in units(world, LATER_US)
        if participant["replicationType"] == "SOURCE"
    ]
    assert len(sources) > 3
    for ids, events in sources:
        times_us = {event["name"]: reading(event["eventTime"]) for event in events}
        now_us = (times_us["REPLICATION_STARTED"] + times_us["REPLICATION_STOPPED"]) // 2
        before_us, after_us = times_us["REPLICATION_STARTED"] - 1_000_000, times_us["REPLICATION_STOPPED"] + 1_000_000
        states = [
            [replica["replicationState"] for replica in everything(world.replicas(ids[0], ids[2], moment_us))]
            for moment_us in (before_us, now_us, after_us)
        ]
        assert states == [[], ["ACTIVE"], ["STOPPED"]]
        shown = everything(world.events(*ids, now_us))
        assert sorted(map(str, shown)) == sorted(
            str(event) for event in events if reading(event["eventTime"]) <= now_us
        )
        assert {"REPLICATION_STARTED", "REPLICATION_STOPPED"} & {event["name"] for event in shown} == {
            "REPLICATION_STARTED"
        }
        for now_us in [moment_us + 1_000_000 for moment_us in times_us.values()]:  # written times may be cut to seconds
            assert all(reading(event["eventTime"]) <= now_us for event in everything(world.events(*ids, now_us)))


def test_an_audience_builds_up_and_fades() -> None:
    """Of a great session's viewers few are there early, most in the middle, and few again at the end."""
    world = world_of(stages=1, sessions=Size.fixed(1), participants=Size.fixed(400), active_share=0.0)
    session = everything(world.sessions(everything(world.stages(LATER_US))[0]["arn"], LATER_US))[0]
    start_us, end_us = reading(session["startTime"]), reading(session["endTime"])
    moments_us = [start_us + (end_us - start_us) * tenth // 10 for tenth in range(10)]
    there = [0] * 10
    for *_, events in units(world, LATER_US):
        for event in events:
            change = {"JOINED": 1, "LEFT": -1}.get(event["name"], 0)
            for tenth, moment_us in enumerate(moments_us):
                there[tenth] += change if reading(event["eventTime"]) <= moment_us else 0
    peak = there.index(max(there))
    assert 4 <= peak <= 8
    assert there[1] < there[peak] / 4
    assert there[9] < there[peak] * 0.8


def test_sessions_begin_at_many_hours() -> None:
    """The sessions of a week do not all begin at the same time of day."""
    world = world_of(stages=8, sessions=Size(4, 8, 20), participants=Size.fixed(0))
    sessions = [
        session
        for stage in everything(world.stages(LATER_US))
        for session in everything(world.sessions(stage["arn"], LATER_US))
    ]
    assert len({reading(session["startTime"]) // HOUR_US % 24 for session in sessions}) >= 12


def test_a_world_grows_with_its_clock() -> None:
    """As time passes sessions begin and end, and what was once shown stays, its time not later than the clock."""
    world = world_of(stages=4, lag_s=120.0)
    seen: set[bytes] = set()
    counts = []
    for hours in range(0, 9 * 24, 12):
        now_us = START_US + hours * HOUR_US
        shown = set()
        for stage, session, participant, events in units(world, now_us):
            assert ("endTime" in session) != (stage.get("activeSessionId") == session["sessionId"])
            for event in events:
                assert reading(event["eventTime"]) <= now_us
                ids = (stage["arn"], session["sessionId"], participant["participantId"])
                shown.add(msgspec.json.encode((*ids, event)))
        assert seen <= shown
        seen = shown
        counts.append(len(shown))
    assert counts[0] == 0
    assert len(set(counts)) > 8


def test_the_last_sessions_of_some_stages_are_active() -> None:
    """At the end of the world's days the share of the stages that was asked for has an active session."""
    stages = everything(world_of(stages=9, active_share=0.33, replicated_share=0.0).stages(START_US + 7 * DAY_US))
    assert sum("activeSessionId" in stage for stage in stages) == 3


def test_old_sessions_are_forgotten() -> None:
    """With a retention the old sessions are gone from the list, and unknown by their ids."""
    world = world_of(stages=1, sessions=Size.fixed(10), active_share=0.0, retention_days=3.0)
    now_us = START_US + 7 * DAY_US
    arn = everything(world.stages(now_us))[0]["arn"]
    ends_us = [reading(session["endTime"]) for session in everything(world.sessions(arn, now_us))]
    assert 0 < len(ends_us) < 10
    assert min(ends_us) > now_us - 3 * DAY_US - 1_000_000
    gone = everything(world.sessions(arn, START_US + DAY_US))[0]["sessionId"]
    with pytest.raises(LookupError):
        world.participants(arn, gone, now_us)


async def test_a_hostile_world_keeps_to_the_models_ids(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Free texts hold what breaks careless programs, among them NULs; ids fit the model, and paging shows the truth."""
    async with Emulator(options_of({"hostile": True, "stages": 6})) as emulator:
        shown = await ask(emulator).everything()
        truth = list(emulator.truth().events())
    assert Counter(map(msgspec.json.encode, shown)) == Counter(map(msgspec.json.encode, truth))
    for arn, session_id, participant_id, event in shown:
        assert scope_of(arn) is not None
        assert re.fullmatch(SESSION_ID, session_id)
        assert re.fullmatch(PARTICIPANT_ID, participant_id)
        assert event["participantId"] == participant_id
    text = json.dumps(shown)
    for hostile in ("\\u0000", "../../", "DROP TABLE", "\\n", '\\"quoted\\"'):
        assert hostile in text


def test_hostile_texts_are_huge_now_and_then() -> None:
    """Among some thousand users of a hostile world one has an id of about a megabyte."""
    world = world_of(hostile=True, stages=1, sessions=Size.fixed(1), participants=Size.fixed(5_000))
    arn = everything(world.stages(LATER_US))[0]["arn"]
    session_id = everything(world.sessions(arn, LATER_US))[0]["sessionId"]
    longest = max(len(each.get("userId", "")) for each in everything(world.participants(arn, session_id, LATER_US)))
    assert 900_000 < longest <= 1 << 20


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"participants": Size.fixed(30_000)}, (1, 30_000, 24)),
        ({"sessions": Size.fixed(30_000), "participants": Size.fixed(1)}, (30_000, 1, 24)),
        ({"participants": Size.fixed(1), "events": Size.fixed(1_000_000)}, (1, 1, 1_000_000)),
        ({"participants": Size.fixed(200_000), "events": Size.fixed(100)}, (1, 200_000, 100)),
    ],
)
def test_great_worlds_are_told_without_being_built(sizes: dict[str, Size], expected: tuple[int, int, int]) -> None:
    """Counts and far pages of great lists are there at once, and are whole."""
    great: dict[str, Any] = {"sessions": Size.fixed(1), "events": Size.fixed(24), "active_share": 0.0, **sizes}
    world = world_of(stages=1, **great)
    arn = everything(world.stages(LATER_US))[0]["arn"]
    sessions = world.sessions(arn, LATER_US)
    session_id = item(sessions, sessions.count - 1)["sessionId"]
    participants = world.participants(arn, session_id, LATER_US)
    events = world.events(arn, session_id, item(participants, participants.count // 2)["participantId"], LATER_US)
    assert (sessions.count, participants.count, events.count) == expected
    size = min(100, events.count)
    for first in (0, (events.count - size) // 2, events.count - size):
        assert len(events.items(first, first + size)) == size


def test_a_size_is_drawn_as_said() -> None:
    """Sizes are within their bounds and near their mean, with a heavy tail."""
    size = Size.parse("1:8:5000")
    counts = [size.pick((number + 0.5) / 20_000) for number in range(20_000)]
    assert min(counts) == 1
    assert 7.0 < sum(counts) / len(counts) < 8.5
    assert max(counts) > 200
    assert Size.parse("7").pick(0.99) == 7
    for text in ("", "a", "1:2", "3:2:1", "1:2:3:4", "-1"):
        with pytest.raises(ValueError, match="size"):
            Size.parse(text)
