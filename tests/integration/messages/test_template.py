"""The template on a real Airflow: S3's notifications through SQS, with a triggerer that is killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow_support import REPOSITORY, wait_until
from cloud import Cloud
from components import requires
from local_airflow import LocalAirflow

pytestmark = pytest.mark.integration
requires("airflow.providers.common.messaging", "pip install 'airflow-provider-aiopt[sqs]'")

DAG = "image_classification_on_message"
PHOTOGRAPHS = sorted((REPOSITORY / "examples" / "photographs").glob("*.jp*g"))
IN_FLIGHT = "ApproximateNumberOfMessagesNotVisible"


def taken(airflow: LocalAirflow) -> list[str]:
    """The runs that got an upload."""
    states = {
        run["dag_run_id"]: {
            task["task_id"]: task["state"] for task in airflow.task_instances(DAG, run["dag_run_id"])
        }
        for run in airflow.dag_runs(DAG)
    }
    return [run for run, tasks in states.items() if tasks["classify"] == "success"]


def test_each_photograph_is_classified_once_whatever_happens(
    s3_server: str, start_airflow: Any, tmp_path: Path
):
    cloud = Cloud(s3_server)
    cloud.notify_queue()
    work = tmp_path / "work"
    environment = {
        "AIRFLOW__AIOPT__WORK_DIR": str(work),
        "AIRFLOW__AIOPT__UPLOADS_URI": f"s3://aws_default@{cloud.bucket}/in",
        "AIRFLOW__AIOPT__MESSAGES": json.dumps(cloud.source | {"visibility_timeout": 8}),
        "AIRFLOW_CONN_AWS_DEFAULT": cloud.connection,
        # Watchers begin with the first parsing after the DAG was unpaused.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
    }
    airflow = start_airflow(env=environment, dags=REPOSITORY / "dags")
    airflow.wait_for_dag(DAG)
    airflow.unpause(DAG)
    wait_until(lambda: cloud.messages() == 0, "the test event is consumed", timeout=60)

    first, second, *_ = PHOTOGRAPHS
    etag = cloud.put("in/first.jpg", first.read_bytes()).strip('"')
    wait_until(lambda: len(taken(airflow)) == 1, "the first photograph is classified", timeout=120)

    # The same again, in our own form; foreign messages; one about an object that is none of the watch's.
    told = {"uri": f"s3://{cloud.bucket}/in/first.jpg", "size": first.stat().st_size, "version": etag}
    cloud.send(told, "hello", {"uri": "/etc/passwd", "size": 1, "version": "1"})

    cloud.put("in/second.jpg", second.read_bytes())
    wait_until(lambda: cloud.messages(IN_FLIGHT) > 0, "the triggerer has the message", timeout=60)
    airflow.kill("triggerer")
    airflow.restart("triggerer")
    wait_until(lambda: len(taken(airflow)) == 2, "the second photograph is classified", timeout=120)

    wait_until(
        lambda: cloud.messages() + cloud.messages(IN_FLIGHT) == 0,
        "all messages are acknowledged",
        timeout=120,
    )
    assert len(taken(airflow)) == 2
    letters = [
        json.loads(line)
        for path in work.glob("uploads/*/dead_letters/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {letter["content"][:5] for letter in letters} == {"hello", '{"uri'}
    states = {run["state"] for run in airflow.dag_runs(DAG)}
    assert "failed" not in states
