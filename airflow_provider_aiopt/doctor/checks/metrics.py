"""Whether metrics arrive where they are sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_aiopt.deployment.configuration import Configuration
from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.context import CheckContext
from airflow_provider_aiopt.doctor.metrics_path import (
    PrometheusClient,
    Route,
    exporter_targets,
    find_collector,
    find_route,
    interval_s,
    reach,
    read_unmapped,
    unique_name,
    wait_for_exporter,
    wait_for_prometheus,
)
from airflow_provider_aiopt.doctor.models import Finding, Skip, error, note, ok, warning
from airflow_provider_aiopt.exceptions import DoctorError
from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE

_EXPORTER_LIMIT_S = 5.0
_SLACK_S = 5.0
_PROMETHEUS_LIMIT_S = 120.0


def _run_statsd(context: CheckContext) -> Iterator[Finding | Skip]:
    configuration = context.configuration.get()
    if not isinstance(configuration, Skip):
        yield from judge_lists(configuration)
    route = find_route(configuration, context.addresses)
    if isinstance(route, Skip):
        yield route
        return
    subject = f"StatsD {route.host}:{route.port}"
    try:
        seen = wait_for_exporter(route, unique_name(route), _EXPORTER_LIMIT_S)
        missing = read_unmapped(route)
    except DoctorError as fault:
        yield error(
            subject,
            str(fault),
            "Check [metrics] statsd_host and statsd_port; give --exporter-url of its page",
        )
        return
    if seen.after_s is not None:
        yield ok(subject, f"a metric sent there was on {route.exporter} after {seen.after_s:.2f} s")
    else:
        yield judge_loss(route, seen.packets)
    if missing:
        yield warning(
            route.exporter,
            f"shows {len(missing)} metrics of this package without their mapping, such as {missing[0]}: "
            "dashboard and "
            "alerts do not find them",
            "Start statsd_exporter with --statsd.mapping-config and the mapping of docs/metrics.md",
        )


def judge_loss(route: Route, packets: int | None) -> Finding:
    """Say where a metric was lost between this machine and the exporter's page.

    :param packets: packets that the exporter took meanwhile; None where it does not say
    """
    subject = f"StatsD {route.host}:{route.port}"
    lost = f"a metric sent there for {_EXPORTER_LIMIT_S:g} s did not come to {route.exporter}"
    if packets:
        return error(
            subject,
            f"{lost}, although {packets} packets did: the exporter's mapping drops it, or these are "
            "others' and it is "
            "the page of another exporter",
            "Look for 'action: drop' in the mapping, and give --exporter-url of the server that listens "
            "there",
        )
    if packets is None:
        return error(
            subject,
            f"{lost}, which is not the page of a statsd_exporter",
            "Give --exporter-url, such as http://HOST:9102/metrics",
        )
    return error(
        subject,
        f"{lost}, which counted no packet meanwhile: they are lost on the way, or go to another server",
        "Check firewalls and network policies for UDP, and --exporter-url",
    )


def judge_lists(configuration: Configuration) -> Iterator[Finding]:
    """Judge whether Airflow's own lists let this package's metrics pass; they are regular expressions."""
    names = [metric.name for metric in CATALOGUE]
    for key, passes in (("metrics_allow_list", True), ("metrics_block_list", False)):
        patterns = [part.strip().lower() for part in (configuration.get("metrics", key) or "").split(",")]
        if patterns == [""]:
            continue
        held = [name for name in names if any(re.search(part, name) for part in patterns) is not passes]
        if held:
            yield warning(
                f"[metrics] {key}",
                f"holds back {len(held)} of this package's {len(names)} metrics, such as {held[0]}",
                f"{'Add ai_pipeline to' if passes else 'Take what matches them from'} [metrics] {key}",
            )


def _run_prometheus(context: CheckContext) -> Iterator[Finding | Skip]:
    if context.addresses.prometheus is None:
        yield Skip("no Prometheus is known: give --prometheus-url or set AIOPT_PROMETHEUS_URL")
        return
    client = PrometheusClient(context.addresses.prometheus)
    try:
        targets = client.targets()
    except DoctorError as fault:
        yield error("Prometheus", str(fault), "Check --prometheus-url, and that Prometheus runs")
        return
    route = find_route(context.configuration.get(), context.addresses)
    if isinstance(route, Skip):
        yield note(client.url, f"scrapes {len(targets)} targets; {route.reason}", "Give --statsd HOST:PORT")
        return
    scraping = exporter_targets(targets, route.exporter)
    yield from judge_targets(client.url, targets, scraping)
    if not scraping:
        return
    limit_s = 2 * max(map(interval_s, scraping)) + _SLACK_S
    try:
        after_s = wait_for_prometheus(
            client, route, unique_name(route), min(limit_s, _PROMETHEUS_LIMIT_S - 10)
        )
    except DoctorError as fault:
        yield error("Prometheus", str(fault), "See the check 'statsd', and --prometheus-url")
        return
    if after_s is None:
        yield error(
            client.url,
            f"did not have a metric that was sent to {route.host}:{route.port} within {limit_s:g} s, two "
            "of its scrapes: "
            "it was lost before the exporter, or another exporter is scraped",
            "See the check 'statsd'; compare the target's URL with the host that Airflow sends to",
        )
    else:
        yield ok(client.url, f"had a metric {after_s:.1f} s after it was sent to {route.host}:{route.port}")


def judge_targets(
    url: str, targets: Sequence[Mapping[str, Any]], scraping: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """Judge whether Prometheus scrapes the exporter.

    :param scraping: those of the targets that seem to be the exporter
    """
    if not scraping:
        jobs = sorted({str(target.get("labels", {}).get("job")) for target in targets})
        yield error(
            url,
            f"scrapes no statsd_exporter; its {len(targets)} targets belong to: "
            f"{', '.join(jobs) or 'no job'}",
            "Add the job statsd-exporter of monitoring/prometheus/prometheus.yaml",
        )
    for target in scraping:
        if target.get("health") == "down":
            yield error(
                str(target.get("scrapeUrl")),
                f"cannot be scraped: {target.get('lastError')}",
                "Start statsd_exporter, or correct the target's address in Prometheus' configuration",
            )


def _run_opentelemetry(context: CheckContext) -> Iterator[Finding | Skip]:
    collector = find_collector(context.configuration.get(), context.environ)
    if isinstance(collector, Skip):
        yield collector
        return
    remedy = "Check OTEL_EXPORTER_OTLP_ENDPOINT and ..._PROTOCOL, or [metrics] otel_host and otel_port"
    try:
        passed_s = reach(collector)
    except DoctorError as fault:
        yield error("OpenTelemetry", str(fault), remedy)
        return
    how = (
        "takes connections (gRPC: no message was sent)"
        if collector.grpc
        else "took a message without metrics"
    )
    yield ok("OpenTelemetry", f"{collector.url} {how} in {passed_s * 1000:.0f} ms")


STATSD = Check(
    "statsd",
    "a metric's way to the StatsD server and onto its exporter's page",
    "a host that is not found, a port on which nobody listens, an exporter whose page does not answer, a "
    "metric that "
    "does not arrive there within 5 s (with the packets that did), metrics without the mapping of this "
    "package, and "
    "those that `[metrics] metrics_allow_list` or `metrics_block_list` hold back. It sends a counter with "
    "a name of its "
    "own, as Airflow is configured or to `--statsd`",
    _run_statsd,
    limit_s=30.0,
)
PROMETHEUS = Check(
    "prometheus",
    "a metric's way to Prometheus",
    "with `--prometheus-url`: a Prometheus that does not answer, scrapes no exporter or cannot scrape it, "
    "with its own "
    "words; a metric that it does not have two scrapes after it was sent",
    _run_prometheus,
    limit_s=_PROMETHEUS_LIMIT_S,
)
OPENTELEMETRY = Check(
    "opentelemetry",
    "whether the OpenTelemetry endpoint takes metrics",
    "an endpoint that does not answer or refuses a message without metrics; for gRPC only the connection "
    "is tried",
    _run_opentelemetry,
)
