"""``dag.test()`` on an Airflow of one's own: every task in one process, without a scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class DagTester:
    """Runs DAGs by ``airflow dags test``, which calls ``dag.test()``.

    :param home: the AIRFLOW_HOME to make
    :param dags: the DAG folder
    :param python: of the environment whose Airflow is used
    """

    def __init__(self, home: Path, dags: Path = ROOT / "dags", *, python: str = sys.executable) -> None:
        self.work_dir = home / "work"
        self._python = python
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
        self._environment = inherited | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__AIOPT__WORK_DIR": str(self.work_dir),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "NO_COLOR": "1",
        }
        home.mkdir(parents=True, exist_ok=True)
        self.airflow("db", "migrate")
        self.airflow("dags", "reserialize")

    def airflow(self, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True) -> str:
        """Run an ``airflow`` command and return what it printed."""
        ended = subprocess.run(
            [self._python, "-m", "airflow", *arguments],
            env=self._environment | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or ended.returncode == 0, ended.stdout
        return ended.stdout

    def test(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, *, env: Mapping[str, str] | None = None
    ) -> Path:
        """Run a DAG, which must succeed, and return the run's workspace."""
        before = set(self._runs(dag_id))
        output = self.airflow("dags", "test", dag_id, "--conf", json.dumps(dict(conf or {})), env=env)
        assert "state=success" in output, output
        (made,) = set(self._runs(dag_id)) - before
        return made

    def _runs(self, dag_id: str) -> list[Path]:
        folder = self.work_dir / dag_id
        return sorted(folder.iterdir()) if folder.is_dir() else []
