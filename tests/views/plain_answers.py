"""The views' answers, computed by plain Python from events: one participant and one signal after the other.

Nothing of it is the views' own. Times are microseconds since the epoch.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

DAY_US, MINUTE_US = 86_400_000_000, 60_000_000
STARTS = {
    "JOINED": "join",
    "PUBLISH_STARTED": "publish",
    "SUBSCRIBE_STARTED": "subscribe",
    "REPLICATION_STARTED": "replication",
}
STOPS = {
    "LEFT": "join",
    "PUBLISH_STOPPED": "publish",
    "SUBSCRIBE_STOPPED": "subscribe",
    "REPLICATION_STOPPED": "replication",
}
Unit = tuple[str, str, str]


class Happened(NamedTuple):
    """An event: when, its name, whom it is about, and its id."""

    at_us: int
    name: str
    peer: str
    event_id: int


@dataclass(frozen=True)
class Known:
    """What is known of a session: its end, None while it goes on; and when it was last seen."""

    end_us: int | None
    seen_us: int


@dataclass(frozen=True)
class Interval:
    """A stay, publication, subscription or replication. ``low_us`` and ``high_us`` are the bounds of its end."""

    unit: Unit
    kind: str
    peer: str
    start_us: int
    end_us: int | None
    reason: str
    counted_us: int
    low_us: int
    high_us: int


def intervals(events: dict[Unit, list[Happened]], sessions: dict[tuple[str, str], Known]) -> list[Interval]:
    """All intervals of all participants."""
    last_us: Counter[tuple[str, str]] = Counter()
    for unit, happened in events.items():
        last_us[unit[:2]] = max(last_us[unit[:2]], *(one.at_us for one in happened))
    return [
        interval
        for unit, happened in events.items()
        for interval in _of_unit(unit, happened, sessions[unit[:2]], last_us[unit[:2]])
    ]


def _of_unit(unit: Unit, happened: list[Happened], known: Known, session_last_us: int) -> list[Interval]:
    own_last_us = max(one.at_us for one in happened)
    lines: dict[tuple[str, str], list[Happened]] = defaultdict(list)
    for one in happened:
        kind = STARTS.get(one.name) or STOPS.get(one.name)
        if kind is not None:
            lines[kind, one.peer if kind in {"subscribe", "replication"} else ""].append(one)
    for line in lines.values():
        line.sort(key=lambda one: (one.at_us, one.name in STARTS, one.event_id))
    lefts = sorted(one.at_us for one in happened if one.name == "LEFT")
    stays = _of_line(lines["join", ""], "join", [], set())
    back = {start_us for start_us, _, reason in stays if reason != "same_instant"}
    found = []
    for (kind, peer), line in lines.items():
        for start_us, end_us, reason in _of_line(line, kind, lefts, back):
            end, counted_us, low_us, high_us, why = end_us, end_us, end_us, end_us, reason
            if end_us is None and known.end_us is not None:
                end = counted_us = max(known.end_us, start_us)
                low_us, high_us, why = own_last_us, max(end, own_last_us), "session_end"
            elif end_us is None:
                counted_us, low_us, high_us = session_last_us, own_last_us, max(known.seen_us, session_last_us)
                why = "open"
            assert counted_us is not None
            assert low_us is not None
            assert high_us is not None
            found.append(Interval(unit, kind, peer, start_us, end, why, counted_us, low_us, high_us))
    return found


def _of_line(line: list[Happened], kind: str, lefts: list[int], back: set[int]) -> list[tuple[int, int | None, str]]:
    """The intervals of one kind and peer: start, end where the participant's own signals tell it, and why.

    A LEFT of the same instant ends what begins, unless the participant came ``back`` at that instant.
    """
    found: list[tuple[int, int | None, str]] = []
    is_open = False
    orphan_us: int | None = None
    for place, one in enumerate(line):
        if one.name in STOPS:
            orphan_us = None if is_open else one.at_us
            is_open = False
            continue
        following = line[place + 1] if place + 1 < len(line) else None
        is_back = one.at_us in back
        left_us = next((at_us for at_us in lefts if at_us > one.at_us or (at_us == one.at_us and not is_back)), None)
        if following is not None and following.name in STOPS:
            found.append((one.at_us, following.at_us, "stopped"))
        elif orphan_us == one.at_us:
            found.append((one.at_us, one.at_us, "same_instant"))
        elif kind != "join" and left_us is not None and (following is None or left_us <= following.at_us):
            found.append((one.at_us, left_us, "left"))
        elif following is not None:
            found.append((one.at_us, following.at_us, "restarted"))
        else:
            found.append((one.at_us, None, ""))
        is_open, orphan_us = True, None
    return found


def hours(found: list[Interval], replicas: set[Unit]) -> dict[tuple[str, int], list[float]]:
    """By stage and day: joins, and microseconds low and high, of them guessed, of them replicas'."""
    days: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0] * 7)
    for one in found:
        if one.kind != "join":
            continue
        days[one.unit[0], one.start_us // DAY_US][0] += 1
        for place, end_us in ((1, one.low_us), (2, one.high_us)):
            day = one.start_us // DAY_US
            while day * DAY_US < end_us:
                part_us = min(end_us, (day + 1) * DAY_US) - max(one.start_us, day * DAY_US)
                counts = days[one.unit[0], day]
                counts[place] += part_us
                counts[place + 2] += part_us if one.reason != "stopped" else 0
                counts[place + 4] += part_us if one.unit in replicas else 0
                day += 1
    return days


def concurrency(found: list[Interval], replicas: set[Unit]) -> dict[tuple[str, str, str, int], list[int]]:
    """By session, kind and minute with a change: peak and level at its end, of all and without replicas."""
    changes: dict[tuple[str, str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for one in found:
        if one.reason != "open" and one.counted_us <= one.start_us:
            continue
        own = 0 if one.unit in replicas else 1
        for at_us, step in ((one.start_us, 1), *([] if one.reason == "open" else [(one.counted_us, -1)])):
            change = changes[(*one.unit[:2], one.kind)][at_us]
            change[0] += step
            change[1] += step * own
    minutes: dict[tuple[str, str, str, int], list[int]] = {}
    for session, by_instant in changes.items():
        levels = [0, 0]
        for at_us in sorted(by_instant):
            minute = at_us // MINUTE_US
            before = list(levels) if at_us % MINUTE_US else [0, 0]
            levels = [level + step for level, step in zip(levels, by_instant[at_us], strict=True)]
            there = minutes.setdefault((*session, minute), [before[0], 0, before[1], 0])
            there[:] = [max(there[0], levels[0]), levels[0], max(there[2], levels[1]), levels[1]]
    return minutes


def peak_viewers(found: list[Interval]) -> Counter[tuple[str, str]]:
    """The most participants of a session who watched anybody at one moment."""
    by_session: dict[tuple[str, str], list[Interval]] = defaultdict(list)
    for one in found:
        if one.kind == "subscribe" and (one.reason == "open" or one.counted_us > one.start_us):
            by_session[one.unit[:2]].append(one)
    return Counter({
        session: max(
            len({
                one.unit
                for one in watched
                if one.start_us <= moment.start_us and (one.reason == "open" or moment.start_us < one.counted_us)
            })
            for moment in watched
        )
        for session, watched in by_session.items()
    })  # fmt: skip


def viewings(found: list[Interval]) -> list[Interval]:
    """When each watched anybody: of each subscription only what those before it do not cover."""
    watched = [one for one in found if one.kind == "subscribe"]
    until_us: dict[Unit, float] = {}
    viewed = []
    for one in sorted(watched, key=lambda one: (one.start_us, _over_us(one))):
        begin_us = max(until_us.get(one.unit, -1), one.start_us)
        if _over_us(one) > begin_us:
            viewed.append(replace(one, kind="view", start_us=int(begin_us)))
            until_us[one.unit] = _over_us(one)
    return viewed


def _over_us(one: Interval) -> float:
    return math.inf if one.reason == "open" else one.counted_us


def attempts(events: dict[Unit, list[Happened]]) -> dict[tuple[str, int, str], list[int]]:
    """By stage, day and what: attempts, failures; participants, those with a failure, and those with nothing else."""
    tried: dict[tuple[str, int, str], dict[Unit, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for unit, happened in events.items():
        for one in happened:
            what, _, outcome = one.name.replace("JOINED", "JOIN_STARTED").partition("_")
            if what in {"JOIN", "PUBLISH", "SUBSCRIBE"} and outcome in {"STARTED", "ERROR"}:
                tried[unit[0], one.at_us // DAY_US, what.lower()][unit].append(outcome == "ERROR")
    return {
        key: [sum(map(len, by.values())), sum(map(sum, by.values())), len(by), sum(map(any, by.values())),
              sum(map(all, by.values()))]
        for key, by in tried.items()
    }  # fmt: skip


def watch_time(found: list[Interval]) -> dict[tuple[str, str, str, str], tuple[int, int, int]]:
    """By viewer and publisher of a session: how long, from when, until when."""
    watched: dict[tuple[str, str, str, str], tuple[int, int, int]] = {}
    for one in found:
        if one.kind == "subscribe":
            key = (*one.unit, one.peer)
            long_us, first_us, last_us = watched.get(key, (0, one.start_us, 0))
            watched[key] = (
                long_us + one.counted_us - one.start_us, min(first_us, one.start_us), max(last_us, one.counted_us)
            )  # fmt: skip
    return watched


def waits(events: dict[Unit, list[Happened]]) -> dict[tuple[str, str], tuple[int, int, int | None, int | None]]:
    """By stage and what was waited for: how many waited, of how many, median and 95th percentile by nearest rank."""
    waited: dict[tuple[str, str], list[int | None]] = defaultdict(list)
    for unit, happened in events.items():
        first = {name: min((one.at_us for one in happened if one.name == name), default=None) for name in STARTS}
        joined_us = first["JOINED"]
        if joined_us is None:
            continue
        for what, name in (("join_to_publish", "PUBLISH_STARTED"), ("join_to_subscribe", "SUBSCRIBE_STARTED")):
            at_us = first[name]
            waited[unit[0], what].append(None if at_us is None else max(0, at_us - joined_us))
    answers = {}
    for key, all_of_them in waited.items():
        known = sorted(wait for wait in all_of_them if wait is not None)
        p50, p95 = (known[-(-percent * len(known) // 100) - 1] if known else None for percent in (50, 95))
        answers[key] = (len(known), len(all_of_them), p50, p95)
    return answers
