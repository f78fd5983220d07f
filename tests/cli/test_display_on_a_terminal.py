"""The live display as a terminal shows it: in this process, and of a real run in a terminal of its own."""

from __future__ import annotations

import asyncio
import io
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest
from rich.console import Console, ConsoleDimensions

from exporter.cli import display
from exporter.cli.progress import Progress, showing
from exporter.emulator import Emulator, Size
from exporter.pipeline.run_ledger import RunLedger
from tests.support.command import command_line, environment_of, until
from tests.support.exports import options_of
from tests.support.ledgers import Outcome, a_lost_scope, a_scope
from tests.support.terminal import Screen, on_a_terminal
from tests.support.worlds import small_world

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.ledger import ScopeLedger

#: What a command on a terminal sees, beside the emulator.
SEEN = {
    "TERM": "xterm-256color",
    "LANG": "C.UTF-8",
    "AWS_ACCESS_KEY_ID": "emulator",
    "AWS_SECRET_ACCESS_KEY": "emulator",
}


class Drawn:
    """A console whose output goes to a screen, of which the test knows the size and what was written."""

    def __init__(self, width: int = 80, height: int = 24, encoding: str = "utf-8", *, no_color: str = "") -> None:
        self._bytes = io.BytesIO()
        file = io.TextIOWrapper(self._bytes, encoding=encoding, write_through=True)
        self.console = Console(
            file=file,
            force_terminal=True,
            width=width,
            height=height,
            color_system="standard",
            _environ={"NO_COLOR": no_color},
        )
        self._screen = Screen(width, height)
        self._read = 0

    @property
    def written(self) -> bytes:
        return self._bytes.getvalue()

    @property
    def screen(self) -> Screen:
        """The screen after all that was written so far."""
        self._screen.write(self.written[self._read :].replace(b"\n", b"\r\n"))
        self._read = len(self.written)
        return self._screen

    def resize(self, width: int, height: int) -> None:
        """Make the terminal another size."""
        self.screen.resize(width, height)
        self.console.size = ConsoleDimensions(width, height)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "_FRAME_S", 0.001)


def half_done() -> ScopeLedger:
    """One whose next commit makes it whole."""
    scope = a_scope({Outcome.EXPORTED: 50}, found=100)
    for _ in range(50):
        scope.unit_fetched()
    return scope


def row_of(screen: Screen, name: str) -> str:
    """The only line on the screen that begins so; empty where there is none."""
    found = [line for line in screen.lines if line.startswith(name)]
    assert len(found) <= 1
    return found[0] if found else ""


async def test_frames_stand_below_log_lines_and_are_gone_at_the_end() -> None:
    """A frame is written over the last one without erasing it, so it does not flicker; a line stays above it."""
    scope, drawn = half_done(), Drawn()
    async with showing(Progress(RunLedger("a-run", [scope]), lambda: 0.0), drawn.console):
        await until(lambda: "50%" in row_of(drawn.screen, scope.name))
        assert not drawn.screen.has_cursor
        before = len(drawn.written)
        scope.units_committed([Outcome.EXPORTED] * 50)
        await until(lambda: "100%" in row_of(drawn.screen, scope.name))
        assert b"\x1b[2K" not in drawn.written[before:]
        drawn.console.print("a line")
        scope.throttled = 7
        await until(lambda: "throttled 7" in "".join(drawn.screen.lines))
        lines = drawn.screen.lines
        assert (lines[0], len(lines)) == ("a line", 6)
        assert lines[-1].startswith(scope.name)
    assert drawn.screen.lines == ["a line"]
    assert drawn.screen.has_cursor


async def test_a_frame_fits_a_terminal_that_becomes_smaller_and_larger() -> None:
    """Nothing is left of the frames of other sizes; many scopes or one."""
    scopes = [a_scope(found=40, account_id=f"{index:012d}") for index in range(200)]
    drawn = Drawn()

    def is_whole(width: int, height: int) -> bool:
        """The title, the failed scope and the total, each once, and nothing below them."""
        lines = drawn.screen.lines
        found = [sum(part in line for line in lines) for part in ("0:00:00", "9012-eu-west-1", "all 201 scopes")]
        return (len(lines), found) == (height - 1, [1, 1, 1]) and max(map(len, lines)) <= width

    async with showing(Progress(RunLedger("a-run", [*scopes, a_lost_scope()]), lambda: 0.0), drawn.console):
        for size in ((80, 24), (50, 12), (20, 5), (200, 50), (80, 24)):
            drawn.resize(*size)
            await until(partial(is_whole, *size))
    assert drawn.screen.lines == []


@pytest.mark.parametrize(("no_color", "are_there"), [("", True), ("1", False)])
async def test_a_terminal_without_colours_gets_none(no_color: str, *, are_there: bool) -> None:
    """One accent, and red for a failure; NO_COLOR leaves both out."""
    drawn = Drawn(no_color=no_color)
    async with showing(Progress(RunLedger("a-run", [half_done(), a_lost_scope()]), lambda: 0.0), drawn.console):
        await until(lambda: "failed" in row_of(drawn.screen, "all 2 scopes"))
    assert (b"\x1b[36m" in drawn.written, b"\x1b[31m" in drawn.written) == (are_there, are_there)


async def test_a_terminal_without_unicode_is_drawn_on_too() -> None:
    """As its encoding says."""
    drawn = Drawn(encoding="ascii")
    async with showing(Progress(RunLedger("a-run", [half_done()]), lambda: 0.0), drawn.console):
        await until(lambda: "===----" in row_of(drawn.screen, "123456789012-eu-west-1"))


def test_frames_that_take_long_are_fewer() -> None:
    """A fiftieth of the time, but one each two seconds all the same."""
    assert [display.pause_s(took_s) for took_s in (0.0, 0.01, 1.0)] == [0.001, 0.5, 2.0]


async def test_a_real_run_on_a_terminal(tmp_path: Path) -> None:
    """Fetched units show before they are committed, a resize leaves one frame, and the summary comes last."""
    world = small_world(3, stages=1, sessions=Size.fixed(2), participants=Size.fixed(100), events=Size.fixed(4))
    async with Emulator(options_of(world)) as emulator:
        command = command_line("run", "--lake", str(tmp_path / "lake"), "--calls-per-second", "20")
        environment = environment_of(emulator.url, SEEN)
        with on_a_terminal(command, environment, 80, 24) as terminal:
            await until(lambda: "╍" in row_of(terminal, "111122223333-us-east-1"))
            assert len(terminal.lines) == 5
            assert terminal.lines[3].endswith("done to commit  found        left")
            terminal.resize(50, 8)
            await until(lambda: "to commit" not in "".join(terminal.lines))
            await until(lambda: "%" in row_of(terminal, "111122223333-us-east-1"))
            assert [line for line in terminal.lines if "run 20" in line] == terminal.lines[:1]
            terminal.resize(120, 30)
            await until(lambda: "calls/s  failed" in "".join(terminal.lines))
            terminal.process.send_signal(signal.SIGINT)
            code = await asyncio.to_thread(terminal.wait, 60.0)
    assert code == 130
    assert terminal.lines[0].startswith("run 20")
    assert ": partial, in " in terminal.lines[0]
    assert "to commit" not in "".join(terminal.lines)
    assert terminal.has_cursor
