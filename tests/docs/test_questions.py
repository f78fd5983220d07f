"""The page of twelve questions: each query runs, and answers as a small lake's events say."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.view_lakes import at, event, on_duckdb, session, write

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = (Path(__file__).parents[2] / "docs" / "questions.md").read_text()
STARTED_ON = date(2026, 11, 23)


def queries() -> Mapping[int, list[str]]:
    """The page's queries, by the number of their question."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for number, text in re.findall(r"\n## (\d+)\. (.*?)(?=\n## |\Z)", PAGE, re.DOTALL):
        found[int(number)] += re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    return found


def fill(lake: Path) -> None:
    """A publisher, a viewer who comes back, one who meets errors; and a session that goes on, without anybody."""
    events = [
        event("st-a", "pub", 0, "JOINED"),
        event("st-a", "pub", 10, "PUBLISH_STARTED"),
        event("st-a", "pub", 610, "PUBLISH_STOPPED"),
        event("st-a", "pub", 620, "LEFT"),
        event("st-a", "view", 20, "JOINED"),
        event("st-a", "view", 30, "SUBSCRIBE_STARTED", remote_participant_id="pub"),
        event("st-a", "view", 330, "SUBSCRIBE_STOPPED", remote_participant_id="pub"),
        event("st-a", "view", 340, "LEFT"),
        event("st-a", "view", 400, "JOINED"),
        event("st-a", "view", 410, "LEFT"),
        event("st-a", "odd", 22, "JOIN_ERROR", error_code="X"),
        event("st-a", "odd", 25, "JOINED"),
        event("st-a", "odd", 40, "SUBSCRIBE_ERROR", error_code="Y", remote_participant_id="pub"),
        event("st-a", "odd", 100, "LEFT"),
    ]
    users = {"pub": "paula", "view": "ann", "odd": None}
    people = [
        {"session_id": "st-a", "session_start": at(0), "participant_id": name, "user_id": user, "is_final": True,
         "browser_name": "Firefox" if user else None, "published": name == "pub"}
        for name, user in users.items()
    ]  # fmt: skip
    stages = [{"stage_name": "lobby", "is_listed": True}]
    sessions = [session("st-a", 700, stage_name="lobby"), session("st-b", None, stage_name="lobby")]
    write(lake, {"events": events, "stages": stages, "sessions": sessions, "participants": people})


ANSWERS: Mapping[int, list[list[tuple[Any, ...]]]] = {
    1: [
        [("lobby", at(0).replace(tzinfo=None), "st-a", 1, 1, 3)],
        [(at(25).replace(tzinfo=None), 3)],
        [(at(0).replace(tzinfo=None), 1, 1), (at(300).replace(tzinfo=None), 1, 0)],
    ],
    2: [[("lobby", 10.0, 5.0)], [("ann", "paula", 5.0)]],
    3: [[("lobby", STARTED_ON, 4, 1025 / 3600, 1025 / 3600, 0.0, 0.0)]],
    4: [
        [("join", 5, 1, 20.0), ("publish", 1, 0, 0.0), ("subscribe", 2, 1, 50.0)],
        [("JOIN", 3, 1, 100 / 3, 1), ("PUBLISH", 1, 0, 0.0, 0), ("SUBSCRIBE", 2, 1, 50.0, 0)],
        [("JOIN_ERROR", "X", 1)],
        [("Firefox", 2, 0), (None, 1, 1)],
    ],
    5: [[("lobby", 1, 3, 10.0, 10.0)]],
    6: [[("lobby", 3, 1, 1)]],
    7: [
        [("ann", 1, 300 / 3600), ("paula", 1, 0.0)],
        [("ann", 1, 1, 2, 330 / 3600, 0.0, 300 / 3600, at(20).replace(tzinfo=None), 0)],
    ],
    8: [[("lobby", STARTED_ON, 2)]],
    9: [[(False, 4)]],
    10: [[("lobby", at(0).replace(tzinfo=None), "st-b", None, False)]],
    11: [[(STARTED_ON, 14)], [(STARTED_ON, 2)], [(date(2026, 11, 24), 1025 / 3600)]],
    12: [[], [(300 / 3600, 300 / 3600)]],
}


def test_each_question_has_its_answer(tmp_path: Path) -> None:
    """What stands on the page runs as it stands."""
    fill(tmp_path)
    found = queries()
    assert {number: len(of_it) for number, of_it in found.items()} == {
        number: len(of_it) for number, of_it in ANSWERS.items()
    }
    with on_duckdb(tmp_path) as connection:
        for number, of_it in found.items():
            for sql, expected in zip(of_it, ANSWERS[number], strict=True):
                rows = connection.sql(sql).fetchall()
                if number == 1 and "peak_viewers" in sql:
                    rows = rows[:1]
                assert [pytest.approx(row) if _has_floats(row) else row for row in expected] == rows, f"{number}: {sql}"


def test_a_day_of_another_zone_may_have_25_hours(tmp_path: Path) -> None:
    """A stay over the night in which summer time ends in Berlin: no hour is lost, and none counts twice."""
    moments = {"JOINED": datetime(2026, 10, 24, 12, tzinfo=UTC), "LEFT": datetime(2026, 10, 27, 12, tzinfo=UTC)}
    write(tmp_path, {"events": [event("st-a", "p", 0, name, event_time=moment) for name, moment in moments.items()]})
    with on_duckdb(tmp_path, zone="America/New_York") as connection:
        rows = connection.sql(queries()[11][2]).fetchall()
    assert rows == [(date(2026, 10, 24 + day), hours) for day, hours in enumerate((10, 25, 24, 13))]


def _has_floats(row: tuple[Any, ...]) -> bool:
    return any(isinstance(value, float) for value in row) and not any(isinstance(value, date) for value in row)
