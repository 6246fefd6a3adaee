"""The supervised Airflow that the demo and the other integration tests rely on."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow_support import (
    REPOSITORY,
    StatsdReceiver,
    clean_environment,
    processes_of,
    requires_postgresql,
    wait_until,
)
from local_airflow import (
    COMPONENTS,
    ComponentExitedError,
    DagUnavailableError,
    HomeInUseError,
    LocalAirflow,
    RunTimeoutError,
)

pytestmark = pytest.mark.integration

ADDER = """
    from airflow.sdk import DAG, Param, task

    with DAG("adder", schedule=None, params={"numbers": Param([1, 2])}):
        @task
        def numbers(params=None):
            return params["numbers"]

        @task
        def double(number):
            print("doubling", number)
            return number * 2

        double.expand(number=numbers())
"""


def test_a_run_with_params_mapped_tasks_logs_xcoms_and_metrics(
    airflow: LocalAirflow, add_dag: Callable[[str, str], None], statsd_receiver: StatsdReceiver
) -> None:
    add_dag("adder", ADDER)
    seen: list[int] = []

    run_id = airflow.trigger("adder", {"numbers": [5, 6, 7]}, run_id="odd+run~1:2.3")
    state = airflow.wait_for_run("adder", run_id, on_update=lambda tasks: seen.append(len(tasks)))

    assert state == "success"
    assert run_id == "odd+run~1:2.3"
    tasks = airflow.task_instances("adder", run_id)
    assert sorted((task["task_id"], task["map_index"]) for task in tasks) == [
        ("double", 0),
        ("double", 1),
        ("double", 2),
        ("numbers", -1),
    ]
    assert airflow.xcom("adder", run_id, "double", map_index=2) == 14
    assert "doubling 6" in airflow.task_logs("adder", run_id, "double", map_index=1)
    assert seen[-1] == 4
    assert airflow.import_errors() == []
    statsd_receiver.wait_for(r"^airflow\.ti\.finish\.adder\.double\.success:1\|c", timeout=20)


def test_a_run_that_does_not_end_in_time_is_reported_with_its_tasks(
    airflow: LocalAirflow, add_dag: Callable[[str, str], None]
) -> None:
    add_dag(
        "sleeper",
        """
        import threading
        from airflow.sdk import DAG, task

        with DAG("sleeper", schedule=None):
            @task
            def sleep():
                threading.Event().wait(60)

            sleep()
        """,
    )
    run_id = airflow.trigger("sleeper")

    with pytest.raises(RunTimeoutError, match=r"'sleeper' is still (queued|running) .* sleep\[-1\]"):
        airflow.wait_for_run("sleeper", run_id, timeout=0.5)

    airflow.set_run_state("sleeper", run_id, "failed")
    assert airflow.wait_for_run("sleeper", run_id, timeout=10) == "failed"


def test_a_dag_file_with_an_error_is_shown_at_once(airflow: LocalAirflow, test_dags: Path) -> None:
    broken = test_dags / "broken.py"
    broken.write_text("from airflow.sdk import DAG\nraise LookupError('no such thing')\n", encoding="utf-8")
    try:
        with pytest.raises(DagUnavailableError, match="no such thing"):
            airflow.wait_for_dag("broken", file="broken.py", timeout=30)
    finally:
        broken.unlink()


def test_secrets_are_private_and_the_callers_airflow_is_left_out(
    airflow: LocalAirflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("airflow.cfg", "passwords.json", "secrets.json"):
        assert stat.S_IMODE((airflow.home / name).stat().st_mode) == 0o600

    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_HOME", "/nowhere")
    environment = LocalAirflow(tmp_path, tmp_path)._home.environment({"AIRFLOW__A__B": "c"})
    airflow_variables = {name: value for name, value in environment.items() if "AIRFLOW" in name}
    assert airflow_variables == {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__A__B": "c"}


def test_a_home_in_use_is_refused(airflow: LocalAirflow, tmp_path: Path) -> None:
    with pytest.raises(HomeInUseError, match=f"process {os.getpid()}"):
        LocalAirflow(airflow.home, tmp_path).start()


def test_a_second_one_beside_it_from_first_start_to_last_stop(airflow: LocalAirflow, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    first_pids = airflow.pids()

    with LocalAirflow(tmp_path / "home", tmp_path / "dags") as second:
        assert second.url != airflow.url
        assert set(second.pids()) == set(COMPONENTS)
        assert not set(second.pids().values()) & set(first_pids.values())
        session = second.supervisor.session
        assert session is not None
        assert len(processes_of(session)) > len(COMPONENTS)

        # Killed and restarted: the expected end raises nothing, and the new process is another one.
        before = second.pids()["scheduler"]
        second.kill("scheduler")
        assert "scheduler" not in second.pids()
        second.restart("scheduler")
        assert second.pids()["scheduler"] != before

        # Killed by someone else: named at once, with the log.
        os.kill(second.pids()["triggerer"], signal.SIGKILL)
        with pytest.raises(
            ComponentExitedError, match=r"triggerer ended unexpectedly by signal 9\.\n.*log"
        ) as caught:
            second.wait_for_dag("none", timeout=20)
        assert caught.value.component == "triggerer"

    assert processes_of(session) == []
    assert airflow.pids() == first_pids
    assert airflow.health()["scheduler"]["status"] == "healthy"

    began = time.monotonic()
    with LocalAirflow(tmp_path / "home", tmp_path / "dags") as again:
        assert again.health()["metadatabase"]["status"] == "healthy"
        migrations = (again.logs / "db-migrate.log").read_text(encoding="utf-8").count("migration done")
        assert migrations == 1
    # A bound for a machine under load: on an idle one it is five seconds.
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("number", "database"),
    [(signal.SIGKILL, "sqlite"), (signal.SIGINT, "sqlite"), (signal.SIGKILL, "postgresql")],
)
def test_nothing_outlives_a_parent_that_is_killed(
    tmp_path: Path, number: signal.Signals, database: str
) -> None:
    if database == "postgresql":
        requires_postgresql()
    (tmp_path / "dags").mkdir()
    program = (
        "import sys, pathlib, threading\n"
        f"sys.path.insert(0, {str(REPOSITORY / 'scripts')!r})\n"
        "from local_airflow import LocalAirflow\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        f"with LocalAirflow(folder / 'home', folder / 'dags', database={database!r}) as airflow:\n"
        "    print(airflow.supervisor.session, flush=True)\n"
        "    threading.Event().wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=clean_environment()
    ) as parent:
        assert parent.stdout is not None
        session = int(parent.stdout.readline())
        assert len(processes_of(session)) > len(COMPONENTS)
        parent.send_signal(number)
        parent.wait(30)
        wait_until(lambda: processes_of(session) == [], "the dead parent's Airflow is gone")
