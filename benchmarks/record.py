"""What the emulator saw of a run, by its own record; and another client of the account, that draws on its quota."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

REGION = "us-east-1"
EVENTS = "ListParticipantEvents"
DETAILS = "GetParticipant"
_TOO_MANY = 429
_POLL_S = 0.05
_FIRST_CALL_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The calls of one operation. Times are seconds since the emulator's start.

    ``slots`` are the calls that its quota allowed between the first and the last that it granted, the burst among them.
    """

    calls: int = 0
    granted: int = 0
    throttled: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    slots: float = 0.0
    by_second: dict[int, int] = field(default_factory=dict)

    def granted_from(self, start_s: int, seconds: int) -> int:
        """The calls that were granted in so many whole seconds."""
        return sum(self.by_second.get(second, 0) for second in range(start_s, start_s + seconds))

    @property
    def standstill_s(self) -> int:
        """The most whole seconds without a granted call, one after another, from the first call to the last."""
        still = longest = 0
        for second in range(int(self.first_s), int(self.last_s) + 1):
            still = 0 if self.by_second.get(second) else still + 1
            longest = max(longest, still)
        return longest


def seen(url: str) -> dict[str, Seen]:
    """The calls by operation, of an emulator with one account and one region."""
    return {
        bucket["operation"]: Seen(
            bucket["calls"],
            bucket["granted"],
            bucket["throttled"],
            bucket["first_s"] or 0.0,
            bucket["last_s"] or 0.0,
            bucket["slots"],
            dict(bucket["granted_by_second"]),
        )
        for bucket in _get(url, "quota")["buckets"]
    }


def events_seen(url: str) -> Seen:
    """The calls for events."""
    return seen(url).get(EVENTS, Seen())


class Page(NamedTuple):
    """A page of a list; of a list that is not below a session or a participant, these are empty."""

    operation: str
    stage: str
    session: str
    participant: str
    offset: int


@dataclass(slots=True)
class Times:
    """How often a page was asked for by a call that the quota granted, and how often it was answered whole."""

    asked: int = 0
    answered: int = 0


def pages_seen(url: str) -> dict[Page, Times]:
    """The pages that were asked for."""
    pages: dict[Page, Times] = defaultdict(Times)
    for entry in _get(url, "calls")["pages"]:
        times = pages[Page(*(entry[name] for name in Page._fields))]
        times.asked += entry["asked"]
        times.answered += entry["answered"]
    return dict(pages)


def hits(url: str, kind: str) -> int:
    """How many calls met the faults of a kind."""
    return sum(each["hits"] for each in _get(url, "faults")["faults"] if each["fault"].split()[0] == kind)


def events_by_unit(url: str) -> Counter[tuple[str, str, str]]:
    """How many events there are of each participant, by stage, session and participant."""
    counted: Counter[tuple[str, str, str]] = Counter()
    with urllib.request.urlopen(f"{url}/_emulator/truth") as answer:  # noqa: S310 - our own emulator
        for line in answer:
            event = json.loads(line)
            counted[event["stage_arn"], event["session_id"], event["participant_id"]] += 1
    return counted


def await_call(url: str, operation: str | None = None) -> float:
    """Wait for the first call (of one operation), and say when it came, on this process's monotonic clock.

    Raises TimeoutError where none comes.
    """
    began_s = time.monotonic()
    while time.monotonic() < began_s + _FIRST_CALL_S_MAX:
        found = seen(url)
        if operation in found or (operation is None and found):
            return time.monotonic()
        time.sleep(_POLL_S)
    raise TimeoutError(f"no call came in {_FIRST_CALL_S_MAX:g} s")


@dataclass(slots=True)
class Drawn:
    """What another client got."""

    granted: int = 0
    throttled: int = 0


def draw(url: str, calls_per_second: float, seconds: float) -> Drawn:
    """Ask for one unit's events again and again, as a dashboard would: signed calls, evenly spread, none repeated."""
    return asyncio.run(_draw(url, calls_per_second, seconds))


async def _draw(url: str, calls_per_second: float, seconds: float) -> Drawn:
    stage_arn, session_id, participant_id = next(iter(events_by_unit(url)))
    session = aioboto3.Session("emulator", "emulator", region_name=REGION)
    config = AioConfig(retries={"total_max_attempts": 1})
    drawn, calls = Drawn(), round(calls_per_second * seconds)
    async with session.client("ivs-realtime", endpoint_url=url, config=config) as client:
        began_s = time.monotonic()
        for number in range(calls):
            await asyncio.sleep(began_s + number / calls_per_second - time.monotonic())
            try:
                await client.list_participant_events(
                    stageArn=stage_arn, sessionId=session_id, participantId=participant_id
                )
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != _TOO_MANY:
                    raise
                drawn.throttled += 1
            else:
                drawn.granted += 1
    return drawn


def _get(url: str, name: str) -> Any:  # noqa: ANN401 - JSON
    with urllib.request.urlopen(f"{url}/_emulator/{name}") as answer:  # noqa: S310 - our own emulator
        return json.load(answer)
