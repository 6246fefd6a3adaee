"""Airflow's settings for the measurement: its defaults, and this project's low-latency profile."""

from __future__ import annotations

from airflow_provider_aiopt.deployment.profiles import load_profile, load_settings

LOW_LATENCY = "low-latency"
WORKERS = 8
"""Processes of the LocalExecutor, not the default of 32: they cost memory, and are warmed up before."""

# The supervised Airflow has a profile of its own: every setting that a profile may change is put back.
_DEFAULTS = {
    setting.variable: setting.default for setting in load_settings().values() if setting.default is not None
}
_PROFILE = {item.setting.variable: item.value for item in load_profile(LOW_LATENCY).settings}
_ALWAYS = {
    "AIRFLOW__CORE__PARALLELISM": str(WORKERS),
    # The triggers of a DAG that is unpaused later start only when its file is parsed again.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    # The sensors look for this connection, which an Airflow of one's own does not come with.
    "AIRFLOW_CONN_FS_DEFAULT": '{"conn_type": "fs", "extra": {"path": "/"}}',
}

CONFIGURATIONS: dict[str, dict[str, str]] = {
    "defaults": {**_DEFAULTS, **_ALWAYS},
    LOW_LATENCY: {**_DEFAULTS, **_PROFILE, **_ALWAYS},
}
"""Environment variables by the name of the configuration."""
