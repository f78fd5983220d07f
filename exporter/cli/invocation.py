"""One start of the program: what its commands share, and how each of them ends, whatever happens."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from exporter.cli import exits, summary
from exporter.cli.signals import Signals
from exporter.errors import ExportError, UsageError
from exporter.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from exporter.estimate import Estimate
    from exporter.ledger import RunLedger
    from exporter.request import Request, Stop
    from exporter.settings import Settings

    #: Exports what a request asks for, as `exporter.running.run` does.
    Export = Callable[[Settings, Request, RunLedger, Stop], Awaitable[None]]


def new_run_id() -> str:
    """A run's name: it sorts by time, is safe in a file's name, and is never given again."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


class Stopped(ExportError):
    """A signal ended the command before it could end by itself."""

    kind = "stopped"


@dataclass(slots=True)
class Invocation:
    """What the commands share.

    ``ledger`` is there as soon as a run has begun; ``export`` where another is to be used than the exporter's own.
    ``estimates`` are a dry run's. ``is_json`` says that standard output gets one JSON object, and nothing else.
    """

    is_json: bool
    export: Export | None = None
    run_id: str = field(default_factory=new_run_id)
    ledger: RunLedger | None = None
    estimates: list[Estimate] | None = None
    began_s: float = field(default_factory=time.monotonic)
    signals: Signals = field(init=False)

    def __post_init__(self) -> None:
        self.signals = Signals(self._end_at_once)

    def finish(self) -> None:
        """Say what became of the run: one line for what ended it as a whole, and its summary."""
        assert self.ledger is not None, "a run has begun"  # noqa: S101 - a promise of the caller, for the type checker
        self.signals.release(signal.SIG_IGN)
        error = self.ledger.error
        if error is not None:
            _complain(error.kind, str(error))
        report = self._summary()
        if self.estimates is not None:
            report["plan"] = [estimate.summary() for estimate in self.estimates]
        if self.is_json:
            _print(json.dumps(report))
        elif not isinstance(error, UsageError):
            _print(summary.text_of(report) if self.estimates is None else summary.plan_of(report))

    def say(self, text: str) -> None:
        """Print what is for people alone."""
        if not self.is_json:
            _print(text)

    def print_object(self, report: dict[str, Any]) -> None:
        """Print what is for programs alone."""
        if self.is_json:
            _print(json.dumps(report))

    def calls(self) -> Counter[str]:
        """The calls of the run, by operation, in all its scopes."""
        return sum((scope.calls for scope in self.ledger.scopes), Counter()) if self.ledger else Counter()

    def fail(self, error: ExportError) -> int:
        """Say in one line what ended the command, print the summary where it is wanted, and return the exit code."""
        self.signals.release(signal.SIG_IGN)
        _complain(error.kind, str(error))
        if self.ledger is not None:
            self.ledger.error = error
        if self.is_json:
            _print(json.dumps(self._summary(error)))
        return exits.of_error(error)

    def _summary(self, error: ExportError | None = None) -> dict[str, Any]:
        """The run's summary, or that of a command that ``error`` ended before there was a run."""
        seconds = time.monotonic() - self.began_s
        if self.ledger is not None:
            return self.ledger.summary(seconds)
        kind, message = (error.kind, str(error)) if error else ("", "")
        return summary.failed(self.run_id, seconds, kind, message)

    def _end_at_once(self, name: str) -> NoReturn:
        """End the process with the signal's code, writing past Python's buffers, which may be in use just now."""
        self.signals.release()
        stopped = Stopped(f"stopped at once by {name}")
        if self.ledger is not None:
            for scope in self.ledger.scopes:
                scope.close()
            if not self.ledger.scopes:
                self.ledger.error = stopped
        with suppress(OSError):  # where nobody listens any more, the code says it all
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a live display hides the cursor
            if self.is_json:
                os.write(1, json.dumps(self._summary(stopped)).encode() + b"\n")
        os._exit(exits.SIGNALS[name])


def _complain(kind: str, message: str) -> None:
    """One line on standard error: for people on a terminal, a JSON line elsewhere."""
    line = " ".join(message.split())
    if sys.stderr.isatty():
        text = f"ivs-export: {plain(line)}"
    else:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"event": "failed", "error": kind, "message": line, "level": "error", "timestamp": now})
    with suppress(OSError):  # there may be nobody left to tell
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _print(text: str) -> None:
    """Print to standard output and make sure that it went out; a reader who has gone is no error."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python's own last flush does not fail, too
        if not isinstance(error, BrokenPipeError):
            raise ExportError(f"standard output can't be written: {error.strerror}") from error
