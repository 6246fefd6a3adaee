"""From a slow stage to the message at a webhook, through real servers and the files that are shipped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow_support import REPOSITORY, wait_until
from monitoring_servers import Alertmanager, Prometheus, StatsdExporter, Webhook

from airflow_provider_aiopt.telemetry.catalogue import CATALOGUE
from airflow_provider_aiopt.telemetry.metrics import emit_stage_report
from airflow_provider_aiopt.telemetry.recorder import StageRecorder
from airflow_provider_aiopt.telemetry.statsd import StatsdMetrics, TagStyle
from airflow_provider_aiopt.telemetry.testing import make_stage_report

pytestmark = pytest.mark.integration

SHIPPED = REPOSITORY / "monitoring"
# The windows and waits of the rules as the tests have them; Prometheus scrapes and evaluates every second.
SHORTER = {"10m": "60s", "5m": "3s", "2m": "2s", "1m": "1s"}
SLOW_S = 5.2  # the shipped threshold is 5 s
TAGS = {"dag_id": "my.dag", "task_id": "group.infer", "stage": "inference"}


def shorten(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule whose windows and wait are shorter, and which is the shipped one otherwise."""
    expression = re.sub(r"(?<=\[)10m(?=\])|(?<=offset )10m", SHORTER["10m"], rule["expr"])
    waits = {"for": SHORTER[rule["for"]]} if "for" in rule else {}
    return rule | {"expr": expression} | waits


def prometheus_folder(folder: Path, exporter: str, alertmanager: str) -> Path:
    """Copy what is shipped for Prometheus, with short windows and the servers' addresses."""
    (folder / "rules").mkdir(parents=True)
    for path in (SHIPPED / "prometheus" / "rules").glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        for group in content["groups"]:
            group["interval"] = "1s"
            group["rules"] = [shorten(rule) for rule in group["rules"]]
        (folder / "rules" / path.name).write_text(yaml.safe_dump(content))
    shipped = (SHIPPED / "prometheus" / "prometheus.yaml").read_text()
    for address, ours in {"statsd-exporter:9102": exporter, "alertmanager:9093": alertmanager}.items():
        assert address in shipped
        shipped = shipped.replace(address, ours.removeprefix("http://"))
    configuration = yaml.safe_load(shipped)
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path


def alertmanager_file(path: Path, webhook: str) -> Path:
    """Copy what is shipped for Alertmanager, with short waits and the webhook of the test."""
    configuration = yaml.safe_load((SHIPPED / "alertmanager" / "alertmanager.yaml").read_text())
    configuration["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    (receiver,) = configuration["receivers"]
    (hook,) = receiver["webhook_configs"]
    hook["url"] = webhook
    path.write_text(yaml.safe_dump(configuration))
    return path


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Ends what it is given, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("style", ["dotted", "influx"])
def test_every_metric_reaches_prometheus_under_its_name(
    tmp_path: Path, servers: ExitStack, style: TagStyle
) -> None:
    exporter = StatsdExporter(tmp_path)
    servers.callback(exporter.stop)
    with StatsdMetrics("127.0.0.1", exporter.udp_port, tag_style=style) as sink:
        for metric in CATALOGUE:
            send = {"timing": sink.timing_ms, "counter": sink.counter, "gauge": sink.gauge}[metric.kind]
            send(metric, 2, TAGS)

    names = ("my__dag", "group__infer") if style == "dotted" else ("my.dag", "group.infer")
    labels = f'{{dag_id="{names[0]}",stage="inference",task_id="{names[1]}"}}'
    expected = set()
    for metric in CATALOGUE:
        suffix, value = ("_sum", "0.002") if metric.kind == "timing" else ("", "2")
        expected.add(f"{metric.prometheus}{suffix}{labels} {value}")
    wait_until(lambda: expected <= set(exporter.metrics().splitlines()), f"all metrics are there: {expected}")


def test_a_slow_stage_is_told_and_taken_back(
    tmp_path: Path,
    servers: ExitStack,
    capsys: pytest.CaptureFixture[str],
    record_property: Any,
) -> None:
    webhook = Webhook()
    servers.callback(webhook.stop)
    exporter = StatsdExporter(tmp_path / "exporter")
    servers.callback(exporter.stop)
    alertmanager = Alertmanager(
        alertmanager_file(tmp_path / "alertmanager.yaml", webhook.url), tmp_path / "alertmanager"
    )
    servers.callback(alertmanager.stop)
    configuration = prometheus_folder(tmp_path / "rules", exporter.url, alertmanager.url)
    prometheus = Prometheus(configuration, tmp_path / "prometheus")
    servers.callback(prometheus.stop)
    wait_until(lambda: bool(prometheus.query('up{job="statsd-exporter"} == 1')), "it is scraped", timeout=60)
    sink = StatsdMetrics("127.0.0.1", exporter.udp_port)
    servers.callback(sink.close)

    with StageRecorder("photos", "inference") as slow:
        time.sleep(SLOW_S)
    emit_stage_report(slow.report(), sink)
    sent = time.monotonic()
    firing = webhook.wait_for("HighLatency", "firing", timeout=60)
    fast_again = time.monotonic()
    for _ in range(200):
        emit_stage_report(make_stage_report("inference", wall_s=0.02, pipeline="photos"), sink)
    resolved = webhook.wait_for("HighLatency", "resolved", timeout=60)

    labels = {"alertname": "HighLatency", "severity": "critical", "dag_id": "photos", "stage": "inference"}
    assert firing.alert["labels"] == labels
    assert firing.alert["annotations"]["runbook_url"] == "docs/runbook.md#highlatency"
    # The waits are so short here that a scrape which a busy machine delays is an alert of its own.
    told = [item.alert["labels"] for item in webhook.arrived if item.alert["labels"].get("dag_id")]
    assert {label["alertname"] for label in told} == {"HighLatency"}
    timeline = (
        f"slow stage of {slow.report().wall_s:.1f} s sent at 0 s; firing at the webhook at "
        f"{firing.at - sent:.1f} s; fast ones sent at {fast_again - sent:.1f} s; resolved at the webhook at "
        f"{resolved.at - sent:.1f} s (windows {SHORTER['10m']} for 10m, waits {SHORTER['5m']} for 5m)"
    )
    record_property("timeline", timeline)
    with capsys.disabled():
        print(f"\n{timeline}")  # noqa: T201 - the figures of the run are what it is for
