from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airflow_provider_aiopt.exceptions import ModelIntegrityError, SpecError
from airflow_provider_aiopt.optimize.comparison import (
    CompareOptions,
    compare_models,
    latency_of,
    time_in_turns,
)
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate
from airflow_provider_aiopt.optimize.fp16 import Fp16Options, convert_model
from airflow_provider_aiopt.optimize.models_table import figure_rows
from airflow_provider_aiopt.optimize.prune import PruneOptions, prune_model
from airflow_provider_aiopt.optimize.samples import Samples
from airflow_provider_aiopt.spec.card import load_card


@pytest.fixture
def options(model_folder: Path, calibration: Path, tmp_path: Path) -> CompareOptions:
    """The tiny model, its FP16 form and a form without half of its weights, on labelled data."""
    images = np.load(calibration)["image"]
    from airflow_provider_aiopt.optimize.sessions import run_model

    labels = run_model(model_folder / "model.onnx", {"image": images})[0].argmax(axis=1)
    labels[:10] = (labels[:10] + 1) % 5  # of which the original gets a quarter wrong
    np.savez(tmp_path / "labelled.npz", image=images, label=labels)
    half, sparse = tmp_path / "half", tmp_path / "sparse"
    convert_model(Fp16Options(model=model_folder, output=half, evaluation=calibration))
    prune_model(
        PruneOptions(
            model=model_folder,
            output=sparse,
            evaluation=calibration,
            kind="magnitude",
            amount=0.5,
            gate=AccuracyGate(min_agreement=0, max_score_error=1, max_mean_score_error=1),
        )
    )
    return CompareOptions(
        models=(model_folder, half, sparse),
        data=tmp_path / "labelled.npz",
        batch_sizes=(1, 16),
        rounds=2,
        calls=2,
        device="cpu",
    )


def test_models_are_set_beside_the_first(options: CompareOptions) -> None:
    found = compare_models(options)
    first, half, sparse = found.models
    assert (first.evaluation, first.faults) == (None, ())
    assert half.evaluation is not None
    assert half.evaluation.agreement == 1
    assert half.evaluation.original_accuracy == half.evaluation.accuracy == 0.75
    assert half.faults == ()
    assert sparse.evaluation is not None
    assert sparse.evaluation.max_score_error > 0
    assert any(fault.startswith("--max-mean-score-error: ") for fault in sparse.faults)
    assert [model.sha256 for model in found.models] == [load_card(folder).sha256 for folder in options.models]
    assert {size: latency.calls for size, latency in half.latency.items()} == {1: 4, 16: 4}
    assert "CPUExecutionProvider" in first.runtime
    assert (found.records, found.data) == (40, "the 40 records of labelled.npz")


def test_the_table_has_every_figure_of_every_model(options: CompareOptions) -> None:
    rows = dict(figure_rows(compare_models(options)))
    assert rows["precision"] == ["fp32", "fp16", "fp32"]
    assert rows["same first answer"][:2] == ["", "100.0 %"]
    assert rows["accuracy"][:2] == ["75.0 %", "75.0 %"]
    assert rows["gate"] == ["reference", "passes", "beyond"]
    assert {"p50, batch of 1", "p95, batch of 16", "items/s, batch of 16"} <= rows.keys()


def test_a_changed_file_is_refused(options: CompareOptions) -> None:
    with (options.models[1] / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelIntegrityError, match=r"half/model\.onnx has the sha256"):
        compare_models(options)


def test_models_of_another_kind_are_not_compared(options: CompareOptions, text_model_folder: Path) -> None:
    with pytest.raises(SpecError, match=r"text cannot be compared with tiny: it is for text-embedding"):
        compare_models(replace(options, models=(options.models[0], text_model_folder)))


class _Model:
    """Takes one second per call longer than the clock knew before."""

    description = "a fake"

    def __init__(self, name: str, calls: list[str], tick: Callable[[], None]) -> None:
        self.name, self.calls, self.tick = name, calls, tick

    def run(self, feeds: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append(f"{self.name}{len(feeds['x'])}")
        self.tick()
        return {}


def test_models_take_turns_whose_order_changes_and_short_batches_are_left_out(
    options: CompareOptions,
) -> None:
    now = [0.0]
    calls: list[str] = []

    def tick() -> None:
        now[0] += 2.0

    models = [_Model(name, calls, tick) for name in "ab"]
    samples = Samples({"x": np.zeros((7, 1))}, "seven")
    times = time_in_turns(models, samples, 3, options, lambda: now[0])
    assert calls[4:] == ["a3", "a3", "b3", "b3", "b3", "b3", "a3", "a3"], "after two calls each to warm up"
    assert times == [[2.0] * 4, [2.0] * 4]


def test_a_latency_has_the_tail_beside_the_median() -> None:
    latency = latency_of([0.1] * 90 + [0.5] * 10, 16)
    assert (latency.p50_s, latency.p95_s, latency.calls) == (0.1, 0.5, 100)
    assert latency.items_per_s == pytest.approx(160)
