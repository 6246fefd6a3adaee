"""Rounding a quantised CNN's weights so that the errors cancel on real activations.

The quantiser rounds each weight to the nearest step.  Here the weights of a layer are rounded one after
another, and each one's error is made up for by those not rounded yet, weighted by how the layer's inputs vary
together (the optimal brain quantiser, as used by GPTQ).  What is left of the error's mean goes into the bias,
which costs nothing.  Scales, shapes and speed stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.moments import Layer, Moments, find_layers, measure_moments

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DAMPING = 0.01


@dataclass(slots=True)
class _QuantisedGraph:
    """The QDQ graph, by names.

    :param model: the ONNX model
    """

    model: Any
    nodes: dict[str, Any] = field(init=False)
    producers: dict[str, Any] = field(init=False)
    initializers: dict[str, Any] = field(init=False)
    uses: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.nodes = {node.name: node for node in graph.node}
        self.producers = {name: node for node in graph.node for name in node.output}
        self.initializers = {item.name: item for item in graph.initializer}
        self.uses = Counter(name for node in graph.node for name in node.input)

    def constant(self, tensor: str) -> tuple[Any, Array] | None:
        """Return the integers behind a dequantised constant and their scales.

        :returns: None where *tensor* is no such constant, or where another node uses it too
        """
        numpy_helper = require("onnx.numpy_helper", "Quantising a model")
        node = self.producers.get(tensor)
        if node is None or node.op_type != "DequantizeLinear" or node.input[0] not in self.initializers:
            return None
        if self.uses[tensor] > 1 or self.uses[node.input[0]] > 1:
            return None
        scale = numpy_helper.to_array(self.initializers[node.input[1]]).astype("float64")
        return self.initializers[node.input[0]], scale


def refine_weights(original: Any, quantised: Any, feeds: Mapping[str, Array], *, seed: int = 0) -> None:
    """Round the weights of *quantised* again, and correct its biases, by what *original* sees on real data.

    Layers that this cannot treat keep the weights that they have.

    :param original: the FP32 ONNX model that was quantised, with the same names of nodes
    :param quantised: the QDQ model with int8 weights, changed in place
    :param feeds: calibration records, a tensor for each input
    :param seed: of the choice of places in feature maps
    """
    graph = _QuantisedGraph(quantised)
    layers = [layer for layer in find_layers(original, {"Conv", "Gemm"}) if layer.node.name in graph.nodes]
    moments = measure_moments(original, layers, feeds, seed)
    for layer in layers:
        _refine(layer, moments[layer.node.name], graph)


def round_weights(weights: Array, scale: Array, covariance: Array, *, limit: int = 127) -> Array:
    """Round the weights of one layer, each making up for the errors of those before it.

    :param weights: ``[groups, outputs, features]``
    :param scale: step size per output, ``[groups, outputs]``
    :param covariance: of the inputs, ``[groups, features, features]``
    :param limit: largest integer
    :returns: integers as floats, of the shape of *weights*
    """
    import numpy as np

    features = weights.shape[2]
    # Inputs that hardly vary would otherwise take up any error, and a constant one would make it singular.
    damping = _DAMPING * np.einsum("gii->g", covariance) / features + np.finfo(np.float32).eps
    inverse = np.linalg.inv(covariance + damping[:, None, None] * np.eye(features))
    upper = np.linalg.cholesky(inverse).transpose(0, 2, 1)
    left = weights.astype(np.float64)
    rounded = np.zeros_like(left)
    for index in range(features):
        rounded[:, :, index] = np.clip(np.rint(left[:, :, index] / scale), -limit, limit)
        error = (left[:, :, index] - rounded[:, :, index] * scale) / upper[:, index, index, None]
        left[:, :, index:] -= error[:, :, None] * upper[:, None, index, index:]
    return rounded


def _refine(layer: Layer, moments: Moments, graph: _QuantisedGraph) -> None:
    numpy_helper = require("onnx.numpy_helper", "Quantising a model")
    node = graph.nodes[layer.node.name]
    found = graph.constant(node.input[1])
    if found is None:
        return
    integers, scale = found
    before = numpy_helper.to_array(integers)
    if before.dtype != "int8":
        return
    outputs = len(layer.weights)
    weights = layer.weights.reshape(layer.groups, outputs // layer.groups, -1)
    steps = (scale + 0 * layer.weights.reshape(outputs, -1)[:, 0]).reshape(weights.shape[:2])
    # The quantiser keeps to 7 bits where it was told to: so does this.
    limit = int(abs(before.astype("int32")).max())
    rounded = round_weights(weights, steps, moments.covariance, limit=limit)
    integers.CopyFrom(
        numpy_helper.from_array(rounded.reshape(before.shape).astype(before.dtype), integers.name)
    )
    drift = ((rounded * steps[:, :, None] - weights) * moments.mean[:, None, :]).sum(axis=2).reshape(outputs)
    _shift_bias(graph, node, -drift)


def _shift_bias(graph: _QuantisedGraph, node: Any, shift: Array) -> None:
    import numpy as np

    numpy_helper = require("onnx.numpy_helper", "Quantising a model")
    found = graph.constant(node.input[2]) if len(node.input) > 2 else None  # noqa: PLR2004 - third is the bias
    if found is None:
        return
    integers, scale = found
    bias = numpy_helper.to_array(integers)
    bounds = np.iinfo(bias.dtype)
    moved = np.clip(bias + np.rint(shift / scale), bounds.min, bounds.max)
    integers.CopyFrom(numpy_helper.from_array(moved.astype(bias.dtype), integers.name))
