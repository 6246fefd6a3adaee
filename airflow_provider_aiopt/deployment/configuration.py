"""Where the running configuration is read: the same questions to whatever can answer them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.get_provider_info import CONFIG

SECTION = "aiopt"


class Configuration(Protocol):
    """An Airflow's configuration."""

    @property
    def origin(self) -> str:
        """Whose configuration it is, for messages."""

    def get(self, section: str, key: str) -> str | None:
        """Return a value as text, None where neither the deployment nor Airflow sets one."""


class ExposedConfiguration:
    """The configuration that an API server exposes.

    :param url: the API server's address, for messages
    :param values: what it answered, by section and key
    """

    def __init__(self, url: str, values: Mapping[str, Mapping[str, str]]) -> None:
        self.origin = f"the API server at {url}"
        self._values = values

    def get(self, section: str, key: str) -> str | None:
        """Return a value as text, None where it is not set."""
        return self._values.get(section, {}).get(key)


class EnvironmentOptions:
    """The ``[aiopt]`` options as far as environment variables tell them, with this package's defaults."""

    origin = "the environment"

    def get(self, section: str, key: str) -> str | None:
        """Return a value as text, None where it is not set."""
        default: str | None = CONFIG.get(section, {}).get("options", {}).get(key, {}).get("default")
        return os.environ.get(f"AIRFLOW__{section}__{key}".upper(), default)


def aiopt_options(
    configuration: Configuration, overrides: Mapping[str, str] | None = None
) -> Callable[[str], str]:
    """Return a function that looks up an ``[aiopt]`` option by its name.

    :param configuration: where to look
    :param overrides: values that come before it
    :raises ConfigurationError: if *overrides* names an option that there is not; the function raises it where
        the configuration lacks an option
    """
    known = CONFIG[SECTION]["options"]
    for name in overrides or {}:
        if name not in known:
            raise ConfigurationError(
                f"There is no option [aiopt] {name}. There are: {', '.join(sorted(known))}"
            )

    def option(name: str) -> str:
        value = (overrides or {}).get(name, configuration.get(SECTION, name))
        if value is None:
            raise ConfigurationError(
                f"The configuration of {configuration.origin} has no [aiopt] {name}. Install "
                "airflow-provider-aiopt of the same version there"
            )
        return value

    return option
