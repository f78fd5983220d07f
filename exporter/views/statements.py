"""The statements that make the tables and views of a lake on an engine, in the order to run them. Pure.

The texts of the views stand in ``sql/``, one file a view, the same for every engine. Beside them each engine has a file
of what the views stand on, and ``sql/range/`` what comes between where only a range of dates is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from exporter.errors import UsageError
from exporter.views.columns import COLUMNS
from exporter.views.engines import ATHENA_CATALOG, ENGINES, check_on_s3

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import date

    from exporter.views.engines import Engine

#: The tables of a lake.
TABLES = tuple(COLUMNS)
#: The views that other views stand on and nobody else needs, among those of `VIEWS` in their order.
_INNER = (
    "timely_events", "base_minutes", "newest_sessions", "stage_names", "unit_facts", "session_rows", "session_facts",
    "interval_facts", "viewing_facts",
)  # fmt: skip
_ALL = (
    "stages_now",
    "newest_sessions",
    "sessions_now",
    "stage_names",
    "participants_now",
    "timely_events",
    "base_minutes",
    "unit_facts",
    "session_rows",
    "session_facts",
    "interval_facts",
    "intervals",
    "concurrency_by_minute",
    "viewing_facts",
    "viewers_by_minute",
    "session_summary",
    "participant_summary",
    "watch_time",
    "participant_hours",
    "attempts",
    "failures",
    "waits",
    "checks",
)
#: The views for analysts.
VIEWS = tuple(name for name in _ALL if name not in _INNER)

_DAY_US = 86_400_000_000
#: The ordinal of 1970-01-01.
_EPOCH_DAY = 719_163
#: The last day of the calendar that the views count days by, in days since 1970: 2100-12-31.
_LAST_DAY = 47_846
#: The views of small tables that hold a range of dates.
_SESSIONS_OF_DATES = {"base_listed", "session_range", "range_dates", "base_sessions", "chosen_sessions"}
#: The views that work out the intervals.
_VIEWS_OF_INTERVALS = frozenset(
    {
        "intervals", "concurrency_by_minute", "viewers_by_minute", "session_summary", "participant_summary",
        "watch_time", "participant_hours", "checks",
    }
)  # fmt: skip
_VIEWS_OF_INTERVALS_TWICE = frozenset({"session_summary", "viewers_by_minute"})
_READ = re.compile(r'\b(?:FROM|JOIN)\s+"?(\w+)', re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Dates:
    """A range of UTC dates: from ``since`` up to, and without, ``until``; None is no bound."""

    since: date | None = None
    until: date | None = None

    @property
    def is_bounded(self) -> bool:
        """Whether there is a bound at all."""
        return self.since is not None or self.until is not None


def statements(
    engine: str,
    lake: str,
    dates: Dates | None = None,
    tables: Collection[str] = TABLES,
    *,
    stored: bool = False,
    snapshot: bool = False,
    database: str | None = None,
) -> list[str]:
    """Make the statements, each without its semicolon.

    ``lake`` is an absolute path or ``s3://bucket/prefix``, ``tables`` are those that it has files of; the others are
    made empty. For Athena ``database`` is where a catalog has the lake's tables: those are read, and none are made.
    With ``stored`` what ended which interval is worked out once and kept, not anew by each question; with ``snapshot``
    it is so with the sessions that a range of dates has, which views ask for dozens of times. Both need an engine that
    has tables of its own. Raises :class:`UsageError`.
    """
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}, but {', '.join(ENGINES)}")
    chosen = ATHENA_CATALOG if engine == "athena" and database is not None else ENGINES[engine]
    kept = ({"interval_facts"} if stored else set()) | (_SESSIONS_OF_DATES if snapshot else set())
    made = _tables(chosen, lake.rstrip("/"), frozenset(tables))
    return [*made, *_views(chosen, dates or Dates(), kept, database or "")]


def reads_intervals_again(sql: str) -> bool:
    """Whether a question works the intervals out several times, by what it reads from, so that to keep these pays."""
    read = [match[1].lower() for match in _READ.finditer(sql)]
    return sum((name in _VIEWS_OF_INTERVALS) + (name in _VIEWS_OF_INTERVALS_TWICE) for name in read) > 1


def script(made: list[str]) -> str:
    """The statements as one text, to be run as it stands."""
    return "".join(f"{statement};\n\n" for statement in made).rstrip("\n")


def _tables(engine: Engine, lake: str, tables: frozenset[str]) -> Iterator[str]:
    if engine.setting:
        yield engine.setting
    if engine.table is None:
        check_on_s3(lake)
        return
    for table in TABLES:
        is_made = engine.name == "athena" or table in tables
        yield engine.table(table, lake) if is_made else engine.empty_table(table)


def _views(engine: Engine, dates: Dates, kept: Collection[str], database: str) -> Iterator[str]:
    yield from _base(engine, dates, kept, database)
    for name in _ALL:
        yield f"{_how(engine, name, kept)} {name} AS\n{_text(name)}"


def _how(engine: Engine, name: str, kept: Collection[str]) -> str:
    """How the statement begins that makes a view, or a table where it is kept."""
    return "CREATE OR REPLACE TABLE" if name in kept else engine.view


def _base(engine: Engine, dates: Dates, kept: Collection[str], database: str) -> Iterator[str]:
    """What the views stand on: the tables with times that are the same in every zone, and nothing null in a key."""
    parts, is_bounded = _parts(engine.name), dates.is_bounded
    names = {**_names(parts if is_bounded else None), "database": f'"{database}"'}
    yield from (_filled(text, names) for text in parts["sessions"])
    # Of all dates: a lake from before the table has none of these rows, whichever range is asked for.
    yield f"{_how(engine, 'base_listed', kept)} base_listed AS\nSELECT COUNT(*) AS rows_of_all FROM {names['sessions']}"
    if not is_bounded:
        yield f"{engine.view} base_days AS\nSELECT day, day_us FROM base_calendar"
        yield from (_filled(text, names) for text in parts["events"])
        return
    bounds = _bounds(dates)
    made = [
        f"{_how(engine, name, kept)} {name} AS\n{_filled(_text(f'range/{name}'), bounds)}"
        for name in (
            "session_range", "range_dates", "base_days",
            "chosen_sessions", "base_sessions", "base_participants", "base_events",
        )
    ]  # fmt: skip
    yield from made[:3]
    yield from parts.get("range", ())
    yield from (_filled(text, names) for text in parts["events"])
    yield from made[3:]


def _names(parts: Mapping[str, list[str]] | None) -> dict[str, str]:
    """What stands in an engine's file for the names of views, and for the dates that are read.

    ``parts`` are those of the file where a range of dates is read, and None where all dates are.
    """
    if parts is None:
        names = {table: f"base_{table}" for table in TABLES}
        return {**names, "participants_of_dates": "", "events_of_dates": ""}
    return {
        "sessions": "all_sessions",
        "participants": "dated_participants",
        "events": "dated_events",
        "participants_of_dates": parts["participants of dates"][0],
        "events_of_dates": parts["events of dates"][0],
    }


def _bounds(dates: Dates) -> dict[str, str]:
    """The range in microseconds since 1970: the day at which it begins, and that before which it ends."""
    since = 0 if dates.since is None else dates.since.toordinal() - _EPOCH_DAY
    until = _LAST_DAY if dates.until is None else dates.until.toordinal() - _EPOCH_DAY
    days = {
        "since": since,
        "until": until,
        "day_before": since - 1,
        "day_after": until,
        "last": _LAST_DAY,
    }
    return {f"{name}_us": str(min(max(day, 0), _LAST_DAY) * _DAY_US) for name, day in days.items()}


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text).rstrip()


@cache
def _text(name: str) -> str:
    """The text of a view."""
    return files("exporter.views").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8").rstrip()


@cache
def _parts(engine: str) -> dict[str, list[str]]:
    """The statements of an engine's file, by the part that they stand in."""
    parts = {}
    for part in _text(engine).split("\n-- part: ")[1:]:
        name, _, text = part.partition("\n")
        parts[name] = [statement.strip() for statement in re.split(r";\n|;$", text) if statement.strip()]
    return parts
