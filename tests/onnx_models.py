"""Small ONNX models, written byte by byte: tests need no ``onnx`` package and hold no binary files.

The few fields of onnx.proto that a graph needs, in protobuf's wire format: a tag (field number and wire
type), then a varint, four bytes, or a length and that many bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Shape = Sequence[int | str]

_ELEMENT = {
    "float32": 1,
    "uint8": 2,
    "int32": 6,
    "int64": 7,
    "string": 8,
    "float16": 10,
    "float64": 11,
    "bool": 9,
}
_INT, _BYTES, _FLOAT = 0, 2, 5  # wire types
_ATTRIBUTE_INT, _ATTRIBUTE_INTS, _ATTRIBUTE_FLOAT = 2, 7, 1


@dataclass(frozen=True)
class Node:
    """One operator: ``Node("Add", ["x", "one"], ["y"])``."""

    op: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    attributes: Mapping[str, float | Sequence[int]] = field(default_factory=dict)


def model_bytes(
    nodes: Sequence[Node],
    inputs: Mapping[str, tuple[str, Shape]],
    outputs: Mapping[str, tuple[str, Shape]],
    constants: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """Return an ``.onnx`` file; an axis that is a string may have any length."""
    graph = b"".join(
        [
            *(_message(1, _node(node)) for node in nodes),
            _message(2, b"graph"),
            *(_message(5, _tensor(name, value)) for name, value in (constants or {}).items()),
            *(_message(11, _value(name, *info)) for name, info in inputs.items()),
            *(_message(12, _value(name, *info)) for name, info in outputs.items()),
        ]
    )
    return _number(1, 8) + _message(7, graph) + _message(8, _number(2, 17))


def linear_model(path: Path, weights: np.ndarray, *, name_in: str = "x", name_out: str = "y") -> Path:
    """Write ``y = x @ weights`` for a float32 ``x`` of shape ``[batch, len(weights)]``."""
    rows, columns = weights.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        model_bytes(
            [Node("MatMul", [name_in, "weights"], [name_out])],
            {name_in: ("float32", ["batch", rows])},
            {name_out: ("float32", ["batch", columns])},
            {"weights": weights.astype(np.float32)},
        )
    )
    return path


def image_model(path: Path, *, size: int, layout: str = "nchw", dtype: str = "float32") -> Path:
    """Write a model of images: its three outputs are the means of the red, green and blue values."""
    shape = ["batch", 3, size, size] if layout == "nchw" else ["batch", size, size, 3]
    axes = [2, 3] if layout == "nchw" else [1, 2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        model_bytes(
            [
                Node("Cast", ["image"], ["wide"], {"to": _ELEMENT["float32"]}),
                Node("ReduceMean", ["wide"], ["means"], {"axes": axes, "keepdims": 0}),
            ],
            {"image": (dtype, shape)},
            {"means": ("float32", ["batch", 3])},
        )
    )
    return path


def _node(node: Node) -> bytes:
    return b"".join(
        [
            *(_message(1, name.encode()) for name in node.inputs),
            *(_message(2, name.encode()) for name in node.outputs),
            _message(4, node.op.encode()),
            *(_message(5, _attribute(name, value)) for name, value in node.attributes.items()),
        ]
    )


def _attribute(name: str, value: float | Sequence[int]) -> bytes:
    named = _message(1, name.encode())
    if isinstance(value, int):
        return named + _number(3, value) + _number(20, _ATTRIBUTE_INT)
    if isinstance(value, float):
        return named + _tag(2, _FLOAT) + struct.pack("<f", value) + _number(20, _ATTRIBUTE_FLOAT)
    return named + b"".join(_number(8, item) for item in value) + _number(20, _ATTRIBUTE_INTS)


def _tensor(name: str, value: np.ndarray) -> bytes:
    dims = b"".join(_number(1, size) for size in value.shape)
    kind = _number(2, _ELEMENT[value.dtype.name])
    return dims + kind + _message(8, name.encode()) + _message(9, np.ascontiguousarray(value).tobytes())


def _value(name: str, dtype: str, shape: Shape) -> bytes:
    axes = b"".join(
        _message(1, _number(1, axis) if isinstance(axis, int) else _message(2, axis.encode()))
        for axis in shape
    )
    tensor_type = _number(1, _ELEMENT[dtype]) + _message(2, axes)
    return _message(1, name.encode()) + _message(2, _message(1, tensor_type))


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _number(number: int, value: int) -> bytes:
    return _tag(number, _INT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _message(number: int, content: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
