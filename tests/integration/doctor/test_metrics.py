"""The way of a metric, with a real statsd_exporter and a real Prometheus, and where it can be lost."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from airflow_support import wait_until
from monitoring_servers import Prometheus, StatsdExporter
from otlp_receiver import OtlpReceiver
from redis_server import free_port

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.checks import metrics
from airflow_provider_aiopt.doctor.checks.metrics import OPENTELEMETRY, PROMETHEUS, STATSD
from airflow_provider_aiopt.doctor.context import Addresses, CheckContext
from airflow_provider_aiopt.doctor.models import Finding, Skip
from airflow_provider_aiopt.telemetry.statsd import StatsdMetrics

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Servers:
    """An exporter, a Prometheus that scrapes it, and one whose exporter is away."""

    exporter: StatsdExporter
    prometheus: Prometheus
    lonely: Prometheus
    away: str

    @property
    def addresses(self) -> Addresses:
        return Addresses(
            statsd=("127.0.0.1", self.exporter.udp_port),
            exporter=f"{self.exporter.url}/metrics",
            prometheus=self.prometheus.url,
        )


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("metrics")
    exporter = StatsdExporter(folder / "exporter")
    target, away = exporter.url.removeprefix("http://"), f"127.0.0.1:{free_port()}"
    prometheus = start_prometheus(folder / "prometheus", "airflow", target)
    lonely = start_prometheus(folder / "lonely", "statsd-exporter", away)
    yield Servers(exporter, prometheus, lonely, away)
    for server in (lonely, prometheus, exporter):
        server.stop()


def start_prometheus(folder: Path, job: str, target: str) -> Prometheus:
    folder.mkdir(parents=True)
    configuration = folder / "prometheus.yaml"
    settings = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [target]}]}],
    }
    configuration.write_text(yaml.safe_dump(settings))
    return Prometheus(configuration, folder)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give metrics that do not come less time not to."""
    monkeypatch.setattr(metrics, "_EXPORTER_LIMIT_S", 0.5)


def findings(check: Check, addresses: Addresses, **environ: str) -> list[Finding]:
    found = list(check.run(CheckContext(addresses=addresses, environ=environ)))
    assert not any(isinstance(item, Skip) for item in found), found
    return [item for item in found if isinstance(item, Finding)]


class TestStatsd:
    def test_a_metric_arrives(self, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics, "_EXPORTER_LIMIT_S", 10.0)  # the machine may be busy
        (found,) = findings(STATSD, servers.addresses)
        assert found.severity == "ok"
        assert f"was on {servers.exporter.url}/metrics after " in found.evidence

    def test_nobody_listens(self, servers: Servers) -> None:
        (found,) = findings(STATSD, replace(servers.addresses, statsd=("127.0.0.1", free_port())))
        assert found.severity == "error"
        assert "nobody listens at 127.0.0.1:" in found.evidence

    def test_a_host_that_cannot_be_found(self, servers: Servers) -> None:
        (found,) = findings(STATSD, replace(servers.addresses, statsd=("no-such-host.invalid", 8125)))
        assert found.severity == "error"
        assert "the host 'no-such-host.invalid' cannot be found" in found.evidence

    def test_a_page_that_does_not_answer(self, servers: Servers) -> None:
        page = f"http://127.0.0.1:{free_port()}/metrics"
        (found,) = findings(STATSD, replace(servers.addresses, exporter=page))
        assert found.severity == "error"
        assert f"{page} does not answer" in found.evidence

    def test_another_server_takes_the_packets(self, servers: Servers) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
            sink.bind(("127.0.0.1", 0))
            (found,) = findings(STATSD, replace(servers.addresses, statsd=sink.getsockname()))
        assert found.severity == "error"
        assert "which counted no packet meanwhile" in found.evidence

    def test_a_page_that_is_not_an_exporters(self, servers: Servers) -> None:
        page = f"{servers.prometheus.url}/metrics"
        (found,) = findings(STATSD, replace(servers.addresses, exporter=page))
        assert found.severity == "error"
        assert "is not the page of a statsd_exporter" in found.evidence

    def test_a_mapping_that_drops_what_it_does_not_name(self, tmp_path: Path) -> None:
        exporter = start_exporter(tmp_path, {"mappings": [{"match": ".", "match_type": "regex", **DROP}]})
        try:
            (found,) = findings(STATSD, addresses_of(exporter))
        finally:
            exporter.stop()
        assert found.severity == "error"
        assert "the exporter's mapping drops it" in found.evidence

    def test_an_exporter_without_this_packages_mapping(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow_provider_aiopt.telemetry.catalogue import STAGE_ITEMS

        exporter = start_exporter(tmp_path, {"mappings": []})
        monkeypatch.setattr(metrics, "_EXPORTER_LIMIT_S", 10.0)
        tags = dict.fromkeys(STAGE_ITEMS.tags, "x")
        try:
            with StatsdMetrics("127.0.0.1", exporter.udp_port) as client:
                client.counter(STAGE_ITEMS, 6, tags)
            arrived, unmapped = findings(STATSD, addresses_of(exporter))
        finally:
            exporter.stop()
        assert (arrived.severity, unmapped.severity) == ("ok", "warning")
        assert "such as airflow_ai_pipeline_stage_items" in unmapped.evidence


DROP = {"action": "drop", "name": "dropped"}


def start_exporter(folder: Path, mapping: dict[str, object]) -> StatsdExporter:
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(mapping))
    return StatsdExporter(folder, path)


def addresses_of(exporter: StatsdExporter) -> Addresses:
    return Addresses(statsd=("127.0.0.1", exporter.udp_port), exporter=f"{exporter.url}/metrics")


class TestPrometheus:
    def test_a_metric_arrives(self, servers: Servers) -> None:
        (found,) = findings(PROMETHEUS, servers.addresses)
        assert found.severity == "ok", found
        assert found.evidence.startswith("had a metric ")

    def test_it_does_not_answer(self, servers: Servers) -> None:
        address = f"http://127.0.0.1:{free_port()}"
        (found,) = findings(PROMETHEUS, replace(servers.addresses, prometheus=address))
        assert found.severity == "error"
        assert "does not answer" in found.evidence

    def test_it_is_something_else(self, servers: Servers) -> None:
        (found,) = findings(PROMETHEUS, replace(servers.addresses, prometheus=servers.exporter.url))
        assert found.severity == "error"
        assert "answered HTTP 404" in found.evidence or "not Prometheus' API" in found.evidence

    def test_its_exporter_is_away(self, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(metrics, "_SLACK_S", 0.0)
        addresses = replace(servers.addresses, prometheus=servers.lonely.url)
        # It may not have tried to scrape when it is first asked.
        wait_until(lambda: len(findings(PROMETHEUS, addresses)) == 2, "Prometheus has tried to scrape")
        down, lost = findings(PROMETHEUS, addresses)
        assert (down.severity, down.subject) == ("error", f"http://{servers.away}/metrics")
        assert "connection refused" in down.evidence
        assert lost.severity == "error"
        assert "did not have a metric that was sent" in lost.evidence

    def test_it_scrapes_another_exporter(self, servers: Servers) -> None:
        page = f"http://127.0.0.1:{free_port()}/metrics"
        (found,) = findings(PROMETHEUS, replace(servers.addresses, exporter=page))
        assert (found.severity, found.evidence) == (
            "error",
            "scrapes no statsd_exporter; its 1 targets belong to: airflow",
        )


class TestOpenTelemetry:
    def test_a_collector_that_answers(self) -> None:
        receiver = OtlpReceiver()
        try:
            endpoint = f"http://127.0.0.1:{receiver.port}"
            (found,) = findings(OPENTELEMETRY, Addresses(), OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        finally:
            receiver.close()
        assert found.severity == "ok"
        assert f"{endpoint}/v1/metrics took a message without metrics" in found.evidence

    def test_a_collector_that_refuses(self, servers: Servers) -> None:
        endpoint = f"{servers.prometheus.url}/nowhere"
        (found,) = findings(OPENTELEMETRY, Addresses(), OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        assert found.severity == "error"
        assert "answered HTTP 40" in found.evidence

    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    def test_nobody_listens(self, protocol: str) -> None:
        endpoint = f"http://127.0.0.1:{free_port()}"
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        (found,) = findings(OPENTELEMETRY, Addresses(), **environ)
        assert found.severity == "error"
        assert "does not answer" in found.evidence

    def test_by_grpc_only_the_connection_is_tried(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
            environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
            (found,) = findings(OPENTELEMETRY, Addresses(), **environ)
        assert found.severity == "ok"
        assert "no message was sent" in found.evidence
