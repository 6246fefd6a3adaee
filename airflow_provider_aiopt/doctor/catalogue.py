"""Every check of ``aiopt doctor``, in the order in which they are made and shown."""

from __future__ import annotations

from airflow_provider_aiopt.doctor.check import Check
from airflow_provider_aiopt.doctor.checks.clock import CLOCK
from airflow_provider_aiopt.doctor.checks.components import AIRFLOW, TRIGGERER
from airflow_provider_aiopt.doctor.checks.dag_limits import DAG_LIMITS
from airflow_provider_aiopt.doctor.checks.limits import LIMITS
from airflow_provider_aiopt.doctor.checks.machine import CPU, GPU, OPEN_FILES, SHARED_MEMORY
from airflow_provider_aiopt.doctor.checks.metrics import OPENTELEMETRY, PROMETHEUS, STATSD
from airflow_provider_aiopt.doctor.checks.pools import POOLS
from airflow_provider_aiopt.doctor.checks.profile import PROFILE
from airflow_provider_aiopt.doctor.checks.queues import QUEUES
from airflow_provider_aiopt.doctor.checks.sensors import SENSORS
from airflow_provider_aiopt.doctor.checks.software import LIBRARIES, PACKAGES, PROVIDERS_CHECK, VERSIONS
from airflow_provider_aiopt.doctor.checks.storage import SOURCE, WORKSPACE
from airflow_provider_aiopt.doctor.checks.task_pools import TASK_POOLS
from airflow_provider_aiopt.doctor.checks.waits import WAITS

CHECKS: tuple[Check, ...] = (
    # What is installed here, and what of it works,
    PACKAGES,
    LIBRARIES,
    PROVIDERS_CHECK,
    VERSIONS,
    # the machine,
    GPU,
    CPU,
    SHARED_MEMORY,
    OPEN_FILES,
    # Airflow: whether it lives, what it is told, and what its DAGs make of that,
    AIRFLOW,
    TRIGGERER,
    CLOCK,
    LIMITS,
    POOLS,
    PROFILE,
    DAG_LIMITS,
    TASK_POOLS,
    SENSORS,
    WAITS,
    QUEUES,
    # and what it talks to.
    STATSD,
    PROMETHEUS,
    OPENTELEMETRY,
    SOURCE,
    WORKSPACE,
)
