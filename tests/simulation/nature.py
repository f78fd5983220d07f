"""The truth of a world, drawn: sessions begin and end about the moments at which runs look at them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exporter.timestamps import text_of
from tests.simulation.plan import EPOCH_US, HOUR_S, SECOND_US, few
from tests.simulation.truth import UNDATED, Event, Participant, Session, Span, Stage, Truth, canonical

if TYPE_CHECKING:
    from random import Random

    from exporter.model import Scope
    from tests.simulation.plan import Plan

_NAMES = ("JOINED", "LEFT", "PUBLISH_STARTED", "PUBLISH_STOPPED", "SUBSCRIBE_STARTED", "SOMETHING_NEW")
_OPERATIONS = (
    "ListStageSessions",
    "ListParticipants",
    "ListParticipantEvents",
    "ListParticipantEvents",
    "GetParticipant",
)
_STAGE_NAMES = ("arena", "arena", "studio", None)
_TAGS: tuple[dict[str, str] | None, ...] = ({"team": "a"}, {"team": "b", "": "x"}, {}, None)
#: Longer than a unit is read twice, whatever it meets.
_READINGS_US = 300 * SECOND_US
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def draw_truth(plan: Plan) -> Truth:
    """The truth of a plan; it does not depend on which of the plan's steps are carried out."""
    random = plan.random("truth")
    is_wide = random.random() < (0.3 if "denied stages" in plan.features else 0.03)  # denied is told after dozens
    size = 4.0 if is_wide else random.choice((0.3, 0.5, 0.7, 1.0, 1.0, 1.5))
    return Truth({scope: _draw_stages(plan, random, scope, size) for scope in plan.scopes})


def _draw_stages(plan: Plan, random: Random, scope: Scope, size: float) -> tuple[Stage, ...]:
    count = random.choice((1, 2, 2, 2, 3, 3, 4, 5))
    stages = []
    for number in range(count):
        arn = f"arn:aws:ivs:{scope.region}:{scope.account_id}:stage/{'abcde'[number]}{_id(random, 5)}"
        sessions = [_draw_session(plan, random, arn, size) for _ in range(_session_count(plan, random, size))]
        hidden: tuple[Span, ...] = ()
        if "hidden stages" in plan.features and random.random() < 0.15:
            hidden = (_draw_span(plan, random),)
        denied: tuple[tuple[str, Span], ...] = ()
        if "denied stages" in plan.features and random.random() < 0.4:
            denied = ((random.choice(_OPERATIONS), _draw_span(plan, random)),)
        in_order = tuple(sorted(sessions, key=lambda each: each.started_us))
        stages.append(Stage(arn, in_order, hidden, denied, _draw_names(plan, arn)))
    return tuple(stages)


def _draw_names(plan: Plan, arn: str) -> tuple[tuple[int, str | None, dict[str, str] | None], ...]:
    random = plan.random(f"names {arn}")
    moments_us = [0]
    if "renamed stages" in plan.features:
        moments_us += sorted(_draw_moment(plan, random) for _ in range(random.choice((0, 1, 1, 3))))
    return tuple((moment_us, random.choice(_STAGE_NAMES), random.choice(_TAGS)) for moment_us in moments_us)


def _session_count(plan: Plan, random: Random, size: float) -> int:
    mean = plan.sessions_mean * size
    return few(random, 8, mean) if mean < 8 else round(mean)


def _draw_session(plan: Plan, random: Random, stage_arn: str, size: float) -> Session:
    ended_us = _draw_moment(plan, random)
    ended_us = ended_us // SECOND_US * SECOND_US if random.random() < 0.5 else ended_us
    started_us = ended_us - int(random.choice((30.0, 600.0, 3 * HOUR_S, 30 * HOUR_S)) * random.random() * SECOND_US) - 1
    first_end = None
    if "moved ends" in plan.features and random.random() < 0.3:
        first_end = _draw_first_end(plan, random, started_us, ended_us)
    session_id = f"st-{_id(random, 13)}"
    latest_us = (ended_us if first_end is None else first_end[2]) + plan.grace_us
    participants = [
        _draw_participant(plan, random, (stage_arn, session_id), Span(started_us, ended_us), latest_us, size)
        for _ in range(few(random, 40, 2.5 * size))
    ]
    hidden: tuple[Span, ...] = ()
    if "hidden sessions" in plan.features and random.random() < 0.3:
        hidden = (_draw_span(plan, random),)
    return Session(stage_arn, session_id, started_us, ended_us, tuple(participants), hidden, first_end)


def _draw_first_end(plan: Plan, random: Random, started_us: int, ended_us: int) -> tuple[int, int, int] | None:
    """An end that is told until the grace time after it is over at the latest, and then another, later one."""
    end_us = random.randint(max(started_us, ended_us - plan.grace_us // 2), ended_us)
    return (end_us, ended_us, end_us)


def _draw_participant(  # noqa: PLR0917 - all of them are of its session
    plan: Plan, random: Random, of: tuple[str, str], lasted: Span, latest_us: int, size: float
) -> Participant:
    """A participant of a session, of which everything is shown at ``latest_us``."""
    participant_id = _id(random, 12)
    joined_us = random.randint(lasted.from_us, lasted.until_us)
    is_shifting = "shifting lists" in plan.features and random.random() < 0.7
    is_long = random.random() < (0.2 if is_shifting else 0.04)  # what has one page only can't shift
    count = few(random, 250, 60.0 if is_long else 3.0 * size)
    events: list[Event] = []
    for number in range(count):
        if events and not is_shifting and events[-1].row[3] != UNDATED and random.random() < 0.2:
            events.append(_draw_equal(plan, random, events[-1], latest_us))
            continue
        at_us = random.randint(joined_us, lasted.until_us)
        if random.random() < 0.4:
            at_us = max(lasted.from_us, at_us // SECOND_US * SECOND_US)
        marks = {"errorCode": f"E{number}"} if is_shifting else {}  # none equals another, for the list shifts
        event = _draw_event(random, (*of, participant_id), at_us, latest_us, marks)
        if is_shifting and random.random() < 0.3:
            event = _while_read(plan, random, event, latest_us)
        if "undated events" in plan.features and random.random() < 0.05:
            events.append(_undated(event))
            continue
        twin = next((each for each in events if each.row[:-1] == event.row[:-1]), None)
        if twin is not None:
            event = _draw_equal(plan, random, twin, latest_us)
        events.append(event)
    if is_shifting:
        events = _slow(events, plan.page_size)
    first_us = min([event.visible_us for event in events], default=joined_us)
    order = random.choice(("oldest first", "newest first", "mixed"))
    if order == "mixed":
        random.shuffle(events)
    else:
        events.sort(key=lambda event: event.row[3], reverse=order == "newest first")
    refused, refusal = _draw_refusal(plan, random)
    visible_us = random.choice((first_us, min(joined_us, first_us), _draw_visible(random, first_us, latest_us)))
    return Participant(
        participant_id,
        visible_us,
        tuple(events),
        refused,
        refusal,
        (_draw_span(plan, random),) if "vanished units" in plan.features and random.random() < 0.2 else (),
        max(visible_us, (visible_us + lasted.until_us) // 2),
    )


def _while_read(plan: Plan, random: Random, event: Event, latest_us: int) -> Event:
    """The same event, shown while a run reads, where that is possible."""
    shown_us = EPOCH_US + int((random.choice(plan.moments_s) + random.uniform(1.0, 12.0)) * SECOND_US)
    return replace(event, visible_us=shown_us) if event.row[3] <= shown_us <= latest_us else event


def _slow(events: list[Event], page_size: int) -> list[Event]:
    """Those of the events of which less than a page comes while a list is read twice.

    A list that shifts by a whole page can show one event twice in both readings, and no rule tells that apart.
    """
    kept: list[Event] = []
    for event in sorted(events, key=lambda each: each.visible_us):
        if len(kept) < page_size - 1 or event.visible_us - kept[1 - page_size].visible_us > _READINGS_US:
            kept.append(event)
    return kept


def _draw_event(random: Random, unit: tuple[str, str, str], at_us: int, latest_us: int, marks: dict[str, str]) -> Event:
    fields: dict[str, Any] = {"name": random.choice(_NAMES), "eventTime": text_of(at_us), **marks}
    if random.random() < 0.3:
        fields["participantId"] = unit[2]
    remote = _id(random, 4) if random.random() < 0.3 else None
    if remote is not None or random.random() < 0.2:
        fields["remoteParticipantId"] = remote or ""
    extra = {"colour": random.choice(("red", "blue"))} if random.random() < 0.1 else {}
    row = (*unit, at_us, fields["name"], remote, marks.get("errorCode"), canonical(extra))
    return Event(fields | extra, row, _draw_visible(random, at_us, latest_us))


def _draw_equal(plan: Plan, random: Random, event: Event, latest_us: int) -> Event:
    """Another event that equals one in all that makes its identity, and perhaps not in the rest."""
    fields, row = dict(event.fields), event.row
    if "unlike equals" in plan.features and random.random() < 0.3:
        fields["colour"] = random.choice(("green", "black"))
        row = (*row[:7], canonical({"colour": fields["colour"]}))
    return Event(fields, row, _draw_visible(random, row[3], latest_us))


def _undated(event: Event) -> Event:
    """The same event, without a time that can be read."""
    fields = {**event.fields, "eventTime": "yesterday"}
    return Event(fields, (*event.row[:3], UNDATED, "reject", None, None, canonical(fields)), event.visible_us)


def _draw_refusal(plan: Plan, random: Random) -> tuple[tuple[Span, ...], str]:
    if "refused units" not in plan.features or random.random() < 0.8:
        return (), ""
    span = Span(0, 1 << 62) if random.random() < 0.3 else _draw_span(plan, random)
    return (span,), random.choice(("ValidationException", "ResourceNotFoundException"))


def _draw_visible(random: Random, at_us: int, latest_us: int) -> int:
    """When an event is shown: at once, soon, or late; never later than the grace time allows."""
    room_us = max(0, latest_us - at_us)
    lag_us = random.choice((0, 0, 0, min(room_us, int(random.random() * 5 * SECOND_US)), random.randint(0, room_us)))
    return at_us + min(lag_us, room_us)


def _draw_moment(plan: Plan, random: Random) -> int:
    """A moment about which a run may care: near its start, or the grace time before it."""
    at_s = random.choice(plan.moments_s)
    offset_s = random.choice(
        (
            random.uniform(-5.0, 30.0),
            random.uniform(-60.0, 60.0),
            random.uniform(-1.2, 0.1) * max(plan.grace_s, 60.0),
            -plan.grace_s + random.uniform(-10.0, 10.0),
            random.uniform(-2.0, 2.0) * HOUR_S,
            -random.uniform(0.0, 40.0) * HOUR_S,
        )
    )
    return EPOCH_US + int((at_s + offset_s) * SECOND_US)


def _draw_span(plan: Plan, random: Random) -> Span:
    """A time that begins about a run and ends about another, or never."""
    from_us = _draw_moment(plan, random)
    if random.random() < 0.3:
        return Span(from_us, 1 << 62)
    return Span(from_us, max(from_us, _draw_moment(plan, random)) + int(random.random() * 60 * SECOND_US))


def _id(random: Random, length: int) -> str:
    return "".join(random.choices(_LETTERS, k=length))
