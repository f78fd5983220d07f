"""What went wrong, what people waited for, and what is strange in the lake. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from exporter.query.domain_checks import MEANINGS
from exporter.report import wording
from exporter.report.charts import share_bar
from exporter.report.elements import Html, cut_name, joined, name_text, tag
from exporter.report.parts import Column, numbers, paragraph, rest_note, section, stage_cell, table, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from exporter.report.facts import ErrorLine, FailureLine, SessionFinding, WaitLine

_CODES_MAX, _SESSION_CODES_MAX = 15, 8
_STAGES_MAX = 30
_ORDER = {"error": 0, "warn": 1, "info": 2}
WAITS = {"join_to_publish": "to the first publication", "join_to_subscribe": "to the first subscription"}


def failures(lines: Sequence[FailureLine], people: int) -> Html:
    """Make the section of all errors, by kind and code."""
    if not lines:
        return section("Nothing failed", paragraph("No event of the range is an error."), anchor="failures")
    events, participants = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for line in lines:
        events[line.event_name, line.error_code] += line.events
        participants[line.event_name, line.error_code] += line.participants
    found = [(name, code, count, participants[name, code]) for (name, code), count in events.most_common()]
    total = sum(events.values())
    title = errors_title(total, *found[0][:2])
    note = f"Of {wording.things(people, 'person', 'people')}. One who met an error on two days counts twice."
    return section(title, code_table(found), paragraph(note, class_="note"), anchor="failures")


def session_errors(lines: Sequence[ErrorLine]) -> Html:
    """Make the table of a session's errors."""
    found = [(line.event_name, line.error_code, line.events, line.participants) for line in lines]
    return code_table(found, _SESSION_CODES_MAX)


def errors_title(count: int, name: str, code: str) -> Html:
    """Say how many errors there were, and which was the most frequent."""
    return joined(
        (
            f"{wording.things(count, 'failure')}, most often ",
            tag("bdi", _code(code)),
            " while ",
            tag("bdi", _kind(name)),
        )
    )


def code_table(found: Sequence[tuple[str, str, int, int]], most_shown: int = _CODES_MAX) -> Html:
    """Make a table of errors: kind, code, how often, how many met it. The first is the most frequent."""
    most = found[0][2]
    rows = (
        (
            tag("bdi", _code(code)),
            tag("bdi", _kind(name)),
            share_bar(events, most),
            wording.count(events),
            wording.count(participants),
        )
        for name, code, events, participants in found[:most_shown]
    )
    columns = [Column("Code"), Column("While"), Column("", "picture"), *numbers("Times", "People")]
    return joined((
        table("Errors, the most frequent first", columns, rows),
        rest_note(most_shown, len(found), "kinds", 'All of them: ivs-export query "FROM failures"'),
    ))  # fmt: skip


def waits(lines: Sequence[WaitLine], names: Mapping[str, str | None]) -> Html | None:
    """Make the section of how long people waited, by stage; nothing where nobody did."""
    some = sorted(lines, key=lambda line: (-line.participants, line.stage_arn, line.what))
    some = [line for line in some if line.participants]
    if not some:
        return None
    first = some[0]
    title = joined((
        f"Half waited at most {wording.span(first.p50_s)} {WAITS.get(first.what, first.what)} on ",
        name_text(names.get(first.stage_arn), "the busiest stage"),
    ))  # fmt: skip
    columns = [
        *texts("Stage", "From joining"),
        *numbers("Half waited at most", "95 % at most", "Of people", "Share of all"),
    ]
    rows = (
        (
            stage_cell(line.stage_arn, names.get(line.stage_arn)),
            WAITS.get(line.what, line.what),
            wording.span(line.p50_s),
            wording.span(line.p95_s),
            wording.count(line.participants),
            wording.share(line.participants, line.of_participants),
        )
        for line in some[:_STAGES_MAX]
    )
    return section(
        title,
        table("Waits by stage, of those who came to it", columns, rows),
        rest_note(_STAGES_MAX, len(some), "rows", 'All of them: ivs-export query "FROM waits"'),
        anchor="waits",
    )


def findings(found: Sequence[SessionFinding]) -> Html:
    """Make the section of what the domain checks found, the gravest first."""
    if not found:
        return section(
            "The checks found nothing strange", paragraph(f"{len(MEANINGS)} checks were made."), anchor="checks"
        )
    by_severity = Counter(finding.severity for finding in found)
    grave = by_severity["error"] + by_severity["warn"]
    title = (
        f"{wording.things(grave, 'finding')} of the checks to look at" if grave
        else "The checks found nothing grave"
    )  # fmt: skip
    return section(title, finding_table(found), anchor="checks")


def finding_table(found: Iterable[SessionFinding]) -> Html:
    """Make a table of findings, one row for each check."""
    counts, sessions = Counter[tuple[str, str]](), defaultdict(set)
    for finding in found:
        counts[finding.severity, finding.name] += finding.count
        if finding.session_id is not None:
            sessions[finding.severity, finding.name].add((finding.stage_arn, finding.session_id))
    order = sorted(counts, key=lambda key: (_ORDER.get(key[0], -1), key[1]))
    rows = (
        (
            _meaning(name),
            tag("strong" if severity != "info" else "span", name_text(severity)),
            wording.count(counts[severity, name]),
            wording.count(len(sessions[severity, name])),
        )
        for severity, name in order
    )
    columns = [*texts("What was found", "Severity"), *numbers("Times", "Sessions")]
    return table("Findings, the gravest first", columns, rows)


def _meaning(name: str) -> Html | str:
    known = MEANINGS.get(name)
    return name_text(name) if known is None else known[0].upper() + known[1:]


def _kind(name: str) -> str:
    known = {"JOIN_ERROR": "joining", "PUBLISH_ERROR": "publishing", "SUBSCRIBE_ERROR": "watching"}
    return known.get(name, cut_name(name) if name else "an event without a name")


def _code(code: str) -> str:
    return cut_name(code) if code else "no code"
