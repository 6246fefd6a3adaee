"""Every query of the Grafana dashboard, asked of a real Prometheus after real runs.

Pipelines run by the command line send their metrics to a real statsd_exporter with the shipped mapping, and
Prometheus has the shipped rules.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from airflow_support import REPOSITORY, wait_until
from monitoring_servers import Prometheus, StatsdExporter, get
from pipelines import CLI

from airflow_provider_aiopt.telemetry import catalogue
from airflow_provider_aiopt.telemetry.statsd import StatsdMetrics

pytestmark = pytest.mark.integration

RUNS = 2  # the dashboard must show the first; only a second one finds something in the cache
PHOTOGRAPHS = 6
PIPELINE = "image_classification"
DASHBOARD = json.loads(
    (REPOSITORY / "monitoring" / "grafana" / "dashboards" / "aiopt.json").read_text(encoding="utf-8")
)
TARGETS = {
    f"{panel['title']}/{target['refId']}": target
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets") or ()
}
LABEL_VALUES = [
    variable["query"]["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"
]
SENT_BY_THE_TEST = {
    # A run on a CPU has no GPU, and one without a quota is never throttled.
    catalogue.STAGE_GPU_UTILISATION: 0.5,
    catalogue.STAGE_GPU_MEMORY: 2**32,
    catalogue.STAGE_GPU_MEMORY_SIZE: 2**34,
    catalogue.STAGE_GPU_POWER: 250.0,
    catalogue.STAGE_GPU_CLOCK: 1.98e9,
    catalogue.STAGE_GPU_THROTTLED: 0.125,
    catalogue.STAGE_CPU_THROTTLED: 0.25,
    catalogue.TASK_QUEUED: 0.5,  # Airflow's tasks alone
    catalogue.UPLOAD_TO_START: 1.5,  # the same
    catalogue.POD_SCHEDULE: 20.0,  # stages in pods alone
    catalogue.POD_PULL: 30.0,
    catalogue.POD_START: 1.5,
    catalogue.POD_BOOT: 0.5,
}
"""What no pipeline outside Airflow, without GPU or CPU quota, sends: a value in the metric's unit."""

# Long enough for all runs of this test, on a slow machine too.
SUBSTITUTES = {
    "$dag": ".*",  # what "All" stands for
    "$stage": ".*",
    "$window": "10m",
    "$__range": "10m",
    "$__rate_interval": "10m",
}


@dataclass
class Monitored:
    """A Prometheus that has seen runs.

    :param prometheus: with the last run
    :param answers: the values of every query of the dashboard, after each of the runs
    """

    prometheus: Prometheus
    answers: list[dict[str, list[float]]] = field(default_factory=list)

    def ask(self) -> None:
        self.answers.append({name: values(self.prometheus, target) for name, target in TARGETS.items()})

    def has_alert(self) -> bool:
        """Whether one of a pipeline pends, which at the beginning that of the exporter may do, too."""
        return bool(self.prometheus.query('ALERTS{dag_id!=""}'))

    def total(self, expression: str) -> float:
        return sum(float(found["value"][1]) for found in self.prometheus.query(expression))


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """What is known after one run has ended, and after the next one has."""
    folder = tmp_path_factory.mktemp("monitoring")
    with ExitStack() as servers:
        exporter = StatsdExporter(folder / "exporter")
        servers.callback(exporter.stop)
        prometheus = Prometheus(configuration(folder, exporter.url), folder / "prometheus")
        servers.callback(prometheus.stop)
        monitored = Monitored(prometheus)
        spec = pipeline(folder)
        for run in range(1, RUNS + 1):
            start_run(spec, folder / "runs", exporter.udp_port)
            send_the_rest(exporter.udp_port)
            wait_until(lambda: runs_seen(monitored) == run, f"run {run} is scraped", timeout=30)  # noqa: B023
            wait_until(monitored.has_alert, "the alert about the quarantine is pending")
            monitored.ask()
        yield monitored


def configuration(folder: Path, exporter: str) -> Path:
    """What is shipped for Prometheus, without Alertmanager; it scrapes and evaluates every second."""
    shipped = REPOSITORY / "monitoring" / "prometheus"
    content = yaml.safe_load((shipped / "prometheus.yaml").read_text(encoding="utf-8"))
    del content["alerting"]
    content["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    content["rule_files"] = [str(shipped / "rules" / "*.yaml")]
    (job,) = content["scrape_configs"]
    job["static_configs"] = [{"targets": [exporter.removeprefix("http://")]}]
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def pipeline(folder: Path) -> Path:
    """The spec of the demo with a cache, over its photographs and a file that is none."""
    spec = yaml.safe_load((REPOSITORY / "examples" / "image_classification.yaml").read_text(encoding="utf-8"))
    photographs = folder / "photographs"
    shutil.copytree(REPOSITORY / "examples" / "photographs", photographs)
    (photographs / "broken.jpg").write_bytes(b"no image")
    spec["source"]["uri"] = str(photographs)
    spec["cache"] = {"uri": str(folder / "cache")}
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return path


def start_run(spec: Path, runs: Path, port: int) -> None:
    command = [*CLI, "run", str(spec), "--work-dir", str(runs), "--json", "--statsd", f"127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def send_the_rest(port: int) -> None:
    tags = {"dag_id": "on_upload", "task_id": "take", "stage": "take"}
    with StatsdMetrics("127.0.0.1", port) as sink:
        for metric, value in SENT_BY_THE_TEST.items():
            if metric.kind == "timing":
                sink.timing_ms(metric, 1000 * value, tags)
            else:
                sink.gauge(metric, value, tags)


def runs_seen(monitored: Monitored) -> int:
    """How many runs Prometheus has of both: the pipeline's last stage and the last that the test sends."""
    counts = (
        f'{catalogue.STAGE_DURATION.prometheus}_count{{stage="postprocess"}}',
        f"{catalogue.UPLOAD_TO_START.prometheus}_count",
    )
    return min(int(monitored.total(expression)) for expression in counts)


def values(prometheus: Prometheus, target: dict[str, Any]) -> list[float]:
    """What Grafana would show for a query of a panel."""
    expression = substituted(target["expr"])
    if target["instant"]:
        points = [found["value"] for found in prometheus.query(expression)]
    else:
        now = time.time()
        asked = {"query": expression, "start": now - 1, "end": now, "step": 0.5}
        answer = json.loads(get(f"{prometheus.url}/api/v1/query_range?{urlencode(asked)}"))
        points = [point for series in answer["data"]["result"] for point in series["values"]]
    return [float(value) for _, value in points]


def substituted(expression: str) -> str:
    for variable, value in SUBSTITUTES.items():
        expression = re.sub(re.escape(variable) + r"\b", value, expression)
    assert "$" not in expression
    return expression


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("run", range(RUNS), ids=["first run", "second run"])
def test_every_query_has_data(monitored: Monitored, run: int, name: str) -> None:
    found = monitored.answers[run][name]

    assert [value for value in found if not math.isnan(value)], substituted(TARGETS[name]["expr"])
    assert all(value >= 0 for value in found if not math.isnan(value)), found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Stage attempts/A", 4),
        ("Failed attempts/A", 0),
        ("Cache hits/A", 0),
        ("Firing alerts/A", 0),  # it pends for a minute
    ],
)
def test_the_first_run_is_counted_in_full(monitored: Monitored, name: str, expected: float) -> None:
    assert set(monitored.answers[0][name]) == {expected}


@pytest.mark.parametrize("query", LABEL_VALUES)
def test_the_variables_offer_what_ran(monitored: Monitored, query: str) -> None:
    match = re.fullmatch(r"label_values\((?P<selector>.*), (?P<label>\w+)\)", query)
    assert match
    selector = urlencode({"match[]": substituted(match["selector"])})

    answer = json.loads(get(f"{monitored.prometheus.url}/api/v1/label/{match['label']}/values?{selector}"))

    stages = {"ingest", "preprocess", "inference", "postprocess"}
    assert set(answer["data"]) == {"dag_id": {PIPELINE}, "stage": stages}[match["label"]]


def test_the_pipeline_sent_all_else(monitored: Monitored) -> None:
    """What the test sends stays the exception: every other metric on the dashboard is a real run's."""
    expressions = " ".join(target["expr"] for target in TARGETS.values())
    shown = {metric for metric in catalogue.CATALOGUE if metric.prometheus in expressions}

    for metric in shown - set(SENT_BY_THE_TEST):
        name = f"{metric.prometheus}_count" if metric.kind == "timing" else metric.prometheus
        assert monitored.prometheus.query(f'{name}{{dag_id="{PIPELINE}"}}'), name


@pytest.mark.parametrize(
    ("metric", "stage", "expected"),
    [
        (catalogue.STAGE_ITEMS, "postprocess", RUNS * PHOTOGRAPHS),
        (catalogue.STAGE_QUARANTINED, "preprocess", RUNS),
        (catalogue.STAGE_CACHE_HITS, "preprocess", (RUNS - 1) * PHOTOGRAPHS),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_numbers_are_those_of_the_runs(
    monitored: Monitored, metric: catalogue.Metric, stage: str, expected: int
) -> None:
    assert monitored.total(f'{metric.prometheus}{{dag_id="{PIPELINE}", stage="{stage}"}}') == expected
