"""Watches one run from outside: it reads the run's summary from time to time, for those who are to know of it.

The run knows nothing of it, and nothing of it slows or fails the run: each wait here has a bound, and what goes wrong
is a warning.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from exporter.machine.installation import how_to_add
from exporter.telemetry.logger import Logger
from exporter.telemetry.spans import span, traced
from exporter.watching.metrics import samples_of
from exporter.watching.metrics_file import MetricsFile
from exporter.watching.notice import is_due, notice_of
from exporter.watching.otel_variables import wanted_signals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from exporter.settings import Settings
    from exporter.watching.otlp import OpenTelemetry

    #: Gives the summary of a run so far, or at its end, with the exit code that it is handed.
    ReadSummary = Callable[[int | None], Mapping[str, Any]]

#: How often metrics are made anew while a run goes on.
UPDATE_S = 15.0
#: For all that is sent at the end of a run that a signal has stopped: it may take ten seconds in all.
_STOPPED_S = 3.0
#: For what is left to send to a collector, at the end.
COLLECTOR_TIMEOUT_S = 5.0
_log = Logger(__name__)


class Watch:
    """The watchers of one run. ``exit_code`` is set at the run's end; without one, the run was broken off.

    The mutable state: the exit code alone.
    """

    def __init__(self, settings: Settings, summary: ReadSummary) -> None:
        self.exit_code: int | None = None
        self._settings = settings
        self._summary = summary
        path = settings.telemetry.metrics_file
        self._file = None if path is None else MetricsFile(path)
        self._collector = _open_collector()

    @property
    def has_metrics(self) -> bool:
        """Whether anybody takes metrics."""
        return self._file is not None or self._collector is not None

    @contextmanager
    def tracing(self, run_id: str) -> Iterator[None]:
        """Let the spans of the block be sent, where traces are, below one for the run."""
        if self._collector is None or not self._collector.has_traces:
            yield
            return
        with traced(self._collector), span("run", run_id=run_id):
            yield

    async def update(self) -> None:
        """Hand the run's metrics to who takes them."""
        samples = samples_of(self._summary(self.exit_code))
        if self._collector is not None:
            self._collector.take(samples)
        if self._file is not None:
            await self._file.write(samples)

    async def keep_updated(self) -> None:
        """Update the metrics again and again, until cancelled."""
        while True:
            await self.update()
            await asyncio.sleep(UPDATE_S)

    async def end(self) -> None:
        """Hand over the last metrics, and send the notice where one is due."""
        if self.has_metrics:
            await self.update()
        await asyncio.gather(self._close_collector(), self._notify())

    async def _close_collector(self) -> None:
        if self._collector is not None:
            await self._collector.close(_timeout_s(self._summary(self.exit_code), COLLECTOR_TIMEOUT_S))

    async def _notify(self) -> None:
        exit_code = self.exit_code
        if exit_code is None:
            return
        notify = self._settings.notify
        if (notify.webhook is None and notify.sns_topic_arn is None) or not is_due(notify.on, exit_code):
            return
        from exporter.watching import notices  # noqa: PLC0415 - brings HTTP's library, and few runs send a notice

        summary = self._summary(exit_code)
        await notices.send(self._settings, notice_of(summary), _timeout_s(summary, notices.NOTICE_TIMEOUT_S))


def _timeout_s(summary: Mapping[str, Any], usual_s: float) -> float:
    """How long something may take to send at a run's end: less where the run was stopped."""
    return _STOPPED_S if summary["stopped_by"] else usual_s


def _open_collector() -> OpenTelemetry | None:
    """The way to the collector that the environment names; None where it names none, or one that can't be used."""
    wanted = wanted_signals(os.environ)
    for fault in wanted.faults:
        _log.warning("OpenTelemetry is not used", reason=fault)
    if not wanted.names:
        return None
    try:
        from exporter.watching.otlp import OpenTelemetry  # noqa: PLC0415 - an extra, and slow to import

        return OpenTelemetry(wanted.names)
    except ImportError:
        _log.warning("OpenTelemetry is not used", reason=f"the extra otel is missing: {how_to_add('otel')}")
    except Exception as error:  # noqa: BLE001 - whatever a wrong variable comes to
        _log.warning("OpenTelemetry is not used", reason="a variable of its own is wrong", exc_info=error)
    return None


@asynccontextmanager
async def watching(settings: Settings, summary: ReadSummary) -> AsyncIterator[Watch]:
    """Watch the run that goes on in this block. ``summary`` gives its summary so far."""
    watch = Watch(settings, summary)
    updates = [asyncio.create_task(watch.keep_updated())] if watch.has_metrics else []
    try:
        with watch.tracing(summary(None)["run_id"]):
            yield watch
    finally:
        for task in updates:
            task.cancel()
        ended = await asyncio.gather(*updates, return_exceptions=True)
        ended += await asyncio.gather(watch.end(), return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                _log.warning("watching the run failed", exc_info=error)  # which is no reason for the run to fail
