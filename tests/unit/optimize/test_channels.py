from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from components import requires

from airflow_provider_aiopt.optimize.channels import ChannelGroup, Graph, channel_groups

WIDTH = 16


def _model(
    nodes: list[tuple[str, list[str], str, dict[str, Any]]], shape: list[Any], **constants: Any
) -> Any:
    requires("onnx", "uv pip install --group models")
    from onnx import TensorProto, helper, numpy_helper

    made = [
        helper.make_node(op, inputs, [output], name=output, **attributes)
        for op, inputs, output, attributes in nodes
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)
        for name, axes in (("x", shape), ("y", None))
    ]
    values = [
        numpy_helper.from_array(np.asarray(value, np.int64 if name.startswith("shape") else np.float32), name)
        for name, value in constants.items()
    ]
    return helper.make_model(helper.make_graph(made, "g", ends[:1], ends[1:], values))


def _groups(model: Any) -> dict[str, ChannelGroup]:
    return {group.name: group for group in channel_groups(Graph(model))}


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape)


CONVOLUTIONS: dict[str, Any] = {"w1": _ones(WIDTH, 3, 1, 1), "w2": _ones(4, WIDTH, 1, 1)}


def test_channels_are_followed_through_depthwise_convolutions_to_the_layer_that_mixes_them(cnn: Any) -> None:
    groups = _groups(cnn)
    first = groups["first"]
    assert first.size == 8
    assert {item.name for item in first.slices} == {"w1", "b1", "w2", "b2"}
    assert first.depthwise == ("depthwise",)
    assert [(item.weights, item.axis) for item in first.consumers] == [("w3", 1)]


def test_pooled_channels_become_the_features_of_a_matrix_product() -> None:
    nodes = [
        ("Conv", ["x", "w1"], "a", {}),
        ("ReduceMean", ["a", "shape_axes"], "p", {"keepdims": 1}),
        ("Reshape", ["p", "shape_flat"], "f", {}),
        ("Gemm", ["f", "w", "b"], "y", {"transB": 1}),
    ]
    constants = {"w": _ones(5, WIDTH), "b": _ones(5), "shape_axes": [2, 3], "shape_flat": [-1, WIDTH]}
    group = _groups(_model(nodes, [1, 3, 4, 4], w1=CONVOLUTIONS["w1"], **constants))["a"]
    assert group.shapes == ("shape_flat",)
    assert [item.weights for item in group.consumers] == ["w"]


def test_an_inner_product_of_a_transformer_shrinks_with_its_bias() -> None:
    nodes = [
        ("MatMul", ["x", "w1"], "m", {}),
        ("Add", ["m", "b1"], "a", {}),
        ("Sigmoid", ["a"], "s", {}),
        ("Mul", ["a", "s"], "g", {}),  # two tensors of the same channels
        ("MatMul", ["g", "w2"], "y", {}),
    ]
    group = _groups(_model(nodes, [1, 2, 6], w1=_ones(6, WIDTH), b1=_ones(WIDTH), w2=_ones(WIDTH, 6)))["m"]
    assert {(item.name, item.axis) for item in group.slices} == {("w1", 1), ("b1", 0)}
    assert [(item.weights, item.axis) for item in group.consumers] == [("w2", 0)]


@pytest.mark.parametrize(
    ("between", "more"),
    [
        ([("Add", ["a", "x"], "b", {})], {}),  # a residual connection
        ([("Softmax", ["a"], "b", {"axis": 1})], {}),  # mixes the channels, and is no layer
        ([("Mul", ["a", "scale"], "b", {})], {"scale": _ones(1, 1, 4, 4)}),  # values for places
    ],
    ids=["residual", "softmax", "places"],
)
def test_channels_that_something_else_depends_on_stay(between: list[Any], more: dict[str, Any]) -> None:
    nodes = [("Conv", ["x", "w1"], "a", {}), *between, ("Conv", ["b", "w2"], "y", {})]
    assert "a" not in _groups(_model(nodes, [1, 3, 4, 4], **CONVOLUTIONS, **more))


def test_channels_that_are_answered_stay() -> None:
    model = _model(
        [("Conv", ["x", "w1"], "y", {}), ("Conv", ["y", "w2"], "z", {})], [1, 3, 4, 4], **CONVOLUTIONS
    )
    assert _groups(model) == {}


def test_weights_that_two_layers_share_stay() -> None:
    nodes = [
        ("Conv", ["x", "w1"], "a", {}),
        ("Conv", ["a", "w2"], "b", {}),
        ("Conv", ["a", "w2"], "c", {}),
        ("Add", ["b", "c"], "y", {}),
    ]
    assert "a" not in _groups(_model(nodes, [1, 3, 4, 4], **CONVOLUTIONS))
