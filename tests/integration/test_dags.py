"""The DAG templates, and tasks of one's own, on a real Airflow: results, reports, metrics, retries."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow.parquet as pq
import pytest
from airflow_support import REPOSITORY, StatsdReceiver, clean_environment, wait_until
from dag_test import DagTester
from local_airflow import ApiError, LocalAirflow
from model_fixtures import minilm_l6_v2
from PIL import Image

from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.data.quarantine import read_quarantine
from airflow_provider_aiopt.telemetry.reports import STAGES, StageReport
from airflow_provider_aiopt.telemetry.run_report import load_run_report

__all__ = ["minilm_l6_v2"]

pytestmark = pytest.mark.integration

PHOTOGRAPHS = REPOSITORY / "examples" / "photographs"
TEXTS = REPOSITORY / "examples" / "texts.jsonl"
DAG = "image_classification"


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """The example photographs, and among them one that is none."""
    return copy_photographs(tmp_path)


def copy_photographs(folder: Path) -> Path:
    for path in PHOTOGRAPHS.glob("*.*g"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_bytes(b"not a photograph")
    return folder


def rows(results: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in pq.read_table(results, partitioning=None).to_pylist()}


def run_dag(
    airflow: LocalAirflow, dag_id: str, params: dict[str, Any] | None = None, *, state: str = "success"
) -> str:
    airflow.wait_for_dag(dag_id)
    airflow.unpause(dag_id)
    run_id = airflow.trigger(dag_id, params)
    assert airflow.wait_for_run(dag_id, run_id, timeout=180) == state
    return run_id


def airflow_command(airflow: LocalAirflow, *arguments: str, **environment: str) -> str:
    """Run an ``airflow`` command on the Airflow that runs, as its administrator would."""
    program = Path(sys.executable).with_name("airflow")
    return subprocess.run(
        [program, *arguments],
        env=clean_environment() | {"AIRFLOW_HOME": str(airflow.home)} | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def run(airflow: LocalAirflow, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One finished run of the image template over the photographs, a broken one among them."""
    source = copy_photographs(tmp_path_factory.mktemp("photographs"))
    return run_dag(airflow, DAG, {"source": str(source), "shards": 3, "batch_size": 2})


class TestImageClassification:
    def test_each_shard_has_tasks_of_its_own(self, airflow: LocalAirflow, run: str) -> None:
        tasks = airflow.task_instances(DAG, run)
        assert Counter(task["task_id"] for task in tasks) == {
            "ingest": 1,
            "preprocess": 3,
            "inference": 3,
            "postprocess": 1,
        }
        assert {task["state"] for task in tasks} == {"success"}
        named = {task["rendered_map_index"] for task in tasks if task["task_id"] == "inference"}
        assert named == {f"preprocess/0000{number}" for number in range(3)}

    def test_results_and_quarantine_are_all_records(
        self, airflow: LocalAirflow, run: str, work_dir: Path
    ) -> None:
        answer = airflow.xcom(DAG, run, "postprocess")
        assert answer == {"results_uri": f"{work_dir}/{DAG}/{run}/results", "results": 6}
        found = rows(Path(answer["results_uri"]))
        assert {name: row["label"] for name, row in found.items()}["coffee.png"] == "espresso"
        assert found.keys() == {path.name for path in PHOTOGRAPHS.glob("*.*g")}
        (bad,) = read_quarantine(Folder.open(f"{work_dir}/{DAG}/{run}/quarantine"))
        assert (bad.id, bad.stage, bad.error_class) == ("broken.jpg", "preprocess", "DecodeError")

    def test_only_references_and_reports_travel_between_tasks(self, airflow: LocalAirflow, run: str) -> None:
        assert airflow.xcom(DAG, run, "ingest") == [f"ingest/0000{number}" for number in range(3)]
        assert airflow.xcom(DAG, run, "inference", map_index=1) == "inference/00001"
        for task in airflow.task_instances(DAG, run):
            value = airflow.xcom(DAG, run, task["task_id"], "stage_report", map_index=task["map_index"])
            assert len(json.dumps(value)) < 4096
            report = StageReport.model_validate(value)
            assert report.task is not None
            assert (report.task.task_id, report.task.map_index) == (task["task_id"], task["map_index"])

    def test_the_run_report_has_airflows_queue_times(
        self, airflow: LocalAirflow, run: str, work_dir: Path
    ) -> None:
        aiopt = Path(sys.executable).with_name("aiopt")
        ended = subprocess.run(
            [aiopt, "report", f"{DAG}/{run}", "--json", "--airflow-url", airflow.url],
            env=clean_environment()
            | {"AIRFLOW__AIOPT__WORK_DIR": str(work_dir), "AIOPT_AIRFLOW_TOKEN": airflow.token()},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        report = json.loads(ended.stdout)
        assert (report["records_in"], report["results"], report["quarantined"]) == (7, 6, 1)
        assert [(stage["stage"], stage["tasks"]) for stage in report["stages"]] == list(
            zip(STAGES, (1, 3, 3, 1), strict=True)
        )
        for stage in report["stages"]:
            assert stage["queued_s"] > 0
            assert stage["scheduled_s"] >= 0

    def test_airflow_itself_reports_it_too(self, airflow: LocalAirflow, run: str, work_dir: Path) -> None:
        command = ("aiopt", "report", f"{DAG}/{run}", "--json")
        shown = airflow_command(airflow, *command, AIRFLOW__AIOPT__WORK_DIR=str(work_dir))
        assert json.loads(shown)["results"] == 6

    def test_the_packets_that_reach_statsd(
        self, airflow: LocalAirflow, run: str, statsd_receiver: StatsdReceiver
    ) -> None:
        for stage in STAGES:
            name = f"airflow.ai_pipeline.stage.duration.{DAG}.{stage}.{stage}"
            statsd_receiver.wait_for(rf"^{re.escape(name)}:\d+(\.\d+)?\|ms$")
        statsd_receiver.wait_for(
            rf"^airflow\.ai_pipeline\.stage\.items\.{DAG}\.postprocess\.postprocess:6\|c$"
        )
        statsd_receiver.wait_for(
            rf"^airflow\.ai_pipeline\.stage\.quarantined\.{DAG}\.preprocess\.preprocess:1\|c"
        )

    def test_the_first_task_tells_how_long_it_was_queued(
        self, airflow: LocalAirflow, run: str, statsd_receiver: StatsdReceiver
    ) -> None:
        queued = r"^airflow\.ai_pipeline\.task\.queued"
        statsd_receiver.wait_for(rf"{queued}\.{DAG}\.ingest\.ingest:\d+(\.\d+)?\|ms$")
        sent = [line for line in statsd_receiver.lines() if re.search(rf"{queued}\.{DAG}\.", line)]
        assert not [line for line in sent if f"{DAG}.ingest." not in line]  # the others wait for it

    def test_the_dag_explains_and_bounds_itself(self, airflow: LocalAirflow, run: str) -> None:
        details = airflow.request("GET", f"/api/v2/dags/{DAG}/details")
        assert {tag["name"] for tag in details["tags"]} == {"aiopt", "images"}
        assert details["max_active_runs"] == 4
        assert "quarantine" in details["doc_md"]
        assert details["params"]["shards"]["value"] == 2
        tasks = {
            task["task_id"]: task for task in airflow.request("GET", f"/api/v2/dags/{DAG}/tasks")["tasks"]
        }
        assert {task["retries"] for task in tasks.values()} == {2.0}
        assert {task["pool"] for task in tasks.values()} == {"default_pool"}
        assert {name for name, task in tasks.items() if task["is_mapped"]} == {"preprocess", "inference"}

    def test_too_many_bad_photographs_fail_the_run_without_retries(
        self, airflow: LocalAirflow, photographs: Path, work_dir: Path
    ) -> None:
        run = run_dag(
            airflow, DAG, {"source": str(photographs), "max_bad_fraction": 0.1, "shards": 1}, state="failed"
        )
        tasks = {task["task_id"]: task for task in airflow.task_instances(DAG, run)}
        assert {name: task["state"] for name, task in tasks.items()} == {
            "ingest": "success",
            "preprocess": "failed",
            "inference": "upstream_failed",
            "postprocess": "upstream_failed",
        }
        assert tasks["preprocess"]["try_number"] == 1
        log = airflow.task_logs(DAG, run, "preprocess", map_index=0)
        assert "TooManyBadRecordsError: 1 of 7 records" in log
        assert not (work_dir / DAG / run / "results").exists()

    def test_dag_test_gives_the_same(
        self, airflow: LocalAirflow, run: str, dag_tester: DagTester, photographs: Path
    ) -> None:
        workspace = dag_tester.test(DAG, {"source": str(photographs), "shards": 2})
        here = rows(workspace / "results")
        there = rows(Path(airflow.xcom(DAG, run, "postprocess")["results_uri"]))
        assert here.keys() == there.keys()
        for name, row in here.items():
            assert row["label"] == there[name]["label"]
            assert row["score"] == pytest.approx(there[name]["score"], abs=1e-6)
        assert load_run_report(Folder.open(str(workspace))).quarantined == 1


STREAMING = "image_classification_streaming"


class TestStreamingImageClassification:
    """The shards of one listing, each streamed in a mapped task of its own."""

    def test_the_results_are_those_of_the_staged_template(
        self, airflow: LocalAirflow, run: str, photographs: Path, work_dir: Path
    ) -> None:
        params = {"source": str(photographs), "shards": 3, "batch_size": 2}
        streamed = run_dag(airflow, STREAMING, params)
        tasks = airflow.task_instances(STREAMING, streamed)
        assert Counter(task["task_id"] for task in tasks) == {"plan": 1, "pipeline": 3}
        assert {task["state"] for task in tasks} == {"success"}
        assert {task["rendered_map_index"] for task in tasks if task["task_id"] == "pipeline"} == {
            f"ingest/0000{number}" for number in range(3)
        }
        answers = [airflow.xcom(STREAMING, streamed, "pipeline", map_index=index) for index in range(3)]
        assert sum(answer["results"] for answer in answers) == 6
        (uri,) = {answer["results_uri"] for answer in answers}
        assert sorted(path.name for path in Path(uri).iterdir()) == [f"0000{n}.parquet" for n in range(3)]
        there = rows(Path(airflow.xcom(DAG, run, "postprocess")["results_uri"]))
        here = rows(Path(uri))
        assert here.keys() == there.keys()
        for name, row in here.items():
            assert (row["label"], row["sha256"]) == (there[name]["label"], there[name]["sha256"])
            assert row["score"] == pytest.approx(there[name]["score"], abs=1e-6)
        report = load_run_report(Folder.open(f"{work_dir}/{STREAMING}/{streamed}"))
        assert (report.records_in, report.results, report.quarantined) == (7, 6, 1)
        assert [(stage.stage, stage.tasks) for stage in report.stages] == list(
            zip(STAGES, (4, 3, 3, 3), strict=True)
        )
        assert report.overlapped
        told = [self.run_report(airflow, streamed, index) for index in range(3)]
        (whole, *_) = [found for found in told if found]  # of the task that ended last, or tasks at once
        assert (whole["records_in"], whole["results"], whole["quarantined"]) == (7, 6, 1)
        assert whole["stages"]["postprocess"]["tasks"] == 3

    def run_report(self, airflow: LocalAirflow, run_id: str, index: int) -> Any:
        try:
            return airflow.xcom(STREAMING, run_id, "pipeline", "run_report", map_index=index)
        except ApiError:
            return None

    def test_a_run_is_profiled_by_its_params(self, dag_tester: DagTester, photographs: Path) -> None:
        asked = {"source": str(photographs), "shards": 2, "profile": "cprofile"}
        workspace = dag_tester.test(STREAMING, asked)
        profiles = {path.relative_to(workspace / "profiles") for path in workspace.glob("profiles/*/*.svg")}
        assert profiles == {Path(f"stream-0000{shard}/flamegraph.svg") for shard in range(2)}

    def test_dag_test_gives_the_same(self, dag_tester: DagTester, photographs: Path) -> None:
        workspace = dag_tester.test(STREAMING, {"source": str(photographs), "shards": 2})
        assert len(rows(workspace / "results")) == 6
        assert load_run_report(Folder.open(str(workspace))).quarantined == 1

    def test_a_task_that_is_told_to_end_cleans_up_and_its_retry_goes_on(
        self, airflow: LocalAirflow, work_dir: Path, tmp_path: Path
    ) -> None:
        folder = many_photographs(tmp_path)
        airflow.wait_for_dag(STREAMING)
        airflow.unpause(STREAMING)
        streamed = airflow.trigger(STREAMING, {"source": str(folder), "shards": 1, "batch_size": 1})
        results = work_dir / STREAMING / streamed / "results"
        told: list[int] = []

        def tell_once() -> bool:
            if next(iter(results.glob(".00000.parquet.*.tmp")), None):
                told.extend(signal_holder(f"/{STREAMING}/{streamed}/results/.00000.parquet.", signal.SIGTERM))
            return bool(told)

        wait_until(tell_once, "the stream is under way", timeout=60)
        wait_until(lambda: not list(results.glob(".*.tmp")), "what it had begun is removed", timeout=30)
        assert airflow.wait_for_run(STREAMING, streamed, timeout=240) == "success"
        (pipeline,) = [
            task for task in airflow.task_instances(STREAMING, streamed) if task["task_id"] == "pipeline"
        ]
        assert pipeline["try_number"] == 2
        assert len(rows(results)) == 60


class TestPoolsAndLimits:
    def parse(self, module: str, dag: str = "ingest.dag", **options: str) -> dict[str, Any]:
        """Parse a template with ``[aiopt]`` options and return what it made of them."""
        program = (
            "import json, sys; sys.path.insert(0, sys.argv[1])\n"
            f"import {module}; dag = {module}.{dag}\n"
            "tasks = {task.task_id: [task.pool, task.pool_slots, task.queue, task.retries] "
            "for task in dag.tasks}\n"
            "params = dag.params\n"
            "shards = [params['shards'], params.get_param('shards').schema['maximum']] "
            "if 'shards' in params else None\n"
            "print(json.dumps({'tasks': tasks, 'runs': dag.max_active_runs, 'active': dag.max_active_tasks, "
            "'shards': shards}))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program, str(REPOSITORY / "dags")],
            env=clean_environment() | {f"AIRFLOW__AIOPT__{name}": value for name, value in options.items()},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
        return found

    @pytest.mark.parametrize("dag_id", [DAG, "text_embedding"])
    def test_the_deployment_chooses_pools_retries_and_limits(self, dag_id: str) -> None:
        options = {"CPU_POOL": "small", "INFERENCE_POOL": "models", "RETRIES": "5", "MAX_ACTIVE_RUNS": "9"}
        options |= {"SHARDS": "7", "MAX_SHARDS": "8", "MAX_ACTIVE_TASKS": "3"}
        small = ["small", 1, "default", 5]
        assert self.parse(dag_id, **options) == {
            "tasks": {
                "ingest": small,
                "preprocess": small,
                "inference": ["models", 1, "default", 5],
                "postprocess": small,
            },
            "runs": 9,
            "active": 3,
            "shards": [7, 8],
        }

    @pytest.mark.parametrize("dag_id", [DAG, "text_embedding"])
    def test_gpus_bound_the_inference_tasks(self, dag_id: str) -> None:
        found = self.parse(dag_id, GPU_POOL_SLOTS="4", GPUS_PER_TASK="2", GPU_QUEUE="gpu")
        tasks = found["tasks"]
        assert tasks.pop("inference") == ["gpus", 2, "gpu", 2]
        assert {tuple(task) for task in tasks.values()} == {("default_pool", 1, "default", 2)}
        assert found["active"] == 16, "Airflow's own"

    def test_a_sensor_that_waits_holds_no_slot_of_the_stages(self) -> None:
        options = {"CPU_POOL": "small", "INFERENCE_POOL": "models"}
        tasks = self.parse("image_classification_on_upload", "by_sensor", **options)["tasks"]
        pools = {task_id: pool for task_id, (pool, *_) in tasks.items()}
        assert pools.pop("wait") == "default_pool"
        assert pools
        assert set(pools.values()) <= {"small", "models"}


class TestTextEmbedding:
    def check(self, found: dict[str, dict[str, Any]]) -> None:
        vectors = {name: np.array(row["embedding"]) for name, row in found.items()}
        assert len(vectors) == len(TEXTS.read_text(encoding="utf-8").splitlines())
        for vector in vectors.values():
            assert vector.shape == (384,)
            assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)

    def test_on_airflow_and_by_dag_test(
        self, airflow: LocalAirflow, dag_tester: DagTester, minilm_l6_v2: Path
    ) -> None:
        params = {"model": str(minilm_l6_v2), "shards": 2, "batch_size": 4}
        run = run_dag(airflow, "text_embedding", params)
        answer = airflow.xcom("text_embedding", run, "postprocess")
        found = rows(Path(answer["results_uri"]))
        self.check(found)
        assert answer["results"] == len(found)

        again = rows(dag_tester.test("text_embedding", params | {"shards": 1, "batch_size": 32}) / "results")
        self.check(again)
        for name, row in found.items():
            np.testing.assert_allclose(row["embedding"], again[name]["embedding"], atol=1e-5)


TIMED = """
    from airflow.sdk import DAG, task
    from airflow_provider_aiopt import timed_stage

    with DAG("timed", schedule=None):
        @task
        def shrink():
            with timed_stage("resize") as stage:
                stage.items_in = stage.items_out = 5
            with timed_stage("crop"):
                pass

        @task.timed_stage(stage="export {{ run_id }}")
        def export(number):
            if number == 2:
                raise ValueError("two")
            return number * 10

        shrink() >> export.expand(number=[1, 2])
"""


def test_tasks_of_ones_own_are_timed_as_stages(
    airflow: LocalAirflow,
    add_dag: Callable[[str, str], None],
    work_dir: Path,
    statsd_receiver: StatsdReceiver,
) -> None:
    add_dag("timed", TIMED)
    run = run_dag(airflow, "timed", state="failed")

    assert airflow.xcom("timed", run, "export", map_index=0) == 10
    report = load_run_report(Folder.open(f"{work_dir}/timed/{run}"))
    stages = {stage.stage: stage for stage in report.stages}
    assert list(stages) == ["resize", "crop", f"export {run}"]
    assert stages["resize"].items == 5
    assert (stages[f"export {run}"].tasks, stages[f"export {run}"].failed) == (2, 1)
    failed = airflow.xcom("timed", run, "export", "stage_report", map_index=1)
    assert failed["error"] == "ValueError: two"
    assert airflow.xcom("timed", run, "shrink", "stage_report")["stage"] == "crop"
    statsd_receiver.wait_for(r"^airflow\.ai_pipeline\.stage\.duration\.timed\.shrink\.resize:[\d.]+\|ms$")
    statsd_receiver.wait_for(r"^airflow\.ai_pipeline\.stage\.failures\.timed\.export\..*:1\|c$")


def test_a_task_that_is_killed_half_way_is_retried_and_gives_the_same(
    airflow: LocalAirflow, work_dir: Path, tmp_path: Path, dag_tester: DagTester
) -> None:
    """SIGKILL to the preprocessing of the second of two shards, once the first is durable."""
    folder = many_photographs(tmp_path)
    source = {"source": str(folder), "shards": 1, "batch_size": 4}
    airflow.wait_for_dag(DAG)
    airflow.unpause(DAG)
    run = airflow.trigger(DAG, source)
    shard = work_dir / DAG / run / "preprocess"

    killed: list[int] = []

    def kill_once() -> bool:
        if next(iter(shard.glob(".00000.arrow.*.tmp")), None) and not (shard / "00000.json").exists():
            killed.extend(signal_holder(f"/{DAG}/{run}/preprocess/.00000.arrow.", signal.SIGKILL))
        return bool(killed)

    wait_until(kill_once, "the preprocessing is under way", timeout=60)
    assert airflow.wait_for_run(DAG, run, timeout=240) == "success"

    tasks = {task["task_id"]: task for task in airflow.task_instances(DAG, run)}
    assert tasks["preprocess"]["try_number"] == 2
    report = load_run_report(Folder.open(str(shard.parent)))
    assert (report.records_in, report.results, report.quarantined) == (60, 60, 0)
    assert {task.task.try_number for task in report.tasks if task.task and task.stage == "preprocess"} == {2}
    assert not list(shard.glob(".*.tmp")), "nothing is left of the killed attempt"
    undisturbed = rows(dag_tester.test(DAG, source) / "results")
    disturbed = rows(shard.parent / "results")
    assert {name: row["top_k"] for name, row in disturbed.items()} == {
        name: row["top_k"] for name, row in undisturbed.items()
    }


def many_photographs(folder: Path) -> Path:
    """Enough, and large enough, to be disturbed at."""
    folder = folder / "many"
    folder.mkdir()
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 256, (700, 700, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png", compress_level=0)
    return folder


def signal_holder(part: str, sent: signal.Signals) -> list[int]:
    """Send a signal to the process that has a file open whose path holds *part*, and return its id."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            targets = [str(link.readlink()) for link in (entry / "fd").iterdir()]
        except OSError:
            continue
        if any(part in target for target in targets):
            os.kill(int(entry.name), sent)
            return [int(entry.name)]
    return []


OBJECTS = """
    from airflow.sdk import DAG
    from airflow_provider_aiopt import InferenceOperator, IngestOperator
    from airflow_provider_aiopt import PostprocessOperator, PreprocessOperator

    SPEC = {
        "source": {"uri": "s3://photographs/in", "pattern": "*.*g", "connection": "store"},
        "model": {"uri": "builtin:efficientnet-lite0-int8"},
        "execution": {"shards": 2},
    }
    COMMON = {"spec": SPEC, "workspace": "s3://store@photographs/work/{{ run_id }}"}

    with DAG("objects", schedule=None):
        ingest = IngestOperator(task_id="ingest", **COMMON)
        preprocess = PreprocessOperator.partial(task_id="preprocess", **COMMON).expand(shard=ingest.output)
        inference = InferenceOperator(task_id="inference", shard=preprocess.output, **COMMON)
        PostprocessOperator(task_id="postprocess", shard=inference.output, **COMMON)
"""


@pytest.fixture(scope="module")
def connection(s3_server: str) -> dict[str, str]:
    """An Airflow connection to an S3 server."""
    return {
        "connection_id": "store",
        "conn_type": "aws",
        "login": "key",
        "password": "secret",
        "extra": json.dumps({"endpoint_url": s3_server, "region_name": "us-east-1"}),
    }


@pytest.fixture(scope="module")
def bucket(airflow: LocalAirflow, connection: dict[str, str]) -> Iterator[Any]:
    """A bucket of photographs on that server; the Airflow that runs has the connection."""
    options = json.loads(connection["extra"]) | {
        "aws_access_key_id": connection["login"],
        "aws_secret_access_key": connection["password"],
    }
    bucket = boto3.resource("s3", **options).create_bucket(Bucket="photographs")
    for path in PHOTOGRAPHS.glob("*.*g"):
        bucket.put_object(Key=f"in/{path.name}", Body=path.read_bytes())
    airflow.request("POST", "/api/v2/connections", json=connection)
    yield bucket
    airflow.request("DELETE", "/api/v2/connections/store")


class TestObjectStore:
    def names(self, bucket: Any, prefix: str) -> list[str]:
        return sorted(item.key.removeprefix(prefix) for item in bucket.objects.filter(Prefix=prefix))

    def test_source_and_workspace_through_a_connection(
        self,
        airflow: LocalAirflow,
        add_dag: Callable[[str, str], None],
        bucket: Any,
        connection: dict[str, str],
    ) -> None:
        add_dag("objects", OBJECTS)
        run = run_dag(airflow, "objects")

        answer = airflow.xcom("objects", run, "postprocess")
        assert answer == {"results_uri": f"s3://store@photographs/work/{run}/results", "results": 6}
        prefix = f"work/{run}/results/"
        assert self.names(bucket, prefix) == ["00000.parquet", "00001.parquet"]
        found = {}
        for name in self.names(bucket, prefix):
            content = bucket.Object(prefix + name).get()["Body"].read()
            found |= {row["id"]: row for row in pq.read_table(io.BytesIO(content)).to_pylist()}
        assert found["coffee.png"]["label"] == "espresso"
        assert found["coffee.png"]["uri"] == "s3://photographs/in/coffee.png"
        assert not [name for name in self.names(bucket, f"work/{run}/") if name.endswith(".tmp")]

        # On the command line, as in a task, only the API server may look into the metadata database.
        store = json.dumps({key: value for key, value in connection.items() if key != "connection_id"})
        command = ("aiopt", "report", f"s3://store@photographs/work/{run}", "--json")
        assert json.loads(airflow_command(airflow, *command, AIRFLOW_CONN_STORE=store))["results"] == 6

    def test_the_template_takes_a_connection_in_the_url(self, airflow: LocalAirflow, bucket: Any) -> None:
        run = run_dag(airflow, DAG, {"source": "s3://store@photographs/in"})
        assert airflow.xcom(DAG, run, "postprocess")["results"] == 6
