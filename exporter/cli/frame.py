"""A frame of the live display, decided from a sample of the run and the terminal's size. It draws nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.cli.frame_columns import PERCENT_WIDTH, layout_of, phase_text
from exporter.cli.frame_text import UNICODE, Glyphs, Line, Piece, TextRole, amount, duration, elapsed, line_of, tail
from exporter.cli.run_sample import ScopePhase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.cli.frame_columns import Layout
    from exporter.cli.run_sample import Cause, RunSample, ScopeSample

_CAUSES_MAX = 3
#: The heights, in lines, from which on a frame has each part beside the scopes.
_HEIGHT_TOTAL, _HEIGHT_HEADS, _HEIGHT_FIGURES, _HEIGHT_CAUSE, _HEIGHT_PACES, _HEIGHT_CAUSES = 4, 6, 7, 9, 12, 16


def frame_of(sample: RunSample, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Line]:
    """The lines to show of a run: fewer than the terminal is high, and none wider than it is.

    Past the terminal's height stand the scopes in which something failed and those with the most units open, in the
    order of all scopes.
    """
    rooms = _rooms(len(sample.scopes), len(sample.causes), max(height - 1, 1))
    chosen = _chosen(sample.scopes, rooms.scopes)
    rows = [sample.scopes[index] for index in chosen] + ([sample.total] if rooms.has_total else [])
    layout = layout_of([row.name for row in rows], width)
    lines = [_title(sample)]
    if rooms.has_figures:
        lines.append(_figures(sample.total))
    if rooms.has_paces:
        lines.append(_paces(sample))
    if rooms.has_heads and rows:
        lines.append(_heads(layout))
    lines += [_row(scope, layout, glyphs, is_total=scope is sample.total) for scope in rows]
    if rooms.has_rest:
        lines.append(_rest(scope for index, scope in enumerate(sample.scopes) if index not in chosen))
    lines += [_cause(cause) for cause in sample.causes[: rooms.causes]]
    return [line_of(line, width, glyphs) for line in lines]


@dataclass(frozen=True, slots=True)
class _Rooms:
    """How many lines the scopes and the causes of failures get, and which other parts a frame has."""

    scopes: int
    causes: int
    has_total: bool
    has_figures: bool
    has_paces: bool
    has_heads: bool
    has_rest: bool


def _rooms(scopes: int, causes: int, height: int) -> _Rooms:
    """Share ``height`` lines among the parts: the lower the terminal, the fewer parts stand beside the scopes."""
    has_total = scopes > 1 and height >= _HEIGHT_TOTAL
    has_heads, has_figures, has_paces = height >= _HEIGHT_HEADS, height >= _HEIGHT_FIGURES, height >= _HEIGHT_PACES
    causes = min(causes, _CAUSES_MAX if height >= _HEIGHT_CAUSES else 1 if height >= _HEIGHT_CAUSE else 0)
    room = max(height - 1 - has_total - has_heads - has_figures - has_paces - causes, 0)
    has_rest = scopes > room > 1
    return _Rooms(
        min(room - has_rest, scopes),
        causes,
        has_total=has_total,
        has_figures=has_figures,
        has_paces=has_paces,
        has_heads=has_heads,
        has_rest=has_rest,
    )


def _chosen(scopes: Sequence[ScopeSample], room: int) -> list[int]:
    """The scopes to show, by index: what failed first, then those at work with the most units open."""
    ranked = sorted(range(len(scopes)), key=lambda index: _rank(scopes[index]))
    return sorted(ranked[:room])


def _rank(scope: ScopeSample) -> tuple[int, int]:
    """Scopes of equal rank stay in the order of all."""
    if scope.is_failing:
        return (0 if scope.phase.is_failure else 1), -scope.counts.failed
    return (3 if scope.phase.has_ended else 2), scope.units.done - scope.units.found


def _title(sample: RunSample) -> list[Piece]:
    """The run, how long it goes on, and how long it will."""
    pieces = [Piece(elapsed(sample.elapsed_s), TextRole.STRONG), Piece("  ")]
    if sample.stopped_by is not None:
        pieces.append(Piece(f"stopping ({sample.stopped_by}): what was fetched is being committed", TextRole.STRONG))
    elif sample.total.left_s is not None:
        time = duration(sample.total.left_s)
        pieces.append(Piece(f"{time} left" if time.startswith("<") else f"about {time} left"))
    elif phase := phase_text(sample.total):
        pieces.append(Piece(phase))
    return [*pieces, Piece(f"  run {sample.run_id}", TextRole.FAINT)]


def _figures(total: ScopeSample) -> list[Piece]:
    """What else all scopes add up to."""
    counts = total.counts
    return _labelled(
        (
            ("events", f"{counts.events_written:,}", 11, TextRole.PLAIN),
            ("sessions", f"{counts.sessions_sealed:,}/{counts.sessions_found:,}", 13, TextRole.PLAIN),
            ("failed", f"{counts.failed:,}", 6, TextRole.FAILURE if counts.failed else TextRole.PLAIN),
            ("throttled", f"{counts.throttled:,}", 0, TextRole.PLAIN),
        )
    )


def _paces(sample: RunSample) -> list[Piece]:
    """The calls a second of late, in all scopes, and of which operations they are."""
    calls = [("calls/s", sample.total.calls_s), *sample.paces]
    return _labelled((head, f"{pace:,.1f}", 7, TextRole.PLAIN) for head, pace in calls)


def _labelled(figures: Iterable[tuple[str, str, int, TextRole]]) -> list[Piece]:
    """Figures with what they are of; each has room to grow, so that those after it stay where they are."""
    pieces: list[Piece] = []
    for head, text, width, role in figures:
        pieces += [Piece(f"{head} ", TextRole.FAINT), Piece(f"{text.ljust(width)} ", role)]
    return [*pieces[:-1], Piece(pieces[-1].text.rstrip(), pieces[-1].role)]


def _heads(layout: Layout) -> list[Piece]:
    """The heads of the columns, over their cells."""
    before = layout.name + 1 + PERCENT_WIDTH + (1 + layout.bar if layout.bar else 0)
    gap = " " * layout.gap
    cells = "".join(gap + column.head.rjust(column.width) for column in layout.columns)
    return [Piece(" " * before + cells, TextRole.FAINT)]


def _row(scope: ScopeSample, layout: Layout, glyphs: Glyphs, *, is_total: bool) -> list[Piece]:
    """One line for one scope, or for all of them."""
    named = TextRole.FAILURE if scope.is_failing and not is_total else TextRole.STRONG if is_total else TextRole.PLAIN
    pieces = [Piece(tail(scope.name, layout.name, glyphs), named)]
    if layout.bar:
        pieces += [Piece(" "), *_bar(scope, layout.bar, glyphs)]
    if scope.phase.is_failure and not layout.columns:
        pieces.append(Piece(" fail", TextRole.FAILURE))
    else:
        percent = "" if scope.percent is None else f"{scope.percent}%"
        pieces.append(Piece(f" {percent:>{PERCENT_WIDTH}}", TextRole.ACCENT))
    for column in layout.columns:
        cell = column.cell(scope)
        pieces.append(Piece(" " * layout.gap + cell.text.rjust(column.width), cell.role))
    return pieces


def _bar(scope: ScopeSample, width: int, glyphs: Glyphs) -> list[Piece]:
    """What is done, what is fetched and not yet committed, what is open; while units are found, the lists instead."""
    if scope.phase is ScopePhase.FINDING:
        read, needed = scope.counts.lists_read, scope.counts.lists_needed
        texts = (f"{read:,} of {needed:,} lists ", f"{read:,}/{needed:,} lists ", f"{read:,}/{needed:,} ")
        text = next((text for text in texts if len(text) <= width + 1), "")[:width]
        return [Piece(text + glyphs.open * (width - len(text)), TextRole.FAINT)]
    units = scope.units
    done = width * units.done // units.found if units.found else 0
    fetched = (width * (units.done + units.uncommitted) // units.found if units.found else 0) - done
    return [
        Piece(glyphs.done * done, TextRole.ACCENT),
        Piece(glyphs.fetched * fetched, TextRole.ACCENT_FAINT),
        Piece(glyphs.open * (width - done - fetched), TextRole.FAINT),
    ]


def _rest(scopes: Iterable[ScopeSample]) -> list[Piece]:
    """How far those scopes are that there is no room for."""
    counts = Counter("ended" if scope.phase.has_ended else _group(scope.phase) for scope in scopes)
    parts = ", ".join(f"{counts[phase]:,} {phase}" for phase in ("finding", "fetching", "ended") if counts[phase])
    return [Piece(f"and {counts.total():,} more: {parts}", TextRole.FAINT)]


def _cause(cause: Cause) -> list[Piece]:
    """How much failed, and why."""
    return [Piece(f"{amount(cause.count, 6):>6} failed  ", TextRole.FAILURE), Piece(cause.text)]


def _group(phase: ScopePhase) -> str:
    return "fetching" if phase.is_total_known else "finding"
