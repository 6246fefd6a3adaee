from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from components import requires
from custom_site import ALLOWED, CustomSite
from onnx_models import linear_model

from airflow_provider_aiopt.spec.loading import load_spec
from airflow_provider_aiopt.tuning.attempt import Measuring
from airflow_provider_aiopt.tuning.measuring import MeasuringPlan
from airflow_provider_aiopt.tuning.models import Limits, Rounds
from airflow_provider_aiopt.tuning.options import Options
from airflow_provider_aiopt.tuning.search import Tuner
from airflow_provider_aiopt.tuning.space import Machine
from airflow_provider_aiopt.tuning.works import Works

SHORT = MeasuringPlan(warm_up_s=0.0, window_s=0.02, least=2, most=3)
RECORDS = 120


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CustomSite:
    """Texts that a transform of the tests turns into pairs of numbers, which the model answers."""
    requires("optuna", "uv pip install 'optuna>=5'")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=":")
    site = CustomSite(tmp_path, "streaming", "Plain")
    site.add_texts(*(f"{number:02d}" for number in range(RECORDS)))
    linear_model(site.folder / "double.onnx", 2 * np.eye(2))
    return site


@pytest.fixture
def works(site: CustomSite) -> Works:
    return Works(load_spec(site.spec), site.folder / "work", records=RECORDS, allowed_callables=ALLOWED)


@pytest.fixture
def tuner(site: CustomSite) -> Callable[..., Tuner]:
    def make(watch: Any = None, limits: Limits | None = None, **options: Any) -> Tuner:
        return Tuner(
            load_spec(site.spec),
            Machine(cores=2),
            Measuring("throughput", limits or Limits(), plan=SHORT),
            Rounds(rounds=1, round_s=0.02, answers=20),
            Options(**{"budget_s": None, "records": RECORDS, "guess": False, "finalists": 1, **options}),
            folder=site.folder / "work",
            allowed_callables=ALLOWED,
            watch=watch,
        )

    return make
