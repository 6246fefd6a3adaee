from __future__ import annotations

from typing import Any

import numpy as np
from components import requires

from airflow_provider_aiopt.optimize.moments import find_layers, measure_moments


def _text_layer() -> Any:
    """Return ``y = table[ids] @ w`` as a graph that ignores its mask."""
    requires("onnx", "uv pip install --group models")
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["e"], name="embed"),
        helper.make_node("MatMul", ["e", "w"], ["y"], name="project"),
    ]
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "s"])
        for name in ("input_ids", "attention_mask")
    )
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = {"table": np.array([[100, 100], [1, 2], [3, 6]]), "w": np.ones((2, 5))}
    values = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [ids, mask], [out], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_padding_is_not_looked_at() -> None:
    model = _text_layer()
    (layer,) = find_layers(model, {"MatMul"})
    assert layer.weights.shape == (5, 2), "outputs first, as of every layer"
    feeds = {"input_ids": np.array([[1, 2], [1, 0]]), "attention_mask": np.array([[1, 1], [1, 0]])}
    moments = measure_moments(model, [layer], feeds, seed=0)["project"]
    rows = np.array([[1, 2], [3, 6], [1, 2]])
    assert moments.count == 3
    np.testing.assert_allclose(moments.mean[0], rows.mean(axis=0))
    np.testing.assert_allclose(moments.covariance[0], np.cov(rows.T, bias=True), atol=1e-6)


def test_layers_are_those_whose_inputs_are_understood(cnn: Any) -> None:
    from airflow_provider_aiopt.optimize.graph import name_nodes

    model = type(cnn)()
    model.CopyFrom(cnn)
    name_nodes(model)
    found = find_layers(model, {"Conv", "Gemm"})
    assert [layer.node.name for layer in found][:2] == ["first", "depthwise"]
    assert [layer.groups for layer in found] == [1, 8, 1, 1]
    next(item for item in model.graph.node[-1].attribute if item.name == "transB").i = 0
    assert len(find_layers(model, {"Conv", "Gemm"})) == 3
