"""Sick pipelines that run without Airflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from airflow_provider_aiopt.advisor.applying import changed_spec
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.telemetry.reports import RunReport
from benchmarks.harness import ENVIRONMENT
from benchmarks.sick.case import Illness, Patient
from benchmarks.sick.helpers import beside

_ERROR_LINES = 30


@dataclass(frozen=True)
class LocalIllness(Illness):
    """An illness of a pipeline that one process runs.

    :param spec: makes the spec, given a folder that lives as long as one run
    :param mode: ``staged`` or ``streaming``
    :param storage: what a slow storage serves, and the seconds that it waits before each object; its address
        takes the place of the spec's ``source.uri``
    :param neighbours: how many other processes burn a core
    :param warm: whether a cured pipeline is run once before it is measured, as a cache asks for
    """

    spec: Callable[[Path], Mapping[str, Any]] = field(default=lambda _: {})
    mode: str = "staged"
    storage: Callable[[], tuple[Path, float]] | None = None
    neighbours: int = 0
    warm: bool = False

    def patient(self, folder: Path) -> Patient:
        """Return the pipeline."""
        return _LocalPatient(self, folder)


class _LocalPatient(Patient):
    def __init__(self, illness: LocalIllness, folder: Path) -> None:
        self._illness = illness
        self._folder = folder
        self._runs = 0
        self._stack = ExitStack()
        self._address: str | None = None

    def __enter__(self) -> Self:
        if self._illness.storage is not None:
            objects, wait_s = self._illness.storage()
            port = self._stack.enter_context(beside("storage_server", str(objects), str(wait_s)))
            self._address = f"http://127.0.0.1:{port}/"
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, changes: Sequence[Change] = ()) -> RunReport:
        if changes and self._illness.warm:
            self._run(changes)
        return self._run(changes)

    def _run(self, changes: Sequence[Change]) -> RunReport:
        self._runs += 1
        workspace = self._folder / f"{self._runs:04d}"
        workspace.mkdir(parents=True)
        values = dict(self._illness.spec(workspace))
        if self._address is not None:
            values["source"] = {**values["source"], "uri": self._address}
        spec = changed_spec(load_spec(values), changes)
        mode = next((str(change.value) for change in changes if change.scope == "mode"), self._illness.mode)
        job = {"spec": spec.to_dict(), "mode": mode, "workspace": str(workspace / "run")}
        alone = any(change.key == "exclusive_cores" for change in changes)
        with ExitStack() as stack:
            for _ in range(0 if alone else self._illness.neighbours):
                stack.enter_context(beside("neighbour"))
            report = self._in_child(job, workspace)
        shutil.rmtree(workspace)
        return report

    def _in_child(self, job: Mapping[str, Any], folder: Path) -> RunReport:
        path = folder / "job.json"
        path.write_text(json.dumps(job))
        home = self._folder / "home"  # what a recommendation puts into the user's cache stays in the folder
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.sick.child", str(path)],
            env=os.environ | ENVIRONMENT | {"HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-_ERROR_LINES:])
            raise RuntimeError(f"The run exited with {done.returncode}:\n{said}")
        return RunReport.model_validate_json(done.stdout.splitlines()[-1])
