"""A supervised Airflow on this machine, for the demo and for the integration tests."""

from local_airflow.client import AirflowClient
from local_airflow.errors import (
    TAIL_LINES,
    ApiError,
    ComponentExitedError,
    DagUnavailableError,
    DatabaseUnavailableError,
    HomeInUseError,
    LocalAirflowError,
    RunTimeoutError,
    StartError,
)
from local_airflow.instance import COMPONENTS, Database, LocalAirflow

__all__ = [
    "COMPONENTS",
    "TAIL_LINES",
    "AirflowClient",
    "ApiError",
    "ComponentExitedError",
    "DagUnavailableError",
    "Database",
    "DatabaseUnavailableError",
    "HomeInUseError",
    "LocalAirflow",
    "LocalAirflowError",
    "RunTimeoutError",
    "StartError",
]
