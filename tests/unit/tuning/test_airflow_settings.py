from __future__ import annotations

import configparser
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_aiopt.get_provider_info import get_provider_info
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning.airflow_settings import (
    airflow_settings,
    as_cfg,
    as_environment,
    tasks_at_once,
)
from airflow_provider_aiopt.tuning.space import Machine

GIB = 2**30


@pytest.mark.parametrize(
    ("settings", "cores", "slots"),
    [
        ({}, 8, 1),
        ({"execution__workers": 2}, 8, 4),
        ({"execution__workers": 2, "model__threads": 2}, 8, 2),
        ({"execution__workers": 16}, 8, 1),
    ],
)
def test_as_many_tasks_as_fill_the_cores(
    make_spec: Callable[..., PipelineSpec], settings: dict[str, Any], cores: int, slots: int
) -> None:
    assert tasks_at_once(make_spec(**settings), Machine(cores, 64 * GIB), GIB)[0] == slots


def test_no_more_tasks_than_memory_holds(make_spec: Callable[..., PipelineSpec]) -> None:
    slots, why = tasks_at_once(make_spec(execution__workers=1), Machine(8, 4 * GIB), GIB)
    assert (slots, why) == (3, "a task takes up to 1024 MiB, and 3 fit the memory")


def test_a_device_takes_one_task(make_spec: Callable[..., PipelineSpec]) -> None:
    settings = airflow_settings(make_spec(), Machine(8, 64 * GIB, device=True), GIB)
    assert (settings[0].key, settings[0].value) == ("gpu_pool_slots", "1")


def test_the_options_are_those_that_airflow_and_the_package_have(
    make_spec: Callable[..., PipelineSpec],
) -> None:
    settings = airflow_settings(make_spec(execution__shards=8), Machine(4, 64 * GIB), GIB)
    known = get_provider_info()["config"]["aiopt"]["options"]
    assert [item.key for item in settings if item.section == "aiopt" and item.key not in known] == []
    parser = configparser.ConfigParser()
    parser.read_string(as_cfg(settings))
    assert parser["aiopt"]["shards"] == "8"
    assert parser["aiopt"]["max_active_tasks"] == "3"
    assert parser["core"]["parallelism"] == "6"
    assert "AIRFLOW__AIOPT__INFERENCE_POOL_SLOTS=1\n" in as_environment(settings)
