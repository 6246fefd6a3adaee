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
from airflow_provider_aiopt.optimize.sessions import batches, open_session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_POSITIONS = 49
"""Places of a feature map that the statistics are taken over, per record: neighbours say much the same."""

_DAMPING = 0.01
_RANK_2D = 4


@dataclass(slots=True)
class _Moments:
    """First and second moments of a layer's inputs.

    :param total: ``[groups, features]``
    :param products: ``[groups, features, features]``
    :param count: rows added up
    """

    total: Any = 0.0
    products: Any = 0.0
    count: int = 0

    def add(self, rows: Array) -> None:
        """Add rows of shape ``[n, groups, features]``."""
        by_group = rows.transpose(1, 0, 2)
        self.total = self.total + by_group.sum(axis=1, dtype="float64")
        self.products = self.products + (by_group.transpose(0, 2, 1) @ by_group).astype("float64")
        self.count += len(rows)

    @property
    def mean(self) -> Array:
        """Mean, ``[groups, features]``."""
        return self.total / self.count  # type: ignore[no-any-return]

    @property
    def covariance(self) -> Array:
        """Covariance, ``[groups, features, features]``."""
        mean = self.mean
        return self.products / self.count - mean[:, :, None] * mean[:, None, :]  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution or matrix product of the FP32 graph whose weights can be rounded again.

    :param node: its node
    :param weights: ``[outputs, ...]``
    :param groups: groups of a convolution, else 1
    """

    node: Any
    weights: Array
    groups: int

    def rows(self, inputs: Array, random: np.random.Generator) -> Array:
        """Return what single outputs are computed from, as ``[n, groups, features]``."""
        import numpy as np

        if self.node.op_type == "Gemm":
            return inputs.reshape(len(inputs), 1, -1)
        height, width = self.weights.shape[2:]
        top, left, bottom, right = _attribute(self.node, "pads", [0, 0, 0, 0])
        down, across = _attribute(self.node, "strides", [1, 1])
        padded = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        windows = windows[:, :, ::down, ::across]
        rows, columns = windows.shape[2:4]
        places = random.choice(rows * columns, min(_POSITIONS, rows * columns), replace=False)
        chosen = windows[:, :, places // columns, places % columns]
        return chosen.transpose(0, 2, 1, 3, 4).reshape(len(inputs) * len(places), self.groups, -1)


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
    layers = [layer for layer in _layers(original) if layer.node.name in graph.nodes]
    moments = _measure(original, layers, feeds, seed)
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


def _layers(model: Any) -> list[_Layer]:
    numpy_helper = require("onnx.numpy_helper", "Quantising a model")
    constants = {item.name: item for item in model.graph.initializer}
    layers = []
    for node in model.graph.node:
        if node.op_type in {"Conv", "Gemm"} and node.input[1] in constants:
            layer = _Layer(
                node, numpy_helper.to_array(constants[node.input[1]]), _attribute(node, "group", 1)
            )
            if _is_treatable(layer):
                layers.append(layer)
    return layers


def _is_treatable(layer: _Layer) -> bool:
    node = layer.node
    if node.op_type == "Gemm":
        form = [
            _attribute(node, *pair) for pair in (("alpha", 1.0), ("beta", 1.0), ("transA", 0), ("transB", 0))
        ]
        return form == [1.0, 1.0, 0, 1]
    padding = _attribute(node, "auto_pad", b"NOTSET")
    dilated = any(step != 1 for step in _attribute(node, "dilations", [1, 1]))
    return layer.weights.ndim == _RANK_2D and padding == b"NOTSET" and not dilated


def _measure(model: Any, layers: list[_Layer], feeds: Mapping[str, Array], seed: int) -> dict[str, _Moments]:
    """Run the FP32 model and add up the moments of every layer's inputs."""
    import numpy as np

    onnx = require("onnx", "Quantising a model")
    given = {value.name for value in model.graph.input}
    names = sorted({layer.node.input[0] for layer in layers} - given)
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    answered = {value.name for value in model.graph.output}
    probe.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in names
        if name not in answered
    )
    session = open_session(probe.SerializeToString())
    random = np.random.default_rng(seed)
    moments = {layer.node.name: _Moments() for layer in layers}
    for batch in batches(feeds):
        inner = session.run(names, batch) if names else []
        values = {**batch, **dict(zip(names, inner, strict=True))}
        for layer in layers:
            moments[layer.node.name].add(layer.rows(values[layer.node.input[0]], random))
    return moments


def _refine(layer: _Layer, moments: _Moments, graph: _QuantisedGraph) -> None:
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


def _attribute(node: Any, name: str, default: Any) -> Any:
    helper = require("onnx.helper", "Quantising a model")
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default
