"""The deployment's options."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from airflow_provider_aiopt.exceptions import ConfigurationError

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
    value = option("messages").strip()
    if not value:
        return None
    try:
        found = json.loads(value)
    except ValueError as error:
        raise ConfigurationError(
            f"[aiopt] messages must be a JSON object; found {value!r:.200}: {error}"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("scheme"), str):
        raise ConfigurationError(
            f"[aiopt] messages must be a JSON object with a scheme; found {value!r:.200}"
        )
    return found


class AirflowConfiguration:
    """The whole configuration of this Airflow, for commands that look at it."""

    origin = "this Airflow"

    def get(self, section: str, key: str) -> str | None:
        """Return a value as text, None where neither the deployment nor Airflow sets one."""
        from airflow.configuration import conf

        value: str | None = conf.get(section, key, fallback=None)
        return value
