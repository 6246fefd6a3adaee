"""The deployment's options."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_aiopt.telemetry.thresholds import StageLimit

SECTION = "aiopt"


def configuration() -> Any:
    """Return Airflow's configuration as tasks see it."""
    try:
        from airflow.sdk.configuration import conf  # Airflow 3.2 and later
    except ImportError:
        from airflow.configuration import conf  # Airflow 3.1
    return conf


def option(name: str) -> str:
    """Return an option of the section ``[aiopt]``; see ``airflow config list --section aiopt``."""
    return str(configuration().get(SECTION, name))


def choice_option(name: str, choices: Collection[str]) -> str:
    """Return an option of the section ``[aiopt]`` that is one of *choices*.

    :raises ConfigurationError: if it is none of them
    """
    value = option(name)
    if value not in choices:
        raise ConfigurationError(f"[aiopt] {name} is {value!r}; it can be {' or '.join(choices)}")
    return value


def uploads_dir() -> str:
    """Return where the claims on uploads are kept: ``[aiopt] uploads_dir``, else below ``work_dir``."""
    return option("uploads_dir") or f"{option('work_dir').rstrip('/')}/uploads"


def int_option(name: str) -> int:
    """Return an option of the section ``[aiopt]`` that is a whole number."""
    return int(configuration().getint(SECTION, name))


def hardware_interval_s() -> float:
    """Return ``[aiopt] hardware_interval``, seconds between two samples of the hardware; 0 for none.

    :raises ConfigurationError: if it can be no interval
    """
    from airflow_provider_aiopt.telemetry.hardware.stage import check_interval

    value = option("hardware_interval")
    try:
        return check_interval(float(value))
    except ValueError as error:
        raise ConfigurationError(f"[aiopt] hardware_interval is {value!r}: {error}") from None


def messages_option() -> dict[str, Any] | None:
    """Return ``[aiopt] messages``, the parameters of ``message_trigger``; None where no queue is set.

    :raises ConfigurationError: if it is no JSON object with a scheme
    """
    found = _json_object("messages")
    if found is not None and not isinstance(found.get("scheme"), str):
        raise ConfigurationError(
            f"[aiopt] messages must be a JSON object with a scheme; found {option('messages')!r:.200}"
        )
    return found


def slow_stage_option() -> dict[str, StageLimit]:
    """Return ``[aiopt] slow_stage_seconds``, the limits by stage; empty where none is set.

    :raises ConfigurationError: if it is no JSON object of limits
    """
    from airflow_provider_aiopt.telemetry.thresholds import read_limits

    limits = _json_object("slow_stage_seconds") or {}
    try:
        return read_limits(limits)
    except ConfigurationError as error:
        raise ConfigurationError(f"[aiopt] slow_stage_seconds: {error}") from error


def pod_resources_option() -> dict[str, Any]:
    """Return ``[aiopt] pod_resources``, the parameters of ``PodResources``; empty where none are set.

    :raises ConfigurationError: if it is no JSON object of these
    """
    from airflow_provider_aiopt.kubernetes.resources import PodResources

    found = _json_object("pod_resources") or {}
    PodResources.read(found, "[aiopt] pod_resources")
    return found


def _json_object(name: str) -> dict[str, Any] | None:
    """Return an option that holds a JSON object; None where it is empty.

    :raises ConfigurationError: if it holds anything else
    """
    value = option(name).strip()
    if not value:
        return None
    try:
        found = json.loads(value)
    except ValueError as error:
        raise ConfigurationError(
            f"[aiopt] {name} must be a JSON object; found {value!r:.200}: {error}"
        ) from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"[aiopt] {name} must be a JSON object; found {value!r:.200}")
    return found


class AirflowConfiguration:
    """The whole configuration of this Airflow, for commands that look at it."""

    origin = "this Airflow"

    def get(self, section: str, key: str) -> str | None:
        """Return a value as text, None where neither the deployment nor Airflow sets one."""
        from airflow.configuration import conf

        value: str | None = conf.get(section, key, fallback=None)
        return value
