from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_support import REPOSITORY, requires_postgresql
from components import requires, requires_program
from local_compose import LocalCompose, Programs
from monitoring_servers import statsd_exporter_program

from benchmarks.celery_stack import DAGS, NOTICES_SOON, pinned_workers


@pytest.fixture(scope="module")
def programs() -> Programs:
    """All that the services of Compose need on this machine."""
    requires_postgresql()
    requires("airflow.providers.celery", "make install")
    requires_program("redis-server", "apt-get install redis-server")
    requires_program("prometheus", "apt-get install prometheus")
    requires_program("prometheus-alertmanager", "apt-get install prometheus-alertmanager")
    return Programs(statsd_exporter_program())


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[LocalCompose]:
    """All services but Grafana, with two workers that have a core each where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    running = LocalCompose(
        tmp_path_factory.mktemp("compose"),
        programs,
        workers=pinned_workers(2, cores * 2 if len(cores) == 1 else cores),
        env=NOTICES_SOON | {"AIRFLOW__CELERY__WORKER_CONCURRENCY": "1"},
        extra_dags=(DAGS,),
        scrape_s=1,
    )
    with running:
        yield running


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Five hundred names of the example photographs, and a file that is none."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for path in sorted((REPOSITORY / "examples" / "photographs").glob("*.*g")):
        first = folder / f"000-{path.name}"
        first.write_bytes(path.read_bytes())
        for number in range(1, 80):
            os.link(first, folder / f"{number:03d}-{path.name}")
    (folder / "broken.jpg").write_bytes(b"not a photograph")
    return folder
