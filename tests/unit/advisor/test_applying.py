from __future__ import annotations

from typing import Any

import pytest
from advisor_reports import SICK

from airflow_provider_aiopt.advisor.applying import (
    airflow_environment,
    changed_spec,
    pool_slots,
)
from airflow_provider_aiopt.advisor.diagnosis import diagnose
from airflow_provider_aiopt.advisor.models import Change
from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.spec.loading import load_spec

SPEC: dict[str, Any] = {
    "source": {"uri": "photographs"},
    "model": {"uri": "builtin:efficientnet-lite0-int8"},
}
CUSTOM = {"preprocess": {"kind": "custom", "transform": "mine.Transform"}}
TORCH = {"model": {"uri": "model.pt2", "runtime": "torch"}}
IMAGES = {"preprocess": {"kind": "image"}}
CLASSES = {"postprocess": {"kind": "classification"}}


@pytest.mark.parametrize("name", SICK)
def test_whatever_is_recommended_fits_a_spec(name: str) -> None:
    for advice in diagnose(SICK[name]()).recommendations:
        keys = {change.key for change in advice.changes}
        custom = bool(keys & {"preprocess.processes", "preprocess.store_as"})
        torch = bool(keys & {"model.torch.autocast"})
        values = {**SPEC, **CLASSES, **(CUSTOM if custom else IMAGES), **(TORCH if torch else {})}
        spec = changed_spec(load_spec(values), advice.changes)
        for change in advice.changes:
            if change.scope == "spec":
                value: Any = spec.model_dump()
                for part in change.key.split("."):
                    value = value[part]
                assert value == change.value


def test_a_change_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SpecError, match="workers"):
        changed_spec(load_spec(SPEC), [Change(scope="spec", key="execution.workers", value=0)])


def test_changes_of_airflow_become_environment_variables_and_pools() -> None:
    changes = [
        Change(scope="airflow", key="[scheduler] scheduler_idle_sleep_time", value=0.05),
        Change(scope="pool", key="gpus", value=4, before=1),
        Change(scope="spec", key="execution.shards", value=2),
    ]
    assert airflow_environment(changes) == {"AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.05"}
    assert pool_slots(changes) == {"gpus": 4}
