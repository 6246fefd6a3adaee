"""Reading and cleaning ONNX graphs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_aiopt.optimize.imports import require
from airflow_provider_aiopt.spec.card import TensorCard


def tensor_cards(values: Iterable[Any]) -> tuple[TensorCard, ...]:
    """Describe a graph's inputs or outputs.

    :param values: ``graph.input`` or ``graph.output`` of an ONNX model
    """
    helper = require("onnx.helper", "Reading an ONNX model")
    cards = []
    for value in values:
        tensor = value.type.tensor_type
        axes = (axis.dim_param or axis.dim_value for axis in tensor.shape.dim)
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        cards.append(TensorCard(name=value.name, dtype=dtype, shape=tuple(axes)))
    return tuple(cards)


def opset(model: Any) -> int:
    """Return the version of the standard operator set that an ONNX model uses."""
    return next(int(item.version) for item in model.opset_import if item.domain in {"", "ai.onnx"})


def is_convolutional(model: Any) -> bool:
    """Whether an ONNX model has convolutions, which static quantisation speeds up and dynamic does not."""
    return any(node.op_type == "Conv" for node in model.graph.node)


def name_nodes(model: Any) -> None:
    """Give every node that has no name one of its own.

    :param model: an ONNX model, changed in place
    """
    taken = {node.name for node in model.graph.node}
    for index, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{index}"
            while name in taken:
                name += "_"
            node.name = name
            taken.add(name)


def attribute(node: Any, name: str, default: Any) -> Any:
    """Return the value of a node's attribute, *default* where it is not given."""
    helper = require("onnx.helper", "Reading an ONNX model")
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def strip_debug_information(model: Any) -> None:
    """Remove what an exporter or optimiser notes for debugging.

    Stack traces hold the paths of the machine that exported, would differ from one to the next, and are of no
    use to a runtime.

    :param model: an ONNX model, changed in place
    """
    model.ClearField("doc_string")
    model.ClearField("metadata_props")
    # "2.9.0+cu130" and "2.9.0+cpu" write the same graph: the same file, then.
    model.producer_version = model.producer_version.partition("+")[0]
    graph = model.graph
    for item in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *graph.value_info):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    # Shapes of inner tensors: every runtime infers them again, with names of axes that mean nothing outside.
    graph.ClearField("value_info")
