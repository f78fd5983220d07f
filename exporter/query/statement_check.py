"""What a question may be: one statement that reads, and calls no function that does something else.

DuckDB's locked configuration refuses most of the rest by itself; what is here is what some version lets pass.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from exporter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_READING = frozenset({"SELECT", "EXPLAIN", "MULTI"})  # DuckDB calls a PIVOT by the last name
_OTHER_ZONE = "; of a time in UTC, timezone('America/New_York', event_time) is that of another zone"
#: Functions that are no reading. DuckDB 1.4 lets a SELECT direct its log to standard output, or to a file that it then
#: can't open, whatever is locked; the last two run a text as SQL, so that the names in it would not be seen.
_REFUSED = frozenset({"enable_logging", "disable_logging", "query", "json_execute_serialized_sql"})
_FIRST_WORD = re.compile(r'"(?:[^"]|"")*"|\w+')


def checked_statement(duckdb: ModuleType, connection: Any, sql: str) -> Any:  # noqa: ANN401 - DuckDB's own
    """The one statement in a text, which reads. Raises :class:`UsageError`, and what DuckDB raises for wrong SQL."""
    found = connection.extract_statements(sql)
    if len(found) != 1:
        what = "no statement" if not found else f"{len(found)} statements"
        raise UsageError(f"{what} where one is asked for: a query is one SELECT")
    if found[0].type.name not in _READING:
        hint = _OTHER_ZONE if "timezone" in sql.lower() else ""
        raise UsageError(f"{found[0].type.name} is refused: a query reads the lake, and changes nothing{hint}")
    refused = min(_REFUSED.intersection(_called(duckdb, sql)), default=None)
    if refused is not None:
        raise UsageError(f"the function {refused} is refused: a query reads the lake, and changes nothing")
    return found[0]


def _called(duckdb: ModuleType, sql: str) -> Iterator[str]:
    """The names before an opening bracket, in small letters."""
    data = sql.encode()  # tokens begin at bytes
    begins = [begin for begin, kind in duckdb.tokenize(sql) if kind.name != "comment"]
    words = [data[begin:end].decode(errors="replace") for begin, end in pairwise([*begins, len(data)])]
    for word, following in pairwise(words):
        if following.startswith("(") and (name := _FIRST_WORD.match(word)) is not None:
            yield name[0].strip('"').lower()
