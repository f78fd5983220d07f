"""Sends a run's traces and metrics to an OpenTelemetry collector, by OTLP over HTTP. Import it only where it is wanted.

OpenTelemetry's own threads send; what they can't send in time is dropped, so a collector that is away costs the run
nothing but a bounded wait at its end.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import StatusCode

from exporter import __version__
from exporter.errors import ExportError
from exporter.machine.daemon_threads import DaemonThreads
from exporter.telemetry.logger import Logger
from exporter.watching.metrics import METRICS as ALL_METRICS
from exporter.watching.metrics import MetricKind
from exporter.watching.otel_variables import METRICS, TRACES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from exporter.telemetry.spans import Attribute
    from exporter.watching.metrics import Metric, Sample

_SCOPE_NAME = "ivs_export"
_log = Logger(__name__)


class OpenTelemetry:
    """Traces and metrics of one run, of the ``signals`` that are wanted. It is the run's tracer.

    The mutable state: the latest samples, which OpenTelemetry's thread reads, and how many exports failed.
    """

    def __init__(self, signals: frozenset[str]) -> None:
        self._samples: Sequence[Sample] = ()
        self._failed = 0
        self._senders: list[_SpanSender | _MetricSender] = []
        resource = _resource()
        self._spans: TracerProvider | None = None
        self._meters: MeterProvider | None = None
        if TRACES in signals:
            self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
            self._senders.append(sender := _SpanSender(self._note_failure))
            self._spans.add_span_processor(BatchSpanProcessor(sender))
            self._tracer = self._spans.get_tracer(_SCOPE_NAME, __version__)
        if METRICS in signals:
            self._senders.append(sends := _MetricSender(self._note_failure))
            reader = PeriodicExportingMetricReader(sends)
            self._meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
            self._make_instruments(self._meters)

    @property
    def has_traces(self) -> bool:
        """Whether spans are sent."""
        return self._spans is not None

    def take(self, samples: Sequence[Sample]) -> None:
        """Take the run's metrics as they are now, in place of those before."""
        self._samples = samples

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Attribute]) -> Iterator[None]:
        """Make a span of the block. An error is noted by its kind alone: its text may hold names from outside."""
        known = {f"{_SCOPE_NAME}.{key}": value for key, value in attributes.items() if value is not None}
        with self._tracer.start_as_current_span(
            name, attributes=known, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", error.kind if isinstance(error, ExportError) else type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    async def close(self, timeout_s: float) -> None:
        """Send what is left, for ``timeout_s`` at most; one warning says where not everything was sent."""
        closing = asyncio.wrap_future(DaemonThreads().submit(self._close))
        done, _ = await asyncio.wait([closing], timeout=timeout_s)
        if not done:
            for sender in self._senders:  # which would go on with its tries else
                DaemonThreads().submit(sender.shutdown)
        if not done or self._failed:
            reason = f"{self._failed:,} of its messages" if done else f"no answer in {timeout_s:g} s"
            _log.warning("OpenTelemetry's collector did not take everything", reason=reason)

    def _close(self) -> None:
        if self._meters is not None:
            self._meters.shutdown()
        if self._spans is not None:
            self._spans.shutdown()

    def _note_failure(self) -> None:
        self._failed += 1

    def _make_instruments(self, meters: MeterProvider) -> None:
        meter = meters.get_meter(_SCOPE_NAME, __version__)
        for metric in ALL_METRICS:
            read = [self._reader_of(metric)]
            if metric.kind is MetricKind.COUNTER:
                meter.create_observable_counter(metric.name, read, metric.unit, metric.meaning)
            else:
                meter.create_observable_gauge(metric.name, read, metric.unit, metric.meaning)

    def _reader_of(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(sample.value, dict(zip(metric.labels, sample.labels, strict=True)))
                for sample in self._samples
                if sample.metric is metric
            ]

        return read


class _SpanSender(OTLPSpanExporter):
    """OpenTelemetry's own, which also says where a message was not taken."""

    def __init__(self, note_failure: Callable[[], None]) -> None:
        super().__init__()
        self._note_failure = note_failure

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = super().export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._note_failure()
        return result


class _MetricSender(OTLPMetricExporter):
    """OpenTelemetry's own, which also says where a message was not taken."""

    def __init__(self, note_failure: Callable[[], None]) -> None:
        super().__init__()
        self._note_failure = note_failure

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: object
    ) -> MetricExportResult:
        """Send metrics."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        if result is not MetricExportResult.SUCCESS:
            self._note_failure()
        return result


def _resource() -> Resource:
    """Who sends: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES count for more than the program's own name."""
    own: dict[str, str] = {SERVICE_VERSION: __version__}
    named = os.environ.get("OTEL_SERVICE_NAME") or f"{SERVICE_NAME}=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create(own if named else {**own, SERVICE_NAME: "ivs-export"})
