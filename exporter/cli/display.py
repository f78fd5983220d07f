"""The live display: a run's progress, drawn on a terminal. It brings rich, which a run elsewhere does without."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from exporter.cli.progress import Progress

_FRAME_S = 0.25


def terminal() -> Console | None:
    """The console on standard error; None where that is no terminal that can be drawn on."""
    console = Console(stderr=True)
    return console if console.is_terminal and not console.is_dumb_terminal else None


async def draw(progress: Progress, console: Console) -> None:
    """Draw the progress, some times a second, until cancelled."""
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:
        while True:
            progress.sample()
            live.update(Text(progress.text(), no_wrap=True, overflow="ellipsis"), refresh=True)
            await asyncio.sleep(_FRAME_S)
