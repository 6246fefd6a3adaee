from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from components import requires

from airflow_provider_aiopt.exceptions import ModelAccuracyError, ModelInputError, SourceError, SpecError
from airflow_provider_aiopt.optimize.evaluation import AccuracyGate
from airflow_provider_aiopt.optimize.prune import PruneOptions, prune_model
from airflow_provider_aiopt.optimize.pruners import remove_channels
from airflow_provider_aiopt.optimize.sessions import run_model
from airflow_provider_aiopt.spec.card import load_card

OPEN_GATE = AccuracyGate(min_agreement=0, max_score_error=1, max_mean_score_error=1)


@pytest.fixture
def options(model_folder: Path, calibration: Path, tmp_path: Path) -> PruneOptions:
    return PruneOptions(
        model=model_folder,
        output=tmp_path / "tiny_pruned",
        calibration=calibration,
        kind="structured",
        amount=0.3,
        gate=OPEN_GATE,
    )


def _weights(folder: Path) -> dict[str, np.ndarray]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(folder / "model.onnx")).graph
    return {item.name: numpy_helper.to_array(item) for item in graph.initializer}


def test_channels_are_removed_from_every_constant_that_has_them(options: PruneOptions) -> None:
    report = prune_model(options)
    weights = _weights(options.output)
    assert weights["w3"].shape == (8, 8, 1, 1), "16 channels of the last convolution became 8"
    assert weights["w4"].shape == (5, 8)
    assert report.after.size_bytes < report.before.size_bytes
    card = load_card(options.output)
    assert (card.name, card.precision) == ("tiny-pruned", "fp32")
    assert card.method is not None
    assert card.method.startswith("8 of 24 removable channels")
    assert card.evaluation["calibration_data"]


def test_channels_that_are_sums_of_others_are_removed_without_loss() -> None:
    """A layer that is twice as wide as it need be comes out half as wide, and answers the same."""
    requires("onnx", "uv pip install --group models")
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(5)
    half = random.normal(size=(6, 16))
    constants = {
        "w1": np.concatenate([half, half @ random.normal(size=(16, 16))], axis=1),
        "w2": random.normal(size=(32, 4)),
        "b2": random.normal(size=4),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m"], name="m"),
        helper.make_node("MatMul", ["m", "w2"], ["n"], name="n"),
        helper.make_node("Add", ["n", "b2"], ["y"], name="y"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None]) for name in "xy"]
    values = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    feeds = {"x": (random.normal(size=(500, 6)) + 1).astype(np.float32)}
    expected = run_model(model.SerializeToString(), feeds)[0]

    assert remove_channels(model, feeds, 0.5).startswith("16 of 32")
    answered = run_model(model.SerializeToString(), feeds)[0]
    assert np.abs(answered - expected).max() < 0.1 * expected.std()


def test_rebuilding_is_what_keeps_the_answers(options: PruneOptions, cnn: Any) -> None:
    """Beside the same channels merely cut out, the rebuilt layers answer much closer to the original."""
    from airflow_provider_aiopt.optimize import pruners

    assert options.calibration is not None
    feeds = {"image": np.load(options.calibration)["image"]}
    expected = run_model(cnn.SerializeToString(), feeds)[0]

    def error(*, rebuild: bool) -> float:
        model = type(cnn)()
        model.CopyFrom(cnn)
        from airflow_provider_aiopt.optimize.graph import name_nodes

        name_nodes(model)
        with pytest.MonkeyPatch.context() as patch:
            if not rebuild:
                patch.setattr(pruners, "rebuilt", lambda reader, kept: reader.weights[:, list(kept)])
            pruners.remove_channels(model, feeds, 0.3)
        return float(np.abs(run_model(model.SerializeToString(), feeds)[0] - expected).mean())

    assert error(rebuild=True) < 0.7 * error(rebuild=False)


def test_magnitude_zeroes_the_smallest_weights_by_one_threshold(options: PruneOptions) -> None:
    before = _weights(options.model)
    report = prune_model(
        replace(options, kind="magnitude", amount=0.4, evaluation=options.calibration, calibration=None)
    )
    after = _weights(options.output)
    layers = ("w1", "w2", "w3", "w4")
    every = np.concatenate([np.abs(before[name]).ravel() for name in layers])
    threshold = np.quantile(every, 0.4)
    for name in layers:
        np.testing.assert_array_equal(after[name] == 0, np.abs(before[name]) < threshold)
        assert (after[name][after[name] != 0] == before[name][after[name] != 0]).all()
    np.testing.assert_array_equal(after["b1"], before["b1"])
    assert report.after.size_bytes > 0.95 * report.before.size_bytes, "zeros take as much room"
    assert load_card(options.output).name == "tiny-sparse"


def test_too_much_is_refused_and_nothing_is_written(options: PruneOptions, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ModelAccuracyError, match=r"--max-score-error.*prune less \(a smaller --amount\)"):
        prune_model(replace(options, gate=AccuracyGate(max_score_error=1e-9)))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("amount", [0.0, 1.0])
def test_an_amount_that_is_no_share_is_refused(options: PruneOptions, amount: float) -> None:
    with pytest.raises(SpecError, match=r"--amount is \d; give a share above 0 and below 1"):
        prune_model(replace(options, amount=amount))


def test_structured_pruning_needs_data_to_look_at(options: PruneOptions) -> None:
    with pytest.raises(SourceError, match="aiopt model prune needs data: give --calibration"):
        prune_model(replace(options, calibration=None, evaluation=options.calibration))


def test_a_model_without_removable_channels_is_named(text_model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(f"word{n} word{n + 1}" for n in range(2, 20)))
    with pytest.raises(ModelInputError, match=r"text has nothing to prune.*Try --kind magnitude"):
        prune_model(
            PruneOptions(
                model=text_model_folder,
                output=tmp_path / "out",
                calibration=tmp_path / "texts.txt",
                kind="structured",
                amount=0.5,
            )
        )
    assert not (tmp_path / "out").exists()
