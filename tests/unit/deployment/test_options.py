from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_aiopt.deployment.options import ConcurrencyOptions, Placement
from airflow_provider_aiopt.exceptions import ConfigurationError
from airflow_provider_aiopt.get_provider_info import CONFIG

DECLARED = CONFIG["aiopt"]["options"]


def options(**changed: Any) -> Callable[[str], str]:
    return lambda name: str(changed.get(name, DECLARED[name]["default"]))


def read(**changed: Any) -> ConcurrencyOptions:
    return ConcurrencyOptions.read(options(**changed))


def test_by_default_all_tasks_wait_in_airflows_own_pool() -> None:
    found = read()
    assert found.cpu_tasks == found.inference_tasks == Placement("default_pool", 1, None)
    assert not found.uses_gpus


def test_without_gpus_inference_has_a_pool_of_its_own_if_one_is_named() -> None:
    found = read(cpu_pool="small", inference_pool="models", gpus_per_task=2, gpu_queue="gpu")
    assert found.cpu_tasks == Placement("small")
    assert found.inference_tasks == Placement("models"), "what is said of GPUs does not matter"


def test_gpu_tasks_take_as_many_slots_as_gpus() -> None:
    found = read(gpu_pool_slots=4, gpus_per_task=2, inference_pool="models")
    assert found.inference_tasks == Placement("gpus", 2, None)
    assert read(gpu_pool_slots=4, gpu_pool="a100", gpu_queue=" gpu ").inference_tasks == Placement(
        "a100", 1, "gpu"
    )


@pytest.mark.parametrize("value", ["two", "", "1.5", "0", "-1"])
def test_a_number_that_is_none_or_too_small_is_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\[aiopt\] max_active_runs .* at least 1; found '" + value):
        read(max_active_runs=value)


@pytest.mark.parametrize("name", ["cpu_pool", "inference_pool", "gpu_pool"])
def test_a_pool_without_a_name_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\[aiopt\] {name} is empty"):
        read(**{name: "  "})


def test_more_shards_than_allowed() -> None:
    with pytest.raises(ConfigurationError, match="shards is 65, but max_shards allows 64"):
        read(shards=65)


def test_a_task_that_would_wait_for_ever() -> None:
    with pytest.raises(ConfigurationError, match=r"gpus_per_task is 4, gpu_pool_slots 2; .*wait for ever"):
        read(gpu_pool_slots=2, gpus_per_task=4)
    read(gpu_pool_slots=4, gpus_per_task=4)
