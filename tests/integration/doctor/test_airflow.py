"""What the doctor says of an Airflow whose DAGs cannot run, asked from within and through the API."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from airflow_support import clean_environment
from local_airflow import LocalAirflow

from airflow_provider_aiopt.doctor.airflow_server import ask_health
from airflow_provider_aiopt.doctor.checks.clock import CLOCK
from airflow_provider_aiopt.doctor.context import CheckContext, Fact
from airflow_provider_aiopt.doctor.models import CheckResult, DoctorReport, Finding
from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi

pytestmark = pytest.mark.integration

PROGRAM = "import sys; from airflow_provider_aiopt.cli.main import main; sys.exit(main(sys.argv[1:]))"
SICK = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import DAG

with DAG("doctor_sick", schedule=None, max_active_runs=4):
    EmptyOperator(task_id="no-pool", pool="nowhere")
    EmptyOperator(task_id="too-large", pool="doctor", pool_slots=3)
    FileSensor(task_id="pokes", filepath="/x", pool="doctor")
    TriggerDagRunOperator(task_id="itself", trigger_dag_id="doctor_sick", wait_for_completion=True)
"""
INBOX = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, AssetWatcher
from airflow_provider_aiopt import NewUploadTrigger

inbox = AssetWatcher(name="inbox", trigger=NewUploadTrigger(uri="{inbox}"))
with DAG("doctor_inbox", schedule=[Asset("doctor-inbox", watchers=[inbox])]):
    EmptyOperator(task_id="take")
"""
CHECKS = ("task-pools", "sensors", "waits", "triggerer", "airflow", "clock", "dag-limits", "queues")


def run(airflow: LocalAirflow, *command: str, **env: str) -> dict[str, CheckResult]:
    environment = clean_environment() | {
        "AIOPT_AIRFLOW_USERNAME": airflow.username,
        "AIOPT_AIRFLOW_PASSWORD": airflow.password,
    }
    only = [word for name in CHECKS for word in ("--only", name)]
    ended = subprocess.run(
        [sys.executable, *command, "doctor", "--json", *only],
        env=environment | env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.stdout, ended.stderr
    return {check.id: check for check in DoctorReport.model_validate_json(ended.stdout).checks}


def bad(result: CheckResult) -> dict[str, Finding]:
    return {item.subject: item for item in result.findings if item.severity not in ("ok", "note")}


@pytest.fixture
def sick(
    airflow: LocalAirflow, add_dag: Callable[[str, str], None], tmp_path: Path
) -> Iterator[LocalAirflow]:
    """An Airflow with DAGs that cannot run."""
    airflow.request("POST", "/api/v2/pools", json={"name": "doctor", "slots": 2, "include_deferred": False})
    add_dag("doctor_sick", SICK)
    add_dag("doctor_inbox", INBOX.format(inbox=tmp_path))
    yield airflow
    airflow.request("DELETE", "/api/v2/pools/doctor")


def test_a_sick_airflow(sick: LocalAirflow) -> None:
    found = run(
        sick,
        "-m",
        "airflow",
        "aiopt",
        AIRFLOW_HOME=str(sick.home),
        AIRFLOW__CORE__PARALLELISM="4",
        AIRFLOW__API__BASE_URL=sick.url,
    )
    pools = bad(found["task-pools"])
    assert pools["pool nowhere"].severity == "error"
    assert "1 tasks wait in it: doctor_sick.no-pool" in pools["pool nowhere"].evidence
    assert (
        "has 2 slots, and 1 tasks take up to 3 each: doctor_sick.too-large" in pools["pool doctor"].evidence
    )

    sensors = bad(found["sensors"])
    assert "1 tasks (doctor_sick.pokes) may hold 4 of them" in sensors["pool doctor"].evidence
    assert sensors["[core] parallelism"].severity == "error"
    assert "doctor_sick.itself" in sensors["[core] parallelism"].evidence

    assert bad(found["waits"])["DAG doctor_sick"].severity == "error"
    assert found["dag-limits"].severity == "ok"
    assert found["queues"].skipped == "only the CeleryExecutor has queues that workers choose"
    assert found["clock"].findings[0].subject == "metadata database"
    assert found["clock"].severity == "ok"
    assert found["airflow"].severity == found["triggerer"].severity == "ok"

    # The same from outside, as far as the API tells.
    found = run(sick, "-c", PROGRAM, AIOPT_AIRFLOW_URL=sick.url)
    assert found["airflow"].severity == "ok"
    assert bad(found["task-pools"]).keys() == pools.keys()
    assert "pool doctor" in bad(found["sensors"])
    assert found["clock"].findings[0].subject == "API server"
    assert found["clock"].severity == "ok"
    assert "give --airflow-url" not in str(found["queues"].skipped)


class _WrongClock(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"metadatabase": {"status": "healthy"}}'
        self.send_response_only(200)
        self.send_header("Date", "Tue, 01 Dec 2020 12:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def wrong_clock() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _WrongClock)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_api_server_whose_clock_is_wrong(wrong_clock: str) -> None:
    context = CheckContext(health=Fact(lambda: ask_health(AirflowApi(wrong_clock))))
    (found,) = CLOCK.run(context)
    assert isinstance(found, Finding)
    assert found.severity == "error"
    assert "behind this machine" in found.evidence
