"""Records and models of the sick pipelines, made once and kept below ``.cache/bench``."""

from __future__ import annotations

import json
import random
from pathlib import Path

from benchmarks.paths import CACHE
from benchmarks.photographs import photographs
from benchmarks.sick.transforms import SIDE

COLUMNS = 8
_LARGE = (2400, 1800)
_SEED = 7


def small_photographs(count: int) -> Path:
    """Return a folder of *count* JPEGs of 500x375."""
    return photographs(count)


def large_photographs(count: int) -> Path:
    """Return a folder of *count* JPEGs as cameras make them, which take long to decode."""
    from PIL import Image

    folder = CACHE / f"photographs-large-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(photographs(count).glob("*.jpg")):
        target = folder / source.name
        if not target.exists():
            partial = target.with_suffix(".part")
            Image.open(source).resize(_LARGE, Image.Resampling.BICUBIC).save(partial, "JPEG", quality=90)
            partial.replace(target)
    return folder


def rows(count: int) -> Path:
    """Return a JSON Lines file of *count* rows of numbers."""
    path = CACHE / f"rows-{count}.jsonl"
    if not path.exists():
        chance = random.Random(_SEED)  # noqa: S311 - nothing secret
        lines = (
            json.dumps({f"c{column}": round(chance.random(), 6) for column in range(COLUMNS)})
            for _ in range(count)
        )
        _write(path, "\n".join(lines).encode() + b"\n")
    return path


def raw_pixels(count: int) -> Path:
    """Return a folder of *count* files of raw pixels, each of the bytes that a picture for the model has."""
    return _blobs(count, 3 * SIDE * SIDE)


def blobs(count: int) -> Path:
    """Return a folder of *count* files of 8 kB."""
    return _blobs(count, 8192)


def _blobs(count: int, size: int) -> Path:
    folder = CACHE / f"blobs-{size}-{count}"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:06d}.bin"
        if not path.exists():
            _write(path, random.Random(number).randbytes(size))  # noqa: S311 - nothing secret
    return folder


def linear_model(width: int) -> Path:
    """Return a model that multiplies vectors of *width* values by a matrix: ``x [batch, width]``."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(_SEED).standard_normal((width, 4)).astype(np.float32)
    return _model(
        f"linear-{width}",
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(weights, "weights")],
    )


def mean_model() -> Path:
    """Return a model that takes the means of planes of pixels: ``x [batch, 3, side, side]``."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    return _model(
        "mean",
        [helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)],
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.array([2, 3], np.int64), "axes")],
    )


def _model(
    name: str, nodes: list[object], inputs: list[object], outputs: list[object], weights: list[object]
) -> Path:
    from onnx import helper

    path = CACHE / f"model-{name}.onnx"
    if not path.exists():
        graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        _write(path, made.SerializeToString())
    return path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(content)
    partial.replace(path)
