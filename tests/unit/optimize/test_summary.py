from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from airflow_provider_aiopt.optimize.evaluation import Evaluation
from airflow_provider_aiopt.optimize.preprocess import DecodeCost, PreprocessComparison
from airflow_provider_aiopt.optimize.publishing import Measurement, OptimizeReport
from airflow_provider_aiopt.optimize.summary import (
    comparison_table,
    comparison_values,
    optimize_table,
    optimize_values,
)
from airflow_provider_aiopt.spec.card import load_card


def _report(folder: Path) -> OptimizeReport:
    return OptimizeReport(
        before=Measurement("tiny", "fp32", 4096, {1: 0.004, 8: 0.02}),
        after=Measurement("tiny-int8", "int8", 1024, {1: 0.005, 8: 0.01}),
        evaluation=Evaluation(40, 0.975, 1.0, 0.05, 0.01),
        card=load_card(folder),
    )


def test_the_table_shows_every_figure_before_and_after(model_folder: Path) -> None:
    console = Console(width=100, record=True, force_terminal=False)
    console.print(optimize_table(_report(model_folder)))
    text = console.export_text()
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert rows["size"][-2:] == ["4.0x", "less"]
    assert rows["latency, batch of 1"][-2:] == ["not", "less"]
    assert rows["latency, batch of 8"][-2:] == ["2.0x", "less"]
    assert "97.5 %" in text
    assert "40 records" in text


def test_the_values_are_json(model_folder: Path) -> None:
    values = json.loads(json.dumps(optimize_values(_report(model_folder))))
    assert values["after"]["size_bytes"] == 1024
    assert values["evaluation"]["agreement"] == 0.975
    assert values["card"]["name"] == "tiny"


def test_a_comparison_of_preprocessing_shows_both_costs() -> None:
    comparison = PreprocessComparison(
        settings={"resize_backend": "torch", "scaled_decode": True},
        sampled=66,
        unusable=2,
        one_sided=1,
        agreement=0.984,
        evaluation=Evaluation(63, 1.0, 1.0, 0.05, 0.01),
        mean_pixel_difference=0.25,
        max_pixel_difference=9,
        exact=DecodeCost(0.004, 0.005),
        fast=DecodeCost(0.002, 0.006),
    )
    console = Console(width=120, record=True, force_terminal=False)
    console.print(comparison_table(comparison))
    text = console.export_text()
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert rows["CPU time per image"][-2:] == ["2.0x", "less"]
    assert rows["time per image"][-2:] == ["not", "less"]
    assert rows["same first answer"][-2:] == ["98.4", "%"]
    assert "resize_backend torch, scaled_decode true" in text
    assert "66 records; 2 come to no answer, 1 to one of the two ways only" in text
    assert json.loads(json.dumps(comparison_values(comparison)))["fast"] == {"cpu_s": 0.002, "wall_s": 0.006}
