from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.spec.pipeline import PipelineSpec
from airflow_provider_aiopt.tuning.models import Trial


def _trial(number: int, items_per_s: float | None = None, **values: Any) -> Trial:
    return Trial(
        number=number,
        **{
            "origin": "baseline" if number == 0 else "search",
            "configuration": {"execution.batch_size": number},
            "outcome": "failed" if items_per_s is None else "complete",
            "items_per_s": items_per_s,
            "p95_s": items_per_s and 1 / items_per_s,
            "seconds": 2.0,
            "ended_s": 2.0 * (number + 1),
            **values,
        },
    )


@pytest.fixture
def make_trial() -> Callable[..., Trial]:
    return _trial


@pytest.fixture
def make_spec() -> Callable[..., PipelineSpec]:
    def make(**settings: Any) -> PipelineSpec:
        plain = {"source": {"uri": "photos"}, "model": {"uri": "model.onnx"}}
        return load_spec(plain, overrides={key.replace("__", "."): v for key, v in settings.items()})

    return make
