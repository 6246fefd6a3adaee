"""Making an ONNX model of normalised images take uint8 pixels, so that the device normalises them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_aiopt.runtimes.base import Normalisation

if TYPE_CHECKING:
    import onnx

_IMAGE_AXES = 4
_CHANNELS = 3
_BROADCASTING_OPSET = 7  # the first whose Sub and Div broadcast as numpy does


def fuse_normalisation(file: Path, normalisation: Normalisation) -> bytes:
    """Return the model in *file* with an input of uint8 pixels ``[batch, height, width, 3]``.

    Before what was its input stand ``Cast``, ``Transpose`` where the model wants the channels first, ``Sub``
    and ``Div``: the operations, in float32, that the host would do.  ``Cast`` comes first, since TensorRT
    does nothing else with uint8.

    :param file: a model with one input of images, float32 or float16
    :raises ValueError: if ``onnx`` is not installed, or the model is of another kind; the message says why
    """
    try:
        import onnx
    except ImportError as error:
        raise ValueError("the package onnx, which rewrites the graph, is not installed") from error
    try:
        model = onnx.load(file)
        _insert(onnx, model, normalisation)
        return bytes(model.SerializeToString())
    except ValueError:
        raise
    except (
        Exception
    ) as error:  # protobuf, missing external data, more than 2 GiB: each has a class of its own
        raise ValueError(f"the graph cannot be rewritten: {' '.join(str(error).split())}") from error


def _insert(onnx: Any, model: onnx.ModelProto, normalisation: Normalisation) -> None:
    helper, tensor = onnx.helper, onnx.TensorProto
    graph = model.graph
    given = _image_input(model, (tensor.FLOAT, tensor.FLOAT16))
    kind = given.type.tensor_type.elem_type
    batch, height, width = _axes(given, normalisation.layout)
    names = _Names(graph)
    pixels = names.new("pixels")
    nodes: list[Any] = []

    def add(operation: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        output = output or names.new(operation.lower())
        nodes.append(helper.make_node(operation, inputs, [output], name=f"{output}_node", **attributes))
        return output

    shape = [3, 1, 1] if normalisation.layout == "nchw" else [3]
    mean = helper.make_tensor(names.new("mean"), tensor.FLOAT, shape, normalisation.mean)
    std = helper.make_tensor(names.new("std"), tensor.FLOAT, shape, normalisation.std)
    value = add("Cast", [pixels], to=tensor.FLOAT)
    if normalisation.layout == "nchw":
        value = add("Transpose", [value], perm=[0, 3, 1, 2])
    value = add("Sub", [value, mean.name])
    if kind == tensor.FLOAT:
        add("Div", [value, std.name], given.name)
    else:
        add("Cast", [add("Div", [value, std.name])], given.name, to=kind)

    graph.initializer.extend([mean, std])
    for node in reversed(nodes):
        graph.node.insert(0, node)
    place = [item.name for item in graph.input].index(given.name)
    del graph.input[place]
    graph.input.insert(place, helper.make_tensor_value_info(pixels, tensor.UINT8, [batch, height, width, 3]))


def _image_input(model: Any, kinds: tuple[int, ...]) -> Any:
    """Return the only input, checked to be of images that can be normalised."""
    opset = max((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), default=0)
    if opset < _BROADCASTING_OPSET:
        raise ValueError(f"the model's opset {opset} is older than {_BROADCASTING_OPSET}")
    constants = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in constants]
    if len(inputs) != 1:
        raise ValueError(f"the model has {len(inputs)} inputs")
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in kinds or len(kind.shape.dim) != _IMAGE_AXES:
        raise ValueError(f"its input {inputs[0].name} is not made of float32 or float16 images")
    return inputs[0]


def _axes(given: Any, layout: str) -> list[int | str | None]:
    """Return batch, height and width; an axis of any length keeps its name."""
    lengths: list[int | str | None] = [
        axis.dim_value if axis.HasField("dim_value") else axis.dim_param or None
        for axis in given.type.tensor_type.shape.dim
    ]
    channels = lengths.pop(1 if layout == "nchw" else -1)
    if isinstance(channels, int) and channels != _CHANNELS:
        raise ValueError(f"its input {given.name} has {channels} channels by the layout {layout}")
    return lengths


class _Names:
    """Names that no value and no node of a graph has."""

    def __init__(self, graph: Any) -> None:
        self._taken = {name for node in graph.node for name in (*node.input, *node.output, node.name)}
        self._taken |= {item.name for group in (graph.input, graph.initializer) for item in group}

    def new(self, stem: str) -> str:
        name = f"aiopt_{stem}"
        while name in self._taken or f"{name}_node" in self._taken:
            name += "_"
        self._taken |= {name, f"{name}_node"}
        return name
