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

from exporter.cli import exit_codes, summary
from exporter.cli.signals import Signals
from exporter.errors import ExportError, UsageError
from exporter.text import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TextIO

    from exporter.discovery.cost import Estimate
    from exporter.discovery.request import Request
    from exporter.pipeline.run_ledger import RunLedger
    from exporter.pipeline.stop import Stop
    from exporter.settings import Settings

    #: Exports what a request asks for, as `exporter.pipeline.run.run` does.
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
    ``lake`` and ``tag`` are the run's, as soon as they are known. ``began_us`` is the local time, in microseconds since
    the epoch. ``after_cause`` says what follows from the error that ended the run, once that has been said.
    """

    is_json: bool
    export: Export | None = None
    run_id: str = field(default_factory=new_run_id)
    ledger: RunLedger | None = None
    estimates: list[Estimate] | None = None
    lake: str | None = None
    tag: str | None = None
    began_s: float = field(default_factory=time.monotonic)
    began_us: int = field(default_factory=lambda: time.time_ns() // 1_000)
    after_cause: Callable[[], None] | None = None
    signals: Signals = field(init=False)

    def __post_init__(self) -> None:
        self.signals = Signals(self._end_at_once)

    def finish(self, code: int) -> None:
        """Say what became of the run: one line for what ended it as a whole, and its summary with the exit code."""
        assert self.ledger is not None, "a run has begun"  # noqa: S101 - a promise of the caller, for the type checker
        self.signals.release(signal.SIG_IGN)
        error = self.ledger.error
        if error is not None:
            _complain(error.kind, str(error))
            if self.after_cause is not None:
                self.after_cause()
        elif self.ledger.outcome == "failed":
            first = self.ledger.failures[0]
            what = "every scope failed" if all(scope.is_lost for scope in self.ledger.scopes) else "a scope stopped"
            _complain(first["error"], f"{what}; {first['unit']}: {first['message']}")
        if isinstance(error, UsageError) and not self.is_json:
            return
        text = self._words(code, error) if self.is_json else self._text(error)
        try:
            _print(text)
        except ExportError:
            if self.signals.received != "SIGHUP":  # which says that the terminal is gone
                raise

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
        """Say in one line what ended the command, print the summary where it is wanted, and return the exit code.

        It raises nothing: it has the last word.
        """
        self.signals.release(signal.SIG_IGN)
        code = exit_codes.of_error(error)
        _complain(error.kind, str(error))
        if self.ledger is not None:
            self.ledger.error = error
        if self.is_json:
            with suppress(ExportError):  # who can't be told has the code
                _print(self._words(code, error))
        return code

    def _text(self, error: ExportError | None) -> str:
        """The summary for people."""
        report = self._report(error)
        return summary.text_of(report) if self.estimates is None else summary.plan_of(report)

    def _words(self, code: int, error: ExportError | None) -> str:
        """The object that ``--json`` prints, whatever state the ledger is in."""
        try:
            return json.dumps({**self._report(error), "exit_code": code})
        except Exception as defect:  # noqa: BLE001 - the last boundary must not raise itself
            failure = ("bug", f"the summary can't be made: {type(defect).__name__}")
            return json.dumps({**self._without_run(failure), "exit_code": code})

    def _report(self, error: ExportError | None) -> dict[str, Any]:
        """The run's summary, or that of a command that ``error`` ended before there was a run."""
        if self.ledger is None:
            return self._without_run((error.kind, str(error)) if error else ("", ""))
        report = self.ledger.summary(self._seconds)
        if self.estimates is not None:
            report["plan"] = [estimate.summary() for estimate in self.estimates]
        return report

    def _without_run(self, failure: tuple[str, str]) -> dict[str, Any]:
        stopped_by = self.signals.received
        head = {"run_id": self.run_id, "lake": self.lake, "tag": self.tag, "stopped_by": stopped_by}
        return summary.failed(head, self._seconds, self.began_us, failure)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.began_s

    def _end_at_once(self, name: str) -> NoReturn:
        """End the process with the signal's code, writing past Python's buffers, which may be in use just now."""
        code = exit_codes.SIGNALS[name]
        try:
            self.signals.release()
            stopped = Stopped(f"stopped at once by {name}")
            if self.ledger is not None:
                self.ledger.stopped_by = name
                for scope in self.ledger.scopes:
                    scope.close()
                if not self.ledger.scopes:
                    self.ledger.error = stopped
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # a live display hides the cursor
            if self.is_json:
                os.write(1, self._words(code, stopped).encode() + b"\n")
        finally:
            os._exit(code)  # where nobody listens any more, the code says it all


def _complain(kind: str, message: str) -> None:
    """One line on standard error: for people on a terminal, a JSON line elsewhere."""
    line = " ".join(message.split())
    with suppress(OSError, ValueError):  # there may be nobody left to tell
        if sys.stderr.isatty():
            text = f"ivs-export: {plain(line)}"
        else:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            text = json.dumps({"event": "failed", "error": kind, "message": line, "level": "error", "timestamp": now})
        sys.stderr.write(_writable(text, sys.stderr) + "\n")
        sys.stderr.flush()


def _print(text: str) -> None:
    """Print to standard output and make sure that it went out; a reader who has gone is no error.

    Raises :class:`ExportError` where it can't be written.
    """
    try:
        sys.stdout.write(_writable(text, sys.stdout) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:  # the latter where the stream is closed
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python's own last flush does not fail, too
        if not isinstance(error, BrokenPipeError):
            reason = error.strerror if isinstance(error, OSError) else error
            raise ExportError(f"standard output can't be written: {reason}") from error


def _writable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks escaped: its words may be anybody's."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
