"""The part of one session: who was there when, how many at once, who watched whom, waits, errors, findings. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from exporter.report import wording
from exporter.report.charts import Bar, bar_chart, level_chart, share_bar
from exporter.report.elements import Child, Html, joined, name_text, tag
from exporter.report.facts import WAIT_BOUNDS_S
from exporter.report.lanes import LEGEND, lane_table
from exporter.report.parts import Column, key_figures, numbers, paragraph, rest_note, section, stage_cell, table, texts
from exporter.report.scales import Tick, TimeScale
from exporter.report.troubles import WAITS, errors_title, finding_table, session_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.report.facts import (
        Audience,
        ErrorLine,
        Lanes,
        Level,
        Pair,
        SessionFacts,
        SessionFinding,
        SessionWait,
    )

_AUDIENCES_MAX = 24
#: Fewer waits are a sentence, not a picture.
_PICTURE_MIN = 10
_KINDS = (
    ("join", "{most} connected at once, at {clock}", "People connected to the session"),
    ("publish", "{most} publishing at once, at {clock}", "Publications"),
    ("subscribe", "{most} subscriptions at once, at {clock}", "Subscriptions: one for each viewer and publisher"),
)


def session_part(facts: SessionFacts, findings: Sequence[SessionFinding], anchor: str) -> Html:
    """Make the section of a session."""
    line, scale = facts.line, time_scale(facts)
    people = _people(line.counts.participants)
    return section(
        joined((name_text(line.stage_name, "Stage without a name"), f": {people}{_on_day(line.start_us)}")),
        paragraph(
            "Session ", name_text(line.key[1]), f", {wording.period(line.start_us, line.end_us)} UTC, stage ",
            stage_cell(line.key[0], line.stage_name),
        ),
        _figures(facts),
        *(_levels(facts, scale) if scale else [paragraph("No interval is known of this session.")]),
        *(_timeline(facts.lanes, scale, f"{anchor}-grid") if scale and facts.lanes.people else []),
        *_watched(facts.audiences, facts.pairs),
        *_waits(facts.waits),
        *_errors(facts.errors),
        tag("h3", "Findings of the checks" if findings else "The checks found nothing strange"),
        finding_table(findings) if findings else None,
        anchor=anchor,
        class_="session",
    )  # fmt: skip


def time_scale(facts: SessionFacts) -> TimeScale | None:
    """The time of the session's pictures: from its first to its last known moment; None where none is known."""
    stretches = [stretch for of_one in facts.lanes.stretches.values() for stretch in of_one]
    minutes = [level.at_us for levels in facts.levels.values() for level in levels]
    starts = [*(stretch.start_us for stretch in stretches), *minutes]
    ends = [*(stretch.end_us for stretch in stretches), *minutes]
    if not starts:
        return None
    return TimeScale.over(min(starts), max(ends))


def _on_day(start_us: int | None) -> str:
    return "" if start_us is None else f" on {wording.short_day(start_us)}"


def _people(count: int) -> str:
    return wording.things(count, "person", "people")


def _figures(facts: SessionFacts) -> Html:
    counts, hours = facts.line.counts, facts.line.hours
    length = None
    if facts.line.start_us is not None and facts.line.end_us is not None and facts.line.end_us >= facts.line.start_us:
        length = (facts.line.end_us - facts.line.start_us) / 1_000_000
    return key_figures((
        ("People", wording.count(counts.participants), f"{wording.count(counts.rejoins)} rejoins"),
        ("Most watching", wording.count(counts.peak_viewers), f"of {wording.count(counts.viewers)} who ever watched"),
        ("Hours connected", wording.hours(hours.connected_low, hours.connected_high), f"in {wording.span(length)}"),
        ("Hours published", wording.decimal(hours.published), f"by {_people(counts.publishers)}"),
        ("Hours watched", wording.decimal(hours.watched), "each viewer and publisher by itself"),
        ("Complete", "yes" if facts.line.is_complete else "no",
         "nothing of it is missing" if facts.line.is_complete else "its numbers may still change"),
    ))  # fmt: skip


def _levels(facts: SessionFacts, scale: TimeScale) -> list[Html]:
    drawn = []
    for kind, title, caption in _KINDS:
        levels: Sequence[Level] = facts.levels.get(kind, ())
        most = max(levels, key=lambda level: level.peak, default=None)
        if most is None or not most.peak:
            continue
        at = wording.clock(most.at_us)
        said = title.format(most=wording.count(most.peak), clock=f"{at} UTC")
        height = 190 if kind == "join" else 130
        drawn.append(joined((
            tag("h3", said),
            tag("figure", tag("figcaption", f"{caption}, by minute, UTC."), level_chart(levels, scale, said, height)),
        )))  # fmt: skip
    return drawn


def _timeline(lanes: Lanes, scale: TimeScale, grid: str) -> list[Child]:
    publishers = sum(person.is_publisher for person in lanes.people)
    viewers = len(lanes.people) - publishers
    return [
        tag(
            "h3", f"{_chosen(publishers, lanes.publishers, 'publisher')} and {_chosen(viewers, lanes.viewers, 'other')}"
        ),
        paragraph(*LEGEND, class_="legend"),
        tag("div", lane_table(lanes, scale, grid), class_="lanes"),
    ]


def _chosen(shown: int, among: int, noun: str) -> str:
    if shown == among:
        return wording.things(among, noun)
    return f"{wording.count(shown)} of {wording.things(among, noun)}"


def _watched(audiences: Sequence[Audience], pairs: Sequence[Pair]) -> list[Html | None]:
    if not audiences:
        return [tag("h3", "Nobody watched")]
    total = sum(audience.watched_s for audience in audiences)
    first = audiences[0]
    share = wording.share(round(first.watched_s), round(total))
    title: Child = joined(
        (_publisher(first.participant_id, first.user_id), f" was watched most, for {share} of the time")
    )
    rows = (
        (
            _publisher(audience.participant_id, audience.user_id),
            share_bar(audience.watched_s, first.watched_s),
            wording.decimal(audience.watched_s / 3_600),
            wording.count(audience.viewers),
            wording.span(audience.watched_s / max(audience.viewers, 1)),
        )
        for audience in audiences[:_AUDIENCES_MAX]
    )
    columns = [Column("Publisher"), Column("", "picture"), *numbers("Hours watched", "Viewers", "Mean of a viewer")]
    by_pair = (
        (
            name_text(pair.viewer_user_id or pair.viewer_id),
            _publisher(pair.publisher_id, pair.publisher_user_id),
            share_bar(pair.watched_s, pairs[0].watched_s),
            wording.span(pair.watched_s),
        )
        for pair in pairs
    )
    return [
        tag("h3", title),
        table("Publishers, the most watched first", columns, rows),
        rest_note(_AUDIENCES_MAX, len(audiences), "publishers", 'All of them: ivs-export query "FROM watch_time"'),
        table(
            "Who watched whom longest",
            [*texts("Viewer", "Publisher"), Column("", "picture"), *numbers("Watched")],
            by_pair,
        ),
    ]


def _publisher(participant_id: str | None, user_id: str | None) -> Html:
    return name_text(user_id or participant_id, "a publisher without an id")


def _waits(waits: Sequence[SessionWait]) -> list[Html]:
    drawn = []
    for wait in waits:
        count = sum(wait.counts)
        if not count:
            continue
        half, most = wording.span(wait.p50_s), wording.span(wait.p95_s)
        said = f"Half waited at most {half} {WAITS[wait.what]}, 95 % at most {most}"
        caption = (
            f"How many of the {_people(count)} who came to it ({wording.share(count, wait.of_participants)} of all)"
            " waited how long after joining."
        )
        if count < _PICTURE_MIN:
            drawn.append(joined((tag("h3", said), paragraph(f"Of the {_people(count)} who came to it."))))
            continue
        bars = [Bar(each, each) for each in wait.counts]
        drawn.append(joined((
            tag("h3", said),
            tag("figure", tag("figcaption", caption), bar_chart(bars, _wait_ticks(), said, 150, is_whole=True)),
        )))  # fmt: skip
    return drawn


def _wait_ticks() -> list[Tick]:
    bounds = [wording.span(bound).replace(".0", "") for bound in WAIT_BOUNDS_S]
    between = [f"{low} to {high}" for low, high in pairwise(bounds)]
    names = [f"< {bounds[0]}", *between, f"≥ {bounds[-1]}"]
    return [Tick(100 * (index + 0.5) / len(names), name) for index, name in enumerate(names)]


def _errors(errors: Sequence[ErrorLine]) -> list[Html]:
    if not errors:
        return [tag("h3", "Nothing failed")]
    title = errors_title(sum(line.events for line in errors), errors[0].event_name, errors[0].error_code)
    return [tag("h3", title), session_errors(errors)]
