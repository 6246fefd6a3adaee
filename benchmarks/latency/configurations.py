"""The settings of Airflow that uploads are measured with."""

from __future__ import annotations

WORKERS = 8
"""Processes of the LocalExecutor, not the default of 32: they cost memory, and are warmed up before."""

_ALWAYS = {
    # The triggers of a DAG that is unpaused later start only when its file is parsed again.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__PARALLELISM": str(WORKERS),
    # The sensors look for this connection, which an Airflow of one's own does not come with.
    "AIRFLOW_CONN_FS_DEFAULT": '{"conn_type": "fs", "extra": {"path": "/"}}',
}

CONFIGURATIONS: dict[str, dict[str, str]] = {
    # Where the supervised Airflow has settings of its own that matter here, Airflow's defaults are put back.
    "defaults": {
        **_ALWAYS,
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5",
    },
    "low-latency": {
        **_ALWAYS,
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.05",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    },
}
"""Environment variables by the name of the configuration."""
