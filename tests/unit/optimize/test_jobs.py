from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_aiopt.exceptions import SpecError
from airflow_provider_aiopt.optimize.comparison import ComparedModel, Latency, ModelComparison
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate, Evaluation
from airflow_provider_aiopt.optimize.fp16 import Fp16Options
from airflow_provider_aiopt.optimize.jobs import choose, comparison_summary, read_options

PLACES = {"model": Path("m"), "output": Path("o"), "calibration": None, "evaluation": Path("e")}


def _model(name: str, size: int, p50: float, *, faults: tuple[str, ...] = ()) -> ComparedModel:
    latency = {1: Latency(0.001, 0.002, 5, 1000.0), 16: Latency(p50, p50, 5, 16 / p50)}
    evaluation = None if name == "first" else Evaluation(10, 0.98765, 1.0, 0.1, 0.01)
    return ComparedModel(name, name, "fp32", "0" * 64, size, "onnxruntime", latency, evaluation, faults)


FIRST, SLIM, QUICK = _model("first", 100, 0.1), _model("slim", 10, 0.2), _model("quick", 50, 0.05)
BEYOND = _model("beyond", 1, 0.001, faults=("--min-agreement: 0.5, needed 0.95",))


@pytest.mark.parametrize(
    ("models", "by", "best"),
    [
        ((FIRST, SLIM, QUICK), "latency", 2),
        ((FIRST, SLIM, QUICK), "size", 1),
        ((FIRST, SLIM, BEYOND), "latency", 0),  # the only faster one is beyond the gate
        ((FIRST, BEYOND), "size", 0),
        ((FIRST, _model("same", 100, 0.1)), "latency", 0),  # no better is no reason to change
    ],
)
def test_the_best_is_the_least_within_the_limits(
    models: tuple[ComparedModel, ...], by: str, best: int
) -> None:
    assert choose(ModelComparison(models, "ten", 10), by) == best


def test_the_summary_has_each_model_by_its_place() -> None:
    first, second = comparison_summary(ModelComparison((FIRST, BEYOND), "ten", 10), ["a", "s3://b"])["models"]
    assert (first["model"], first["agreement"], first["faults"]) == ("a", 1.0, [])
    assert (second["model"], second["agreement"], len(second["faults"])) == ("s3://b", 0.9877, 1)
    assert second["p50_s"] == {"1": 0.001, "16": 0.001}


def test_options_are_read_from_text_and_lists() -> None:
    options = read_options(
        "fp16", PLACES, {"keep": ["Softmax"], "evaluation_crops": "3"}, {"min_agreement": "0.5"}
    )
    assert options == Fp16Options(
        **PLACES, keep=("Softmax",), evaluation_crops=3, gate=AccuracyGate(min_agreement=0.5)
    )


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SpecError, match=r"kind: .*found 'all'.*amount: .*found 'much'"):
        read_options("prune", PLACES, {"kind": "all", "amount": "much"}, {})
