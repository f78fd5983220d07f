"""The demo's questions to its lake: how large the sessions were, how full the largest was, who watched longest."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from exporter.cli.own_session import own_session
from exporter.query.database import open_database
from exporter.settings import Settings
from exporter.text import plain
from exporter.timestamps import MINUTE_US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from exporter.query.database import Database
    from exporter.query.stop_switch import StopSwitch

_BAR_WIDTH = 40
_QUARTER_US, _DAY_MINUTES, _HOUR_MINUTES = 15 * MINUTE_US, 1_440, 60

_LARGEST = """\
SELECT stage_name, is_complete, participants, peak_viewers,
    watch_s / 3600 AS watch_hours, connected_high_s / 3600 AS connected_hours
FROM session_summary ORDER BY participants DESC, session_id LIMIT 5"""
_BUSIEST = "SELECT session_id FROM session_summary ORDER BY participants DESC, session_id LIMIT 1"
_PRESENT = """\
SELECT epoch_us(minute) AS minute_us, peak, at_end FROM concurrency_by_minute
WHERE kind = 'join' AND session_id = $session_id ORDER BY minute"""
#: A person may come with two devices: each is named, and no browser stands beside another device's system.
WATCHED = """\
SELECT user_id, string_agg(DISTINCT device, ', ' ORDER BY device) AS devices, sum(watch_s) / 3600 AS hours
FROM (SELECT *, coalesce(browser_name, os_name || ' app') AS device FROM participant_summary)
WHERE user_id IS NOT NULL GROUP BY user_id ORDER BY hours DESC, user_id LIMIT 5"""
#: What to ask next, each a line.
_MORE = (
    "SELECT day, sum(hours_low) AS low, sum(hours_high) AS high FROM participant_hours GROUP BY day ORDER BY day",
    "SELECT error_code, sum(participants) AS people FROM failures GROUP BY error_code ORDER BY people DESC",
    "SELECT what, p50_s, p95_s, participants, of_participants FROM waits ORDER BY p95_s DESC",
)


def first_answers(lake: Path, stop: StopSwitch | None = None) -> str:
    """The answers as text, each with its question, and command lines that ask more; ``stop`` can end it midway.

    Raises :class:`UsageError` where DuckDB is missing, and what a question raises.
    """
    with open_database(Settings(lake=str(lake)), own_session, is_stored=True, stop=stop) as database:
        parts = [
            "The largest sessions, and whether all of them is there:",
            _indented(_LARGEST),
            _indented(_table(database, _LARGEST)),
            *_busiest(database),
            "The five people who watched longest, and in which browser or app:",
            _indented(WATCHED),
            _indented(_table(database, WATCHED)),
        ]
    command = f"ivs-export query --lake {shlex.quote(str(lake))}"
    asking = "\n".join(f'    {plain(command)} "{sql}"' for sql in _MORE)
    return "\n\n".join([*parts, f"Ask more (`ivs-export query` alone lists what there is):\n\n{asking}"])


def _busiest(database: Database) -> list[str]:
    """The largest session's participants over time; nothing where nobody joined."""
    sessions = database.table(_BUSIEST).to_pylist()
    if not sessions:
        return []
    [session] = sessions
    minutes = [tuple(row.values()) for row in database.table(_PRESENT, session).to_pylist()]
    shown = _PRESENT.replace("$session_id", f"'{plain(session['session_id'])}'")
    title = "The largest of them: participants present, the most in each quarter of an hour (UTC):"
    return [title, _indented(shown), _bars(most_by_quarter(minutes))] if minutes else []


def most_by_quarter(minutes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The most in each quarter of an hour from the first to the last, each with its beginning in microseconds.

    ``minutes`` are those with a change, in their order: when, the most in it, and what was left at its end. A quarter
    without any has what was left before.
    """
    most: dict[int, int] = {}
    left, last = 0, minutes[0][0] // _QUARTER_US
    for minute_us, peak, at_end in minutes:
        quarter = minute_us // _QUARTER_US
        for quiet in range(last + 1, quarter + 1):
            most[quiet] = left
        most[quarter] = max(most.get(quarter, 0), peak)
        left, last = at_end, quarter
    return [(quarter * _QUARTER_US, people) for quarter, people in most.items()]


def _bars(rows: Sequence[tuple[int, int]]) -> str:
    most = max(people for _, people in rows) or 1
    return "\n".join(
        f"    {_clock(at_us)} {people:>6,} {'█' * round(_BAR_WIDTH * people / most)}".rstrip() for at_us, people in rows
    )


def _clock(at_us: int) -> str:
    minute = at_us // MINUTE_US % _DAY_MINUTES
    return f"{minute // _HOUR_MINUTES:02d}:{minute % _HOUR_MINUTES:02d}"


def _table(database: Database, sql: str) -> str:
    from exporter.query.formats import as_table  # noqa: PLC0415 - PyArrow is loaded with the first answer

    return "".join(as_table(database.ask(sql), True)).rstrip("\n")  # noqa: FBT003 - a person reads it


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
