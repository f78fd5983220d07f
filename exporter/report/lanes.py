"""The timeline of a session: a lane for each participant, and one for the crowd that has none. Pure.

In a lane the line in the middle is the participant's presence; above it stands what it published, below it what it
watched, across it its errors. So it reads without colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.report import wording
from exporter.report.charts import columns_of, stretched, time_axis
from exporter.report.elements import Child, Html, joined, name_text, number, tag
from exporter.report.parts import Column, numbers, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.report.facts import LanePerson, Lanes, Stretch
    from exporter.report.scales import TimeScale

_HEIGHT, _MIDDLE = 22, 11
_CROWD_HEIGHT = 44
#: Stretches that are nearer to each other than this share of the time are drawn as one.
_NEAR_PARTS = 700
#: Of the width, in percent: what is shorter would not be seen.
_WIDTH_MIN = 0.25
_CROWD_COLUMNS = 240
#: What an error is drawn as.
_CROSS = "\N{MULTIPLICATION SIGN}"
_SHAPES = {"publish": (3, 7, "low"), "subscribe": (13, 5, "watched")}


def lane_table(lanes: Lanes, scale: TimeScale, grid: str) -> Html:
    """Make the timeline as a table: who, the lane, and the numbers beside it. ``grid`` is an id for its own use."""
    time = Column("Time, UTC", "lane", _axis(scale, grid))
    columns = [Column("Participant"), time, *numbers("Published", "Watched", "Errors")]
    rows = [_row(person, lanes, scale, grid) for person in lanes.people]
    others = lanes.publishers + lanes.viewers - len(lanes.people)
    if others > 0:
        rows.append(_crowd_row(lanes, scale, grid, others))
    return table("One lane a participant", columns, rows)


def merged(stretches: Iterable[tuple[int, int]], near_us: int) -> list[tuple[int, int]]:
    """Stretches of time as few as can be seen apart: those that overlap or nearly touch are one."""
    found: list[tuple[int, int]] = []
    for start_us, end_us in sorted(stretches):
        if found and start_us - found[-1][1] <= near_us:
            found[-1] = (found[-1][0], max(found[-1][1], end_us))
        else:
            found.append((start_us, end_us))
    return found


def _row(person: LanePerson, lanes: Lanes, scale: TimeScale, grid: str) -> list[Child]:
    stretches = lanes.stretches.get(person.participant_id, ())
    is_replica = any(stretch.is_replica for stretch in stretches)
    name = joined((
        name_text(person.user_id or person.participant_id, length_max=36),
        tag("small", " replica") if is_replica else None,
    ))  # fmt: skip
    return [
        name,
        _lane(stretches, lanes.errors.get(person.participant_id, ()), scale, grid),
        wording.span(person.published_s) if person.published_s else None,
        wording.span(person.watched_s) if person.watched_s else None,
        wording.count(person.errors) if person.errors else None,
    ]


def _lane(stretches: Sequence[Stretch], errors: Iterable[int], scale: TimeScale, grid: str) -> Html:
    near_us = scale.length_us // _NEAR_PARTS
    known, guessed = (
        merged(
            ((each.start_us, each.end_us) for each in stretches if each.kind == "join" and each.is_guessed == is_guess),
            near_us,
        )
        for is_guess in (False, True)
    )
    drawn = [_line(scale, span, "stay") for span in known] + [_line(scale, span, "stay guessed") for span in guessed]
    for kind, (y, height, name) in _SHAPES.items():
        spans = merged(((each.start_us, each.end_us) for each in stretches if each.kind == kind), near_us)
        drawn += [_bar(scale, span, y, height, name) for span in spans]
    crosses = [scale.percent(at_us) for at_us, _ in merged(((at_us, at_us) for at_us in errors), 4 * near_us)]
    drawn += [tag("text", _CROSS, x=_percent(x), y=_MIDDLE + 5, class_="cross") for x in crosses]
    return tag("svg", _grid(grid), *drawn, aria_hidden="true", width="100%", height=_HEIGHT)


def _crowd_row(lanes: Lanes, scale: TimeScale, grid: str, others: int) -> list[Child]:
    columns = columns_of(lanes.crowd, scale, _CROWD_COLUMNS)
    most = max(columns)
    band = stretched(columns, most or 1, 2, _CROWD_HEIGHT - 4)
    label = f"the {wording.things(others, 'other')} connected at once: at most {wording.count(most)}"
    return [
        joined((
            wording.things(others, "other"),
            tag("small", f" at most {wording.count(most)} connected at once"),
        )),
        tag("svg", _grid(grid), band, role="img", aria_label=label, width="100%", height=_CROWD_HEIGHT),
        None,
        None,
        None,
    ]  # fmt: skip


def _axis(scale: TimeScale, grid: str) -> Html:
    """The axis above the lanes, with the lines that each lane repeats."""
    ticks = scale.ticks()
    lines = (
        tag("line", x1=_percent(tick.percent), x2=_percent(tick.percent), y1=0, y2=_CROWD_HEIGHT, class_="grid")
        for tick in ticks
    )
    defined = tag("defs", tag("g", *lines, id=grid))
    return tag("svg", defined, *time_axis(ticks, 0), aria_hidden="true", width="100%", height=36)


def _grid(grid: str) -> Html:
    return tag("use", href=f"#{grid}")


def _line(scale: TimeScale, span: tuple[int, int], class_: str) -> Html:
    start, end = scale.percent(span[0]), scale.percent(span[1])
    return tag("line", x1=_percent(start), x2=_percent(max(end, start + _WIDTH_MIN)), y1=_MIDDLE, y2=_MIDDLE,
               class_=class_)  # fmt: skip


def _bar(scale: TimeScale, span: tuple[int, int], y: float, height: float, class_: str) -> Html:
    start = scale.percent(span[0])
    width = max(scale.percent(span[1]) - start, _WIDTH_MIN)
    return tag("rect", x=_percent(start), y=y, width=_percent(width), height=height, class_=class_)


def _percent(value: float) -> str:
    return f"{number(value)}%"


def _sign(name: str, shape: Html, width: int = 30) -> Html:
    return tag("span", tag("svg", shape, aria_hidden="true", width=width, height=_HEIGHT), name)


#: What the shapes in a lane mean.
LEGEND = (
    _sign("connected", tag("line", x1=0, x2=30, y1=_MIDDLE, y2=_MIDDLE, class_="stay")),
    _sign("connected, its end guessed", tag("line", x1=0, x2=30, y1=_MIDDLE, y2=_MIDDLE, class_="stay guessed")),
    *(
        _sign(name, tag("rect", x=0, y=y, width=30, height=height, class_=class_))
        for name, (y, height, class_) in zip(("published", "watched"), _SHAPES.values(), strict=True)
    ),
    _sign("an error", tag("text", _CROSS, x=8, y=_MIDDLE + 5, class_="cross"), 16),
)
