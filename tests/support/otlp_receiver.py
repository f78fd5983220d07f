"""A receiver of OTLP over HTTP, as a collector is one: it decodes the protobufs, and keeps what they say."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(slots=True)
class Received:
    """What has come so far: spans as they were sent; each metric's latest value, by name and labels; who sent it."""

    url: str
    spans: list[Any] = field(default_factory=list)
    metrics: Values = field(default_factory=dict)
    is_monotonic: dict[str, bool] = field(default_factory=dict)
    resource: dict[str, str] = field(default_factory=dict)

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for sent in traces.resource_spans:
                self._note(sent.resource)
                self.spans += [span for scope in sent.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self._note(measured.resource)
                for metric in (metric for scope in measured.scope_metrics for metric in scope.metrics):
                    self._take_metric(metric)
        else:
            raise ValueError(path)

    def _take_metric(self, metric: Any) -> None:
        kind = metric.WhichOneof("data")
        self.is_monotonic[metric.name] = kind == "sum" and metric.sum.is_monotonic
        for point in getattr(metric, kind).data_points:
            labels = frozenset((each.key, each.value.string_value) for each in point.attributes)
            self.metrics[metric.name, labels] = getattr(point, point.WhichOneof("value"))

    def _note(self, resource: Any) -> None:
        self.resource |= {each.key: each.value.string_value for each in resource.attributes}


@contextmanager
def otlp_receiver(status: int = 200) -> Iterator[Received]:
    """A receiver on 127.0.0.1 while the block runs, which answers all with this status."""
    received = Received("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            received.take(self.path, gzip.decompress(body) if is_packed else body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
