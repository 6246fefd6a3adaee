"""What an Airflow's API server tells the doctor."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_aiopt.deployment.configuration import Configuration, ExposedConfiguration
from airflow_provider_aiopt.doctor.dags import DagFacts, dag_from_api
from airflow_provider_aiopt.doctor.health import AirflowHealth, read_components
from airflow_provider_aiopt.exceptions import AirflowApiError
from airflow_provider_aiopt.telemetry.airflow_api import AirflowApi

_MOST_DAGS = 200


def ask_configuration(api: AirflowApi) -> Configuration:
    """Return the configuration that an API server exposes.

    :raises AirflowApiError: where it does not, or does not answer
    """
    return ExposedConfiguration(api.url, api.configuration())


def ask_health(api: AirflowApi, *, now: Callable[[], float] = time.time) -> AirflowHealth:
    """Return what Airflow's components say of themselves, which needs no token.

    :raises AirflowApiError: where the API server does not answer, or in an unknown form
    """
    before = now()
    answer, date = api.health()
    after = now()
    try:
        database, components = read_components(answer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AirflowApiError(
            f"GET {api.url}/api/v2/monitor/health answered in an unknown form ({type(error).__name__}: "
            f"{error}). "
            "This version reads the API of Airflow 3.1 to 3.3"
        ) from error
    return AirflowHealth(
        url=api.url,
        database=database,
        components=components,
        answered_at=parsedate_to_datetime(date).timestamp() if date else None,
        answer_s=after - before,
        asked_at=(before + after) / 2,
    )


def ask_dags(api: AirflowApi) -> Sequence[DagFacts]:
    """Return the active DAGs that are not paused, at most 200, with what the API tells of their tasks.

    :raises AirflowApiError: where the API server refuses or does not answer
    """
    dags: list[dict[str, Any]] = api.dags(paused=False)[:_MOST_DAGS]
    return [dag_from_api(dag, api.tasks(dag["dag_id"])) for dag in dags]
