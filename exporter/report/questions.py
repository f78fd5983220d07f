"""The questions that the report asks a lake's views, and their answers as `facts`.

No text from a lake stands in a question: keys and ids are passed as parameters. Moments are read as microseconds, so
that no time zone is ever between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from exporter.report import facts
from exporter.report.facts import (
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
from exporter.timestamps import DAY_US, EPOCH, FIRST_US, LAST_US, MICROSECOND

if TYPE_CHECKING:
    from exporter.model import SessionKey

#: Puts a question with its parameters to the lake, and returns the rows.
Ask = Callable[[str, Mapping[str, object]], Sequence[tuple[Any, ...]]]

PUBLISHER_LANES_MAX = 200
VIEWER_LANES_MAX = 40
#: Steps of time in which the crowd without lanes is counted.
_CROWD_STEPS = 400
_AUDIENCES_MAX = 200
_PAIRS_MAX = 12
_HOUR_S = 3_600

_SESSIONS = """
    SELECT stage_arn, session_id, stage_name, epoch_us(session_start), epoch_us(session_end), is_complete, participants,
        publishers, viewers, peak_viewers, errors, rejoins, publish_s, watch_s, connected_low_s, connected_high_s
    FROM session_summary ORDER BY participants DESC, stage_arn, session_id
"""
_NOT_COMPLETE = """
    SELECT stage_arn, session_id, is_final, abandoned_count FROM sessions_now WHERE is_complete IS NOT TRUE
"""
_HOURS = """
    SELECT stage_arn, epoch_us(CAST(day AS TIMESTAMP)), hours_low, hours_high, guessed_hours_high, replica_hours_high
    FROM participant_hours ORDER BY ALL
"""
# A day on which nobody came or went has no minute: those who were there at its midnight count, too.
_PEAKS = """
    SELECT stage_arn, day_us, max(peak) FROM (
        SELECT stage_arn, epoch_us(date_trunc('day', minute)) AS day_us, peak FROM concurrency_by_minute
        WHERE kind = 'join'
        UNION ALL
        SELECT stage_arn, day_us, count(*) FROM interval_facts
        JOIN base_days ON day_us > started_us AND day_us < if(end_reason = 'open', high_us, counted_us)
        WHERE kind = 'join' GROUP BY stage_arn, session_id, day_us
    ) GROUP BY stage_arn, day_us ORDER BY ALL
"""
_FAILURES = """
    SELECT stage_arn, epoch_us(CAST(day AS TIMESTAMP)), event_name, error_code, events, participants
    FROM failures ORDER BY ALL
"""
_WAITS = "SELECT stage_arn, what, participants, of_participants, p50_s, p95_s FROM waits ORDER BY ALL"
_FINDINGS = "SELECT name, severity, stage_arn, session_id, count FROM checks ORDER BY ALL"

_OF_SESSION = "stage_arn = $stage_arn AND session_id = $session_id"
# The tables have all dates, whatever range the views are of.
_OF_DAYS = "event_date BETWEEN $first_day AND $last_day"
_IS_ERROR = "(event_name LIKE '%ERROR' OR error_code <> '')"
# Viewers are chosen evenly by when they first joined, so that early and late ones are among them.
_PEOPLE = f"""
    WITH people AS (
        SELECT participant_id, user_id, participant_id IN (
                SELECT participant_id FROM intervals WHERE {_OF_SESSION} AND kind = 'publish'
            ) AS is_publisher, publish_s, watch_s, errors, first_join_at
        FROM participant_summary WHERE {_OF_SESSION}
    ), ordered AS (
        SELECT *, count(*) OVER same AS total, row_number() OVER (
            PARTITION BY is_publisher
            ORDER BY if(is_publisher, -publish_s, 0), first_join_at NULLS LAST, participant_id
        ) AS person_number
        FROM people WINDOW same AS (PARTITION BY is_publisher)
    )
    SELECT participant_id, user_id, is_publisher, publish_s, watch_s, errors, total FROM ordered
    WHERE if(is_publisher, person_number <= $publishers_max,
        person_number * $viewers_max // total <> (person_number - 1) * $viewers_max // total)
    ORDER BY is_publisher DESC, person_number
"""  # noqa: S608 - of this module's own texts
_STRETCHES = f"""
    SELECT participant_id, kind, epoch_us(started_at), epoch_us(coalesce(ended_at, until_at)),
        end_reason IN ('session_end', 'open') OR (kind = 'join' AND end_reason <> 'stopped'), is_replica
    FROM intervals
    WHERE {_OF_SESSION} AND kind <> 'replication' AND list_contains($ids, participant_id)
    ORDER BY participant_id, kind, started_at, peer
"""  # noqa: S608 - the same
# As the view counts: what is open has not ended, and what has no length counts nowhere.
_CROWD = f"""
    WITH others AS (
        SELECT epoch_us(started_at) AS start_us, epoch_us(ended_at) AS end_us FROM intervals
        WHERE {_OF_SESSION} AND kind = 'join' AND NOT list_contains($ids, participant_id)
            AND (ended_at IS NULL OR ended_at > started_at)
    ), levels AS (
        SELECT at_us, at_us // $step_us * $step_us AS step, sum(change) OVER (ORDER BY at_us) AS level FROM (
            SELECT start_us AS at_us, 1 AS change FROM others
            UNION ALL SELECT end_us, -1 FROM others WHERE end_us IS NOT NULL
        )
    )
    SELECT step, max(level)::BIGINT, arg_max(level, at_us)::BIGINT FROM levels GROUP BY step ORDER BY step
"""  # noqa: S608 - the same
_ERROR_TIMES = f"""
    SELECT participant_id, epoch_us(event_time) AS at_us FROM events
    WHERE {_OF_SESSION} AND {_OF_DAYS} AND {_IS_ERROR} AND list_contains($ids, participant_id)
    ORDER BY ALL
"""  # noqa: S608 - the same
_LEVELS = f"""
    SELECT kind, epoch_us(minute), peak, at_end FROM concurrency_by_minute
    WHERE {_OF_SESSION} ORDER BY kind, minute
"""  # noqa: S608 - the same
_AUDIENCES = f"""
    SELECT publisher_id, any_value(publisher_user_id), count(DISTINCT viewer_id), sum(watch_s) AS total_s
    FROM watch_time WHERE {_OF_SESSION} GROUP BY publisher_id ORDER BY total_s DESC, publisher_id LIMIT $most
"""  # noqa: S608 - the same
_PAIRS = f"""
    SELECT viewer_id, viewer_user_id, publisher_id, publisher_user_id, watch_s FROM watch_time
    WHERE {_OF_SESSION} ORDER BY watch_s DESC, viewer_id, publisher_id LIMIT $most
"""  # noqa: S608 - the same
_SESSION_WAITS = f"""
    WITH waited AS (
        SELECT unnest(['join_to_publish', 'join_to_subscribe']) AS what,
            unnest([first_publish_s, first_subscribe_s]) AS wait_s
        FROM participant_summary WHERE {_OF_SESSION} AND first_join_at IS NOT NULL
    )
    SELECT what, wait_s FROM waited ORDER BY what, wait_s NULLS LAST
"""  # noqa: S608 - the same
_ERRORS = f"""
    SELECT coalesce(event_name, ''), coalesce(error_code, ''), count(*) AS times, count(DISTINCT participant_id)
    FROM events WHERE {_OF_SESSION} AND {_OF_DAYS} AND {_IS_ERROR}
    GROUP BY ALL ORDER BY times DESC, 1, 2
"""  # noqa: S608 - the same


def lake_facts(ask: Ask) -> LakeFacts:
    """What the views say of all sessions, the one with most participants first."""
    sessions = [_session(row) for row in ask(_SESSIONS, {})]
    known = {(arn, session_id): rest for arn, session_id, *rest in ask(_NOT_COMPLETE, {})}
    return LakeFacts(
        sessions,
        _incomplete(sessions, known),
        [DayHours(*row) for row in ask(_HOURS, {})],
        [DayPeak(*row) for row in ask(_PEAKS, {})],
        [FailureLine(arn, day, name or "", code or "", *rest) for arn, day, name, code, *rest in ask(_FAILURES, {})],
        [WaitLine(*row) for row in ask(_WAITS, {})],
        [SessionFinding(*row) for row in ask(_FINDINGS, {})],
    )


def session_facts(ask: Ask, line: SessionLine) -> SessionFacts:
    """What the views say of one session."""
    key = _parameters(line.key)
    days = _days(line)
    errors = ask(_ERRORS, {**key, **days})
    if sum(events for _, _, events, _ in errors) != line.counts.errors:  # some are far from the session's own days
        days = {"first_day": date.min, "last_day": date.max}
        errors = ask(_ERRORS, {**key, **days})
    levels = defaultdict(list)
    for kind, *level in ask(_LEVELS, key):
        levels[kind].append(Level(*level))
    return SessionFacts(
        line,
        _lanes(ask, key, days),
        levels,
        [Audience(*row) for row in ask(_AUDIENCES, {**key, "most": _AUDIENCES_MAX})],
        [Pair(*row) for row in ask(_PAIRS, {**key, "most": _PAIRS_MAX})],
        waits_of(ask(_SESSION_WAITS, key)),
        [ErrorLine(*row) for row in errors],
    )


def _incomplete(sessions: Sequence[SessionLine], known: Mapping[SessionKey, Sequence[Any]]) -> list[IncompleteSession]:
    """The sessions that are not complete, those without a known start first; ``known`` is what their rows say."""
    found = [
        IncompleteSession(line.key, line.start_us, line.end_us, *known.get(line.key, (None, None)))
        for line in sessions
        if not line.is_complete
    ]
    return sorted(found, key=lambda each: (each.start_us is not None, each.start_us, each.key))


def waits_of(rows: Sequence[tuple[Any, ...]]) -> list[SessionWait]:
    """Count waits, in the order of their length and None last, by `facts.WAIT_BOUNDS_S`. Pure."""
    found = defaultdict(list)
    for what, wait_s in rows:
        found[what].append(wait_s)
    return [_wait(what, of_all) for what, of_all in sorted(found.items())]


def _wait(what: str, of_all: Sequence[float | None]) -> SessionWait:
    waits = [wait_s for wait_s in of_all if wait_s is not None]
    below = [sum(wait_s < bound for wait_s in waits) for bound in facts.WAIT_BOUNDS_S]
    counts = [after - before for before, after in zip([0, *below], [*below, len(waits)], strict=True)]
    return SessionWait(what, counts, len(of_all), _nearest_rank(waits, 50), _nearest_rank(waits, 95))


def _nearest_rank(ordered: Sequence[float], percent: int) -> float | None:
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


def _lanes(ask: Ask, key: Mapping[str, object], days: Mapping[str, object]) -> Lanes:
    rows = ask(_PEOPLE, {**key, "publishers_max": PUBLISHER_LANES_MAX, "viewers_max": VIEWER_LANES_MAX})
    totals = {bool(row[2]): row[-1] for row in rows}
    of_people = {**key, "ids": [row[0] for row in rows]}
    stretches, errors = defaultdict(list), defaultdict(list)
    for participant_id, *stretch in ask(_STRETCHES, of_people):
        stretches[participant_id].append(Stretch(*stretch))
    for participant_id, at_us in ask(_ERROR_TIMES, {**of_people, **days}):
        errors[participant_id].append(at_us)
    drawn = [stretch for of_one in stretches.values() for stretch in of_one]
    crowd: Sequence[tuple[Any, ...]] = []
    if sum(totals.values()) > len(rows) and drawn:
        length_us = max(each.end_us for each in drawn) - min(each.start_us for each in drawn)
        crowd = ask(_CROWD, {**of_people, "step_us": max(length_us // _CROWD_STEPS, 1)})
    return Lanes(
        [LanePerson(*row[:-1]) for row in rows],
        stretches,
        errors,
        [Level(*row) for row in crowd],
        totals.get(True, 0),
        totals.get(False, 0),
    )


def _session(row: tuple[Any, ...]) -> SessionLine:
    stage_arn, session_id, stage_name, start_us, end_us, is_complete, *counts = row
    published_s, watched_s, low_s, high_s = (seconds / _HOUR_S for seconds in counts[6:])
    return SessionLine(
        (stage_arn, session_id),
        stage_name,
        start_us,
        end_us,
        bool(is_complete),
        SessionTotals(*counts[:6]),
        SessionHours(published_s, watched_s, low_s, high_s),
    )


def _days(line: SessionLine) -> dict[str, object]:
    """The UTC days on which a session may have events: its own, and a day before and after."""
    first_us = FIRST_US if line.start_us is None else max(line.start_us - DAY_US, FIRST_US)
    last_us = LAST_US if line.end_us is None else min(line.end_us + DAY_US, LAST_US)
    return {"first_day": (EPOCH + first_us * MICROSECOND).date(), "last_day": (EPOCH + last_us * MICROSECOND).date()}


def _parameters(key: SessionKey) -> dict[str, object]:
    return {"stage_arn": key[0], "session_id": key[1]}
