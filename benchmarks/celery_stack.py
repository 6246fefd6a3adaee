"""The services of ``docker-compose.yaml`` for the Celery benchmark and the fault run."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.paths import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
from local_airflow import ApiError
from local_airflow.nursery import tree_of
from local_compose import LocalCompose, Programs, Worker

__all__ = ["ApiError", "LocalCompose", "tree_of"]

DAGS = Path(__file__).parent / "celery_dags"
ONE = "classify_on_one"
ALL = "classify_on_all"
EXPORTER = "github.com/prometheus/statsd_exporter"
EXPORTER_SOURCE = ROOT / "tests" / "integration" / "monitoring" / "statsd_exporter"

NOTICES_SOON = {
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # Waiting for a free worker counts, and what waits for too long several times is failed whatever its
    # retries: on a busy machine that would be no lost message.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "50",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    # Shorter than some tasks: their messages come a second time while they run, and must do no harm.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "5",
}
"""Settings with which dead workers and lost messages are noticed within seconds instead of minutes."""


@dataclass(frozen=True)
class Outcome:
    """What became of the records of some runs.

    :param lost: records that are neither among the results nor in quarantine
    :param duplicated: records that are there once too often, counted as often
    """

    lost: int
    duplicated: int

    def __add__(self, other: Outcome) -> Outcome:
        """Return what became of the records of both."""
        return Outcome(self.lost + other.lost, self.duplicated + other.duplicated)


def outcome(names: Iterable[str], found: Iterable[str]) -> Outcome:
    """Compare the records of a source with those of the results and the quarantine.

    :param names: each record once
    :param found: each as often as there is a result, or an entry in quarantine, of it
    """
    counts = Counter(found)
    # What nobody asked for is one too many as well.
    wanted = Counter(set(names))
    return Outcome(lost=(wanted - counts).total(), duplicated=(counts - wanted).total())


def records_of(workspace: Path) -> list[str]:
    """Return the ids of all results and of all quarantined records of a run."""
    import pyarrow.parquet as pq

    from airflow_provider_aiopt.data.folder import Folder
    from airflow_provider_aiopt.data.quarantine import read_quarantine

    found = [
        str(name)
        for path in sorted((workspace / "results").glob("*.parquet"))
        for name in pq.read_table(path, columns=["id"]).column("id").to_pylist()
    ]
    quarantine = workspace / "quarantine"
    bad = read_quarantine(Folder.open(str(quarantine))) if quarantine.exists() else ()
    return [*found, *(record.id for record in bad)]


def programs() -> Programs:
    """Return the programs of the services, and build the one that no Debian package has.

    :raises SystemExit: if it cannot be built
    """
    program = ROOT / ".cache" / "statsd_exporter"
    if not program.exists():
        command = ["go", "build", "-o", str(program), EXPORTER]
        try:
            subprocess.run(command, cwd=EXPORTER_SOURCE, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            message = f"statsd_exporter cannot be built: {error}. It needs Go and a module proxy"
            raise SystemExit(message) from None
    return Programs(program)


def workspace_of(stack: LocalCompose, dag_id: str, run_id: str) -> Path:
    """Return the folder of a run."""
    return stack.volume("aiopt-work") / "runs" / dag_id / run_id


def busy_span(tasks: Sequence[dict[str, Any]]) -> float:
    """Return the seconds from the start of a run's first mapped task to the end of its last."""
    mapped = [task for task in tasks if task["map_index"] >= 0]
    starts = [datetime.fromisoformat(task["start_date"]) for task in mapped]
    ends = [datetime.fromisoformat(task["end_date"]) for task in mapped]
    return (max(ends) - min(starts)).total_seconds()


def pinned_workers(count: int, cores: Sequence[int]) -> tuple[Worker, ...]:
    """Return workers with a core each; the first serves the queue of :data:`ONE` as well.

    :raises SystemExit: if there are fewer cores
    """
    if len(cores) < count:
        raise SystemExit(f"{count} workers need a core each; this process may use {len(cores)}")
    return tuple(
        Worker(cores=(cores[number],), queues="default,one" if number == 0 else "default")
        for number in range(count)
    )
