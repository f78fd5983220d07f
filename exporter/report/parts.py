"""The parts that a page is made of: sections, tables, key figures. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.report.elements import Child, Html, cut_name, joined, name_text, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. ``kind`` is ``text``, ``number``, ``picture`` or ``lane``; ``axis`` stands in its head."""

    title: str
    kind: str = "text"
    axis: Html | None = None


def texts(*titles: str) -> list[Column]:
    """Columns of texts."""
    return [Column(title) for title in titles]


def numbers(*titles: str) -> list[Column]:
    """Columns of numbers."""
    return [Column(title, "number") for title in titles]


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Child]]) -> Html:
    """Make a table; a row's first cell names the row. Where it is narrow, each cell carries its column's title."""
    head = tag("tr", *(tag("th", column.title, column.axis, scope="col", class_=_class(column)) for column in columns))
    body = (
        tag(
            "tr",
            tag("th", row[0], scope="row", class_=_class(columns[0])),
            *(
                tag("td", cell, class_=_class(column), data_label=column.title)
                for column, cell in zip(columns[1:], row[1:], strict=True)
            ),
        )
        for row in rows
    )
    return tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))


def section(title: Child, *children: Child, anchor: str, class_: str | None = None) -> Html:
    """Make a section with its title."""
    return tag("section", tag("h2", title), *children, id=anchor, class_=class_)


def paragraph(*children: Child, class_: str | None = None) -> Html:
    """Make a paragraph."""
    return tag("p", *children, class_=class_)


def key_figures(figures: Iterable[tuple[str, str, Child]]) -> Html:
    """Make a row of numbers: each with its name and what is to be known of it."""
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", tag("b", value), tag("span", note))) for name, value, note in figures),
        class_="figures",
    )


def folded(title: str, content: Html, *, is_open: bool = False) -> Html:
    """Make a part that opens when it is asked for; in print it is open."""
    return tag("details", tag("summary", title), content, open="" if is_open else None)


def stage_cell(stage_arn: str, name: str | None) -> Html:
    """Name a stage: its name, and the last part of its ARN, which no other stage of its account and region has."""
    return joined((name_text(name, "no name"), " ", tag("small", tag("bdi", cut_name(stage_arn.rpartition("/")[2])))))


def rest_note(shown: int, among: int, noun: str, how: str) -> Html | None:
    """Say how many rows were left out, and how to see them; nothing where none was."""
    if among <= shown:
        return None
    return paragraph(f"{shown:,} of {among:,} {noun} are shown. {how}", class_="note")


def _class(column: Column) -> str | None:
    return None if column.kind == "text" else column.kind
