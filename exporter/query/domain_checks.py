"""The checks of the domain: what is strange in a lake, although every file of it is as the log says.

An ``error`` is something that the exporter promises never to leave. A ``warn`` or ``info`` is what IVS itself said, or
did not say: nothing here can mend it, and it stays for ever, so it is named and fails nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporter.query.database import Database

ERROR = "error"
#: What each finding says, by the name that the view `checks` has for it.
MEANINGS: Mapping[str, str] = {
    "event_twice": "an event's id stands twice for a participant; `ivs-export repair` takes it out",
    "event_outside_session": "an event is over 60 s older than its session, or over 15 minutes younger than its end (or"
    " a year than its fetch)",
    "session_in_no_list": "events of a session that no list showed",
    "publish_while_not_joined": "a publication began while its participant had not joined, or had left",
    "subscribe_while_not_joined": "a subscription began while its participant had not joined, or had left",
    "error_without_code": "an event that reports an error has no code",
    "code_without_error": "an event that reports no error has a code",
    "publish_over_a_day": "a publication of more than 24 hours",
    "subscribe_over_a_day": "a subscription of more than 24 hours",
    "stop_without_start": "something ended that had not begun",
    "unknown_event_name": "an event's name is not in AWS's documents",
    "subscribe_to_no_publisher": "a subscription to somebody who never published",
    "day_without_events": "a day without an event, between two with",
}
_FINDINGS = """
    WITH numbered AS (
        SELECT name, severity, stage_arn, session_id, count,
            sum(count) OVER (PARTITION BY name) AS total,
            count(session_id) OVER (PARTITION BY name) AS sessions,
            row_number() OVER (PARTITION BY name ORDER BY count DESC, stage_arn, session_id) AS example_number
        FROM checks
    )
    SELECT name, severity, stage_arn, session_id, count, total, sessions
    FROM numbered WHERE example_number <= $examples
    ORDER BY CASE severity WHEN 'error' THEN 0 WHEN 'warn' THEN 1 ELSE 2 END, name, example_number
"""
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What is strange, how often, in how many sessions, and the sessions that have the most of it with their counts."""

    name: str
    severity: str
    count: int
    sessions: int
    examples: tuple[tuple[str, str, int], ...]

    @property
    def is_error(self) -> bool:
        """Whether the exporter itself is to blame."""
        return self.severity == ERROR

    @property
    def message(self) -> str:
        """What it means."""
        return MEANINGS.get(self.name, self.name)

    def summary(self) -> dict[str, Any]:
        """The finding as JSON has it."""
        examples = [{"stage_arn": arn, "session_id": session, "count": count} for arn, session, count in self.examples]
        return {
            "name": self.name,
            "severity": self.severity,
            "message": self.message,
            "count": self.count,
            "sessions": self.sessions,
            "examples": examples,
        }


def findings(database: Database) -> list[Finding]:
    """Make the checks, and return what they find, errors first. Raises as `Database.ask`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in database.table(_FINDINGS, {"examples": _EXAMPLES}).to_pylist():
        found.setdefault(row["name"], []).append(row)
    return [
        Finding(
            name,
            rows[0]["severity"],
            int(rows[0]["total"]),
            rows[0]["sessions"],
            tuple((row["stage_arn"], row["session_id"], row["count"]) for row in rows if row["session_id"] is not None),
        )
        for name, rows in found.items()
    ]
