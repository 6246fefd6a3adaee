"""The direct route without an Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_provider_aiopt.direct.starter import RunStarter
from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.spec.uploads import UploadWatchSpec, load_watch_spec
from airflow_provider_aiopt.uploads.state import UploadState, open_state


class FakeRuns:
    """An Airflow that keeps the runs it is asked for, and answers with :attr:`failures` first."""

    def __init__(self) -> None:
        self.runs: dict[str, Mapping[str, Any]] = {}
        self.failures: list[Exception] = []
        self.asked = 0

    def create_run(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        if run_id in self.runs:
            return False
        self.runs[run_id] = conf
        return True


class Crash(BaseException):
    """The process dies here."""


class CrashingRuns(FakeRuns):
    """An Airflow after whose answer, or before it, the caller dies."""

    def __init__(self, *, before: bool) -> None:
        super().__init__()
        self.before: bool | None = before

    def create_run(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        before, self.before = self.before, None
        if before:
            raise Crash
        created = super().create_run(dag_id, run_id, conf)
        if before is False:
            raise Crash
        return created


def away() -> AirflowApiError:
    return AirflowApiError("POST http://airflow was not answered")


def watch_of(folder: Path, **values: Any) -> UploadWatchSpec:
    return load_watch_spec({"uri": "s3://bucket", "state": str(folder), **values})


def starter_of(folder: Path, airflow: FakeRuns, *, clock: float = 10.0) -> tuple[RunStarter, UploadState]:
    """Return what one instance of the service starts runs with."""
    spec = watch_of(folder)
    state = open_state(spec)
    return RunStarter("dag", spec, state, airflow, clock=lambda: clock), state
