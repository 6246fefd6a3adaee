"""Runs that are created through Airflow's API in the moment of the upload: nothing has to notice anything.

This is the floor of every service that watches by itself and creates runs so.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.latency_systems.base import PHOTOGRAPH, Site, System

if TYPE_CHECKING:
    from local_airflow import LocalAirflow

_EMPTY = """
with DAG({name!r}, schedule=None, catchup=False):
    first()
"""

_HEAD = """
from airflow_provider_aiopt import {operators}

SPEC = {{
    "name": {name!r},
    "source": {{"uri": "{{{{ params.source }}}}"}},
    "model": {{"uri": "builtin:efficientnet-lite0-int8", "device": "cpu"}},
    "postprocess": {{"kind": "classification"}},
}}
COMMON = {{"spec": SPEC, "workspace": {workspace!r}}}

with DAG({name!r}, schedule=None, catchup=False, params={{"source": Param("", type="string")}}):
"""

_STREAMING = """
    PipelineOperator(task_id="pipeline", pre_execute=record, **COMMON)
"""

_STAGED = """
    ingest = IngestOperator(task_id="ingest", pre_execute=record, **COMMON)
    preprocess = PreprocessOperator.partial(task_id="preprocess", **COMMON).expand(shard=ingest.output)
    inference = InferenceOperator.partial(task_id="inference", **COMMON).expand(shard=preprocess.output)
    PostprocessOperator(task_id="postprocess", shard=inference.output, **COMMON)
"""


class ApiRun(System):
    """A run with one empty task."""

    name = "api_run"

    def body(self, site: Site) -> str:  # noqa: ARG002  # the head of the DAG file has it
        """Return the DAG."""
        return _EMPTY.format(name=self.name)

    def upload(self, airflow: LocalAirflow, site: Site, number: int) -> float:
        """Upload the object and create its run."""
        at = super().upload(airflow, site, number)
        source = str(site.inbox / self.object_name(number))
        airflow.trigger(self.name, {"source": source}, run_id=f"upload-{at:.6f}")
        return at


class ApiRunStreaming(ApiRun):
    """A run that classifies the photograph in one task."""

    name = "api_run_streaming"
    payload = PHOTOGRAPH
    results_p95_s = 1.2
    operators = "PipelineOperator"
    tasks = _STREAMING

    def body(self, site: Site) -> str:
        """Return the DAG."""
        workspace = f"{site.workspaces}/{{{{ run_id }}}}"
        head = _HEAD.format(name=self.name, operators=self.operators, workspace=workspace)
        return head + self.tasks

    def results(self, site: Site, run_id: str) -> Path:
        """Return the result file of the one shard."""
        return site.workspaces / run_id / "results" / "00000.parquet"


class ApiRunStaged(ApiRunStreaming):
    """A run that classifies the photograph in four tasks, a stage each."""

    name = "api_run_staged"
    results_p95_s = 2.2
    operators = "InferenceOperator, IngestOperator, PostprocessOperator, PreprocessOperator"
    tasks = _STAGED
