"""From an upload to the results of its run, in a real Airflow, and through what kills parts of it."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from airflow_support import REPOSITORY, wait_until
from local_airflow import LocalAirflow

from benchmarks.upload_results import DAGS, Outcome, Recorded, environment, start_watch

pytestmark = pytest.mark.integration

PATIENCE_S = 120.0
TEMPLATES = tuple(f"image_classification_{name}" for name in ("on_upload", "direct", "sensor"))
PATTERNS = ("*.jpg", "*.jpeg", "*.png", "*.webp", "*.gif", "*.bmp", "*.tif", "*.tiff")
Starter = Callable[..., Path]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uploads")
    for dag_id in ("by_asset", "by_watch", "by_deferred_sensor", "by_sensor"):
        Recorded(folder, dag_id)
    return folder


@pytest.fixture(scope="module")
def airflow(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An Airflow of this module's own, since parts of it are killed."""
    env = environment(root) | {"AIRFLOW__AIOPT__UPLOADS_URI": str(root / "photographs")}
    (root / "photographs").mkdir()
    templates = (REPOSITORY / "dags",)
    with LocalAirflow(tmp_path_factory.mktemp("airflow"), DAGS, env=env, extra_dags=templates) as running:
        for dag_id in ("by_asset", "by_watch", "by_deferred_sensor", "by_sensor", *TEMPLATES):
            running.wait_for_dag(dag_id)
        yield running


@pytest.fixture(scope="module")
def by_asset(airflow: LocalAirflow, root: Path) -> Recorded:
    """The DAG on the asset, once its inbox is watched."""
    airflow.unpause("by_asset")
    wait_until(lambda: any(root.glob("state/*/baseline.bin")), "the inbox is watched", timeout=PATIENCE_S)
    return Recorded(root, "by_asset")


@pytest.fixture
def start(airflow: LocalAirflow, root: Path, tmp_path: Path) -> Iterator[Starter]:
    """Start an ``aiopt watch``, and return its log; all are told to end, and have to."""
    with ExitStack() as stack:

        def begin(inbox: Path, dag_id: str, *options: str) -> Path:
            log = tmp_path / f"watch-{len(list(tmp_path.iterdir()))}.log"
            file = stack.enter_context(log.open("wb"))
            process = start_watch(
                inbox,
                dag_id,
                state=root / "state",
                url=airflow.url,
                credentials=(airflow.username, airflow.password),
                log=file,
                options=(*options, "--health-port", "0"),
            )

            def end() -> None:
                process.terminate()
                try:
                    assert process.wait(60) == 0, log.read_text()
                finally:
                    process.kill()

            stack.callback(end)
            wait_until(lambda: "watching " in log.read_text(), "it watches", timeout=PATIENCE_S)
            return log

        yield begin


def wait_for(recorded: Recorded, *names: str) -> None:
    """Wait until every object has a result, each as often as it is named."""
    wanted = sorted(names)
    wait_until(
        lambda: len(recorded.names()) >= len(wanted),
        f"{recorded.dag_id} has results of {wanted}; it has {recorded.names()}",
        timeout=PATIENCE_S,
    )
    assert recorded.names() == wanted


def states(airflow: LocalAirflow, dag_id: str) -> list[str]:
    return [run["state"] for run in airflow.dag_runs(dag_id)]


class TestAsset:
    def test_through_all_that_happens_to_it(self, airflow: LocalAirflow, by_asset: Recorded) -> None:
        expected: list[str] = []

        def put(*names: str, content: str = "x") -> None:
            for name in names:
                by_asset.put(name, content)
            expected.extend(names)

        put("first.jpg")
        wait_for(by_asset, *expected)

        put("first.jpg", content="a new version")
        wait_for(by_asset, *expected)

        airflow.kill("triggerer")
        put("unseen.jpg")
        airflow.restart("triggerer")
        put("seen.jpg")
        wait_for(by_asset, *expected)

        airflow.kill("scheduler")
        put("unscheduled.jpg")
        airflow.restart("scheduler")
        wait_for(by_asset, *expected)

        airflow.request("PATCH", "/api/v2/dags/by_asset", json={"is_paused": True})
        put("paused-1.jpg")
        put("paused-2.jpg")
        airflow.unpause("by_asset")
        wait_for(by_asset, *expected)

        by_asset.put("poison.jpg")
        wait_until(lambda: "failed" in states(airflow, "by_asset"), "the poison fails", timeout=PATIENCE_S)
        put("healthy.jpg")
        wait_for(by_asset, *expected)

        assert by_asset.outcome(len(expected)) == Outcome(lost=0, duplicated=0)

    def test_a_cleared_run_keeps_its_uploads(self, airflow: LocalAirflow, by_asset: Recorded) -> None:
        before = by_asset.names()
        by_asset.put("cleared.jpg")
        wait_for(by_asset, *before, "cleared.jpg")
        run_id = max(airflow.dag_runs("by_asset"), key=lambda run: str(run["run_after"]))["dag_run_id"]
        assert airflow.wait_for_run("by_asset", run_id) == "success"

        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "reset_dag_runs": True}
        airflow.request("POST", "/api/v2/dags/by_asset/clearTaskInstances", json=body)

        wait_until(
            lambda: [task["try_number"] for task in airflow.task_instances("by_asset", run_id)] == [2, 2],
            "both tasks are tried again",
            timeout=PATIENCE_S,
        )
        assert airflow.wait_for_run("by_asset", run_id) == "success"
        assert airflow.xcom("by_asset", run_id, "record") == 1
        assert by_asset.names() == sorted([*before, "cleared.jpg"])

    def test_what_comes_while_no_further_run_may_be_active_waits_for_its_turn(
        self, airflow: LocalAirflow, by_asset: Recorded, root: Path
    ) -> None:
        before, most = by_asset.names(), airflow.dag("by_asset")["max_active_runs"]
        hold = root / "hold"
        hold.touch()
        try:
            for number in range(most):
                by_asset.put(f"at-work-{number}.jpg")
                wait_until(
                    lambda wanted=number + 1: states(airflow, "by_asset").count("running") == wanted,
                    f"{number + 1} runs are at work",
                    timeout=PATIENCE_S,
                )
            for number in range(3):
                by_asset.put(f"waits-{number}.jpg")
            # The triggerer hands their events on, and the scheduler finds that it may start nothing.
            airflow.watch(5)
            assert states(airflow, "by_asset").count("running") == most
        finally:
            hold.unlink()

        late = [f"waits-{number}.jpg" for number in range(3)]
        wait_for(by_asset, *before, *(f"at-work-{number}.jpg" for number in range(most)), *late)

    def test_a_run_by_hand_is_skipped(self, airflow: LocalAirflow, by_asset: Recorded) -> None:
        run_id = airflow.trigger("by_asset")
        airflow.wait_for_run("by_asset", run_id)
        assert {task["state"] for task in airflow.task_instances("by_asset", run_id)} == {"skipped"}
        assert "not started for uploads of" in airflow.task_logs("by_asset", run_id, "take")


@pytest.mark.parametrize("dag_id", ["by_deferred_sensor", "by_sensor"])
def test_a_sensor_takes_what_comes(airflow: LocalAirflow, root: Path, dag_id: str) -> None:
    recorded = Recorded(root, dag_id)
    airflow.unpause(dag_id)
    run_id = airflow.trigger(dag_id)
    running = "deferred" if dag_id == "by_deferred_sensor" else "running"

    def waits() -> bool:
        (sensor,) = [task for task in airflow.task_instances(dag_id, run_id) if task["task_id"] == "wait"]
        watched = any(str(recorded.inbox) in path.read_text() for path in root.glob("state/*/watch.json"))
        return sensor["state"] == running and watched

    wait_until(waits, "the sensor waits", timeout=PATIENCE_S)

    def is_taken() -> bool:
        # Again and again: what comes before the baseline is made is taken for old.
        recorded.put(f"{len(list(recorded.inbox.iterdir())):03d}.jpg")
        return bool(recorded.names())

    wait_until(is_taken, "an upload is taken", timeout=PATIENCE_S)
    assert airflow.wait_for_run(dag_id, run_id) == "success"
    names = recorded.names()
    assert len(set(names)) == len(names)


def health(log: Path) -> tuple[int, dict[str, object]]:
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+/health", log.read_text())
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_two_services_side_by_side_through_an_airflow_that_is_away(
    airflow: LocalAirflow, root: Path, start: Starter
) -> None:
    airflow.unpause("by_watch")
    recorded = Recorded(root, "by_watch")
    logs = [start(recorded.inbox, "by_watch") for _ in range(2)]
    expected = [f"{number}.jpg" for number in range(5)]
    for name in expected:
        recorded.put(name)
    wait_for(recorded, *expected)
    assert [health(log)[0] for log in logs] == [200, 200]
    values = [health(log)[1] for log in logs]
    assert sum(int(str(value["uploads"])) for value in values) == len(expected)

    airflow.kill("api-server")
    recorded.put("backlog-1.jpg")
    recorded.put("backlog-2.jpg")
    wait_until(lambda: any(health(log)[0] == 503 for log in logs), "the trouble shows", timeout=PATIENCE_S)
    airflow.restart("api-server")
    expected += ["backlog-1.jpg", "backlog-2.jpg"]
    wait_for(recorded, *expected)
    wait_until(lambda: all(health(log)[0] == 200 for log in logs), "the trouble is over", timeout=PATIENCE_S)
    assert recorded.outcome(len(expected)) == Outcome(lost=0, duplicated=0)


def labels_of(root: Path, dag_id: str) -> list[tuple[str, str]]:
    """Return the name and label of every photograph that a template has classified."""
    return sorted(
        (row["uri"].rsplit("/", 1)[-1], row["label"])
        for path in root.glob(f"work/{dag_id}/*/results/*.parquet")
        for row in pq.read_table(path).to_pylist()
    )


def test_each_template_classifies_each_photograph_once(
    airflow: LocalAirflow, root: Path, start: Starter
) -> None:
    for dag_id in TEMPLATES:
        airflow.unpause(dag_id)
    inbox = root / "photographs"
    start(inbox, "image_classification_direct", *(f"--pattern={pattern}" for pattern in PATTERNS))
    # The service has made the baseline; the others offer what came since then.
    shutil.copy(REPOSITORY / "examples" / "photographs" / "coffee.png", inbox)
    (inbox / "notes.txt").write_text("no photograph")
    wait_until(
        lambda: all(labels_of(root, dag_id) for dag_id in TEMPLATES), "all classify", timeout=PATIENCE_S
    )
    assert {dag_id: labels_of(root, dag_id) for dag_id in TEMPLATES} == {
        dag_id: [("coffee.png", "espresso")] for dag_id in TEMPLATES
    }
