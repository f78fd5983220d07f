"""The notice of a run's end: the head of its summary and its failures, bounded in size. Pure."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from exporter.text import counted, cut, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: SNS takes 256 KiB (Amazon SNS API Reference, "Publish"), and JSON writes a character in up to six bytes.
FAILURES_MAX = 20
_TEXT_LENGTH_MAX = 500
_KINDS_MAX = 3
_HEAD = (
    *("run_id", "outcome", "exit_code", "stopped_by", "more_to_do", "lake", "tag", "version", "began_at", "ended_at"),
    *("seconds", "units", "sessions", "events", "files", "bytes", "throttled", "retries"),
)


def is_due(on: str, exit_code: int) -> bool:
    """Whether a notice is due of a run that ended with this code; ``on`` is ``problem`` or ``always``."""
    return on == "always" or exit_code != 0


def notice_of(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The notice of a summary that has its exit code. ``text`` is a line for people, made of no text from outside."""
    failures = summary["failures"]
    shown = [
        {
            "error": failure["error"],
            "message": cut(failure["message"], _TEXT_LENGTH_MAX),
            "count": failure["count"],
            "unit": None if failure["unit"] is None else cut(failure["unit"], _TEXT_LENGTH_MAX),
        }
        for failure in failures[:FAILURES_MAX]
    ]
    head = {name: summary[name] for name in _HEAD}
    return {"text": _text_of(summary), **head, "failures": shown, "failures_left_out": len(failures) - len(shown)}


def body_of(notice: Mapping[str, Any]) -> bytes:
    """The notice as it is sent: JSON in ASCII alone."""
    return json.dumps(notice).encode()


def subject_of(notice: Mapping[str, Any]) -> str:
    """The subject of an e-mail: SNS takes up to a hundred printable characters of ASCII."""
    return f"ivs-export: {notice['outcome']} (exit code {notice['exit_code']})"


def _text_of(summary: Mapping[str, Any]) -> str:
    units = summary["units"]
    lake = plain(cut(str(summary["lake"])))
    return (
        f"ivs-export: {summary['outcome']} (exit code {summary['exit_code']}), lake {lake}:"
        f" {counted(units['found'], 'unit')}, {units['failed']:,} failed, {units['deferred']:,} deferred;"
        f" {counted(summary['events']['written'], 'event')} written{_causes(summary['failures'])}"
    )


def _causes(failures: Sequence[Mapping[str, Any]]) -> str:
    """What failed, by our own names for it, the most frequent first."""
    kinds = Counter[str]()
    for failure in failures:
        kinds[failure["error"]] += failure["count"]
    return "".join(f"; {kind}: {count:,}" for kind, count in kinds.most_common(_KINDS_MAX))
