"""The services of ``docker-compose.yaml`` at work: real ones, with its files, commands and settings."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from airflow_support import REPOSITORY, wait_until
from local_airflow import LocalAirflow
from local_compose import LocalCompose
from monitoring_servers import get
from rich.console import Console

from airflow_provider_aiopt.doctor.models import CheckResult, DoctorReport
from benchmarks.celery_stack import ALL, Outcome
from benchmarks.fault_celery import SHARDS, FaultRun

pytestmark = pytest.mark.integration

DEMO = "image_classification"
LABELS = {
    "china.jpg": "palace",
    "coffee.png": "espresso",
    "flower.jpg": "daisy",
    "motorcycle_left.png": "moped",
}


def query(compose: LocalCompose, expression: str) -> list[dict[str, Any]]:
    from urllib.parse import quote

    answer = get(f"{compose.url_of('prometheus')}/api/v1/query?query={quote(expression)}")
    return list(json.loads(answer)["data"]["result"])


def hosts(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str) -> Counter[str]:
    tasks = airflow.task_instances(dag_id, run_id)
    return Counter(task["hostname"] for task in tasks if task["task_id"] == task_id)


@pytest.fixture(scope="module")
def run(compose: LocalCompose) -> str:
    """One finished run of the demo DAG in four shards."""
    compose.wait_for_dag(DEMO)
    compose.unpause(DEMO)
    run_id = compose.trigger(DEMO, {"shards": 4, "batch_size": 2})
    assert compose.wait_for_run(DEMO, run_id, timeout=300) == "success"
    return run_id


def test_the_shards_are_spread_over_both_workers(compose: LocalCompose, run: str) -> None:
    for stage in ("preprocess", "inference"):
        spread = hosts(compose, DEMO, run, stage)
        assert spread.total() == 4
        assert spread.keys() == set(compose.workers), f"{stage}: {spread}"


def test_the_results_are_right(compose: LocalCompose, run: str) -> None:
    folder = compose.volume("aiopt-work") / "runs" / DEMO / run / "results"
    rows = pq.read_table(folder, partitioning=None).to_pylist()
    found = {row["id"]: row["label"] for row in rows}
    assert len(rows) == len(found) == 6
    assert found | LABELS == found
    assert compose.xcom(DEMO, run, "postprocess")["results"] == 6


def test_its_metrics_arrive_in_prometheus(compose: LocalCompose, run: str) -> None:
    expected = {"ingest": 6, "preprocess": 6, "inference": 6, "postprocess": 6}
    counted = f'sum by (stage) (ai_pipeline_stage_items_total{{dag_id="{DEMO}"}})'
    durations = f'sum by (stage) (ai_pipeline_stage_duration_seconds_count{{dag_id="{DEMO}"}})'

    def values(expression: str) -> dict[str, int]:
        return {item["metric"]["stage"]: int(item["value"][1]) for item in query(compose, expression)}

    wait_until(lambda: values(counted) == expected, f"Prometheus counts {expected}", timeout=60)
    assert values(durations) == {"ingest": 1, "preprocess": 4, "inference": 4, "postprocess": 1}
    assert query(compose, 'up{job="statsd-exporter"} == 1')
    # What Airflow itself sends goes the same way.
    wait_until(lambda: bool(query(compose, '{__name__=~"airflow_.*"}')), "Airflow's own metrics are there")


def test_the_doctor_sees_the_queues_and_the_way_of_the_metrics(compose: LocalCompose) -> None:
    checks = ("queues", "statsd", "prometheus", "clock")

    def doctor(**env: str) -> dict[str, CheckResult]:
        command = [sys.executable, "-m", "airflow", "aiopt", "doctor", "--json"]
        command += [word for name in checks for word in ("--only", name)]
        command += ["--exporter-url", f"{compose.url_of('statsd-exporter')}/metrics"]
        command += ["--prometheus-url", compose.url_of("prometheus")]
        ended = subprocess.run(
            command, env=compose._env | env, capture_output=True, text=True, timeout=300, check=False
        )
        assert ended.stdout, ended.stderr
        return {check.id: check for check in DoctorReport.model_validate_json(ended.stdout).checks}

    found = doctor()
    assert [item for check in found.values() for item in check.findings if item.severity != "ok"] == []
    assert "workers serve default" in found["queues"].findings[0].evidence
    assert found["clock"].findings[0].subject == "metadata database"

    gpus = {"AIRFLOW__AIOPT__GPU_POOL_SLOTS": "2", "AIRFLOW__AIOPT__GPU_QUEUE": "gpus"}
    (unserved,) = doctor(**gpus)["queues"].findings
    assert (unserved.severity, unserved.subject) == ("error", "queue gpus")


def test_the_rules_are_loaded_and_no_alert_is_told(compose: LocalCompose, run: str) -> None:
    shipped = Counter(
        group["name"]
        for path in (REPOSITORY / "monitoring" / "prometheus" / "rules").glob("*.yaml")
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
        for _ in group["rules"]
    )

    def groups() -> list[dict[str, Any]]:
        answer = get(f"{compose.url_of('prometheus')}/api/v1/rules")
        return list(json.loads(answer)["data"]["groups"])

    def all_evaluated() -> bool:
        # A group of a longer interval than the others is evaluated later than a test waits.
        often = [group for group in groups() if group["interval"] <= 1]
        return all(rule["health"] == "ok" for group in often for rule in group["rules"])

    wait_until(all_evaluated, "the rules are evaluated without error")
    assert Counter({group["name"]: len(group["rules"]) for group in groups()}) == shipped
    assert not [rule for group in groups() for rule in group["rules"] if rule.get("lastError")]
    assert query(compose, 'aiopt:stage_tasks:increase10m{stage="inference"} > 0'), "a rule has a result"
    assert not query(compose, 'ALERTS{alertstate="firing"}')
    assert json.loads(get(f"{compose.url_of('alertmanager')}/api/v2/alerts")) == []
    told = json.loads(get(f"{compose.url_of('prometheus')}/api/v1/alertmanagers"))["data"][
        "activeAlertmanagers"
    ]
    assert [item["url"] for item in told] == [f"{compose.url_of('alertmanager')}/api/v2/alerts"]


def test_each_worker_keeps_to_its_core(compose: LocalCompose, run: str) -> None:
    used = {name: os.sched_getaffinity(compose.pids()[name]) for name in compose.workers}
    assert all(len(cores) == 1 for cores in used.values())
    assert len(set.union(*used.values())) == min(2, len(os.sched_getaffinity(0)))


def test_what_ends_unasked_is_started_again(compose: LocalCompose) -> None:
    os.kill(compose.pids()["alertmanager"], signal.SIGKILL)

    def is_back() -> bool:
        compose.watch(0.0)
        try:
            return compose.supervisor.restarts["alertmanager"] == 1 and bool(
                get(f"{compose.url_of('alertmanager')}/-/ready")
            )
        except OSError:
            return False

    wait_until(is_back, "Alertmanager is back")


def test_nothing_is_lost_when_workers_and_servers_are_killed(
    compose: LocalCompose, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = FaultRun(compose, photographs, seed=0, console=Console(file=io.StringIO()))
    run_id = faults.begin()

    def working() -> bool:
        tasks = compose.task_instances(ALL, run_id)
        return sum(task["state"] == "running" for task in tasks if task["map_index"] >= 0) == 2

    wait_until(working, "both workers are at a shard", timeout=120)
    faults.strike("task", 0.0)  # at once: later ones may come between two shards
    faults.strike("worker", 1.0)
    faults.strike("statsd-exporter", 1.0)
    faults.strike("redis", 1.0)
    faults.strike("postgresql", 1.0)
    assert faults.count(run_id, 400) == Outcome(lost=0, duplicated=0)

    tasks = [task for task in compose.task_instances(ALL, run_id) if task["map_index"] >= 0]
    assert {task["state"] for task in tasks} == {"success"}
    assert len(tasks) == SHARDS
    tries = sum(task["try_number"] for task in tasks)
    assert tries > SHARDS, "no fault hit a task"
    assert faults.faults.total() == 5
    figures = f"{len(faults.names)} records, 5 faults, {tries} attempts of {SHARDS} shards"
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201 - the figures of the run are what it is for
