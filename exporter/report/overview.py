"""What all sessions of the report add up to: key figures, by day, by stage, and the busiest of them. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from exporter.report import wording
from exporter.report.charts import bar_chart, small_bars
from exporter.report.elements import Child, Html, joined, name_text, tag
from exporter.report.parts import (
    Column,
    folded,
    key_figures,
    numbers,
    paragraph,
    rest_note,
    section,
    stage_cell,
    table,
    texts,
)
from exporter.report.sums import Calendar, Grouping, Sums, sums_by

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.model import SessionKey
    from exporter.report.facts import LakeFacts, SessionLine

_STAGES_MAX, _DAYS_MAX, _BUSIEST_MAX, _STAGE_DAYS_MAX = 100, 120, 20, 300
_OPEN_ROWS_MAX = 14
_SUMS = numbers("Sessions", "People", "Hours", "of it guessed", "Peak at once", "Failures")
_GUESSED = 3
_ALL_HOURS = 'All of them: ivs-export query "FROM participant_hours"'


def overview(facts: LakeFacts, names: Mapping[str, str | None], anchors: Mapping[SessionKey, str]) -> Html:
    """Make the section. ``anchors`` are the sessions with a part of their own, by what leads there."""
    if not facts.sessions:
        return section(
            "No session is here", paragraph("Neither an event nor a session's row lies in the range."), anchor="all"
        )
    return section(
        _title(facts),
        _figures(facts),
        *_days(facts),
        *_stages(facts, names),
        *_busiest(facts, names, anchors),
        anchor="all",
    )


def _title(facts: LakeFacts) -> str:
    low, high, _ = _all(facts).hours
    stages = len({session.key[0] for session in facts.sessions})
    return (
        f"{wording.things(len(facts.sessions), 'session')} of {wording.things(stages, 'stage')},"
        f" {wording.hours(low, high)} participant hours"
    )


def _all(facts: LakeFacts) -> Sums:
    return sums_by(facts, Grouping()).get((None, None), Sums(0, 0, (0, 0, 0), 0, 0))


def _figures(facts: LakeFacts) -> Html:
    total = _all(facts)
    low, high, guessed = total.hours
    counts = [session.counts for session in facts.sessions]
    complete = wording.count(sum(session.is_complete for session in facts.sessions))
    publishers, viewers = (
        wording.count(sum(of_session)) for of_session in zip(*((c.publishers, c.viewers) for c in counts), strict=True)
    )
    replicas = sum(day.replica_high for day in facts.hours)
    guess = f"{wording.decimal(guessed)} of them guessed: nobody saw these people leave" if guessed else "none guessed"
    of_replicas = f"; {wording.decimal(replicas)} of replicas" if replicas else ""
    return key_figures((
        ("Sessions", wording.count(total.sessions), f"{complete} complete"),
        ("People", wording.count(total.people), f"{publishers} published, {viewers} watched"),
        ("Hours connected", wording.hours(low, high), guess + of_replicas),
        ("Peak at once", wording.count(total.peak), "people connected to one session"),
        ("Failures", wording.count(total.failures), "errors met while joining, publishing, watching"),
    ))  # fmt: skip


def _days(facts: LakeFacts) -> list[Html | None]:
    by_day = sums_by(facts, Grouping(by_day=True))
    days = [at for _, at in by_day if at is not None]
    calendar = Calendar.over(day.day_us for day in facts.hours)
    drawn = None
    if calendar is not None and calendar.count > 1:
        bars = calendar.bars(facts.hours)
        best = max(range(len(bars)), key=lambda index: bars[index].high)
        most = wording.hours(bars[best].low, bars[best].high)
        label = f"participant hours by {calendar.bar_name}: at most {most}"
        drawn = joined((
            tag("h3", f"The busiest {calendar.bar_name} had {most} participant hours"),
            tag("figure", tag("figcaption", f"Participant hours by UTC {calendar.bar_name}.", _guess_key(facts)),
                bar_chart(bars, calendar.ticks(), label)),
        ))  # fmt: skip
    shown = sorted(days, reverse=True)[:_DAYS_MAX]
    rows = ([wording.day(at), *_cells(by_day[None, at], has_guesses=_has_guesses(facts))] for at in shown)
    unknown = (
        [["no start known", *_cells(by_day[None, None], has_guesses=_has_guesses(facts))]]
        if (None, None) in by_day
        else []
    )
    listed = table("Each UTC day, the latest first", [Column("Day"), *_sum_columns(facts)], [*rows, *unknown])
    return [
        drawn,
        folded(f"{wording.things(len(days), 'day')} as a table", listed, is_open=len(days) <= _OPEN_ROWS_MAX),
        rest_note(len(shown), len(days), "days", _ALL_HOURS),
    ]


def _guess_key(facts: LakeFacts) -> Html | None:
    if not any(day.high > day.low for day in facts.hours):
        return None
    return tag("span", " The dashed part is uncertain: nobody saw these people leave.")


def _stages(facts: LakeFacts, names: Mapping[str, str | None]) -> list[Html | None]:
    by_stage = sums_by(facts, Grouping(by_stage=True))
    calendar = Calendar.over(day.day_us for day in facts.hours)
    order = sorted(by_stage, key=lambda at: (-by_stage[at].hours[1], str(at[0])))
    first = by_stage[order[0]]
    share = wording.share(round(first.hours[1] * 1_000), round(_all(facts).hours[1] * 1_000))
    title = (
        "Hours, people and failures of the one stage" if len(order) == 1
        else f"The largest of {wording.things(len(order), 'stage')} took {share} of the hours"
    )  # fmt: skip
    unit = "" if calendar is None else f"Hours by {calendar.bar_name}"
    has_picture = calendar is not None and calendar.count > 1
    picture = [Column(unit, "picture")] if has_picture else []
    hours = defaultdict(list)
    for day in facts.hours:
        hours[day.stage_arn].append(day)
    rows = []
    for at in order[:_STAGES_MAX]:
        arn = str(at[0])
        cells: list[Child] = [stage_cell(arn, names.get(arn))]
        if calendar is not None and has_picture:
            highs = [bar.high for bar in calendar.bars(hours[arn])]
            cells.append(small_bars(highs, f"{unit}: at most {wording.decimal(max(highs))}"))
        rows.append([*cells, *_cells(by_stage[at], has_guesses=_has_guesses(facts))])
    note = paragraph("Each stage's bars have a scale of their own: they show when, not how much.", class_="note")
    return [
        tag("h3", title),
        table("Each stage, the one with most hours first", [Column("Stage"), *picture, *_sum_columns(facts)], rows),
        note if has_picture and len(order) > 1 else None,
        rest_note(_STAGES_MAX, len(order), "stages", _ALL_HOURS),
        *_stage_days(facts, names),
    ]


def _stage_days(facts: LakeFacts, names: Mapping[str, str | None]) -> list[Html | None]:
    both = sums_by(facts, Grouping(by_stage=True, by_day=True))
    dated = [at for at in both if at[1] is not None]
    if len(dated) <= 1 or len({at[0] for at in dated}) == 1:
        return []
    order = sorted(dated, key=lambda at: (-(at[1] or 0), -both[at].hours[1], str(at[0])))
    rows = (
        (
            wording.day(at[1] or 0),
            stage_cell(str(at[0]), names.get(str(at[0]))),
            *_cells(both[at], has_guesses=_has_guesses(facts)),
        )
        for at in order[:_STAGE_DAYS_MAX]
    )
    columns = [Column("Day"), Column("Stage"), *_sum_columns(facts)]
    return [
        folded(
            f"Each stage on each day, {wording.things(len(dated), 'row')}",
            joined((
                table("Each stage on each UTC day, the latest first", columns, rows),
                rest_note(_STAGE_DAYS_MAX, len(dated), "rows", _ALL_HOURS),
            )),
        )
    ]  # fmt: skip


def _sum_columns(facts: LakeFacts) -> list[Column]:
    """The columns of sums; that of guesses only where something was guessed."""
    return [column for index, column in enumerate(_SUMS) if index != _GUESSED or _has_guesses(facts)]


def _has_guesses(facts: LakeFacts) -> bool:
    return any(day.guessed_high for day in facts.hours)


def _cells(sums: Sums, *, has_guesses: bool) -> list[Child]:
    low, high, guessed = sums.hours
    cells: list[Child] = [
        wording.count(sums.sessions),
        wording.count(sums.people),
        wording.hours(low, high),
        wording.decimal(guessed) if guessed else wording.UNKNOWN,
        wording.count(sums.peak),
        wording.count(sums.failures),
    ]
    return cells if has_guesses else [*cells[:_GUESSED], *cells[_GUESSED + 1 :]]


def _busiest(facts: LakeFacts, names: Mapping[str, str | None], anchors: Mapping[SessionKey, str]) -> list[Html | None]:
    shown = facts.sessions[:_BUSIEST_MAX]
    columns = [
        *texts("Stage and session", "From, to, UTC", "Complete"),
        *numbers("People", "Published", "Watched", "Most watching", "Hours", "Rejoins", "Failures"),
    ]
    title = f"The largest session had {wording.things(shown[0].counts.participants, 'person', 'people')}"
    return [
        tag("h3", title),
        table("Sessions, the largest first", columns, (_line(session, names, anchors) for session in shown)),
        rest_note(
            _BUSIEST_MAX, len(facts.sessions), "sessions", 'All of them: ivs-export query "FROM session_summary"'
        ),
    ]


def _line(session: SessionLine, names: Mapping[str, str | None], anchors: Mapping[SessionKey, str]) -> Sequence[Child]:
    name, anchor, counts = name_text(session.key[1]), anchors.get(session.key), session.counts
    return [
        joined((
            name_text(names.get(session.key[0]), "no name"),
            " ",
            tag("small", tag("a", name, href=f"#{anchor}") if anchor else name),
        )),
        wording.period(session.start_us, session.end_us),
        "yes" if session.is_complete else tag("strong", "no"),
        *map(wording.count, (counts.participants, counts.publishers, counts.viewers, counts.peak_viewers)),
        wording.hours(session.hours.connected_low, session.hours.connected_high),
        *map(wording.count, (counts.rejoins, counts.errors)),
    ]  # fmt: skip
