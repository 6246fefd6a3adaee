from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from components import requires
from onnx_models import Node, image_model, model_bytes

from airflow_provider_aiopt.runtimes.base import Normalisation
from airflow_provider_aiopt.runtimes.onnx_pixels import fuse_normalisation

requires("onnx", "uv pip install --group models")

CLIP = Normalisation((122.77, 116.75, 104.09), (68.5, 66.63, 70.32), "nchw")


def pixels(rows: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, 256, (rows, size, size, 3), np.uint8)


def session(model: bytes | Path) -> Any:
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])


def run(model: bytes | Path, value: np.ndarray) -> np.ndarray:
    opened = session(model)
    result: np.ndarray = opened.run(None, {opened.get_inputs()[0].name: value})[0]
    return result


def layer(path: Path, layout: str, dtype: str = "float32") -> Path:
    """A model that answers what it was given, so that nothing that was done before it is averaged away."""
    shape = ["batch", 3, 8, 8] if layout == "nchw" else ["batch", 8, 8, 3]
    path.write_bytes(
        model_bytes([Node("Identity", ["image"], ["y"])], {"image": (dtype, shape)}, {"y": (dtype, shape)})
    )
    return path


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("rows", [1, 5])
def test_the_graph_does_what_the_host_would(tmp_path: Path, layout: Any, rows: int, dtype: str) -> None:
    normalisation = Normalisation(CLIP.mean, CLIP.std, layout)
    given = pixels(rows)
    expected = (given.astype(np.float32) - np.float32(CLIP.mean)) / np.float32(CLIP.std)
    expected = expected.transpose(0, 3, 1, 2) if layout == "nchw" else expected

    made = run(fuse_normalisation(layer(tmp_path / "m.onnx", layout, dtype), normalisation), given)

    assert made.dtype == dtype
    np.testing.assert_allclose(made, expected.astype(dtype), atol=1e-5)


def test_the_input_has_the_axes_that_the_model_leaves_open(tmp_path: Path) -> None:
    fused = session(fuse_normalisation(image_model(tmp_path / "m.onnx", size=8), CLIP))
    (given,) = fused.get_inputs()
    assert (given.type, given.shape) == ("tensor(uint8)", ["batch", 8, 8, 3])


def test_names_of_the_graph_are_not_taken_twice(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    shape = ["batch", 3, 8, 8]
    path.write_bytes(
        model_bytes(
            [
                Node("Identity", ["image"], ["aiopt_pixels"]),
                Node("Identity", ["aiopt_pixels"], ["aiopt_cast"]),
                Node("Identity", ["aiopt_cast"], ["y"]),
            ],
            {"image": ("float32", shape)},
            {"y": ("float32", shape)},
        )
    )
    identity = Normalisation((0, 0, 0), (1, 1, 1), "nchw")
    np.testing.assert_array_equal(
        run(fuse_normalisation(path, identity), pixels(2)), pixels(2).transpose(0, 3, 1, 2)
    )


def model_of(inputs: dict[str, tuple[str, list[int | str]]]) -> bytes:
    name, (dtype, shape) = next(iter(inputs.items()))
    return model_bytes([Node("Identity", [name], ["y"])], inputs, {"y": (dtype, shape)})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (model_of({"x": ("float32", ["n", 2])}), "input x is not made of float32 or float16 images"),
        (model_of({"x": ("uint8", ["n", 3, 8, 8])}), "input x is not made of float32 or float16 images"),
        (model_of({"x": ("float32", ["n", 1, 8, 8])}), "input x has 1 channels by the layout nchw"),
        (
            model_of({"x": ("float32", ["n", 3, 8, 8]), "y2": ("float32", ["n"])}),
            "the model has 2 inputs",
        ),
        (b"no model", "cannot be rewritten"),
    ],
    ids=["rows", "bytes", "grey", "two", "broken"],
)
def test_other_models_stay_as_they_are(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        fuse_normalisation(tmp_path / "m.onnx", CLIP)


def test_without_the_package_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ValueError, match="the package onnx, which rewrites the graph, is not installed"):
        fuse_normalisation(image_model(tmp_path / "m.onnx", size=8), CLIP)


def test_the_shipped_model_answers_the_same() -> None:
    from airflow_provider_aiopt.runtimes.files import find_model
    from airflow_provider_aiopt.spec import ImagePreprocessSpec, ModelSpec

    files = find_model(ModelSpec(uri="builtin:efficientnet-lite0-int8"))
    assert files.card is not None
    spec = ImagePreprocessSpec.model_validate(files.card.preprocess)
    given = pixels(2, spec.size)
    values = (given.astype(np.float32) - np.float32(spec.mean)) / np.float32(spec.std)
    if spec.layout == "nchw":
        values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))

    fused = fuse_normalisation(files.file, Normalisation(spec.mean, spec.std, spec.layout))

    np.testing.assert_allclose(run(fused, given), run(files.file, values), atol=1e-5)
