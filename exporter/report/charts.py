"""Pictures of numbers over time, as SVG. Pure.

A picture takes the width that it gets: positions are percentages, and only lines and areas are stretched, never a text
or a stroke. Its numbers stand in its title and in the table beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.report import wording
from exporter.report.elements import Child, Html, joined, number, tag
from exporter.report.scales import TimeScale, ValueScale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.report.facts import Level
    from exporter.report.scales import Tick

_TOP, _BELOW = 14, 36
_STRETCH = 1_000
_COLUMNS_MAX = 480
_EDGE_PERCENT = 3
#: How many moments have room on a narrow screen.
_TICKS_NARROW_MAX = 4
_BAR_SHARE = 0.76
#: Of the picture's width, in percent: two bars alone would be walls.
_BAR_WIDTH_MAX = 9
#: Up to how many bars have their numbers above them.
_LABELLED_MAX = 9


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from zero to ``low``, and on to ``high`` as an outline: what was guessed."""

    low: float
    high: float


def level_chart(levels: Sequence[Level], scale: TimeScale, label: str, height: int = 150) -> Html:
    """Draw how many there were at once, minute by minute, with a dot at the most."""
    columns = columns_of(levels, scale)
    most = max(columns, default=0)
    values = ValueScale.up_to(most, is_whole=True)
    plot = height - _TOP - _BELOW
    at_percent = 100 * (columns.index(most) + 0.5) / len(columns) if columns else 0
    dot = tag("circle", cx=_percent(at_percent), cy=_TOP + plot * (1 - values.percent(most) / 100), r=3.5)
    return framed(label, height, values, scale.ticks(), joined((stretched(columns, values.top, _TOP, plot), dot)))


def columns_of(levels: Sequence[Level], scale: TimeScale, most_columns: int = _COLUMNS_MAX) -> list[int]:
    """The most at once in each column of a picture. A minute without a row is as the one before ended."""
    minute_us = 60_000_000
    count = max(1, min(most_columns, scale.length_us // minute_us))
    columns = [0] * count
    level, filled = 0, 0
    for each in levels:
        at = min(max((each.at_us - scale.start_us) * count // scale.length_us, 0), count - 1)
        for index in range(filled, at + 1):
            columns[index] = max(columns[index], level)
        columns[at] = max(columns[at], each.peak)
        level, filled = each.at_end, at + 1
    for index in range(filled, count):
        columns[index] = max(columns[index], level)
    return columns


def stretched(columns: Sequence[float], top: float, y: float, height: float) -> Html:
    """Draw columns as an area with its upper line, from ``y`` on over ``height`` pixels and the whole width."""
    heights = [_STRETCH / 10 * (1 - value / top) if top else _STRETCH / 10 for value in columns]
    width = _STRETCH / max(len(columns), 1)
    line, last = "", None
    for index, at in enumerate(heights):
        if last is None:
            line = f"M0 {number(at)}"
        elif at != last:
            line += f"H{number(index * width)}V{number(at)}"
        last = at
    line += f"H{_STRETCH}"
    return tag(
        "svg",
        tag("path", d=f"{line}V100H0Z", class_="area"),
        tag("path", d=line, class_="line"),
        viewBox=f"0 0 {_STRETCH} 100",
        preserveAspectRatio="none",
        x=0,
        y=y,
        width="100%",
        height=height,
    )


def bar_chart(
    bars: Sequence[Bar], ticks: Sequence[Tick], label: str, height: int = 190, *, is_whole: bool = False
) -> Html:
    """Draw bars beside each other, each with its number where there are few; of whole numbers where ``is_whole``."""
    values = ValueScale.up_to(max((bar.high for bar in bars), default=0), is_whole=is_whole)
    plot = height - _TOP - _BELOW
    labels = _bar_labels(bars, values, plot, is_whole=is_whole) if len(bars) <= _LABELLED_MAX else []
    return framed(label, height, values, ticks, joined((*_bars(bars, values.top, _TOP, plot), *labels)))


def small_bars(heights: Sequence[float], label: str, height: int = 24) -> Html:
    """Draw bars without an axis, for a table's cell; the highest fills it."""
    top, share = max(heights, default=0) or 1, _STRETCH / max(len(heights), 1)
    width = min(share * _BAR_SHARE, _STRETCH * _BAR_WIDTH_MAX / 100)
    bars = "".join(
        f"M{number((index + 0.5) * share - width / 2)} 100V{number(100 * (1 - value / top))}h{number(width)}V100Z"
        for index, value in enumerate(heights)
        if value > 0
    )
    return tag(
        "svg",
        tag("path", d=bars, class_="low"),
        tag("path", d=f"M0 100H{_STRETCH}", class_="base"),
        class_="small",
        role="img",
        aria_label=label,
        viewBox=f"0 0 {_STRETCH} 100",
        preserveAspectRatio="none",
        width="100%",
        height=height,
    )


def share_bar(value: float, most: float) -> Html:
    """Draw one bar that lies, for a table's cell; its number stands beside it."""
    width = 100 * value / most if most > 0 else 0
    bar = tag("rect", x=0, y=3, width=_percent(max(width, 0.5)), height=8, class_="low") if value > 0 else None
    return tag("svg", bar, class_="share", aria_hidden="true", width="100%", height=14)


def framed(label: str, height: int, values: ValueScale, ticks: Sequence[Tick], drawing: Child) -> Html:
    """Put a drawing between its axes."""
    plot = height - _TOP - _BELOW
    return tag(
        "svg",
        *(_value_tick(tick, _TOP + plot * (1 - tick.percent / 100)) for tick in values.ticks()),
        drawing,
        *time_axis(ticks, _TOP + plot),
        class_="plot",
        role="img",
        aria_label=label,
        width="100%",
        height=height,
    )


def time_axis(ticks: Sequence[Tick], y: float) -> list[Html]:
    """Write the moments of an axis below ``y``; each second one is left out where it is narrow."""
    written = []
    for index, tick in enumerate(ticks):
        anchor = "start" if tick.percent < _EDGE_PERCENT else "end" if tick.percent > 100 - _EDGE_PERCENT else None
        x = _percent(tick.percent)
        below = tag("text", tick.below, x=x, y=y + 30, text_anchor=anchor, class_="below") if tick.below else None
        written.append(
            tag(
                "g",
                tag("line", x1=x, x2=x, y1=y, y2=y + 4),
                tag("text", tick.text, x=x, y=y + 17, text_anchor=anchor),
                below,
                class_="tick odd" if index % 2 and len(ticks) > _TICKS_NARROW_MAX else "tick",
            )
        )
    return written


def _value_tick(tick: Tick, y: float) -> Html:
    line = tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid" if tick.percent else "base")
    return joined((line, tag("text", tick.text, x=-8, y=y + 4, text_anchor="end")))


def _bars(bars: Sequence[Bar], top: float, y: float, height: float) -> list[Html]:
    share = 100 / max(len(bars), 1)
    width = min(share * _BAR_SHARE, _BAR_WIDTH_MAX)
    drawn = []
    for index, bar in enumerate(bars):
        at = {"x": _percent((index + 0.5) * share - width / 2), "width": _percent(width)}
        low, high = (height * value / top if top else 0 for value in (bar.low, bar.high))
        if low > 0:
            drawn.append(tag("rect", **at, y=y + height - low, height=low, class_="low"))
        if high - low > 1:
            drawn.append(tag("rect", **at, y=y + height - high, height=high - low, class_="high"))
    return drawn


def _bar_labels(bars: Sequence[Bar], values: ValueScale, plot: float, *, is_whole: bool) -> list[Html]:
    return [
        tag(
            "text",
            wording.count(round(bar.high)) if is_whole else wording.decimal(bar.high),
            x=_percent((index + 0.5) * 100 / len(bars)),
            y=max(_TOP + plot * (1 - values.percent(bar.high) / 100) - 4, _TOP),
            class_="value",
        )
        for index, bar in enumerate(bars)
        if bar.high > 0
    ]


def _percent(value: float) -> str:
    return f"{number(value)}%"
