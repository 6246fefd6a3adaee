from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from components import requires

from airflow_provider_aiopt.optimize.rounding import refine_weights, round_weights

SCALE = 0.1


def _layer_error(weights: np.ndarray, rounded: np.ndarray, inputs: np.ndarray) -> float:
    return float(np.square(inputs @ (rounded[0] * SCALE - weights[0]).T).mean())


@pytest.fixture
def correlated() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.normal(size=(2000, 4)) @ random.normal(size=(4, 16)) + 0.1 * random.normal(size=(2000, 16))


def test_errors_cancel_where_inputs_vary_together(correlated: np.ndarray) -> None:
    weights = np.random.default_rng(1).normal(size=(1, 8, 16))
    scale = np.full((1, 8), SCALE)
    rounded = round_weights(weights, scale, np.cov(correlated.T)[None])
    nearest = np.rint(weights / SCALE)
    assert _layer_error(weights, rounded, correlated) < 0.3 * _layer_error(weights, nearest, correlated)


def test_weights_are_rounded_to_nearest_where_inputs_are_independent() -> None:
    weights = np.random.default_rng(1).normal(size=(2, 3, 5))
    rounded = round_weights(weights, np.full((2, 3), SCALE), np.stack([np.eye(5)] * 2))
    np.testing.assert_array_equal(rounded, np.rint(weights / SCALE))


def test_integers_stay_within_the_limit(correlated: np.ndarray) -> None:
    weights = 50 * np.random.default_rng(1).normal(size=(1, 8, 16))
    rounded = round_weights(weights, np.full((1, 8), SCALE), np.cov(correlated.T)[None], limit=63)
    assert np.abs(rounded).max() == 63


def test_inputs_that_never_vary_do_no_harm() -> None:
    rounded = round_weights(np.ones((1, 2, 3)), np.full((1, 2), SCALE), np.zeros((1, 3, 3)))
    np.testing.assert_array_equal(rounded, 10)


@pytest.fixture
def coarse() -> tuple[Any, Any]:
    """A 1x1 convolution, and its QDQ form with steps so wide that rounding shows."""
    requires("onnx", "uv pip install --group models")
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(5).uniform(-1, 1, size=(4, 6, 1, 1)).astype(np.float32)
    step = np.full(4, 0.2, dtype=np.float32)
    constants = [
        numpy_helper.from_array(np.rint(weights / 0.2).astype(np.int8), "wq"),
        numpy_helper.from_array(step, "ws"),
        numpy_helper.from_array(np.zeros(4, dtype=np.int8), "wz"),
        numpy_helper.from_array(np.zeros(4, dtype=np.int32), "bq"),
        numpy_helper.from_array(np.full(4, 0.001, dtype=np.float32), "bs"),
        numpy_helper.from_array(np.zeros(4, dtype=np.int32), "bz"),
    ]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6, 3, 3])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 3, 3])
    conv = helper.make_node("Conv", ["x", "w", "b"], ["y"], name="conv")
    plain = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.zeros(4, np.float32), "b")]
    nodes = [
        helper.make_node("DequantizeLinear", ["wq", "ws", "wz"], ["w"], axis=0),
        helper.make_node("DequantizeLinear", ["bq", "bs", "bz"], ["b"], axis=0),
        conv,
    ]
    opset = [helper.make_opsetid("", 17)]
    original = helper.make_model(
        helper.make_graph([conv], "original", [value], [out], plain), opset_imports=opset, ir_version=8
    )
    quantised = helper.make_model(
        helper.make_graph(nodes, "quantised", [value], [out], constants), opset_imports=opset, ir_version=8
    )
    return original, quantised


def _output_error(original: Any, quantised: Any, feeds: dict[str, np.ndarray]) -> tuple[float, float]:
    from airflow_provider_aiopt.optimize.sessions import run_model

    first, second = (run_model(m.SerializeToString(), feeds)[0] for m in (original, quantised))
    return float(np.square(second - first).mean()), float(np.abs((second - first).mean(axis=(0, 2, 3))).max())


def test_a_layer_answers_closer_to_the_original_on_data_that_it_has_not_seen(coarse: tuple[Any, Any]) -> None:
    original, quantised = coarse
    random = np.random.default_rng(0)
    mixing = random.normal(size=(2, 6))

    def images(count: int) -> dict[str, np.ndarray]:
        x = random.normal(size=(count, 3, 3, 2)) @ mixing + 1
        return {"x": x.transpose(0, 3, 1, 2).astype(np.float32)}

    unseen = images(100)
    before, drift_before = _output_error(original, quantised, unseen)
    refine_weights(original, quantised, images(100))
    after, drift_after = _output_error(original, quantised, unseen)
    assert after < 0.3 * before
    assert drift_after < 0.2 * drift_before


def test_weights_that_two_layers_share_are_left_alone(coarse: tuple[Any, Any]) -> None:
    original, quantised = coarse
    quantised.graph.node.add().CopyFrom(quantised.graph.node[2])
    quantised.graph.node[3].name, quantised.graph.node[3].output[0] = "second", "z"
    before = quantised.SerializeToString()
    refine_weights(original, quantised, {"x": np.ones((2, 6, 3, 3), dtype=np.float32)})
    assert quantised.SerializeToString() == before
