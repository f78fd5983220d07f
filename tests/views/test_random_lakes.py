"""The views beside plain Python, on lakes in which everything may happen at one instant, twice, or not at all."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.view_lakes import ARN, at, event, on_duckdb, rows_of, session, write
from tests.views import plain_answers
from tests.views.plain_answers import Happened, Known, Unit

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

NAMES = (*plain_answers.STARTS, *plain_answers.STOPS, "JOIN_ERROR", "NEW_NAME")
SPANS_S = (3.0, 100.0, 3_600.0, 90_000.0, 400_000.0)
SEEN_S = 1_000_000.0
ZERO = at(0).replace(tzinfo=None)


def micros(moment: datetime | None) -> int | None:
    """Since `BEGAN`'s midnight, so that days and minutes begin where they do."""
    if moment is None:
        return None
    since = moment.replace(tzinfo=None) - ZERO.replace(hour=0)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class Lake:
    """Sessions with and without rows, ends and people; few instants, so that most things share theirs."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.rows: dict[str, list[dict[str, Any]]] = {"events": [], "sessions": [], "participants": []}
        self.events: dict[Unit, list[Happened]] = {}
        self.sessions: dict[tuple[str, str], Known] = {}
        self.replicas: set[Unit] = set()
        for number in range(80):
            self.add_session(f"{ARN}{number % 3}", f"st-{number // 2}")

    def add_session(self, stage_arn: str, name: str) -> None:
        span_s, how = self.dice.choice(SPANS_S), self.dice.choice(("ended", "ended", "active", "unlisted"))
        end_s = span_s * self.dice.choice((0.5, 1.0, 1.2)) if how == "ended" else None
        seen_us, end_us = micros(at(SEEN_S)), None if end_s is None else micros(at(end_s))
        assert seen_us is not None
        self.sessions[stage_arn, name] = Known(end_us, seen_us)
        if how != "unlisted":
            self.rows["sessions"].append(session(name, end_s, stage_arn=stage_arn))
        for person in range(self.dice.randrange(4)):
            self.add_person((stage_arn, name, f"p{person}"), span_s)

    def add_person(self, unit: Unit, span_s: float) -> None:
        of_unit = dict(zip(("stage_arn", "session_id", "participant_id"), unit, strict=True))
        kind = self.dice.choice((None, "NONE", "REPLICA"))
        if kind is not None:
            self.rows["participants"].append({**of_unit, "session_start": at(0), "replication_type": kind})
        is_flagged = False
        for _ in range(self.dice.randrange(12)):
            name, peer, is_flag = self.dice.choice(NAMES), self.dice.choice(("p0", "x", "")), self.dice.random() < 0.1
            second = span_s / 7 * self.dice.randrange(8)
            peer = peer if name.startswith(("SUBSCRIBE", "REPLICATION")) else ""
            column = "destination_session_id" if name.startswith("REPLICATION") else "remote_participant_id"
            made = event(unit[1], unit[2], second, name, stage_arn=unit[0], replica=is_flag or None,
                         event_id=self.dice.randrange(2**40), **{column: peer or None})  # fmt: skip
            self.rows["events"].append(made)
            moment_us = micros(made["event_time"])
            assert moment_us is not None
            self.events.setdefault(unit, []).append(Happened(moment_us, name, peer, made["event_id"]))
            is_flagged = is_flagged or (is_flag and not name.startswith("SUBSCRIBE"))
        if kind == "REPLICA" or (kind is None and is_flagged):
            self.replicas.add(unit)


@pytest.mark.parametrize("seed", range(3))
def test_as_plain_python_has_it(seed: int, tmp_path: Path) -> None:
    """Intervals, concurrency and the most viewers; hours are a range, and no peak is below the level at its end."""
    lake = Lake(seed)
    write(tmp_path, lake.rows, seen_s=SEEN_S, parts=2)
    plain = plain_answers.intervals(lake.events, lake.sessions)
    assert {one.reason for one in plain} == {"stopped", "same_instant", "left", "restarted", "session_end", "open"}
    with on_duckdb(tmp_path, zone="America/New_York") as connection:
        intervals = rows_of(connection, "SELECT * FROM intervals")
        minutes = rows_of(connection, "SELECT * FROM concurrency_by_minute")
        viewers = rows_of(connection, "SELECT 'view' AS kind, * FROM viewers_by_minute")
        sessions = rows_of(connection, "SELECT * FROM session_summary")
        hours = rows_of(connection, "SELECT * FROM participant_hours")
    assert Counter(
        (row["stage_arn"], row["session_id"], row["participant_id"], row["kind"], row["peer"], row["end_reason"],
         *(micros(row[name]) for name in ("started_at", "ended_at", "until_max_at")), row["is_replica"])
        for row in intervals
    ) == Counter(
        (*one.unit, one.kind, one.peer, one.reason, one.start_us, one.end_us, one.high_us, one.unit in lake.replicas)
        for one in plain
    )  # fmt: skip
    levels = {
        (row["stage_arn"], row["session_id"], row["kind"], (micros(row["minute"]) or 0) // plain_answers.MINUTE_US):
            [row["peak"], row["at_end"], row["peak_own"], row["at_end_own"]]
        for row in (*minutes, *viewers)
    }  # fmt: skip
    assert levels == plain_answers.concurrency([*plain, *plain_answers.viewings(plain)], lake.replicas)
    assert all(peak >= at_end >= own >= 0 for peak, at_end, _, own in levels.values())
    peaks = plain_answers.peak_viewers(plain)
    assert {(row["stage_arn"], row["session_id"]): row["peak_viewers"] for row in sessions if row["viewers"]} == {
        one.unit[:2]: peaks[one.unit[:2]] for one in plain if one.kind == "subscribe"
    }
    assert all(row["hours_low"] <= row["hours_high"] for row in hours)
    assert all(row["connected_low_s"] <= row["connected_high_s"] for row in sessions)
