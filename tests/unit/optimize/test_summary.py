from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from airflow_provider_aiopt.optimize.evaluation import Evaluation
from airflow_provider_aiopt.optimize.quantize import Measurement, QuantizeReport
from airflow_provider_aiopt.optimize.summary import quantize_table, quantize_values
from airflow_provider_aiopt.spec.card import load_card


def _report(folder: Path) -> QuantizeReport:
    return QuantizeReport(
        before=Measurement("tiny", "fp32", 4096, {1: 0.004, 8: 0.02}),
        after=Measurement("tiny-int8", "int8", 1024, {1: 0.005, 8: 0.01}),
        evaluation=Evaluation(40, 0.975, 1.0, 0.05, 0.01),
        card=load_card(folder),
    )


def test_the_table_shows_every_figure_before_and_after(model_folder: Path) -> None:
    console = Console(width=100, record=True, force_terminal=False)
    console.print(quantize_table(_report(model_folder)))
    text = console.export_text()
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert rows["size"][-2:] == ["4.0x", "less"]
    assert rows["latency, batch of 1"][-2:] == ["not", "less"]
    assert rows["latency, batch of 8"][-2:] == ["2.0x", "less"]
    assert "97.5 %" in text
    assert "40 records" in text


def test_the_values_are_json(model_folder: Path) -> None:
    values = json.loads(json.dumps(quantize_values(_report(model_folder))))
    assert values["after"]["size_bytes"] == 1024
    assert values["evaluation"]["agreement"] == 0.975
    assert values["card"]["name"] == "tiny"
