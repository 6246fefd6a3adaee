"""The routes that the pages read, guarded by Airflow's own permissions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Query, Response
from pydantic import BaseModel

from airflow_provider_aiopt.plugins.answers import Records, hardware_of, pipelines_of, timings_of, trend_of
from airflow_provider_aiopt.plugins.records import AirflowRecords
from airflow_provider_aiopt.telemetry.run_timings import only_task
from airflow_provider_aiopt.telemetry.timings import RunTimings
from airflow_provider_aiopt.telemetry.timings_csv import task_csv

# All that an answer is made of: runs, their task instances and their XComs. On a route without a DAG it asks
# whether the user may read them at all, as Airflow's own lists over all DAGs do.
_GUARDS = [
    Depends(requires_access_dag(method="GET", access_entity=entity))
    for entity in (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
]

router = APIRouter(prefix="/api", dependencies=_GUARDS)


def airflow_records(session: SessionDep) -> Records:
    """Return what Airflow knows, read within the request's session."""
    return AirflowRecords(session)


def readable_dags(user: GetUserDep) -> set[str]:
    """Return the ids of the DAGs that the caller may read."""
    # Not Airflow's own dependency for it, which looks for the auth manager in the application that serves the
    # request: here that is the plugin's.
    return get_auth_manager().get_authorized_dag_ids(user=user, method="GET")


RecordsDep = Annotated[Records, Depends(airflow_records)]
ReadableDagsDep = Annotated[set[str], Depends(readable_dags)]


# Before the route without the suffix, which would take it for a part of the run's id.
@router.get("/dags/{dag_id}/runs/{run_id}.csv")
def run_csv(
    dag_id: str, run_id: str, records: RecordsDep, task_id: str | None = None, map_index: int | None = None
) -> Response:
    """Answer with one line per task, as a file."""
    timings = _run_timings(records, dag_id, run_id, task_id, map_index)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{dag_id}-{run_id}")
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(task_csv(timings), media_type="text/csv", headers=headers)


@router.get("/dags/{dag_id}/runs/{run_id}")
def run(
    dag_id: str, run_id: str, records: RecordsDep, task_id: str | None = None, map_index: int | None = None
) -> Response:
    """Answer with a run's timings; with ``task_id`` its ``tasks`` are those of this task only."""
    return _json(_run_timings(records, dag_id, run_id, task_id, map_index))


@router.get("/dags/{dag_id}/runs/{run_id}/hardware")
def hardware(
    dag_id: str, run_id: str, records: RecordsDep, task_id: str | None = None, map_index: int | None = None
) -> Response:
    """Answer with how a run's machines were used over time; with ``task_id`` that of one task."""
    found = hardware_of(records, dag_id, run_id, task_id=task_id, map_index=map_index)
    if found is None:
        raise _no_run(dag_id, run_id)
    return _json(found)


@router.get("/dags/{dag_id}/trend")
def trend(dag_id: str, records: RecordsDep, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> Response:
    """Answer with the last runs of a DAG."""
    found = trend_of(records, dag_id, limit, now=datetime.now(UTC))
    if found is None:
        raise HTTPException(404, f"There is no DAG {dag_id!r}")
    return _json(found)


@router.get("/pipelines")
def pipelines(
    records: RecordsDep, readable: ReadableDagsDep, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> Response:
    """Answer with all pipelines that the caller may read."""
    return _json(pipelines_of(records, readable, limit, now=datetime.now(UTC)))


def _run_timings(
    records: Records, dag_id: str, run_id: str, task_id: str | None, map_index: int | None
) -> RunTimings:
    timings = timings_of(records, dag_id, run_id, now=datetime.now(UTC))
    if timings is None:
        raise _no_run(dag_id, run_id)
    return timings if task_id is None else only_task(timings, task_id, map_index)


def _no_run(dag_id: str, run_id: str) -> HTTPException:
    return HTTPException(404, f"There is no run {run_id!r} of a DAG {dag_id!r}")


def _json(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type="application/json")
