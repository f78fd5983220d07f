from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from exporter.emulator import Emulator, Size
from exporter.emulator.faults.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of each list a client's call would page: three stages with one session, whose 12 participants have 130 events each.
WORLD = {
    "stages": 3,
    "sessions": Size.fixed(1),
    "participants": Size.fixed(12),
    "events": Size.fixed(130),
    "active_share": 0.0,
}


@pytest.fixture
def faulty(options_of: Callable[..., Any]) -> Callable[..., Emulator]:
    """An emulator with these faults."""
    return lambda *faults: Emulator(options_of(WORLD, faults=faults))


async def unit_of(asker: Any) -> dict[str, str]:
    """The ids of some unit."""
    unit = {"stageArn": (await asker.page("ListStages"))["stages"][0]["arn"]}
    unit["sessionId"] = (await asker.page("ListStageSessions", **unit))["stageSessions"][0]["sessionId"]
    unit["participantId"] = (await asker.page("ListParticipants", **unit))["participants"][0]["participantId"]
    return unit


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("throttle", 429, "ThrottlingException"),
        ("throttle code=none retry_after_s=2", 429, "429"),
        ("throttle status=400 code=TooManyRequestsException", 400, "TooManyRequestsException"),
        ("expired_token", 403, "ExpiredTokenException"),
        ("denied", 403, "AccessDeniedException"),
        ("not_found", 404, "ResourceNotFoundException"),
        ("invalid", 400, "ValidationException"),
    ],
)
async def test_a_client_sees_refusals(
    client_of: Callable[..., Any], faulty: Callable[..., Emulator], fault: str, status: int, code: str
) -> None:
    """Each kind of refusal reaches a real client with its status and its code."""
    async with faulty(fault) as emulator, client_of(emulator) as client:
        with pytest.raises(ClientError) as refusal:
            await client.list_stages()
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert refusal.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_error_is_a_page_of_html(
    ask: Callable[..., Any], faulty: Callable[..., Emulator], status: int
) -> None:
    """A server error comes with the status asked for, as a gateway would write it."""
    async with faulty(f"server_error status={status}") as emulator:
        got, headers, body = await ask(emulator).raw("ListStages")
    assert (got, headers["Content-Type"]) == (status, "text/html")
    assert body.startswith(b"<html>")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("empty_body", b""),
        ("empty_object", b"{}"),
        ("not_an_object", b"[]"),
        ("null_list", b'{"stages":null}'),
        ("bad_json", b'{"stages": [{]'),
    ],
)
async def test_a_good_status_may_have_a_bad_body(
    ask: Callable[..., Any], faulty: Callable[..., Emulator], fault: str, expected: bytes
) -> None:
    """Status 200 comes with each of the bodies that are no list."""
    async with faulty(fault) as emulator:
        status, _, body = await ask(emulator).raw("ListStages")
    assert (status, body) == (200, expected)


async def test_a_body_is_html_or_half_json(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """Status 200 comes with a login page, and with half of the right body under the half's length."""
    async with faulty() as emulator:
        asker = ask(emulator)
        _, _, right = await asker.raw("ListStages")
        emulator.faults.replace(["html"])
        assert (await asker.raw("ListStages"))[2].startswith(b"<html>")
        emulator.faults.replace(["cut_json"])
        status, _, half = await asker.raw("ListStages")
    assert (status, half) == (200, right[: len(right) // 2])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", ConnectionClosedError),
        ("cut", (ResponseStreamingError, HTTPClientError)),
        ("silence", ReadTimeoutError),
    ],
)
async def test_a_client_sees_broken_connections(
    client_of: Callable[..., Any],
    faulty: Callable[..., Emulator],
    fault: str,
    error: type[Exception] | tuple[type[Exception], ...],
) -> None:
    """A reset, a body cut short and silence each end a real client's call, and the next call is answered."""
    async with faulty(f"{fault} first=1") as emulator, client_of(emulator, read_timeout_s=0.2) as client:
        with pytest.raises(error):
            await client.list_stages()
        assert len((await client.list_stages())["stages"]) == 3


async def test_a_cut_body_is_shorter_than_said(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """Of a cut answer fewer bytes come than its Content-Length says."""
    async with faulty("cut") as emulator:
        with pytest.raises(aiohttp.ClientPayloadError, match="Not enough data"):
            await ask(emulator).raw("ListStages")


async def test_a_slow_answer_is_waited_for(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Slow answers are right answers after the time said, and delays add up with what follows."""
    waits_s: list[float] = []

    async def note(wait_s: float) -> None:
        waits_s.append(wait_s)

    faults = ("slow seconds=0.25", "slow", "denied")
    async with Emulator(options_of(WORLD, faults=faults), sleep=note) as emulator:
        assert await ask(emulator).refusal("ListStages") == (403, "AccessDeniedException")
        emulator.faults.replace(["slow seconds=3"])
        await ask(emulator).page("ListStages")
    assert waits_s == [0.25, 1.0, 3.0]


async def test_silent_calls_do_not_hold_up_the_end(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """An emulator with a call that it never answers can be stopped."""
    async with faulty("silence") as emulator:
        call = asyncio.create_task(ask(emulator).raw("ListStages"))
        while not emulator.faults.describe()[0]["hits"]:  # noqa: ASYNC110 - the emulator reports it to nobody
            await asyncio.sleep(0)
    with pytest.raises(aiohttp.ClientError):
        await call


async def test_faults_of_paging(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """A token is refused, repeats, never ends, or leads to empty pages first; the first page's own answer is right."""
    async with faulty() as emulator:
        asker = ask(emulator)
        unit = await unit_of(asker)
        right = await asker.whole("ListParticipantEvents", "events", **unit)

        async def pages(fault: str, count: int) -> list[dict[str, Any]]:
            emulator.faults.replace([fault])
            found = [await asker.page("ListParticipantEvents", **unit, maxResults=100)]
            while len(found) < count:
                token = found[-1]["nextToken"]
                found.append(await asker.page("ListParticipantEvents", **unit, maxResults=100, nextToken=token))
            return found

        (first,) = await pages("token_refused", 1)
        token = {"nextToken": first["nextToken"]}
        assert await asker.refusal("ListParticipantEvents", **unit, **token) == (400, "ValidationException")
        assert len({page["nextToken"] for page in await pages("token_repeats", 5)}) == 1
        again = await pages("endless", 9)
        assert len({page["nextToken"] for page in again}) == 9
        assert all(page["events"] for page in again)
        found = await pages("empty_pages", 4)
    assert [len(page["events"]) for page in found] == [0, 100, 0, 30]
    assert [event for page in found for event in page["events"]] == right
    assert "nextToken" not in found[-1]


async def test_how_often_a_fault_hits(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """First, every, times and a chance hit as many calls as they say; the chance hits the same ones in each run."""

    async def statuses(fault: str, calls: int = 12) -> list[int]:
        async with faulty(fault) as emulator:
            return [(await ask(emulator).raw("ListStages", maxResults=1 + number % 2))[0] for number in range(calls)]

    assert await statuses("server_error first=3") == [500] * 3 + [200] * 9
    assert await statuses("server_error every=4") == [200, 200, 200, 500] * 3
    assert await statuses("server_error times=2") == [500] * 2 + [200] * 10
    assert await statuses("server_error operation=ListParticipants") == [200] * 12
    by_chance = await statuses("server_error p=0.5", 60)
    assert 10 < by_chance.count(500) < 50
    assert await statuses("server_error p=0.5", 60) == by_chance


async def test_a_fault_hits_those_it_names(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """A fault for one stage leaves the others alone, and units=K/N takes each unit for exactly one K."""
    async with faulty() as emulator:
        asker = ask(emulator)
        arns = [stage["arn"] for stage in (await asker.page("ListStages"))["stages"]]
        emulator.faults.add(f"denied stage={arns[0].rpartition('/')[2]}")
        statuses = [(await asker.raw("ListStageSessions", stageArn=arn))[0] for arn in arns]
        assert statuses == [403, 200, 200]
        emulator.faults.clear()
        unit = await unit_of(asker)
        hit = []
        for rest in range(3):
            emulator.faults.replace([f"denied units={rest}/3"])
            hit.append((await asker.raw("ListParticipantEvents", **unit))[0])
    assert sorted(hit) == [200, 200, 403]


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.group == "data"])
async def test_the_truth_has_the_same_faults(
    ask: Callable[..., Any], faulty: Callable[..., Emulator], kind: str
) -> None:
    """A fault of the data changes some events, and truth shows them as the API does."""
    async with faulty() as emulator:
        before = Counter(map(msgspec.json.encode, await ask(emulator).everything()))
        emulator.faults.add(f"{kind} p=0.2")
        shown = Counter(map(msgspec.json.encode, await ask(emulator).everything()))
        truth = Counter(map(msgspec.json.encode, emulator.truth().events()))
    assert shown == truth
    changed = (before - shown).total()
    assert 0.1 < changed / before.total() < 0.3


@pytest.mark.parametrize(
    ("kind", "is_as_it_says"),
    [
        ("unknown_fields", lambda event, _: "observedBy" in event),
        ("no_time", lambda event, _: not str(event.get("eventTime")).startswith("2025-")),
        ("foreign_participant", lambda event, unit: event["participantId"] != unit["participantId"]),
    ],
)
async def test_data_faults_do_what_they_say(
    ask: Callable[..., Any],
    faulty: Callable[..., Emulator],
    kind: str,
    is_as_it_says: Callable[[Any, Any], bool],
) -> None:
    """Without a chance the fault is in every event."""
    async with faulty(kind) as emulator:
        unit = await unit_of(ask(emulator))
        events = (await ask(emulator).page("ListParticipantEvents", **unit, maxResults=100))["events"]
    assert len(events) == 100
    assert all(is_as_it_says(event, unit) for event in events)


async def test_faults_take_turns(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """A fault after one that replaced the answer does not count that call."""
    async with faulty("server_error first=1", "throttle first=1") as emulator:
        assert [(await ask(emulator).raw("ListStages"))[0] for _ in range(3)] == [500, 429, 200]


async def test_a_fault_comes_before_the_answer(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """A call for what is not there is throttled as any other."""
    async with faulty("throttle") as emulator:
        arn = "arn:aws:ivs:us-east-1:111122223333:stage/nothing"
        assert await ask(emulator).refusal("ListStageSessions", stageArn=arn) == (429, "ThrottlingException")


async def test_faults_can_be_planned_over_http(ask: Callable[..., Any], faulty: Callable[..., Emulator]) -> None:
    """The endpoint adds, replaces, shows and removes faults, and refuses a bad text with 400."""
    async with faulty() as emulator:
        http, url = ask(emulator).http, f"{emulator.url}/_emulator/faults"

        async def send(method: str, sent: object = None) -> tuple[int, Any]:
            data = b"" if sent is None else json.dumps(sent).encode()
            async with http.request(method, url, data=data) as response:
                return response.status, await response.json()

        assert (await send("POST", {"fault": "denied first=1"}))[0] == 200
        assert await ask(emulator).refusal("ListStages") == (403, "AccessDeniedException")
        _, shown = await send("GET")
        assert shown["faults"] == [{"number": 1, "fault": "denied first=1", "hits": 1}]
        assert set(shown["kinds"]) == set(KINDS)
        assert [each["fault"] for each in (await send("PUT", {"faults": ["slow", "cut"]}))[1]["faults"]] == [
            "slow",
            "cut",
        ]
        status, said = await send("POST", {"fault": "broken"})
        assert status == 400
        assert "no kind 'broken'" in said["error"]
        assert (await send("DELETE"))[1]["faults"] == []
