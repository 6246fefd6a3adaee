"""What a stage's pod leaves: its result, its reports and its time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_aiopt.airflow.context import push_report, push_reports, task_identity
from airflow_provider_aiopt.airflow.filesystems import resolve_with_connection
from airflow_provider_aiopt.airflow.metrics import AirflowMetrics
from airflow_provider_aiopt.data.folder import Folder
from airflow_provider_aiopt.kubernetes.command import result_uri
from airflow_provider_aiopt.kubernetes.status import PodFacts
from airflow_provider_aiopt.kubernetes.timings import PodTimings, pod_timings
from airflow_provider_aiopt.runner.stage_result import StageResult
from airflow_provider_aiopt.runner.work import FIRST_WORK, PIPELINE, RESULTS_WORK
from airflow_provider_aiopt.telemetry.catalogue import POD_BOOT, POD_PULL, POD_SCHEDULE, POD_START
from airflow_provider_aiopt.telemetry.metrics import emit_stage_report

TIMINGS_KEY = "pod_timings"
"""XCom key under which a task leaves where its pod's time went."""


def find_result(workspace: str, pod: str) -> StageResult | None:
    """Return what the pod left in the run's workspace, None where it left nothing.

    :param workspace: the run's folder as Airflow reaches it
    :param pod: the pod's name
    :raises StorageError: if the workspace cannot be read
    :raises ReportError: if it left something else
    """
    uri = result_uri(workspace, pod)
    parent, _, name = uri.rpartition("/")
    content = Folder.open(parent, resolver=resolve_with_connection).find(name)
    return None if content is None else StageResult.from_json(content, uri)


def parse_result(value: Any) -> StageResult | None:
    """Return what Airflow's sidecar handed on, None where that is nothing.

    :param value: the plain values
    :raises ReportError: if it handed on something else
    """
    return (
        None
        if value is None
        else StageResult.from_json(json.dumps(value), "What the pod's sidecar handed on")
    )


def account(
    context: Mapping[str, Any], work: str, facts: PodFacts | None, result: StageResult | None
) -> None:
    """Leave the reports and the pod's time as XComs, and send both as metrics.

    :param context: the task's context
    :param work: what the pod did
    :param facts: what is known of the pod
    :param result: what the stage left; None where it failed too early
    """
    reports = result.stage_reports if result else ()
    timings = pod_timings(facts, reports) if facts else PodTimings()
    seconds = timings.seconds()
    context["ti"].xcom_push(key=TIMINGS_KEY, value=timings.model_dump(mode="json", exclude_none=True))
    if reports:
        first, *others = reports
        detailed = (first.model_copy(update={"details": first.details | {"pod_s": seconds}}), *others)
        if work == PIPELINE:
            push_reports(context, detailed)
        else:
            push_report(context, detailed[0])
    metrics, task = AirflowMetrics(), task_identity(context)
    for report in reports:
        emit_stage_report(report, metrics)
    tags = {"dag_id": task.dag_id, "task_id": task.task_id, "stage": work}
    for metric in (POD_SCHEDULE, POD_PULL, POD_START, POD_BOOT):
        value = seconds.get(metric.name.rpartition(".")[2])
        if value is not None:
            metrics.timing_ms(metric, value * 1000.0, tags)


def returned(result: StageResult, shard: Any) -> Any:
    """Return what the task hands on, as the operator of the same stage does.

    :param result: what the pod left
    :param shard: the operator's parameter
    :returns: where results were made, ``results_uri`` and the number of ``results``; else references to
        shards: one where one was given, else a list
    """
    if result.work in RESULTS_WORK:
        return {"results_uri": result.results_uri, "results": result.results}
    references = list(result.references)
    return references[0] if isinstance(shard, str) and result.work not in FIRST_WORK else references
