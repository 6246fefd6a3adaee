"""Counting what became of uploads, from claims and results, and the services that watch for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

DAGS = Path(__file__).parent / "upload_dags"
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Outcome:
    """What became of the uploads of one DAG.

    :param lost: uploads without a result
    :param duplicated: uploads with results of more than one run, or with a result of a run that had no claim
    """

    lost: int
    duplicated: int


class Recorded:
    """The inbox, the results and the claims of one DAG of ``record_uploads``.

    :param root: ``$RECORD_UPLOADS_ROOT``
    :param dag_id: the DAG
    """

    def __init__(self, root: Path, dag_id: str) -> None:
        self.dag_id = dag_id
        self.inbox = root / "inbox" / dag_id
        self.inbox.mkdir(parents=True, exist_ok=True)
        self._results = root / "results" / dag_id
        self._state = root / "state"

    def put(self, name: str, content: str = "x") -> None:
        """Upload a file as careful uploaders do."""
        partial = self.inbox / f".{name}"
        partial.write_text(content, encoding="utf-8")
        partial.rename(self.inbox / name)

    def names(self) -> list[str]:
        """Return the names of the objects that have a result, as often as a run has made one, sorted."""
        paths = self._results.iterdir() if self._results.is_dir() else iter(())
        return sorted(Path(path.read_text(encoding="utf-8")).name for path in paths)

    def outcome(self, uploads: int) -> Outcome:
        """Compare results with claims.

        :param uploads: how many versions were uploaded
        """
        results = Counter[str]()
        runs: dict[str, str] = {}
        for path in self._results.iterdir() if self._results.is_dir() else ():
            key, _, run = path.name.partition(".")
            results[key] += 1
            runs[key] = run
        claims = self.claims()
        strays = sum(claims.get(key) != run for key, run in runs.items() if results[key] == 1)
        twice = sum(count - 1 for count in results.values() if count > 1)
        return Outcome(lost=uploads - len(results), duplicated=twice + strays)

    def claims(self) -> dict[str, str]:
        """Return which run has which upload, both as in the names of results."""
        from urllib.parse import quote

        from airflow_provider_aiopt.uploads.state import all_states

        return {
            claim.key: quote(claim.run_id, safe="")
            for state in all_states(str(self._state)).values()
            for claim in state.claims.all(self.dag_id)
        }


def environment(root: Path) -> dict[str, str]:
    """Return what an Airflow needs to run ``record_uploads`` and to notice soon what was killed."""
    return {
        "PYTHONPATH": str(REPOSITORY),
        "RECORD_UPLOADS_ROOT": str(root),
        "AIRFLOW__AIOPT__WORK_DIR": str(root / "work"),
        "AIRFLOW__AIOPT__UPLOADS_DIR": str(root / "state"),
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
        "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
        "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    }


def start_watch(
    inbox: Path,
    dag_id: str,
    *,
    state: Path,
    url: str,
    credentials: tuple[str, str],
    log: IO[bytes],
    options: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start ``aiopt watch`` in a process of its own.

    :param inbox: the folder to watch, with its sub-folders
    :param dag_id: the DAG to run
    :param state: where the claims are
    :param credentials: name and password of a user of the Airflow at *url*
    :param log: where its messages go
    :param options: further options
    """
    inherited: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")
    }
    login = {
        "AIOPT_AIRFLOW_URL": url,
        "AIOPT_AIRFLOW_USERNAME": credentials[0],
        "AIOPT_AIRFLOW_PASSWORD": credentials[1],
    }
    call = "import sys; from airflow_provider_aiopt.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", call, "watch", str(inbox), "--dag-id", dag_id]
    command += ["--recursive", "--max-batch", "50", "--uploads-dir", str(state), *options]
    return subprocess.Popen(command, env={**inherited, "PYTHONPATH": str(REPOSITORY), **login}, stderr=log)
