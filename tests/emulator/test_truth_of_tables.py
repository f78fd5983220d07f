from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from exporter.emulator import Emulator, FixedWorld

if TYPE_CHECKING:
    from collections.abc import Callable

FAULTS = (
    "unknown_fields operation=ListStages p=0.5",
    "wrong_types operation=ListStageSessions p=0.3 member=endTime",
    "wrong_types operation=ListParticipants p=0.3",
    "wrong_types operation=GetParticipant p=0.3",
)
HOUR_US = 3_600_000_000


async def shown_tables(asker: Any) -> dict[str, list[tuple[Any, ...]]]:
    """The tables that the calls alone show; ids are the paths by which things were found."""
    tables: dict[str, list[tuple[Any, ...]]] = {"stages": [], "sessions": [], "participants": []}
    size = {"maxResults": 100}
    for stage in await asker.whole("ListStages", "stages", **size):
        arn = stage["arn"]
        tables["stages"].append((arn, stage))
        for session in await asker.whole("ListStageSessions", "stageSessions", stageArn=arn, **size):
            ids = {"stageArn": arn, "sessionId": session["sessionId"]}
            units = 0
            events = 0
            for listed in await asker.whole("ListParticipants", "participants", **ids, **size):
                unit = {**ids, "participantId": listed["participantId"]}
                details = (await asker.page("GetParticipant", **unit))["participant"]
                own = len(await asker.whole("ListParticipantEvents", "events", **unit, **size))
                tables["participants"].append((*unit.values(), listed, details, own))
                units, events = units + 1, events + own
            tables["sessions"].append((*ids.values(), session, units, events))
    return tables


@pytest.mark.parametrize(("seed", "faults"), [(1, ()), (2, ()), (3, FAULTS), (4, FAULTS)])
async def test_the_truth_is_what_the_calls_show(
    ask: Callable[..., Any], options_of: Callable[..., Any], seed: int, faults: tuple[str, ...]
) -> None:
    """Stages, sessions and participants of the truth are those of the calls, faults of the data included."""
    world = {"seed": seed, "hostile": seed == 2, "replicated_share": 1.0}
    async with Emulator(options_of(world, faults=faults)) as emulator:
        tables = await shown_tables(ask(emulator))
        for name, rows in tables.items():
            assert [tuple(row) for row in emulator.truth().table(name)] == rows
            assert rows


async def test_the_truth_of_a_moment_is_streamed(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """The endpoint streams each table of a moment, and the moment's truth is what is shown when the clock is there."""
    async with Emulator(options_of({"stages": 4})) as emulator:
        at_us = emulator.clock.now_us - 40 * HOUR_US
        lines: dict[str, list[dict[str, Any]]] = {}
        for name in ("stages", "sessions", "participants", "events"):
            async with ask(emulator).http.get(
                f"{emulator.url}/_emulator/truth?table={name}&at_us={at_us}&region=us-east-1"
            ) as response:
                lines[name] = [json.loads(line) for line in (await response.text()).splitlines()]
            assert [tuple(line.values()) for line in lines[name]] == list(emulator.truth(at_us=at_us).table(name))
            assert lines[name] != [row._asdict() for row in emulator.truth().table(name)]
        emulator.clock.set(at_us)
        tables = await shown_tables(ask(emulator))
    assert {name: [tuple(line.values()) for line in lines[name]] for name in tables} == tables
    assert set(lines["participants"][0]) == {
        *("stage_arn", "session_id", "participant_id", "participant", "details", "events")
    }


async def test_a_table_that_there_is_not_is_refused(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """An unknown table and a moment that is no number are answered 400."""
    async with Emulator(options_of()) as emulator:
        for query, said in (("table=people", "no table 'people', but stages"), ("at_us=noon", "noon")):
            async with ask(emulator).http.get(f"{emulator.url}/_emulator/truth?{query}") as response:
                assert response.status == 400
                assert said in (await response.json())["error"]


async def test_a_scripted_world_has_its_truth(options_of: Callable[..., Any]) -> None:
    """Of a fixed world the truth has what the data says, with its details."""
    arn = "arn:aws:ivs:us-east-1:111122223333:stage/fixed"
    person = {"participantId": "p", "userId": 7, "events": [{"name": "JOINED"}, b"raw"], "details": {"osName": "iOS"}}
    session = {"sessionId": "st-0123456789abc", "participants": [person]}
    world = FixedWorld([{"arn": arn, "tags": {"a": "b"}, "sessions": [session]}])
    truth = Emulator(options_of(), {("111122223333", "us-east-1"): world}).truth()
    assert list(truth.stages()) == [(arn, {"arn": arn, "tags": {"a": "b"}})]
    assert list(truth.sessions()) == [(arn, "st-0123456789abc", {"sessionId": "st-0123456789abc"}, 1, 2)]
    listed = {"participantId": "p", "userId": 7}
    assert list(truth.participants()) == [(arn, "st-0123456789abc", "p", listed, {**listed, "osName": "iOS"}, 2)]
