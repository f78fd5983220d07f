"""A command's last words: the object that ``--json`` prints, and the same for people."""

from __future__ import annotations

from typing import Any

from exporter.terminal import plain

_UNITS = ("found", "exported", "empty", "unchanged", "failed", "deferred", "abandoned")
_SESSIONS = ("found", "sealed", "active", "vanished")
_FAILURES_SHOWN = 10
_UNKNOWN_FIELDS_SHOWN = 10
_KILO = 1000.0


def failed(run_id: str, seconds: float, error: str, message: str) -> dict[str, Any]:
    """The summary of a command that ended before there was a run: zeroes, and the one failure."""
    return {
        "run_id": run_id,
        "outcome": "failed",
        "units": dict.fromkeys(_UNITS, 0),
        "sessions": dict.fromkeys(_SESSIONS, 0),
        "events": {"fetched": 0, "written": 0},
        "files": 0,
        "bytes": 0,
        "calls": {},
        "throttled": 0,
        "retries": 0,
        "unknown_fields": {},
        "failures": [{"unit": None, "error": error, "message": message}],
        "seconds": round(seconds, 3),
        "scopes": [],
    }


def text_of(summary: dict[str, Any]) -> str:
    """The summary of a run in some lines for people."""
    events, calls = summary["events"], summary["calls"]
    by_name = "".join(f", {name} {count:,}" for name, count in sorted(calls.items()))
    lines = [
        f"run {summary['run_id']}: {summary['outcome']}, in {duration_of(summary['seconds'])}",
        f"  units      {_parts(summary['units'])}",
        f"  sessions   {_parts(summary['sessions'])}",
        f"  events     {events['fetched']:,} fetched, {events['written']:,} written",
        f"  files      {summary['files']:,}, {size_of(summary['bytes'])}",
        f"  calls      {sum(calls.values()):,}{by_name}; {summary['throttled']:,} throttled",
    ]
    lines += [
        f"  {scope['account_id'] or 'no account'} in {scope['region']}: complete until {scope['complete_until']}"
        for scope in summary["scopes"]
        if scope["complete_until"]
    ]
    return "\n".join(lines + _unknown_fields(summary["unknown_fields"]) + _failures(summary["failures"]))


def plan_of(summary: dict[str, Any]) -> str:
    """What a dry run found, in some lines for people."""
    lines = ["nothing was fetched or written; a run would take"]
    for plan in summary["plan"]:
        calls = ", ".join(f"{name} {count:,}" for name, count in sorted(plan["calls"].items()))
        pages = f"{plan['pages_per_unit']:g} a unit, " + (
            "which is assumed: the last run has told none" if plan["pages_per_unit_assumed"] else "as in the last run"
        )
        lines += [
            f"  {plan['scope']}: about {duration_of(plan['minutes'] * 60.0)} at the quota",
            f"    units    {plan['units']:,}",
            f"    calls    {calls}",
            f"    pages    {pages}",
        ]
    if not summary["plan"]:
        lines.append("  nothing: no stage was found")
    return "\n".join(lines + _failures(summary["failures"]))


def duration_of(seconds: float) -> str:
    """A time as people say it: ``4.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:  # noqa: PLR2004 - below that a tenth is of interest
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"


def size_of(size_bytes: float) -> str:
    """A size as people say it: ``820 bytes``, ``3.1 MB``."""
    if size_bytes < _KILO:
        return f"{size_bytes:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        size_bytes /= _KILO
        if size_bytes < _KILO:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / _KILO:,.1f} TB"


def _parts(counts: dict[str, int]) -> str:
    """``1,204 found: 1,190 exported, 14 empty``, without what is zero."""
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count and name != "found")
    return f"{counts['found']:,} found" + (f": {parts}" if parts else "")


def _unknown_fields(counts: dict[str, int]) -> list[str]:
    if not counts:
        return []
    most = sorted(counts.items(), key=lambda item: -item[1])[:_UNKNOWN_FIELDS_SHOWN]
    rest = len(counts) - len(most)
    names = ", ".join(f"{plain(name)} ({count:,})" for name, count in most) + (f" and {rest:,} more" if rest else "")
    return [f"  unknown fields, kept in the column extra: {names}"]


def _failures(failures: list[dict[str, Any]]) -> list[str]:
    if not failures:
        return []
    shown = [
        "    " + plain(": ".join(filter(None, (item["unit"], item["error"], item["message"]))))
        for item in failures[:_FAILURES_SHOWN]
    ]
    rest = len(failures) - len(shown)
    more = [f"    and {rest:,} more; --json names all"] if rest else []
    return [f"  failures   {len(failures):,}", *shown, *more]
