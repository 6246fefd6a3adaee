"""A tiny CNN in a model folder as the exporters write them, and images for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from components import requires

from airflow_provider_aiopt.optimize.folder import write_card
from airflow_provider_aiopt.spec.card import ModelCard, TensorCard

ONNX = "uv pip install --group models"
SIDE = 12
CLASSES = 5
OPEN_GATE = {"min_agreement": 0, "max_score_error": 1, "max_mean_score_error": 1}
"""Limits that any form of it keeps to: its weights are random."""


def make_card(file: Path, **changes: Any) -> ModelCard:
    """Return a card for *file* that fits the tiny CNN, with *changes*."""
    values: dict[str, Any] = {
        "name": "tiny",
        "task": "image-classification",
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "licence": "Apache-2.0",
        "source": ("tiny==1",),
        "command": "aiopt model export tiny --output tiny",
        "precision": "fp32",
        "opset": 17,
        "inputs": (TensorCard(name="image", dtype="float32", shape=("batch", 3, SIDE, SIDE)),),
        "outputs": (TensorCard(name="logits", dtype="float32", shape=("batch", CLASSES)),),
        "preprocess": {"kind": "image", "size": SIDE, "mean": [127] * 3, "std": [128] * 3},
        "labels": "labels.txt",
        "versions": {"onnx": "1"},
    }
    return ModelCard.model_validate({**values, **changes})


def random_images(count: int, seed: int = 0) -> np.ndarray:
    """Return images whose channels vary together, as those of photographs do."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=(count, 1, SIDE, SIDE))
    return (shared + 0.3 * random.normal(size=(count, 3, SIDE, SIDE))).astype(np.float32)


def tiny_cnn() -> Any:
    requires("onnx", ONNX)
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(7)

    def constant(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], name="first", pads=[1] * 4, strides=[2, 2]),
        helper.make_node("Clip", ["c1", "low", "high"], ["r1"], name="clip"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="depthwise", pads=[1] * 4, group=8),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu"),
        helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"]),  # exporters may leave nodes without a name
        helper.make_node("GlobalAveragePool", ["c3"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w4", "b4"], ["logits"], name="classify", transB=1),
    ]
    constants = [
        constant("w1", 8, 3, 3, 3),
        constant("b1", 8),
        constant("w2", 8, 1, 3, 3),
        constant("b2", 8),
        constant("w3", 16, 8, 1, 1),
        constant("b3", 16),
        constant("w4", CLASSES, 16),
        constant("b4", CLASSES),
        numpy_helper.from_array(np.float32(0), "low"),
        numpy_helper.from_array(np.float32(6), "high"),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        constants,
        doc_string="made at /somewhere/on/this/machine",
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def write_tiny_cnn(folder: Path) -> Path:
    """Write its model folder."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(tiny_cnn().SerializeToString())
    (folder / "labels.txt").write_text("".join(f"class {index}\n" for index in range(CLASSES)))
    (folder / "LICENSE").write_text("Apache-2.0\n")
    write_card(folder, make_card(folder / "model.onnx"))
    return folder


def write_images(file: Path) -> Path:
    """Write forty prepared images into an .npz file."""
    np.savez(file, image=random_images(40))
    return file
