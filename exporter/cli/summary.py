"""The summary of a run, and the plan of a dry one, as text for people."""

from __future__ import annotations

from typing import Any

from exporter.text import counted, plain

_FAILURES_SHOWN = 10
_UNKNOWN_FIELDS_SHOWN = 10
_KILO = 1000.0


def text_of(summary: dict[str, Any]) -> str:
    """The summary of a run in some lines for people."""
    events, calls = summary["events"], summary["calls"]
    by_name = "".join(f", {name} {count:,}" for name, count in sorted(calls.items()))
    lines = [
        f"run {summary['run_id']}: {summary['outcome']}, in {duration_of(summary['seconds'])}",
        f"  units      {_parts(summary['units'])}",
        f"  sessions   {_parts(summary['sessions'])}",
        f"  events     {events['fetched']:,} fetched, {events['written']:,} written",
        *_other_rows(summary["rows"]),
        f"  files      {summary['files']:,}, {size_of(summary['bytes'])}",
        f"  calls      {sum(calls.values()):,}{by_name}; {summary['throttled']:,} throttled",
    ]
    lines += [
        f"  {scope['account_id'] or 'no account'} in {scope['region']}: complete until {scope['complete_until']}"
        for scope in summary["scopes"]
        if scope["complete_until"]
    ]
    lines += _empty_regions(summary) + _catalog(summary["catalog"])
    return "\n".join(lines + _unknown_fields(summary["unknown_fields"]) + _failures(summary["failures"]))


def plan_of(summary: dict[str, Any]) -> str:
    """What a dry run found, in some lines for people."""
    lines = ["nothing was fetched or written; a run would take"]
    for plan in summary["plan"]:
        calls = ", ".join(f"{name} {count:,}" for name, count in sorted(plan["calls"].items()))
        pages = f"{plan['pages_per_unit']:g} a unit, " + (
            "which is assumed: no run has shown it, or the last one fetched none"
            if plan["pages_per_unit_assumed"]
            else "as in the last run"
        )
        lines += [
            f"  {plan['scope']}: about {duration_of(plan['minutes'] * 60.0)} at the quota",
            f"    units    {plan['units']:,}",
            f"    calls    {calls}",
            f"    pages    {pages}",
        ]
    if summary["plan"]:
        has_details = any("GetParticipant" in plan["calls"] for plan in summary["plan"])
        what = "GetParticipant and ListParticipantEvents were" if has_details else "ListParticipantEvents was"
        lines.append(f"  {what} not called: whether that is allowed shows only in the run")
    else:
        lines.append("  nothing: no stage was found")
    lines += _empty_regions(summary)
    return "\n".join(lines + _failures(summary["failures"]))


def duration_of(seconds: float) -> str:
    """A time as people say it: ``4.2 s``, ``3 min 20 s``, ``2 h 5 min``, ``6 days 8 h``."""
    if seconds < 10:  # noqa: PLR2004 - below that a tenth is of interest
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours_of_day = divmod(hours, 24)
    if days > 1:
        return f"{days:,} days {hours_of_day} h"
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


def _other_rows(rows: dict[str, int]) -> list[str]:
    """A line with the rows of the tables beside ``events``; none where none were written."""
    written = [f"{count:,} of {name}" for name, count in sorted(rows.items()) if name != "events" and count]
    return [f"  rows       {', '.join(written)}"] if written else []


def _empty_regions(summary: dict[str, Any]) -> list[str]:
    """The regions that have no stage, and where there are some."""
    if not (empty := summary["empty_regions"]):
        return []
    asked = ", ".join(
        scope["region"] + (f" (account {scope['account_id']})" if scope["account_id"] else "") for scope in empty
    )
    found = summary["regions_with_stages"]
    there = f"; there are some in {', '.join(found)}" if found else ""
    return [f"  no stage   in {asked}{there}"]


def _catalog(catalog: dict[str, Any] | None) -> list[str]:
    """A line on the catalog, where there is one."""
    if catalog is None:
        return []
    behind = catalog["behind"]
    lacks = "" if not behind else f", {counted(behind, 'file')} to come or to go"
    return [f"  catalog    {catalog['outcome']}{lacks}"]


def _failures(failures: list[dict[str, Any]]) -> list[str]:
    if not failures:
        return []
    shown = ["    " + plain(_failure(item)) for item in failures[:_FAILURES_SHOWN]]
    rest = len(failures) - len(shown)
    more = [f"    and {counted(rest, 'more cause')}; --json names them all"] if rest else []
    return [f"  failures   {sum(item['count'] for item in failures):,}", *shown, *more]


def _failure(item: dict[str, Any]) -> str:
    """``<unit> and 12 more: refused: ListParticipants: …``."""
    more = f" and {item['count'] - 1:,} more" if item["unit"] and item["count"] > 1 else ""
    return ": ".join(filter(None, ((item["unit"] or "") + more, item["error"], item["message"])))
