"""An OpenTelemetry endpoint on loopback that keeps the metrics it is sent."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Point(NamedTuple):
    """One data point.

    :param kind: the protocol's name of the metric's kind, such as ``sum``
    :param unit: the metric's unit
    :param value: of a histogram the sum of what was recorded
    :param count: how many values a histogram has, 1 for other kinds
    """

    kind: str
    unit: str
    value: float
    count: int


class OtlpReceiver:
    """Takes OTLP over HTTP on a free port, as a collector would."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, frozenset[tuple[str, str]]], Point] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/metrics":
                    receiver.take(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Keep the tests' output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="otlp", daemon=True)
        self._thread.start()

    def take(self, body: bytes) -> None:
        """Keep the newest point of each series."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        request = ExportMetricsServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self._take_metric(metric)

    def _take_metric(self, metric: Any) -> None:
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            tags = frozenset((item.key, item.value.string_value) for item in point.attributes)
            if kind in ("histogram", "exponential_histogram"):
                found = Point(kind, metric.unit, point.sum, point.count)
            else:
                found = Point(kind, metric.unit, getattr(point, point.WhichOneof("value")), 1)
            with self._lock:
                self._points[metric.name, tags] = found

    def points(self, **tags: str) -> dict[str, Point]:
        """Return the points by metric of the series with exactly these tags."""
        wanted = frozenset(tags.items())
        with self._lock:
            return {name: point for (name, of_point), point in self._points.items() if of_point == wanted}

    def series(self) -> list[tuple[str, dict[str, str]]]:
        """Return the name and the tags of each series so far."""
        with self._lock:
            return [(name, dict(tags)) for name, tags in self._points]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def otlp_env(port: int) -> dict[str, str]:
    """The settings by which an Airflow sends its metrics to a receiver."""
    return {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",  # as by default: what is sent is sent at a process's end
    }
