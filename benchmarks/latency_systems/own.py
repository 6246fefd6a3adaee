"""This project's ways: an asset's watcher, and ``aiopt watch`` beside Airflow."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from benchmarks.latency_systems.base import PHOTOGRAPH, Site, System
from benchmarks.upload_results import start_watch

if TYPE_CHECKING:
    from local_airflow import LocalAirflow

_ENDS_WITHIN_S = 30.0
_HEAD = """
from airflow_provider_aiopt import (
    InferenceOperator,
    IngestOperator,
    NewUploadTrigger,
    PipelineOperator,
    PostprocessOperator,
    PreprocessOperator,
    TakeUploadsOperator,
)

WATCH = {{"uri": {inbox!r}, "recursive": True, "state": {state!r}, "existing": "offer"}}
SPEC = {{
    "name": {name!r},
    "source": {{"uri": WATCH["uri"]}},
    "model": {{"uri": "builtin:efficientnet-lite0-int8", "device": "cpu"}},
    "postprocess": {{"kind": "classification"}},
}}
WATCHER = AssetWatcher(name={name!r}, trigger=NewUploadTrigger(**WATCH))
WORKSPACE = {workspace!r}
"""

_TAKE = """
    TakeUploadsOperator(task_id="take", watch=WATCH, workspace=WORKSPACE, pre_execute=record)
"""

_STREAMING = """
    PipelineOperator(task_id="pipeline", uploads=WATCH, spec=SPEC, workspace=WORKSPACE, pre_execute=record)
"""

_STAGED = """
    COMMON = {"spec": SPEC, "workspace": WORKSPACE}
    SPEC["source"]["manifest"] = "{{ ti.xcom_pull('take') }}"
    take = TakeUploadsOperator(task_id="take", watch=WATCH, workspace=WORKSPACE, pre_execute=record)
    ingest = IngestOperator(task_id="ingest", **COMMON)
    preprocess = PreprocessOperator.partial(task_id="preprocess", **COMMON).expand(shard=ingest.output)
    inference = InferenceOperator.partial(task_id="inference", **COMMON).expand(shard=preprocess.output)
    take >> ingest
    PostprocessOperator(task_id="postprocess", shard=inference.output, **COMMON)
"""


class NewUploadTrigger(System):
    """An asset's watcher with ``NewUploadTrigger``; the first task only claims the upload."""

    name = "new_upload_trigger"
    first_task_p95_s: ClassVar[Mapping[str, float]] = {"low-latency": 1.4, "defaults": 2.8}
    sqlite_first_task_p95_s: ClassVar[Mapping[str, float]] = {"low-latency": 1.8}
    schedule: ClassVar[str] = "[Asset({name!r}, watchers=[WATCHER])]"
    tasks: ClassVar[str] = _TAKE

    def body(self, site: Site) -> str:
        """Return the DAG."""
        workspace = f"{site.workspaces}/{{{{ run_id }}}}"
        head = _HEAD.format(
            inbox=str(site.inbox), state=str(self.state(site)), name=self.name, workspace=workspace
        )
        schedule = self.schedule.format(name=self.name)
        return f"{head}\nwith DAG({self.name!r}, schedule={schedule}, catchup=False):{self.tasks}"

    def results(self, site: Site, run_id: str) -> Path | None:
        """Return the result file of the one shard."""
        return None if self.payload is None else site.workspaces / run_id / "results" / "00000.parquet"

    def state(self, site: Site) -> Path:
        """Return where the claims are."""
        return site.inbox.parent / "uploads"


class NewUploadTriggerStreaming(NewUploadTrigger):
    """It starts a run that classifies the photograph in one task."""

    name = "new_upload_trigger_streaming"
    payload = PHOTOGRAPH
    tasks = _STREAMING


class DirectWatch(NewUploadTrigger):
    """``aiopt watch``, which creates runs through Airflow's API; the first task only claims the upload."""

    name = "aiopt_watch"
    first_task_p95_s: ClassVar[Mapping[str, float]] = {"low-latency": 0.5}
    schedule = "None"

    def __init__(self) -> None:
        self._service: subprocess.Popen[bytes] | None = None

    def start(self, airflow: LocalAirflow, site: Site) -> None:
        """Start the service."""
        log = site.inbox.parent / "watch.log"
        with log.open("ab") as file:
            self._service = start_watch(
                site.inbox,
                self.name,
                state=self.state(site),
                url=airflow.url,
                credentials=(airflow.username, airflow.password),
                log=file,
                options=("--existing", "offer"),
            )

    def stop(self) -> None:
        """End it."""
        service, self._service = self._service, None
        if service is None:
            return
        service.terminate()
        with suppress(subprocess.TimeoutExpired):
            service.wait(_ENDS_WITHIN_S)
        service.kill()
        service.wait()


class DirectWatchStreaming(DirectWatch):
    """It starts a run that classifies the photograph in one task."""

    name = "aiopt_watch_streaming"
    payload = PHOTOGRAPH
    results_p95_s: ClassVar[Mapping[str, float]] = {"low-latency": 1.2}
    tasks = _STREAMING


class DirectWatchStaged(DirectWatchStreaming):
    """It starts a run that claims the photograph and classifies it in four more tasks, a stage each."""

    name = "aiopt_watch_staged"
    results_p95_s: ClassVar[Mapping[str, float]] = {"low-latency": 2.2}
    tasks = _STAGED
