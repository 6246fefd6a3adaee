from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_aiopt.exceptions import ModelAccuracyError, SourceError, SpecError
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate
from airflow_provider_aiopt.optimize.folder import file_sha256
from airflow_provider_aiopt.optimize.fp16 import Fp16Options, convert_model
from airflow_provider_aiopt.optimize.graph import attribute
from airflow_provider_aiopt.spec.card import load_card


@pytest.fixture
def options(model_folder: Path, calibration: Path, tmp_path: Path) -> Fp16Options:
    return Fp16Options(model=model_folder, output=tmp_path / "tiny_fp16", evaluation=calibration)


def _float_types(file: Path) -> dict[str, str]:
    import onnx
    from onnx import numpy_helper

    return {
        item.name: numpy_helper.to_array(item).dtype.name for item in onnx.load(str(file)).graph.initializer
    }


def test_weights_are_halved_and_inputs_and_outputs_keep_their_types(options: Fp16Options) -> None:
    report = convert_model(options)
    card = load_card(options.output)
    assert _float_types(options.output / "model.onnx")["w3"] == "float16"
    assert [item.dtype for item in (*card.inputs, *card.outputs)] == ["float32", "float32"]
    assert report.evaluation.agreement >= 0.95
    assert 0 < report.evaluation.max_score_error < 0.05, "half precision is not exact"
    assert (card.name, card.precision) == ("tiny-fp16", "fp16")


def test_the_card_says_what_was_done_and_by_which_limits(options: Fp16Options) -> None:
    convert_model(replace(options, gate=AccuracyGate(min_agreement=0.5)))
    card = load_card(options.output)
    assert card.method == "FP16 weights and activations, inputs and outputs as they were"
    assert card.gate["min_agreement"] == 0.5
    assert card.sha256 == file_sha256(options.output / "model.onnx")
    readme = (options.output / "README.md").read_text()
    assert "| method | FP16 weights" in readme
    assert "| min agreement | 0.5 |" in readme


def test_what_is_kept_stays_in_fp32(options: Fp16Options) -> None:
    import onnx

    convert_model(replace(options, keep=("Gemm", "first")))
    types = _float_types(options.output / "model.onnx")
    assert types["w4"] == types["w1"] == "float32"
    assert types["w3"] == "float16"
    nodes = {node.name: node for node in onnx.load(str(options.output / "model.onnx")).graph.node}
    assert attribute(nodes["depthwise"], "group", 1) == 8
    assert "--keep Gemm --keep first" in load_card(options.output).command


def test_what_is_not_in_the_graph_cannot_be_kept(options: Fp16Options) -> None:
    with pytest.raises(SpecError, match=r"--keep names what is not in the graph: Softmax.*Clip, Conv"):
        convert_model(replace(options, keep=("Softmax",)))


def test_a_model_that_differs_too_much_is_not_written(options: Fp16Options, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelAccuracyError, match="keep what overflows or loses digits in FP32"):
        convert_model(replace(options, gate=AccuracyGate(max_score_error=1e-9)))
    assert sorted(tmp_path.iterdir()) == before


def test_it_needs_data_to_judge_by(options: Fp16Options) -> None:
    with pytest.raises(SourceError, match="aiopt model fp16 needs data: give --evaluation"):
        convert_model(replace(options, evaluation=None))
