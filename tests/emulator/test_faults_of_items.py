from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.emulator import Emulator, Size
from exporter.emulator.faults.members import OPERATIONS_OF, OTHER_IDS, OTHER_TYPES, TIMES

if TYPE_CHECKING:
    from collections.abc import Callable

WORLD = {"stages": 5, "sessions": Size.fixed(3), "participants": Size.fixed(4), "events": Size.fixed(3)}
ITEMS = ("ListStages", "ListStageSessions", "ListParticipants", "GetParticipant")
SHOWN = (*ITEMS, "ListParticipantEvents")


async def all_shown(asker: Any) -> dict[str, dict[tuple[str, ...], Any]]:
    """What each operation shows of each thing, by the ids that the emulator's truth has of it."""
    truth = asker.emulator.truth()
    shown: dict[str, dict[tuple[str, ...], Any]] = {operation: {} for operation in SHOWN}

    def keep(operation: str, keys: list[tuple[str, ...]], items: list[Any]) -> None:
        assert len(keys) == len(items)
        shown[operation] |= dict(zip(keys, items, strict=True))

    stages = [stage.stage_arn for stage in truth.stages()]
    keep("ListStages", [(arn,) for arn in stages], await asker.whole("ListStages", "stages"))
    for arn in stages:
        sessions = [row.session_id for row in truth.sessions() if row.stage_arn == arn]
        listed = await asker.whole("ListStageSessions", "stageSessions", stageArn=arn)
        keep("ListStageSessions", [(arn, session_id) for session_id in sessions], listed)
        for session_id in sessions[:1]:
            ids = {"stageArn": arn, "sessionId": session_id}
            people = [row[2] for row in truth.participants() if row[:2] == (arn, session_id)]
            listed = await asker.whole("ListParticipants", "participants", **ids)
            keep("ListParticipants", [(arn, session_id, one) for one in people], listed)
            for one in people:
                page = await asker.page("GetParticipant", **ids, participantId=one)
                keep("GetParticipant", [(arn, session_id, one)], [page["participant"]])
                page = await asker.page("ListParticipantEvents", **ids, participantId=one)
                keep("ListParticipantEvents", [(arn, session_id, one)], [page["events"]])
    return shown


def changed(before: dict[tuple[str, ...], Any], after: dict[tuple[str, ...], Any]) -> list[tuple[Any, Any]]:
    return [(before[key], after[key]) for key in before if before[key] != after[key]]


@pytest.mark.parametrize(
    ("kind", "operation"),
    [(kind, operation) for kind, found in OPERATIONS_OF.items() for operation in found if operation in ITEMS],
)
async def test_a_fault_changes_the_items_of_its_operation(
    ask: Callable[..., Any], options_of: Callable[..., Any], kind: str, operation: str
) -> None:
    """Some items of the operation are changed, the same ones each time, and nothing that another one shows."""
    async with Emulator(options_of(WORLD)) as emulator:
        before = await all_shown(ask(emulator))
        emulator.faults.add(f"{kind} operation={operation} p=0.4")
        after = await all_shown(ask(emulator))
        assert await all_shown(ask(emulator)) == after
    found = changed(before[operation], after[operation])
    assert 0 < len(found) < len(before[operation])
    for other in SHOWN:
        assert other == operation or before[other] == after[other]
    for old, new in found:
        different = {name for name in {*old, *new} if old.get(name, "absent") != new.get(name, "absent")}
        if kind == "unknown_fields":
            assert different == {"observedBy"}
        elif kind == "no_time":
            assert different == {TIMES[operation]}
        else:
            (name,) = different
            assert (name, new[name]) in OTHER_TYPES[operation]


async def test_a_member_can_be_named(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """With member= that one alone has another type, also where it is an id."""
    async with Emulator(options_of(WORLD)) as emulator:
        for operation, member in (("ListParticipants", "userId"), ("GetParticipant", "attributes")):
            before = await all_shown(ask(emulator))
            emulator.faults.replace([f"wrong_types operation={operation} member={member}"])
            after = (await all_shown(ask(emulator)))[operation]
            values = Counter(msgspec.json.encode(item[member]) for item in after.values())
            assert len(values) == 2
            assert all(
                {**item, member: None} == {**before[operation][key], member: None} for key, item in after.items()
            )
        emulator.faults.replace(["wrong_types operation=ListStages member=arn"])
        assert {item["arn"] for item in await ask(emulator).whole("ListStages", "stages")} == {7}
        assert len(list(emulator.truth().events())) > 0


async def test_an_item_is_chosen_by_its_ids(ask: Callable[..., Any], options_of: Callable[..., Any]) -> None:
    """Parts of ids and units=K/N choose items as they choose calls."""
    async with Emulator(options_of(WORLD)) as emulator:
        before = await all_shown(ask(emulator))
        arn, session_id, participant_id = next(iter(before["ListParticipants"]))
        for text, operation, expected in (
            (f"stage={arn[-8:]}", "ListStages", 1),
            (f"stage={arn[-8:]}", "ListStageSessions", 3),
            (f"session={session_id}", "ListStageSessions", 1),
            (f"session={session_id}", "ListStages", 0),
            (f"participant={participant_id} session={session_id}", "ListParticipants", 1),
            (f"participant={participant_id} session={session_id}", "GetParticipant", 1),
        ):
            emulator.faults.replace([f"unknown_fields operation={operation} {text}"])
            assert len(changed(before[operation], (await all_shown(ask(emulator)))[operation])) == expected, text
        hit = []
        for rest in range(3):
            emulator.faults.replace([f"unknown_fields operation=ListParticipants units={rest}/3"])
            hit.append(len(changed(before["ListParticipants"], (await all_shown(ask(emulator)))["ListParticipants"])))
    assert sum(hit) == len(before["ListParticipants"])


def test_every_known_member_can_have_another_type(options_of: Callable[..., Any]) -> None:
    """The values of another type are of a type that the member never has in a world without faults."""
    truth = Emulator(options_of({"stages": 8, "replicated_share": 1.0})).truth()
    shown = {
        "ListStages": [row.stage for row in truth.stages()],
        "ListStageSessions": [row.session for row in truth.sessions()],
        "ListParticipants": [row.participant for row in truth.participants()],
        "GetParticipant": [row.details for row in truth.participants()],
    }
    for operation, items in shown.items():
        values = (*OTHER_TYPES[operation], *OTHER_IDS[operation])
        assert {name for item in items for name in item} == {name for name, _ in values}
        for name, value in values:
            types = {type(item[name]) for item in items if item.get(name) is not None}
            if isinstance(value, dict) and dict in types:
                assert any(not isinstance(inner, str) for inner in value.values())
            else:
                assert type(value) not in types
