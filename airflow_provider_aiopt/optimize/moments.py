"""What the layers of a graph see of real data: first and second moments of their inputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.optimize.graph import attribute
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.sessions import batches, open_session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_PURPOSE = "Looking at a model's layers"
_MASK = "attention_mask"

_POSITIONS = 49
"""Places of a feature map that the statistics are taken over, per record: neighbours say much the same."""

_RANK_2D = 4


@dataclass(slots=True)
class Moments:
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
class Layer:
    """A convolution or matrix product with constant weights.

    :param node: its node
    :param weights: ``[outputs, ...]``
    :param groups: groups of a convolution, else 1
    """

    node: Any
    weights: Array
    groups: int

    def rows(self, inputs: Array, random: np.random.Generator, mask: Array | None = None) -> Array:
        """Return what single outputs are computed from, as ``[n, groups, features]``.

        :param inputs: what the layer is given
        :param random: chooses the places of feature maps that are looked at
        :param mask: ``[batch, sequence]`` of texts, 0 where there is padding
        """
        if self.node.op_type != "Conv":
            if mask is not None and inputs.shape[:2] == mask.shape:
                inputs = inputs[mask > 0]
            return inputs.reshape(-1, 1, inputs.shape[-1])
        return self._windows(inputs, random)

    def _windows(self, inputs: Array, random: np.random.Generator) -> Array:
        import numpy as np

        height, width = self.weights.shape[2:]
        top, left, bottom, right = attribute(self.node, "pads", [0, 0, 0, 0])
        down, across = attribute(self.node, "strides", [1, 1])
        padded = np.pad(inputs, ((0, 0), (0, 0), (top, bottom), (left, right)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        windows = windows[:, :, ::down, ::across]
        rows, columns = windows.shape[2:4]
        places = random.choice(rows * columns, min(_POSITIONS, rows * columns), replace=False)
        chosen = windows[:, :, places // columns, places % columns]
        return chosen.transpose(0, 2, 1, 3, 4).reshape(len(inputs) * len(places), self.groups, -1)


def find_layers(model: Any, op_types: Collection[str]) -> list[Layer]:
    """Return the layers of the types *op_types* whose inputs this module understands.

    :param model: an ONNX model whose nodes have names
    :param op_types: of ``Conv``, ``Gemm`` and ``MatMul``
    """
    numpy_helper = require("onnx.numpy_helper", _PURPOSE)
    constants = {item.name: item for item in model.graph.initializer}
    layers = []
    for node in model.graph.node:
        if node.op_type in op_types and node.input[1] in constants:
            weights = numpy_helper.to_array(constants[node.input[1]])
            if node.op_type == "MatMul":
                weights = weights.T
            layer = Layer(node, weights, attribute(node, "group", 1))
            if _is_understood(layer):
                layers.append(layer)
    return layers


def _is_understood(layer: Layer) -> bool:
    node = layer.node
    if node.op_type == "Gemm":
        defaults = (("alpha", 1.0), ("beta", 1.0), ("transA", 0), ("transB", 0))
        return [attribute(node, *pair) for pair in defaults] == [1.0, 1.0, 0, 1]
    if node.op_type == "MatMul":
        return layer.weights.ndim == 2  # noqa: PLR2004 - one matrix for all
    padding = attribute(node, "auto_pad", b"NOTSET")
    dilated = any(step != 1 for step in attribute(node, "dilations", [1, 1]))
    return layer.weights.ndim == _RANK_2D and padding == b"NOTSET" and not dilated


def measure_moments(
    model: Any, layers: Sequence[Layer], feeds: Mapping[str, Array], seed: int
) -> dict[str, Moments]:
    """Run the model and add up the moments of every layer's inputs.

    :param model: the ONNX model in FP32
    :param layers: of it
    :param feeds: records, a tensor for each input
    :param seed: of the choice of places in feature maps
    :returns: the moments by the layer's name
    """
    import numpy as np

    onnx = require("onnx", _PURPOSE)
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
    moments = {layer.node.name: Moments() for layer in layers}
    for batch in batches(feeds):
        needed = {name: value for name, value in batch.items() if name in given}
        inner = session.run(names, needed) if names else []
        values = {**batch, **dict(zip(names, inner, strict=True))}
        for layer in layers:
            rows = layer.rows(values[layer.node.input[0]], random, batch.get(_MASK))
            moments[layer.node.name].add(rows)
    return moments
