"""What ``query`` does: it lists what can be asked, or asks the lake and prints the answer as it comes."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.cli import exit_codes
from exporter.cli.actions.sql import dates_between
from exporter.cli.actions.stoppable import stoppable
from exporter.cli.invocation import is_terminal
from exporter.cli.own_session import own_session
from exporter.cli.plain_logs import start_plain_logs
from exporter.errors import UsageError
from exporter.query.database import check_duckdb, open_database
from exporter.query.examples import EXAMPLES, TABLES, VIEWS
from exporter.query.memory import bounded_memory
from exporter.views.statements import reads_intervals_again

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from exporter.cli.invocation import Invocation
    from exporter.query.examples import Example
    from exporter.query.stop_switch import StopSwitch
    from exporter.settings import Settings

_STANDARD_INPUT = "-"
_SQL_LENGTH_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Question:
    """What was typed: SQL, ``-`` or None, the format of the answer, and the dates of the views."""

    sql: str | None
    format: str
    since: datetime | None
    until: datetime | None


def answer(invocation: Invocation, settings: Settings, question: Question, typed_lake: str | None) -> int:
    """Carry out ``ivs-export query``; ``typed_lake`` is what ``--lake`` says, if it was typed.

    Raises :class:`UsageError`, :class:`QueryFailed` and :class:`LakeError`.
    """
    dates = dates_between(question.since, question.until)
    if question.sql is None:
        invocation.say(_listing(typed_lake))
        return exit_codes.OK
    sql = _sql_of(question.sql)
    check_duckdb()
    start_plain_logs()

    def ask(stop: StopSwitch) -> None:
        from exporter.query.formats import FORMATS  # noqa: PLC0415 - PyArrow is slow to import, and a list needs none

        is_stored = reads_intervals_again(sql)
        with (
            open_database(settings, own_session, dates, is_stored=is_stored, stop=stop) as database,
            bounded_memory(settings.query.memory_gib),
        ):
            for piece in FORMATS[question.format](database.ask(sql), is_terminal(sys.stdout)):
                if not invocation.put(piece):
                    return

    stoppable(invocation, ask)
    return exit_codes.OK


def _sql_of(typed: str) -> str:
    """The SQL that was typed, or that stands on standard input. Raises :class:`UsageError`."""
    try:
        sql = sys.stdin.read(_SQL_LENGTH_MAX + 1) if typed == _STANDARD_INPUT else typed
        sql.encode()
    except (OSError, ValueError, AttributeError) as error:  # closed, or of another encoding
        raise UsageError(
            "the SQL can't be read as text: is standard input open, and in this terminal's encoding?"
        ) from error
    if len(sql) > _SQL_LENGTH_MAX:
        raise UsageError(f"the SQL has more than {_SQL_LENGTH_MAX:,} letters")
    return sql


def _listing(typed_lake: str | None) -> str:
    """All tables and views, each with a command that runs."""
    command = "ivs-export query" + ("" if typed_lake is None else f" --lake {shlex.quote(typed_lake)}")
    parts = [
        "What can be asked, each with an example. `DESCRIBE name` shows the columns.",
        _section("Views, made for questions", VIEWS, command),
        _section("Tables, as they were written", TABLES, command),
    ]
    return "\n\n".join(parts)


def _section(title: str, examples: Sequence[Example], command: str) -> str:
    width = max(len(example.name) for example in EXAMPLES)
    lines = [title]
    for name, row, sql in examples:
        lines += [f"  {name:<{width}}  {row}", f'    {command} "{sql}"']
    return "\n".join(lines)
