from __future__ import annotations

import pytest

from airflow_provider_aiopt.deployment.configuration import (
    EnvironmentOptions,
    ExposedConfiguration,
    aiopt_options,
)
from airflow_provider_aiopt.exceptions import ConfigurationError


def test_the_environment_comes_before_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__AIOPT__SHARDS", raising=False)
    assert EnvironmentOptions().get("aiopt", "shards") == "2"
    monkeypatch.setenv("AIRFLOW__AIOPT__SHARDS", "5")
    assert EnvironmentOptions().get("aiopt", "shards") == "5"
    assert EnvironmentOptions().get("aiopt", "shard") is None


def test_overrides_come_before_the_configuration() -> None:
    option = aiopt_options(
        ExposedConfiguration("u", {"aiopt": {"shards": "3", "cpu_pool": "p"}}), {"shards": "4"}
    )
    assert (option("shards"), option("cpu_pool")) == ("4", "p")


def test_an_override_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no option \[aiopt\] gpus\. There are: .*gpus_per_task"):
        aiopt_options(EnvironmentOptions(), {"gpus": "1"})


def test_an_airflow_without_the_provider_is_named() -> None:
    option = aiopt_options(ExposedConfiguration("http://host", {"core": {}}))
    with pytest.raises(ConfigurationError, match=r"the API server at http://host has no \[aiopt\] shards"):
        option("shards")
