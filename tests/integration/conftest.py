"""A real Airflow and a real StatsD receiver, one of each for all integration tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any, Protocol

import pytest
from components import requires

REPOSITORY = Path(__file__).parents[2]
# The supervisor of the demo's Airflow is a script of this repository, not a part of the package.
sys.path[:0] = [str(REPOSITORY / "scripts"), str(Path(__file__).parent)]

from airflow_support import StatsdReceiver, requires_postgresql, statsd_env  # noqa: E402  # found through the line above
from local_airflow import Database, LocalAirflow  # noqa: E402  # the same


class AirflowStarter(Protocol):
    def __call__(
        self,
        home: Path | None = None,
        *,
        env: Mapping[str, str] | None = None,
        dags: Path | None = None,
        database: Database = "sqlite",
    ) -> LocalAirflow: ...


@pytest.fixture(scope="session")
def statsd_receiver() -> Iterator[StatsdReceiver]:
    """The receiver that the shared Airflow reports to."""
    receiver = StatsdReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """URL of an S3 server without any bucket; each module makes its own."""
    requires("moto", "make install")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3_client(s3_server: str) -> Iterator[Any]:
    """A client of that server, which takes any key and secret."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    yield client
    client.close()


@pytest.fixture(scope="session")
def test_dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for DAG files of the tests' own; the shared Airflow looks into it every other second."""
    return tmp_path_factory.mktemp("dags")


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``[aiopt] work_dir`` of the shared Airflow."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def airflow(
    tmp_path_factory: pytest.TempPathFactory, statsd_receiver: StatsdReceiver, test_dags: Path, work_dir: Path
) -> Iterator[LocalAirflow]:
    """One started Airflow for all tests, with the repository's DAGs, ``test_dags`` and StatsD."""
    home = tmp_path_factory.mktemp("airflow")
    env = {**statsd_env(statsd_receiver.port), "AIRFLOW__AIOPT__WORK_DIR": str(work_dir)}
    with LocalAirflow(home, REPOSITORY / "dags", env=env, extra_dags=(test_dags,)) as running:
        yield running


@pytest.fixture
def start_airflow(tmp_path: Path) -> Iterator[AirflowStarter]:
    """Start further Airflows, with other settings or to be killed; all are stopped at the end of the test."""
    with ExitStack() as stack:

        def start(
            home: Path | None = None,
            *,
            env: Mapping[str, str] | None = None,
            dags: Path | None = None,
            database: Database = "sqlite",
        ) -> LocalAirflow:
            if database == "postgresql":
                requires_postgresql()
            folder = dags or tmp_path / "no-dags"
            folder.mkdir(exist_ok=True)
            started = LocalAirflow(home or tmp_path / "airflow", folder, env=env, database=database)
            stack.callback(started.stop)
            started.start()
            return started

        yield start


@pytest.fixture
def add_dag(airflow: LocalAirflow, test_dags: Path) -> Iterator[Callable[[str, str], None]]:
    """Give the shared Airflow a DAG for one test: ``add_dag("dag_id", source)`` returns when it may run."""
    added: list[Path] = []

    def add(dag_id: str, source: str) -> None:
        path = test_dags / f"{dag_id}.py"
        # Airflow must not parse half a file.
        partial = path.with_suffix(".partial")
        partial.write_text(dedent(source), encoding="utf-8")
        partial.rename(path)
        added.append(path)
        airflow.wait_for_dag(dag_id, file=path.name)
        airflow.unpause(dag_id)

    yield add
    for path in added:
        path.unlink()
