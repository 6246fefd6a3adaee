"""Addresses within Airflow's UI."""

from __future__ import annotations

from urllib.parse import quote

from airflow_provider_aiopt.airflow.config import configuration

RUN_TAB = "aiopt-run"
"""The ``url_route`` of the tab that shows a run's stage timings.

Airflow looks a tab up by its route among those of all plugins and places, so no two may share one.
"""


def run_timings_url(dag_id: str, run_id: str) -> str:
    """Return where the UI shows a run's stage timings.

    :param dag_id: DAG id
    :param run_id: DAG run id, which may hold ``+`` and ``:``
    :returns: an address below ``[api] base_url``; where none is set, a path from the root, which a browser
        that shows Airflow's pages completes
    """
    base = configuration().get("api", "base_url", fallback=None) or ""
    dag, run = quote(dag_id, safe=""), quote(run_id, safe="")
    return f"{base.rstrip('/')}/dags/{dag}/runs/{run}/plugin/{RUN_TAB}"
