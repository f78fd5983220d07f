"""What a report may be made of: everyday facts, and hostile ones."""

from __future__ import annotations

from dataclasses import fields, replace

from exporter.health.recorded_runs import RunLine
from exporter.health.status import LakeContents, ScopeStatus, SessionsStatus, UnitsStatus
from exporter.model import Scope
from exporter.report.facts import (
    WAIT_BOUNDS_S,
    Audience,
    DayHours,
    DayPeak,
    ErrorLine,
    FailureLine,
    IncompleteSession,
    LakeFacts,
    LanePerson,
    Lanes,
    Level,
    Pair,
    SessionFacts,
    SessionFinding,
    SessionHours,
    SessionLine,
    SessionTotals,
    SessionWait,
    Stretch,
    WaitLine,
)
from exporter.report.page import Origin, page
from exporter.timestamps import DAY_US, MINUTE_US

#: 2026-11-23, at midnight and at noon.
MIDNIGHT_US = 1_795_392_000_000_000
NOON_US = MIDNIGHT_US + DAY_US // 2
NOW_US = MIDNIGHT_US + 2 * DAY_US
ARN = "arn:aws:ivs:eu-west-1:111122223333:stage/AbC"
ORIGIN = Origin("./lake", "all dates", NOW_US, "1.2.3")

#: Names that try to be more than names.
HOSTILE = {
    "script": "<script>document.title='owned'</script>",
    "image": "<img src=x onerror=\"document.title='owned'\">",
    "close": "</bdi></td></table></svg></style></title><h1>owned</h1>",
    "quotes": "\"' onmouseover='document.title=1' x=\"&quot;&amp;",
    "style": "};body{display:none}</style>",
    "override": "abc\u202egnp.exe\u2066\u200f",
    "controls": "bell\x07null\x00escape\x1b[31m\r\nline\x85\u2028",
    "long": "w" * 10_000,
    "wide": "\ufdfd" * 10_000,
    "tower": "z" + "\u0300" * 5_000,
    "lone": "half \ud800 letter",
    "entity": "&lt;b&gt; &#x202e;",
    "right_to_left": "\u0645\u0631\u062d\u0628\u0627 123",
    "template": "{{ 7 * 7 }} {% x %} ${7*7}",
}


def status(
    complete_until_us: int | None = NOON_US, *, abandoned: int = 0, vanished: int = 0, region: str = "eu-west-1"
) -> ScopeStatus:
    """A scope that had a whole run."""
    return ScopeStatus(
        Scope("111122223333", region),
        [RunLine("r", "2026-11-24T00:00:00Z", {"outcome": "complete"})],
        LakeContents({"events": 1}, 1, "2026-11-23", "2026-11-23"),
        SessionsStatus(3, vanished, 0, 0, complete_until_us, None),
        UnitsStatus({}, [f"{ARN}/s/{place}" for place in range(abandoned)]),
    )


def session_line(name: str | None = "a stage", session_id: str = "st-1", stage_arn: str = ARN) -> SessionLine:
    """A session of an hour, at noon."""
    return SessionLine(
        (stage_arn, session_id),
        name,
        NOON_US,
        NOON_US + 60 * MINUTE_US,
        is_complete=True,
        counts=SessionTotals(1_000, 2, 900, 700, 12, 3),
        hours=SessionHours(2.0, 300.0, 320.4, 350.0),
    )


def lake_facts(text: str | None = None, lines: list[SessionLine] | None = None) -> LakeFacts:
    """A lake of two days; where there is a ``text``, it stands in the place of each text that a lake may hold."""
    arn = ARN if text is None else f"{ARN}/{text}"
    sessions = lines or [session_line(text or "a stage", text or "st-1", arn)]
    return LakeFacts(
        sessions,
        [IncompleteSession(session.key, NOON_US, None, is_final=False, abandoned=0) for session in sessions],
        [DayHours(arn, MIDNIGHT_US + day * DAY_US, 100.0 + day, 110.0 + day, 12.0, 1.0) for day in range(2)],
        [DayPeak(arn, MIDNIGHT_US, 700)],
        [FailureLine(arn, MIDNIGHT_US, text or "SUBSCRIBE_ERROR", text or "QUOTA_EXCEEDED", 12, 10)],
        [WaitLine(arn, "join_to_subscribe", 900, 1_000, 0.8, 4.2)],
        [SessionFinding(text or "error_without_code", text or "warn", *sessions[0].key, 4)],
    )


def session_facts(text: str | None = None, people: int = 6, stretches: int = 1) -> SessionFacts:
    """A session with a lane for ``people``, two of them publishers, each with so many ``stretches`` of each kind."""
    ids = [f"{text or 'p'}{place}" for place in range(people)]
    length_us = 60 * MINUTE_US // stretches
    of_one = [
        Stretch(
            kind,
            NOON_US + place * length_us,
            NOON_US + place * length_us + length_us // 2,
            is_guessed=kind == "join",
            is_replica=False,
        )
        for kind in ("join", "publish", "subscribe")
        for place in range(stretches)
    ]
    lanes = Lanes(
        [LanePerson(each, text, place < 2, 60.0, 900.0, 3) for place, each in enumerate(ids)],
        dict.fromkeys(ids, of_one),
        {ids[0]: [NOON_US + MINUTE_US]},
        [Level(NOON_US, 994, 994), Level(NOON_US + 50 * MINUTE_US, 994, 0)],
        publishers=2,
        viewers=998,
    )
    levels = [Level(NOON_US + place * MINUTE_US, 10 * place, 10 * place) for place in range(60)]
    line = lake_facts(text).sessions[0]
    return SessionFacts(
        line,
        lanes,
        {"join": levels, "publish": levels[:3], "subscribe": levels},
        [Audience(text, text, 900, 900_000.0), Audience(None, None, 1, 1.0)],
        [Pair(text or "p3", text, text or "p0", text, 900.0)],
        [SessionWait("join_to_subscribe", [100] * (len(WAIT_BOUNDS_S) + 1), 1_000, 0.8, 4.2)],
        [ErrorLine(text or "SUBSCRIBE_ERROR", text or "QUOTA_EXCEEDED", 12, 10)],
    )


def hostile_page() -> str:
    """A page of many stages, each with one of the hostile texts in every place where a lake may hold a text."""
    of_each = [lake_facts(text) for text in HOSTILE.values()]
    together = LakeFacts(
        *([row for of_one in of_each for row in getattr(of_one, each.name)] for each in fields(LakeFacts))
    )
    sessions = [session_facts(text) for text in HOSTILE.values()]
    return page(replace(ORIGIN, lake="".join(HOSTILE.values())), [status()], together, sessions)


def whole_page(text: str | None = None) -> str:
    """A page with all of its parts; ``text`` as in `lake_facts`."""
    origin = ORIGIN if text is None else replace(ORIGIN, lake=text)
    return page(origin, [status(abandoned=2)], lake_facts(text), [session_facts(text)])
