from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.cli.command import add_to_parser
from airflow_provider_aiopt.cli.model import GROUP
from airflow_provider_aiopt.optimize import export, quantize
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate, Evaluation
from airflow_provider_aiopt.optimize.quantize import Measurement, QuantizeOptions, QuantizeReport
from airflow_provider_aiopt.spec.card import ModelCard

CARD = ModelCard.model_validate(
    {
        "name": "tiny",
        "task": "other",
        "file": "model.onnx",
        "sha256": "0" * 64,
        "licence": "Apache-2.0",
        "source": [],
        "command": "aiopt model export tiny --output out",
        "precision": "fp32",
        "opset": 20,
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["batch"]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": ["batch"]}],
    }
)


def _run(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    add_to_parser(parser, (GROUP,))
    arguments = parser.parse_args(["model", *argv])
    return int(arguments.run(arguments))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the commands ask of the layer below, which answers at once."""
    calls: list[Any] = []

    def fake_export(name: str, output: Path) -> ModelCard:
        calls.append((name, output))
        return CARD

    def fake_quantize(options: QuantizeOptions) -> QuantizeReport:
        calls.append(options)
        before, after = (
            Measurement("tiny", name, size, {1: size}) for name, size in (("fp32", 4), ("int8", 1))
        )
        return QuantizeReport(before, after, Evaluation(7, 0.9, 1.0, 0.1, 0.01), CARD)

    monkeypatch.setattr(export, "export_model", fake_export)
    monkeypatch.setattr(quantize, "quantize_model", fake_quantize)
    return calls


def test_list_names_models_and_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("list") == 0
    assert "efficientnet-lite0: image-classification" in capsys.readouterr().out
    assert _run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[1]["name"] == "minilm-l6-v2"


def test_export_says_what_it_wrote(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("export", "tiny", "--output", "out") == 0
    assert asked == [("tiny", Path("out"))]
    assert capsys.readouterr().out == f"out: tiny, fp32, sha256 {'0' * 64}\n"


def test_export_prints_the_card_as_json(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("export", "tiny", "-o", "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == "0" * 64


def test_quantize_passes_every_option_on(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    data = "--calibration c --evaluation e --crops 2 --evaluation-crops 3 --seed 4"
    limits = "--max-disagreement 0.1 --max-score-error 0.2 --max-mean-score-error 0.3"
    assert _run("quantize", "m", "-o", "out", *data.split(), "--reduce-range", *limits.split()) == 0
    assert asked == [
        QuantizeOptions(
            model=Path("m"),
            output=Path("out"),
            calibration=Path("c"),
            evaluation=Path("e"),
            crops=2,
            evaluation_crops=3,
            seed=4,
            reduce_range=True,
            gate=AccuracyGate(0.1, 0.2, 0.3),
        )
    ]
    assert "4.0x less" in capsys.readouterr().out


def test_defaults_are_those_of_the_layer_below(asked: list[Any]) -> None:
    _run("quantize", "m", "-o", "out", "--calibration", "c")
    assert asked == [QuantizeOptions(model=Path("m"), output=Path("out"), calibration=Path("c"))]


def test_quantize_prints_json(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("quantize", "m", "-o", "out", "--calibration", "c", "--json") == 0
    assert json.loads(capsys.readouterr().out)["evaluation"]["n"] == 7


@pytest.mark.parametrize("option", [("--crops", "0"), ("--crops", "x"), ("--max-score-error", "nan")])
def test_impossible_numbers_are_wrong_usage(
    option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        _run("quantize", "m", "-o", "out", "--calibration", "c", *option)
    assert caught.value.code == 2
    assert option[0] in capsys.readouterr().err
