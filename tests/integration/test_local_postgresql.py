"""The supervised Airflow with a PostgreSQL of its own."""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from airflow_support import processes_of, requires_postgresql, wait_until
from local_airflow import COMPONENTS, DatabaseUnavailableError, LocalAirflow, StartError, postgresql

pytestmark = pytest.mark.integration
requires_postgresql()

WAITER = """
    import pathlib
    import time
    from airflow.sdk import DAG, task

    with DAG("waiter", schedule=None, params={"folder": ""}):
        @task
        def wait(params=None):
            folder = pathlib.Path(params["folder"])
            (folder / "began").touch()
            deadline = time.monotonic() + 60
            while not (folder / "go").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            return "went on"

        @task
        def after(value):
            return value

        after(wait())
"""


@pytest.fixture
def dags(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "waiter.py").write_text(dedent(WAITER), encoding="utf-8")
    return folder


def test_a_run_outlives_the_scheduler_and_its_record_a_restart_and_nothing_is_left(
    tmp_path: Path, dags: Path
) -> None:
    home = tmp_path / "home"
    with LocalAirflow(home, dags, database="postgresql") as airflow:
        assert set(airflow.pids()) == {*COMPONENTS, postgresql.NAME}
        session = airflow.supervisor.session
        assert session is not None
        airflow.wait_for_dag("waiter")
        airflow.unpause("waiter")
        run_id = airflow.trigger("waiter", {"folder": str(tmp_path)})
        wait_until((tmp_path / "began").exists, "the first task runs", timeout=60)

        airflow.restart("scheduler")
        (tmp_path / "go").touch()

        # The task of the killed scheduler is lost; the new one notices and the rest is its own affair.
        second = airflow.trigger("waiter", {"folder": str(tmp_path)})
        assert airflow.wait_for_run("waiter", second) == "success"
        assert airflow.xcom("waiter", second, "after") == "went on"
        assert not (home / "airflow.db").exists()
    assert processes_of(session) == []

    with LocalAirflow(home, dags, database="postgresql") as again:
        assert {run["dag_run_id"] for run in again.dag_runs("waiter")} == {run_id, second}
        log = (again.logs / "db-migrate.log").read_text(encoding="utf-8")
        assert log.count("migration done") == 1
        log = again.supervisor.log_of(postgresql.NAME).read_text(encoding="utf-8")
        # It was stopped in order, not killed.
        assert "was not properly shut down" not in log


def test_a_machine_without_postgresql_is_told_what_to_install(
    tmp_path: Path, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    airflow = LocalAirflow(tmp_path / "home", dags, database="postgresql")

    with pytest.raises(DatabaseUnavailableError, match="apt-get install postgresql"):
        airflow.start()
    assert airflow.supervisor.session is None


def test_a_cluster_that_could_not_be_made_is_made_at_the_next_start_and_is_private(
    tmp_path: Path, dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patch:
        # Not below tmp_path, which the user that initdb runs as cannot enter.
        Path(folder).chmod(0o755)
        for name in ("initdb", "postgres"):
            program = Path(folder, name)
            program.write_text("#!/bin/sh\ntouch $2/cut-short\necho no space left >&2\nexit 3\n")
            program.chmod(0o755)
        patch.setattr(postgresql, "programs", lambda: Path(folder))

        with pytest.raises(StartError, match=r"`initdb` failed with exit code 3\.\nno space left"):
            LocalAirflow(home, dags, database="postgresql").start()
    assert (home / "postgresql.partial" / "cut-short").exists()

    with LocalAirflow(home, dags, database="postgresql") as airflow:
        assert airflow.health()["metadatabase"]["status"] == "healthy"
        check_privacy(airflow)
    assert not (home / "postgresql.partial").exists()


def check_privacy(airflow: LocalAirflow) -> None:
    """Neither root nor a passer-by has anything to do with the server."""
    owner = Path(f"/proc/{airflow.pids()[postgresql.NAME]}").stat().st_uid
    assert owner != 0
    assert owner == os.geteuid() or pwd.getpwuid(owner).pw_name in ("postgres", "nobody")
    folder = airflow.home / "postgresql"
    data = folder.stat()
    assert (data.st_uid, stat.S_IMODE(data.st_mode)) == (owner, 0o700)
    rules = (folder / "pg_hba.conf").read_text(encoding="utf-8").splitlines()
    methods = {rule.split()[-1] for rule in rules if rule.strip() and not rule.startswith("#")}
    assert methods == {"scram-sha-256"}
