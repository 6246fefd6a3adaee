"""Which channels of a graph can be removed, and what has to shrink with them.

A layer's output channels are removable where all that follows handles each of them alone (activations,
depthwise convolutions, pooling, constants with a value for each) up to layers that mix them again.  Channels
that meet another layer's, as those of residual connections do, stay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_aiopt.optimize.graph import attribute
from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.optimize.moments import Layer, find_layers

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LAYERS = frozenset({"Conv", "Gemm", "MatMul"})

_UNARY = frozenset(
    {"Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Mish", "Relu", "Sigmoid"}
    | {"Softplus", "Tanh", "Erf"}
)
_BINARY = frozenset({"Add", "Div", "Mul", "Sub"})
_POOLS = frozenset({"AveragePool", "MaxPool"})

Layout = Literal["maps", "pooled", "last"]
"""Where a tensor has its channels: on the second of four axes, the same with 1 x 1 maps, or on the last."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A constant that has values for each channel along *axis*.

    :param name: of the initializer
    :param axis: the channels' axis
    """

    name: str
    axis: int


@dataclass(frozen=True, slots=True)
class Consumer:
    """A layer that mixes the channels.

    :param layer: it
    :param weights: name of its weights
    :param axis: the channels' axis of these as the graph has them
    """

    layer: Layer
    weights: str
    axis: int


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channels that can be removed together.

    :param name: of the layer that makes them
    :param size: how many there are
    :param slices: constants that shrink with them
    :param consumers: layers whose weights shrink with them
    :param depthwise: names of the convolutions that have a group for each
    :param shapes: names of the shapes of reshaping whose last value is their number
    """

    name: str
    size: int
    slices: tuple[Slice, ...]
    consumers: tuple[Consumer, ...]
    depthwise: tuple[str, ...]
    shapes: tuple[str, ...]


class Graph:
    """An ONNX graph by names.

    :param model: an ONNX model whose nodes have names
    """

    def __init__(self, model: Any) -> None:
        numpy_helper = require("onnx.numpy_helper", "Pruning a model")
        graph = model.graph
        self.constants: dict[str, Array] = {
            item.name: numpy_helper.to_array(item) for item in graph.initializer
        }
        self.layers = {layer.node.name: layer for layer in find_layers(model, LAYERS)}
        self.answers = {value.name for value in graph.output}
        self.uses: Counter[str] = Counter(name for node in graph.node for name in node.input)
        self.readers: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            for name in dict.fromkeys(node.input):
                self.readers[name].append(node)

    def owned(self, name: str) -> bool:
        """Return whether *name* is a constant that only one node uses, and so may be changed for it."""
        return name in self.constants and self.uses[name] == 1

    def bias_of(self, layer: Layer) -> str | None:
        """Return the name of the constant that is added to a layer's outputs, None where there is none."""
        node = layer.node
        if node.op_type != "MatMul":
            bias = node.input[2] if len(node.input) > 2 else ""  # noqa: PLR2004 - third is the bias
            return bias if self.owned(bias) else None
        readers = self.readers[node.output[0]]
        if len(readers) != 1 or readers[0].op_type != "Add" or node.output[0] in self.answers:
            return None
        others = [name for name in readers[0].input if name != node.output[0]]
        fits = len(others) == 1 and self.owned(others[0])
        return others[0] if fits and self.constants[others[0]].size == len(layer.weights) else None


def channel_groups(graph: Graph) -> list[ChannelGroup]:
    """Return the groups of channels that can be removed, in the order of the graph."""
    found = (_Walk(graph, layer).group() for layer in graph.layers.values() if layer.groups == 1)
    return [group for group in found if group is not None]


class _NotRemovableError(Exception):
    """The channels reach something that cannot do without one of them."""


@dataclass
class _Walk:
    """Follows the output channels of *producer* to the layers that mix them."""

    graph: Graph
    producer: Layer
    layouts: dict[str, Layout] = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)
    depthwise: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    meeting: list[Any] = field(default_factory=list)

    def group(self) -> ChannelGroup | None:
        node = self.producer.node
        try:
            self._slice(node.input[1], 1 if node.op_type == "MatMul" else 0)
            if len(node.input) > 2:  # noqa: PLR2004 - third is the bias
                self._slice(node.input[2], 0)
            self._follow(node.output[0], "maps" if node.op_type == "Conv" else "last")
        except _NotRemovableError:
            return None
        # Two tensors that meet must both be of these channels, as in x * sigmoid(x).
        if not self.consumers or any(
            name not in self.layouts for node in self.meeting for name in node.input
        ):
            return None
        return ChannelGroup(
            name=node.name,
            size=self.size,
            slices=tuple(self.slices),
            consumers=tuple(self.consumers),
            depthwise=tuple(self.depthwise),
            shapes=tuple(self.shapes),
        )

    @property
    def size(self) -> int:
        return len(self.producer.weights)

    def _follow(self, tensor: str, layout: Layout) -> None:
        if tensor in self.layouts:
            return
        if tensor in self.graph.answers:
            raise _NotRemovableError
        self.layouts[tensor] = layout
        for node in self.graph.readers[tensor]:
            self._read(node, tensor, layout)

    def _read(self, node: Any, tensor: str, layout: Layout) -> None:
        kind = node.op_type
        if kind in LAYERS:
            self._layer(node, tensor, layout)
        elif kind in _UNARY and node.input[0] == tensor:
            self._follow(node.output[0], layout)
        elif kind in _BINARY:
            self._binary(node, tensor, layout)
        elif kind in _POOLS and layout == "maps":
            self._follow(node.output[0], "maps")
        elif kind == "GlobalAveragePool" and layout == "maps":
            self._follow(node.output[0], "pooled")
        elif kind == "ReduceMean" and layout == "maps":
            self._reduce(node)
        elif kind == "BatchNormalization" and len(node.output) == 1:
            for name in node.input[1:]:
                self._slice(name, 0)
            self._follow(node.output[0], layout)
        elif kind in {"Flatten", "Reshape"}:
            self._flatten(node, layout)
        else:
            raise _NotRemovableError

    def _layer(self, node: Any, tensor: str, layout: Layout) -> None:
        layer = self.graph.layers.get(node.name)
        if layer is None:
            if node.op_type == "Conv" and layout != "last" and attribute(node, "group", 1) == self.size:
                self._depthwise(node)
                return
            raise _NotRemovableError
        if node.op_type == "Conv" and layer.groups == self.size and layout != "last":
            self._depthwise(node)
            return
        # A layer may also read the tensor as its weights or bias.
        fits = (layout == "last") == (node.op_type != "Conv") and list(node.input).count(tensor) == 1
        if layer.groups != 1 or node.input[0] != tensor or not fits or not self.graph.owned(node.input[1]):
            raise _NotRemovableError
        self.consumers.append(Consumer(layer, node.input[1], 0 if node.op_type == "MatMul" else 1))

    def _depthwise(self, node: Any) -> None:
        if len(self.graph.constants.get(node.input[1], ())) != self.size:
            raise _NotRemovableError  # more outputs than channels
        for name in node.input[1:]:
            self._slice(name, 0)
        self.depthwise.append(node.name)
        self._follow(node.output[0], "maps")

    def _binary(self, node: Any, tensor: str, layout: Layout) -> None:
        (other,) = [name for name in node.input if name != tensor] or [tensor]
        value = self.graph.constants.get(other)
        if value is None:
            self.meeting.append(node)
        elif value.size > 1:
            axis = value.ndim - (1 if layout == "last" else 3)
            if axis < 0 or value.shape[axis] != self.size or value.size != self.size:
                raise _NotRemovableError
            self._slice(other, axis)
        self._follow(node.output[0], layout)

    def _reduce(self, node: Any) -> None:
        given = self.graph.constants.get(node.input[1]) if len(node.input) > 1 else None
        axes = attribute(node, "axes", None) if given is None else given.tolist()
        if axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            raise _NotRemovableError
        self._follow(node.output[0], "pooled" if attribute(node, "keepdims", 1) else "last")

    def _flatten(self, node: Any, layout: Layout) -> None:
        if layout == "maps":
            raise _NotRemovableError
        if node.op_type == "Reshape":
            shape = self.graph.constants.get(node.input[1])
            if shape is None or shape.shape != (2,) or shape[1] not in (self.size, -1):
                raise _NotRemovableError
            if shape[1] == self.size:
                if not self.graph.owned(node.input[1]):
                    raise _NotRemovableError
                self.shapes.append(node.input[1])
        elif attribute(node, "axis", 1) != 1:
            raise _NotRemovableError
        self._follow(node.output[0], "last")

    def _slice(self, name: str, axis: int) -> None:
        if not self.graph.owned(name):
            raise _NotRemovableError
        self.slices.append(Slice(name, axis))
