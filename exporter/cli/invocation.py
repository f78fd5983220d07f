"""One start of the program: what its commands share, and how they end, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from exporter.cli import exit_codes, summary
from exporter.cli.signals import Signals
from exporter.errors import ExportError, UsageError
from exporter.pipeline.run_ledger import RunLedger, new_run_id
from exporter.telemetry.unforeseen import Bug
from exporter.text import plain, reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TextIO

    from exporter.discovery.cost import Estimate
    from exporter.discovery.request import Request
    from exporter.pipeline.stop import Stop
    from exporter.settings import Settings
    from exporter.watch_settings import LogFormat

    #: Exports what a request asks for, as `exporter.pipeline.run.run` does.
    Export = Callable[[Settings, Request, RunLedger, Stop], Awaitable[None]]


class Stopped(ExportError):
    """A signal ended the command before it could end by itself."""

    kind = "stopped"


@dataclass(slots=True)
class Invocation:
    """What the commands share.

    ``is_json`` says that standard output gets one JSON object, and nothing else. ``export`` takes the place of the
    exporter's own, where it is not None. ``ledger`` is the run's, and that of a command which ends before there is one.
    ``estimates`` are a dry run's; None: it is no dry run. ``after_cause`` logs what follows from the error that ended
    the run, after that error's own line. ``log_format`` is the form of the line on what ended the command.
    """

    is_json: bool
    export: Export | None = None
    ledger: RunLedger = field(init=False)
    estimates: list[Estimate] | None = field(init=False, default=None)
    after_cause: Callable[[], None] | None = field(init=False, default=None)
    log_format: LogFormat = field(init=False, default="auto")
    signals: Signals = field(init=False)
    _began_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = RunLedger(new_run_id(), began_us=time.time_ns() // 1_000)
        self.signals = Signals(self._end_at_once)
        self._began_s = time.monotonic()

    def finish(self, code: int) -> None:
        """Print what became of the run: one line for what ended it as a whole, and its summary with the exit code."""
        self.signals.release(signal.SIG_IGN)
        if (cause := self.ledger.cause) is not None:
            self._complain(*cause)
        if self.after_cause is not None:
            self.after_cause()
        if isinstance(self.ledger.error, UsageError) and not self.is_json:
            return
        text = self._object(code) if self.is_json else self._text()
        try:
            _print(text)
        except ExportError:
            if self.signals.received != "SIGHUP":  # which says that the terminal is gone
                raise

    def say(self, text: str) -> None:
        """Print what is for people alone."""
        if not self.is_json:
            _print(text)

    def put(self, text: str) -> bool:
        """Print a piece of a long text, and report whether its reader is still there."""
        return _print(text, end="")

    def print_object(self, report: object) -> None:
        """Print what is for programs alone."""
        if self.is_json:
            _print(json.dumps(report))

    def summary_so_far(self, code: int | None) -> dict[str, Any]:
        """The run's summary as it stands now; at its end with the exit code."""
        report = self.ledger.summary(self._seconds)
        return report if code is None else {**report, "exit_code": code}

    def calls(self) -> Counter[str]:
        """The calls of the run, by operation, in all its scopes."""
        return sum((scope.calls for scope in self.ledger.scopes), Counter())

    def fail(self, error: ExportError) -> int:
        """Print one line on what ended the command, and the summary where it is wanted; return the exit code.

        It raises nothing: it is the last boundary.
        """
        self.signals.release(signal.SIG_IGN)
        code = exit_codes.of_error(error)
        self._complain(error.kind, str(error))
        self.ledger.error = error
        self.ledger.stopped_by = self.ledger.stopped_by or self.signals.received
        if self.is_json:
            with suppress(ExportError):  # where it can't be printed, the code is left
                _print(self._object(code))
        return code

    def _complain(self, kind: str, message: str) -> None:
        is_text = is_terminal(sys.stderr) if self.log_format == "auto" else self.log_format == "text"
        _complain(kind, message, is_text=is_text)

    def _text(self) -> str:
        """The summary for people."""
        report = self._report()
        return summary.text_of(report) if self.estimates is None else summary.plan_of(report)

    def _object(self, code: int) -> str:
        """The object that ``--json`` prints, whatever state the ledger is in."""
        try:
            return json.dumps({**self._report(), "exit_code": code})
        except Exception as defect:  # noqa: BLE001 - the last boundary must not raise itself
            bug = Bug(f"the summary can't be made: {type(defect).__name__}")
            without_scopes = replace(self.ledger, error=bug, scopes=[])
            return json.dumps({**without_scopes.summary(self._seconds), "exit_code": code})

    def _report(self) -> dict[str, Any]:
        """The run's summary, or that of a command which ended before there was a run."""
        report = self.ledger.summary(self._seconds)
        if self.estimates is not None:
            report["plan"] = [estimate.summary() for estimate in self.estimates]
        return report

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began_s

    def _end_at_once(self, name: str) -> NoReturn:
        """End the process with the signal's code, writing past Python's buffers, which may be in use just now."""
        code = exit_codes.SIGNALS[name]
        try:
            self.signals.release()
            self.ledger.stopped_by = name
            for scope in self.ledger.scopes:
                scope.close()
            if not self.ledger.scopes:
                self.ledger.error = Stopped(f"stopped at once by {name}")
            if is_terminal(sys.stderr):
                os.write(2, b"\x1b[?25h\n")  # a live display hides the cursor
            if self.is_json:
                os.write(1, self._object(code).encode() + b"\n")
        finally:
            os._exit(code)  # where nothing can be written any more, the code is left


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads a stream; a closed one is read by nobody."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def _complain(kind: str, message: str, *, is_text: bool) -> None:
    """One line on standard error, for people or in JSON."""
    line = " ".join(message.split())
    with suppress(OSError, ValueError):  # the stream may be gone
        if is_text:
            text = f"ivs-export: {plain(line)}"
        else:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            text = json.dumps({"event": "failed", "error": kind, "message": line, "level": "error", "timestamp": now})
        sys.stderr.write(_writable(text, sys.stderr) + "\n")
        sys.stderr.flush()


def _print(text: str, end: str = "\n") -> bool:
    """Print to standard output and make sure that it went out; a reader who has gone is no error, and reported.

    Raises :class:`ExportError` where it can't be written.
    """
    try:
        sys.stdout.write(_writable(text, sys.stdout) + end)
        sys.stdout.flush()
    except (OSError, ValueError) as error:  # the latter where the stream is closed
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python's own last flush does not fail, too
        if not isinstance(error, BrokenPipeError):
            raise ExportError(f"standard output can't be written: {reason_of(error)}") from error
        return False
    return True


def _writable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks escaped: it may come from anybody."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
