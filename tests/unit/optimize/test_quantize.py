from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from airflow_provider_aiopt.exceptions import (
    ModelAccuracyError,
    ModelIntegrityError,
    ModelLoadError,
    ModelNotFoundError,
    SpecError,
    StorageError,
)
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate
from airflow_provider_aiopt.optimize.folder import file_sha256, write_card
from airflow_provider_aiopt.optimize.publishing import command_line
from airflow_provider_aiopt.optimize.quantize import QuantizeOptions, quantize_model, quantizing
from airflow_provider_aiopt.spec.card import load_card

OPEN_GATE = AccuracyGate(min_agreement=0, max_score_error=1, max_mean_score_error=1)


@pytest.fixture
def options(model_folder: Path, calibration: Path, tmp_path: Path) -> QuantizeOptions:
    return QuantizeOptions(
        model=model_folder, output=tmp_path / "tiny_int8", calibration=calibration, gate=OPEN_GATE
    )


def _int8_weights(file: Path) -> list[np.ndarray]:
    import onnx
    from onnx import numpy_helper

    arrays = (numpy_helper.to_array(item) for item in onnx.load(str(file)).graph.initializer)
    return [array for array in arrays if array.dtype == np.int8 and array.ndim > 1]


def test_a_cnn_becomes_int8_and_keeps_its_answers(options: QuantizeOptions) -> None:
    report = quantize_model(options)
    assert report.evaluation.n == 8
    assert report.evaluation.mean_score_error < 0.02
    assert len(_int8_weights(options.output / "model.onnx")) == 4


def test_the_card_pins_the_file_and_says_where_it_comes_from(options: QuantizeOptions) -> None:
    report = quantize_model(options)
    card = load_card(options.output)
    assert card == report.card
    assert card.sha256 == file_sha256(options.output / "model.onnx")
    assert (card.name, card.precision) == ("tiny-int8", "int8")
    assert card.original is not None
    assert card.original.sha256 == load_card(options.model).sha256
    assert card.evaluation["n"] == 8
    assert card.evaluation["data"] == "the 40 records of calibration.npz, every fifth"


def test_labels_and_licences_come_along(options: QuantizeOptions) -> None:
    quantize_model(options)
    names = sorted(path.name for path in options.output.iterdir())
    assert names == ["LICENSE", "README.md", "labels.txt", "model.json", "model.onnx"]


def test_nothing_in_the_folder_tells_where_it_was_made(options: QuantizeOptions, tmp_path: Path) -> None:
    quantize_model(options)
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in options.output.iterdir())


def test_twice_gives_the_same_folder(options: QuantizeOptions) -> None:
    quantize_model(options)
    first = {path.name: path.read_bytes() for path in options.output.iterdir()}
    quantize_model(options)
    assert {path.name: path.read_bytes() for path in options.output.iterdir()} == first


def test_a_narrower_range_is_kept(options: QuantizeOptions) -> None:
    quantize_model(replace(options, reduce_range=True))
    assert max(abs(array.astype(int)).max() for array in _int8_weights(options.output / "model.onnx")) <= 64


def test_evaluation_data_of_their_own_are_used(options: QuantizeOptions, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", image=np.zeros((3, 3, 12, 12), dtype=np.float32))
    report = quantize_model(replace(options, evaluation=tmp_path / "other.npz"))
    assert report.card.evaluation["data"] == "the 3 records of other.npz"
    assert report.card.evaluation["calibration_data"] == "the 40 records of calibration.npz"


def test_a_model_that_differs_too_much_is_not_written(options: QuantizeOptions, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelAccuracyError, match=r"--max-score-error: 0\.\d+, allowed 1e-09"):
        quantize_model(replace(options, gate=AccuracyGate(max_score_error=1e-9)))
    assert sorted(tmp_path.iterdir()) == before


def test_a_text_model_is_quantised_dynamically(text_model_folder: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = (" ".join(f"word{n}" for n in random.integers(2, 50, 5)) for _ in range(12))
    (tmp_path / "texts.txt").write_text("\n".join(lines))
    report = quantize_model(
        QuantizeOptions(
            model=text_model_folder,
            output=tmp_path / "text_int8",
            calibration=tmp_path / "texts.txt",
            gate=OPEN_GATE,
        )
    )
    assert report.evaluation.max_score_error < 0.1
    assert (tmp_path / "text_int8" / "tokenizer.json").is_file()
    assert _int8_weights(tmp_path / "text_int8" / "model.onnx")


def test_a_changed_model_file_is_refused(options: QuantizeOptions) -> None:
    with (options.model / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelIntegrityError, match=r"model\.json pins"):
        quantize_model(options)


def test_a_missing_model_file_is_named(options: QuantizeOptions) -> None:
    (options.model / "model.onnx").unlink()
    with pytest.raises(ModelNotFoundError, match=r"has no model file model\.onnx"):
        quantize_model(options)


def test_missing_labels_are_named(options: QuantizeOptions) -> None:
    (options.model / "labels.txt").unlink()
    with pytest.raises(ModelNotFoundError, match=r"has no file labels\.txt"):
        quantize_model(options)


def test_a_quantised_model_is_not_quantised_again(options: QuantizeOptions) -> None:
    quantize_model(options)
    with pytest.raises(SpecError, match="holds a model in int8"):
        quantize_model(replace(options, model=options.output))


def test_the_original_is_not_overwritten(options: QuantizeOptions) -> None:
    with pytest.raises(StorageError, match="is the model itself"):
        quantize_model(replace(options, output=options.model))


def test_a_graph_that_the_quantiser_cannot_read_is_named(options: QuantizeOptions, cnn: Any) -> None:
    import copy

    broken = copy.deepcopy(cnn)
    broken.graph.node[0].op_type = "NoSuchOperator"
    (options.model / "model.onnx").write_bytes(broken.SerializeToString())
    card = load_card(options.model)
    digest = file_sha256(options.model / "model.onnx")
    write_card(options.model, card.model_copy(update={"sha256": digest}))
    with pytest.raises(ModelLoadError, match="ONNX Runtime cannot"):
        quantize_model(options)


def test_the_command_has_no_paths(options: QuantizeOptions) -> None:
    options = replace(options, evaluation=Path("/data/held out"), reduce_range=True)
    command = command_line(options, quantizing(options))
    assert command == (
        "aiopt model quantize tiny --output tiny_int8 --calibration calibration.npz --evaluation 'held out' "
        "--crops 16 --evaluation-crops 40 --seed 0 --reduce-range --min-agreement 0 --max-score-error 1 "
        "--max-mean-score-error 1 --max-accuracy-drop 0.02"
    )
