"""The live display: a run's progress, drawn on a terminal. It brings rich, which a run elsewhere does without."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment, Segments
from rich.style import Style

from exporter.cli.frame import frame_of
from exporter.cli.frame_text import ASCII, UNICODE, TextRole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import ConsoleRenderable

    from exporter.cli.frame_text import Line
    from exporter.cli.progress import Progress

#: The time from one frame to the next, and of how much of the event loop's time frames of many scopes take, at most.
_FRAME_S, _FRAME_S_MAX, _SHARE_MAX = 0.25, 2.0, 0.02
#: One accent, and red for failure alone; a terminal without colours shows the same words and bars.
_STYLES = {
    TextRole.PLAIN: Style.null(),
    TextRole.STRONG: Style(bold=True),
    TextRole.FAINT: Style(dim=True),
    TextRole.ACCENT: Style(color="cyan"),
    TextRole.ACCENT_FAINT: Style(color="cyan", dim=True),
    TextRole.FAILURE: Style(color="red"),
}


def terminal() -> Console | None:
    """The console on standard error; None where that is no terminal that can be drawn on."""
    console = Console(stderr=True)
    return console if console.is_terminal and not console.is_dumb_terminal else None


async def draw(progress: Progress, console: Console) -> None:
    """Draw the progress until cancelled: some times a second, where it has changed; of many scopes less often.

    A terminal that becomes smaller breaks the lines of the frame that stands there, in its own way, so what it shows is
    cleared, and the next frame stands at its top.
    """
    while True:
        with _Steady(console) as steady:
            await _draw_until_smaller(progress, steady)
        console.clear()


async def _draw_until_smaller(progress: Progress, steady: _Steady) -> None:
    console, shown = steady.console, None
    glyphs = ASCII if console.options.ascii_only else UNICODE
    size = console.size
    while True:
        began_s = progress.clock()
        progress.sample()
        if console.width < size.width or console.height < size.height:
            return
        size = console.size
        frame = frame_of(progress.shown(), size.width, size.height, glyphs)
        if frame != shown:
            steady.show(frame, size.width)
            shown = frame
        await asyncio.sleep(pause_s(progress.clock() - began_s))


def pause_s(took_s: float) -> float:
    """How long to wait after a frame that took so long to make: the event loop has other work."""
    return min(max(_FRAME_S, took_s / _SHARE_MAX), _FRAME_S_MAX)


class _Steady(Live):
    """A frame below the lines that are printed meanwhile; one that is as high as the last is written over it.

    To erase the last frame first, as `Live` does, shows as flicker on a slow terminal.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._height = 0
        self._is_over = False

    def show(self, frame: Sequence[Line], width: int) -> None:
        """Draw a frame, each line as wide as the terminal."""
        self._is_over = len(frame) == self._height
        self._height = len(frame)
        self.update(segments_of(frame, width), refresh=True)
        self._is_over = False

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Go back to the begin of the last frame, erasing it unless the next one is written over it."""
        processed = super().process_renderables(renderables)
        if not self._is_over or not self.console.is_interactive:
            return processed
        up = [(ControlType.CURSOR_UP, self._height - 1)] if self._height > 1 else []  # up by none is up by one
        return [Control(ControlType.CARRIAGE_RETURN, *up), *processed[1:]]


def segments_of(frame: Sequence[Line], width: int) -> Segments:
    """The lines of a frame, styled and filled up to ``width``."""
    segments: list[Segment] = []
    for number, line in enumerate(frame):
        if number:
            segments.append(Segment.line())
        segments += [Segment(piece.text, _STYLES[piece.role]) for piece in line]
        blank = " " * (width - sum(cell_len(piece.text) for piece in line))
        segments.append(Segment(blank, _STYLES[TextRole.PLAIN]))
    return Segments(Segment.simplify(segments))
