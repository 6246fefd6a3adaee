"""The way of a metric: from here to the StatsD server, to its exporter's page, to Prometheus."""

from __future__ import annotations

import json
import re
import socket
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_aiopt.deployment.configuration import Configuration
from airflow_provider_aiopt.doctor.context import Addresses
from airflow_provider_aiopt.doctor.http import http
from airflow_provider_aiopt.doctor.models import Skip
from airflow_provider_aiopt.exceptions import DoctorError
from airflow_provider_aiopt.telemetry.exposition import PREFIX
from airflow_provider_aiopt.telemetry.statsd import DEFAULT_PORT

EXPORTER_PORT = 9102
"""Where statsd_exporter shows its page by default."""

_PACKETS = "statsd_exporter_udp_packets_total"
_TRUE = {"true", "t", "1", "yes", "on"}
_POLL_S = 0.2
_DISCOVERY_S = 6.0  # Prometheus takes new targets up every five seconds


@dataclass(frozen=True, slots=True)
class Route:
    """Where Airflow sends its metrics.

    :param host: the StatsD server's host
    :param port: its UDP port
    :param prefix: first part of every name
    :param exporter: URL of the page on which the exporter shows what came
    """

    host: str
    port: int
    prefix: str
    exporter: str


def find_route(configuration: Configuration | Skip, addresses: Addresses) -> Route | Skip:
    """Return where metrics are sent, as the user says, else as Airflow is configured."""
    if addresses.statsd is not None:
        host, port = addresses.statsd
        return _route(host, port, PREFIX, addresses)
    if isinstance(configuration, Skip):
        return Skip(f"no StatsD server is known: give --statsd HOST:PORT; {configuration.reason}")
    on = ("statsd_on", "statsd_datadog_enabled")
    if not any(is_true(configuration, "metrics", name) for name in on):
        return Skip("[metrics] statsd_on is False: Airflow sends nothing to a StatsD server")
    text = configuration.get("metrics", "statsd_port")
    return _route(
        configuration.get("metrics", "statsd_host") or "localhost",
        int(text) if text and text.isdigit() else DEFAULT_PORT,
        configuration.get("metrics", "statsd_prefix") or PREFIX,
        addresses,
    )


def _route(host: str, port: int, prefix: str, addresses: Addresses) -> Route:
    bracketed = f"[{host}]" if ":" in host else host
    return Route(host, port, prefix, addresses.exporter or f"http://{bracketed}:{EXPORTER_PORT}/metrics")


def is_true(configuration: Configuration, section: str, key: str) -> bool:
    """Whether a boolean option is on."""
    return (configuration.get(section, key) or "").strip().lower() in _TRUE


def unique_name(route: Route) -> str:
    """Return the StatsD name of a metric that nobody else sends."""
    return f"{route.prefix}.aiopt_doctor.{uuid.uuid4().hex[:12]}"


def exposed_name(statsd_name: str) -> str:
    """Return what statsd_exporter calls a metric that no mapping names."""
    return re.sub(r"[^a-zA-Z0-9_:]", "_", statsd_name)


def send(route: Route, name: str) -> None:
    """Add one to a counter.

    :raises DoctorError: if the host cannot be found, or says that nobody listens there
    """
    try:
        found = socket.getaddrinfo(route.host, route.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise DoctorError(f"the host {route.host!r} cannot be found: {error}") from error
    # Airflow's client takes IPv4 unless it is told otherwise.
    family, kind, protocol, _, address = min(found, key=lambda item: item[0] != socket.AF_INET)
    try:
        with socket.socket(family, kind, protocol) as client:
            client.connect(address)
            client.send(f"{name}:1|c".encode())
            # UDP has no answer; but where nobody listens, the host says so, and the next call hears of it.
            client.settimeout(_POLL_S)
            try:
                client.recv(1)
            except TimeoutError:
                return
    except OSError as error:
        raise DoctorError(f"nobody listens at {route.host}:{route.port} (UDP): {error}") from error


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a metric.

    :param after_s: seconds until it was seen, None where it was not
    :param packets: packets that the exporter took meanwhile, None where it does not count them
    """

    after_s: float | None
    packets: int | None = None


def wait_for_exporter(route: Route, name: str, limit_s: float) -> Seen:
    """Send a metric until the exporter shows it, or the time is over.

    :raises DoctorError: if it cannot be sent, or the page does not answer
    """
    before = _packets(_page(route))
    wanted = re.compile(rf"^{re.escape(exposed_name(name))}(_total)?[ {{]", re.MULTILINE)
    started = time.monotonic()
    while True:
        send(route, name)
        page = _page(route)
        passed = time.monotonic() - started
        if wanted.search(page):
            return Seen(passed)
        if passed >= limit_s:
            after = _packets(page)
            return Seen(None, None if before is None or after is None else after - before)
        time.sleep(_POLL_S)


def _page(route: Route) -> str:
    return http(route.exporter).decode("utf-8", "replace")


def _packets(page: str) -> int | None:
    match = re.search(rf"^{_PACKETS} (\S+)", page, re.MULTILINE)
    return int(float(match[1])) if match else None


def unmapped(page: str, prefix: str) -> list[str]:
    """Return the metrics of this package that the exporter shows without the mapping that comes with it."""
    pattern = rf"^({re.escape(exposed_name(prefix))}_ai_pipeline_\w+?)(?:_(?:sum|count|total))?[ {{]"
    return sorted(set(re.findall(pattern, page, re.MULTILINE)))


def read_unmapped(route: Route) -> list[str]:
    """Ask the exporter for :func:`unmapped` metrics.

    :raises DoctorError: if the page does not answer
    """
    return unmapped(_page(route), route.prefix)


class PrometheusClient:
    """What the doctor asks of Prometheus.

    :param url: its address
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def ask(self, path: str) -> Any:
        """Return the ``data`` of an answer of its API.

        :raises DoctorError: where it cannot be reached, refuses, or answers something else
        """
        try:
            answer = json.loads(http(f"{self.url}{path}"))
            return answer["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise DoctorError(f"{self.url}{path} answers something that is not Prometheus' API") from error

    def has(self, name: str) -> bool:
        """Whether there is a series of this name now."""
        selector = f'{{__name__=~"{name}(_total)?"}}'
        return bool(self.ask(f"/api/v1/query?query={quote(selector)}")["result"])

    def targets(self, *, limit_s: float = _DISCOVERY_S) -> list[Mapping[str, Any]]:
        """Return what it scrapes; one that has just been started is given time to find out.

        :param limit_s: seconds to wait for a first target
        """
        deadline = time.monotonic() + limit_s
        while True:
            found = list(self.ask("/api/v1/targets?state=active")["activeTargets"])
            if found or time.monotonic() >= deadline:
                return found
            time.sleep(_POLL_S)


def wait_for_prometheus(
    client: PrometheusClient, route: Route, name: str, limit_s: float, *, poll_s: float = _POLL_S
) -> float | None:
    """Send a metric until Prometheus has it, or the time is over; return how long that took.

    :raises DoctorError: if it cannot be sent, or Prometheus does not answer
    """
    started = time.monotonic()
    while True:
        send(route, name)
        if client.has(exposed_name(name)):
            return time.monotonic() - started
        if time.monotonic() - started >= limit_s:
            return None
        time.sleep(poll_s)


def exporter_targets(targets: Sequence[Mapping[str, Any]], exporter: str) -> list[Mapping[str, Any]]:
    """Return the targets that seem to be the exporter: by its port, or by the job's name."""
    port = urlsplit(exporter).port
    return [
        target
        for target in targets
        if urlsplit(target.get("scrapeUrl", "")).port == port
        or "statsd" in target.get("labels", {}).get("job", "")
    ]


def interval_s(target: Mapping[str, Any], default: float = 15.0) -> float:
    """Return how often Prometheus scrapes a target, in seconds."""
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", target.get("scrapeInterval", "") or "-")
    if match is None:
        return default
    minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    return minutes * 60 + seconds + milliseconds / 1000


@dataclass(frozen=True, slots=True)
class Collector:
    """Where Airflow sends its metrics by OpenTelemetry.

    :param url: the address, for HTTP with its path
    :param grpc: whether by gRPC
    """

    url: str
    grpc: bool


def find_collector(configuration: Configuration | Skip, environ: Mapping[str, str]) -> Collector | Skip:
    """Return where metrics are sent by OpenTelemetry: as the environment says, else by ``[metrics]``."""
    if not isinstance(configuration, Skip) and not is_true(configuration, "metrics", "otel_on"):
        return Skip("[metrics] otel_on is False: Airflow sends nothing by OpenTelemetry")
    exact = environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if isinstance(configuration, Skip) and not (exact or base):
        return Skip(f"no OpenTelemetry endpoint is known: {configuration.reason}")
    protocol = environ.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    grpc = protocol == "grpc"
    if exact:
        return Collector(exact, grpc)
    if base is None and not isinstance(configuration, Skip):
        scheme = "https" if is_true(configuration, "metrics", "otel_ssl_active") else "http"
        get: Callable[[str], str | None] = lambda key: configuration.get("metrics", key)  # noqa: E731
        base = f"{scheme}://{get('otel_host') or 'localhost'}:{get('otel_port') or 8889}"
    base = (base or "").rstrip("/")
    return Collector(base if grpc else f"{base}/v1/metrics", grpc)


def reach(collector: Collector) -> float:
    """Send an empty message, or for gRPC only connect, and return how long that took, in seconds.

    :raises DoctorError: where nobody answers, or refuses
    """
    started = time.monotonic()
    if collector.grpc:
        parts = urlsplit(collector.url if "://" in collector.url else f"//{collector.url}")
        try:
            socket.create_connection((parts.hostname or "localhost", parts.port or 4317), timeout=5).close()
        except OSError as error:
            raise DoctorError(f"{collector.url} does not answer: {error}") from error
    else:
        # An ExportMetricsServiceRequest without metrics is a message of no bytes.
        http(collector.url, body=b"", kind="application/x-protobuf")
    return time.monotonic() - started
