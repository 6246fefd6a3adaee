from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_aiopt.cli.command import add_to_parser
from airflow_provider_aiopt.cli.model import GROUP
from airflow_provider_aiopt.exceptions import ModelAccuracyError
from airflow_provider_aiopt.optimize import comparison, engines, export, fp16, prune, quantize
from airflow_provider_aiopt.optimize.comparison import (
    ComparedModel,
    CompareOptions,
    Latency,
    ModelComparison,
)
from airflow_provider_aiopt.optimize.engines import EngineOptions, EngineReport
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate, Evaluation
from airflow_provider_aiopt.optimize.fp16 import Fp16Options
from airflow_provider_aiopt.optimize.prune import PruneOptions
from airflow_provider_aiopt.optimize.publishing import Measurement, OptimizeReport
from airflow_provider_aiopt.optimize.quantize import QuantizeOptions
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

    def fake_quantize(options: QuantizeOptions) -> OptimizeReport:
        calls.append(options)
        before, after = (
            Measurement("tiny", name, size, {1: size}) for name, size in (("fp32", 4), ("int8", 1))
        )
        return OptimizeReport(before, after, Evaluation(7, 0.9, 1.0, 0.1, 0.01), CARD)

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
    limits = "--min-agreement 0.9 --max-score-error 0.2 --max-mean-score-error 0.3 --max-accuracy-drop 0"
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
            gate=AccuracyGate(0.9, 0.2, 0.3, 0.0),
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


def _prune(folder: str) -> tuple[str, ...]:
    return ("prune", folder, "-o", "out", "--kind", "structured", "--amount", "0.2", "--calibration", "c")


def test_prune_and_fp16_pass_every_option_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fake(options: Any) -> OptimizeReport:
        asked.append(options)
        before, after = (Measurement("tiny", "fp32", size, {1: size}) for size in (4, 1))
        return OptimizeReport(before, after, Evaluation(7, 0.9, 1.0, 0.1, 0.01, 0.8, 0.7), CARD)

    monkeypatch.setattr(prune, "prune_model", fake)
    monkeypatch.setattr(fp16, "convert_model", fake)
    assert _run(*_prune("m"), "--evaluation", "e", "--seed", "4", "--max-accuracy-drop", "0.1") == 0
    assert _run("fp16", "m", "-o", "out", "--evaluation", "e", "--keep", "Softmax", "--keep", "node_3") == 0
    assert asked == [
        PruneOptions(
            model=Path("m"),
            output=Path("out"),
            calibration=Path("c"),
            evaluation=Path("e"),
            seed=4,
            kind="structured",
            amount=0.2,
            gate=AccuracyGate(max_accuracy_drop=0.1),
        ),
        Fp16Options(model=Path("m"), output=Path("out"), evaluation=Path("e"), keep=("Softmax", "node_3")),
    ]


def test_a_model_that_the_gate_refuses_is_no_case_for_another_attempt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(options: Any) -> OptimizeReport:
        raise ModelAccuracyError("tiny-pruned differs too much")

    monkeypatch.setattr(prune, "prune_model", refuse)
    assert _run(*_prune("m")) == 3
    assert capsys.readouterr() == ("", "aiopt: tiny-pruned differs too much\n")


def _compared(name: str, faults: tuple[str, ...] = ()) -> ComparedModel:
    latency = {1: Latency(0.002, 0.003, 50, 500.0)}
    evaluation = None if name == "m" else Evaluation(7, 0.9, 1.0, 0.1, 0.01)
    return ComparedModel(name, name, "fp32", "0" * 64, 4096, "onnxruntime", latency, evaluation, faults)


@pytest.mark.parametrize(("faults", "code"), [((), 0), (("--min-agreement: 0.9000, needed 0.95",), 3)])
def test_compare_shows_all_models_and_ends_by_the_gate(
    faults: tuple[str, ...], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[CompareOptions] = []

    def fake(options: CompareOptions) -> ModelComparison:
        asked.append(options)
        return ModelComparison((_compared("m"), _compared("small", faults)), "seven records", 7)

    monkeypatch.setattr(comparison, "compare_models", fake)
    line = "compare m small --data d --crops 2 --seed 3 --batch-sizes 1 4 --rounds 6 --device cpu"
    assert _run(*line.split()) == code
    assert asked == [
        CompareOptions(
            models=(Path("m"), Path("small")),
            data=Path("d"),
            crops=2,
            seed=3,
            batch_sizes=(1, 4),
            rounds=6,
            device="cpu",
        )
    ]
    shown, said = capsys.readouterr()
    assert "p95, batch of 1" in shown
    assert ("beyond" in shown, "small differs too much from m" in said) == (bool(faults), bool(faults))
    assert _run(*line.split(), "--json") == code
    assert json.loads(capsys.readouterr().out)["models"][1]["latency"]["1"]["items_per_s"] == 500


def test_tensorrt_says_what_was_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[EngineOptions] = []

    def fake(options: EngineOptions) -> EngineReport:
        asked.append(options)
        if options.gate.min_agreement == 1:
            raise ModelAccuracyError("tiny on TensorRT differs too much")
        evaluation = Evaluation(7, 0.9, 1.0, 0.1, 0.01)
        files = {"a.engine": "0" * 64}
        return EngineReport("tiny", "1" * 64, "trt", "/cache/key", files, (8, 32), 61.0, 1.5, evaluation)

    monkeypatch.setattr(engines, "build_engines", fake)
    line = ["tensorrt", "m", "--evaluation", "e", "--batch-sizes", "8", "32"]
    assert _run(*line) == 0
    assert asked == [EngineOptions(model=Path("m"), evaluation=Path("e"), batch_sizes=(8, 32))]
    said = capsys.readouterr().out
    assert said.startswith("tiny: 1 files in /cache/key; loading took 61.0 s, again 1.5 s; same first answer")
    assert _run(*line, "--json") == 0
    assert json.loads(capsys.readouterr().out)["again_s"] == 1.5
    assert _run(*line, "--min-agreement", "1") == 3
